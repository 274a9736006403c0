"""Takes in memory, split by setting and by audio so that nothing judged was ever trained on.

Shapes: T time in samples of the dry signal, K knobs, B batch, R receptive field, S segment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from models.align import MAX_LAG_SECONDS, Lag, align, causal_margin, line_up
from models.audio import read_audio, read_length
from models.documents import UNSTATED, Levels
from models.errors import UserError
from models.keep import Keep
from models.knobs import Encoding, Knobs, Setting, Value, format_setting
from models.manifest import Manifest, Take, read_manifest
from models.recipe import DataConfig
from models.shift import HALF

SILENCE = 1e-9  # mean square, -90 dBFS
MIN_REGION = 256  # samples: shorter regions measure nothing
_DRY_SIGNALS: WeakValueDictionary[str, Tensor] = WeakValueDictionary()  # in use, by the hash of their samples


def energy(x_T: Tensor) -> float:
    """Sum of squares, in float64."""
    return sum(part.double().square().sum().item() for part in x_T.split(1 << 20))


@dataclass(frozen=True)
class Piece:
    """The part `start <= t < stop` of one take, on the time line of its dry signal."""

    dry: int
    wet_T: Tensor
    start: int
    stop: int
    setting: Setting
    levels_K: Tensor

    @property
    def energy(self) -> float:
        """Mean square of the target."""
        return energy(self.wet_T[self.start : self.stop]) / max(self.stop - self.start, 1)

    @property
    def peak(self) -> float:
        """Largest magnitude of the target."""
        return self.wet_T[self.start : self.stop].abs().max().item()


@dataclass
class AmpData:
    """One amp's takes: training, validation (chooses), held (reported only) and seen (recorded settings on held audio)."""

    config: DataConfig
    knobs: Knobs
    rate_hz: int
    license: str
    device: str
    levels: Levels = UNSTATED
    dry_T: list[Tensor] = field(default_factory=list)
    train: list[Piece] = field(default_factory=list)
    validation: list[Piece] = field(default_factory=list)
    held: list[Piece] = field(default_factory=list)
    seen: list[Piece] = field(default_factory=list)
    recorded: list[Piece] = field(default_factory=list)
    lags: dict[str, Lag] = field(default_factory=dict)
    keep: Keep = field(default_factory=Keep, repr=False, compare=False)
    _baselines: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)  # by `id` of a piece

    @property
    def margin(self) -> int:
        """Samples that lined up takes stay late; a delay that a manifest states is taken off as it is."""
        return causal_margin(self.rate_hz) if self.config.align else 0

    def hear(self, piece: Piece, receptive_field: int) -> tuple[Tensor, Tensor]:
        """A piece with the context its first sample needs: `(x, target)`."""
        return self.dry(piece, piece.start - receptive_field + 1, piece.stop), piece.wet_T[piece.start : piece.stop]

    def dry(self, piece: Piece, begin: int, stop: int) -> Tensor:
        """`begin <= t < stop` of a piece's dry signal; silence before the recording began."""
        x_T = self.dry_T[piece.dry][max(begin, 0) : stop]
        return x_T if begin >= 0 else torch.cat([x_T.new_zeros(-begin), x_T])

    def encode(self, piece: Piece, encoding: Encoding) -> Tensor:
        """A piece's setting as a network of that encoding takes it."""
        return torch.tensor(self.knobs.encode(piece.setting, encoding), dtype=torch.float32)

    def training_piece(self, piece: Piece, receptive_field: int, segment: int) -> Piece:
        """The part of a training piece that a model may learn from: it ends before the context of judged audio begins.

        Raises `UserError` when that is shorter than one segment.
        """
        judged_after = piece.stop < len(self.dry_T[piece.dry])
        usable = _cut(piece, piece.start, piece.stop - (receptive_field - 1 if judged_after else 0))
        if usable.stop - usable.start < segment:
            raise UserError(
                f"{self.config.name}: {format_setting(piece.setting)} has {usable.stop - usable.start} samples to train on, "
                f"fewer than one segment of {segment} (receptive field {receptive_field})",
                "Use a shorter segment or receptive field, or hold less audio back.",
            )
        return usable

    def neighbour(self, piece: Piece) -> Piece | None:
        """The nearest other recorded setting on a piece's own audio, as far as it was recorded there."""
        others = {_key(p): p.levels_K for p in self.train + self.validation if _key(p) != _key(piece)}
        if not others:
            return None
        nearest = min(others, key=lambda key: torch.dist(others[key], piece.levels_K).item())
        found = (_cut(p, piece.start, piece.stop) for p in self.recorded if p.dry == piece.dry and _key(p) == nearest)
        return max(found, key=lambda p: p.stop - p.start, default=None)

    def baseline(self, piece: Piece) -> tuple[float, float]:
        """`(signal, error)`, summed squares, of playing the neighbour in place of a piece, where both were recorded; (0, 0) without one."""
        if id(piece) not in self._baselines:
            neighbour, signal_error = self.neighbour(piece), (0.0, 0.0)
            if neighbour:
                there = slice(neighbour.start, neighbour.stop)
                wet_T = piece.wet_T[there]
                signal_error = energy(wet_T), energy(neighbour.wet_T[there] - wet_T)
            self._baselines[id(piece)] = signal_error
        return self._baselines[id(piece)]

    def fingerprint(self, pieces: Sequence[Piece]) -> str:
        """The sha256 of what pieces sound like, dry and wet in turn, as float32 samples."""
        found = sha256()
        for piece in pieces:
            for signal_T in (self.dry_T[piece.dry], piece.wet_T):
                found.update(signal_T[piece.start : piece.stop].cpu().numpy().tobytes())
        return found.hexdigest()

    def describe(self) -> dict:
        """The split as plain data, so that every number can be traced to what it was measured on."""
        groups = {"train": self.train, "validation": self.validation, "held": self.held, "seen": self.seen}
        return {
            "data": self.config.model_dump(mode="json"),
            "sample_rate": self.rate_hz,
            "dry_sha256": [sha256(x.numpy().tobytes()).hexdigest() for x in self.dry_T],
            "causal_margin": self.margin,
            "lags": {wet: asdict(lag) for wet, lag in self.lags.items()},
            "pieces": {
                group: [{"dry": p.dry, "start": p.start, "stop": p.stop, "setting": p.setting} for p in pieces]
                for group, pieces in groups.items()
            },
        }


def load_data(config: DataConfig) -> AmpData:
    """Read one amp's manifests and audio and split them as `DataConfig` says.

    Raises `UserError` naming the file for anything missing, unreadable, silent or at another rate, and for a split that would leak
    or that leaves nothing to train on, to choose by or to report.
    """
    train = read_manifest(_file(config.train))
    held = read_manifest(_file(config.held)) if config.held else None
    if held and _scales(held.knobs) != _scales(train.knobs):
        raise UserError(
            f"{held.path} has knobs {', '.join(held.knobs.names)} with other names or ranges than {train.path}",
            "Both manifests must describe the same knobs.",
        )
    listed = [] if config.held_settings else train.held_takes
    held_takes = held.takes if held else listed
    if not held_takes and not config.held_settings:
        raise UserError(
            f"{config.name}: nothing is held back to judge by",
            "Name either a 'held' manifest or 'held_settings' to take out of 'train'.",
        )
    loader = _Loader(config, train)
    if config.align:
        loader.line_up(train.takes, training=True)
        loader.line_up(held_takes, training=False)
    else:
        loader.take_at_their_word([*train.takes, *held_takes])
    for take in train.takes:
        loader.add(take, training=True)
    for take in held_takes:
        loader.add(take, training=False)
    return loader.split()


def _file(place: Path | str) -> Path:
    """A manifest on this machine; raises `UserError` for a URI."""
    if isinstance(place, Path):
        return place
    raise UserError(f"{place} is not on this machine", "zoo search and zoo train read a URI; elsewhere name a file.")


@dataclass
class _Loader:
    """Reads takes, then deals them into the groups of an `AmpData`."""

    config: DataConfig
    manifest: Manifest
    dry_index: dict[str, int] = field(default_factory=dict)
    cached: dict[tuple[Path, int | None], tuple[int, int]] = field(default_factory=dict)
    pieces: list[tuple[Piece, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        manifest = self.manifest
        rate = self.config.sample_rate or manifest.sample_rate or read_length(manifest.takes[0].wet)[1]
        self.data = AmpData(self.config, manifest.knobs, rate, manifest.license, manifest.device, manifest.levels)

    def add(self, take: Take, training: bool) -> None:
        dry, dry_rate = self.cached.get((take.dry, take.channel)) or self._read_dry(take.dry, take.channel)
        wet_T, wet_rate = read_audio(take.wet, take.channel, self.config.sample_rate)
        for path, rate in ((take.dry, dry_rate), (take.wet, wet_rate)):
            if rate != self.data.rate_hz:
                raise UserError(
                    f"{path} is at {rate} Hz but {self.config.name} is at {self.data.rate_hz} Hz",
                    f'Set "sample_rate": {self.data.rate_hz} in the data config, so that takes are resampled to it.',
                )
        dry_T = self.data.dry_T[dry]
        lag = self.data.lags.get(str(take.wet))
        if lag is None and len(wet_T) != len(dry_T):
            raise UserError(
                f"{take.wet} has {len(wet_T) - len(dry_T):+d} samples against its dry {take.dry.name}: its start or end was cut",
                f'Set "align": true for {self.config.name}, so that takes are lined up with their dry signal.',
            )
        start, stop = 0, len(dry_T)
        if lag is not None:
            wet_T, start, stop = align(wet_T, lag, len(dry_T), self.data.margin)
        first, end = _unpadded(wet_T, dry_T.numpy())
        start, stop = max(start, first), min(stop, end)
        if stop - start < MIN_REGION:
            raise UserError(f"{take.wet} and its dry {take.dry.name} have no audio in common", "Is it the right file?")
        setting = self.data.knobs.complete(take.setting, str(take.wet))
        levels = torch.tensor(self.data.knobs.encode(setting), dtype=torch.float32)
        piece = Piece(dry, self.data.keep(wet_T), start, stop, setting, levels)
        if piece.energy < SILENCE:
            raise UserError(
                f"{take.wet} is silent", "Leave this setting out: no error can be measured against silence."
            )
        self.data.recorded.append(piece)
        self.pieces.append((piece, training))

    def take_at_their_word(self, takes: Iterable[Take]) -> None:
        """The delays that a manifest states, at the rate that its takes are resampled to."""
        for take in takes:
            if take.delay_samples is not None:
                delay = take.delay_samples * self.data.rate_hz / read_length(take.wet)[1]
                self.data.lags[str(take.wet)] = Lag(delay, 1)

    def line_up(self, takes: Sequence[Take], training: bool) -> None:
        """Find the delays of takes; of those that training uses without hearing what is judged, however early they were cut."""
        sessions: dict[int, list[Take]] = {}
        for take in takes:
            dry, _ = self.cached.get((take.dry, take.channel)) or self._read_dry(take.dry, take.channel)
            sessions.setdefault(dry, []).append(take)
        rate, config = self.data.rate_hz, self.config
        for dry, members in sessions.items():
            dry_T, heard = self.data.dry_T[dry].numpy(), None
            if training:
                judge = len(dry_T) - int(config.held_seconds * rate) - int(config.validation_seconds * rate)
                dry_T, heard = dry_T[: max(judge, 0)], max(judge - int(MAX_LAG_SECONDS * rate), 0)
            lags = line_up(dry_T, (self._heard(take, heard) for take in members), rate)
            found = {str(take.wet): lag for take, lag in zip(members, lags, strict=True)}
            self.data.lags = found | self.data.lags  # a file that training uses too keeps what training found

    def _heard(self, take: Take, samples: int | None) -> np.ndarray:
        """The first samples of a take."""
        wet_T = read_audio(take.wet, take.channel, self.config.sample_rate)[0][:samples]
        if len(wet_T) < MIN_REGION:
            raise UserError(f"{take.wet} is too short to be aligned", "Record longer takes, or hold less audio back.")
        return wet_T

    def _read_dry(self, path: Path, channel: int | None) -> tuple[int, int]:
        x_T, rate = read_audio(path, channel, self.config.sample_rate)
        digest = sha256(x_T.tobytes()).hexdigest()
        index = self.dry_index.setdefault(digest, len(self.data.dry_T))
        if index == len(self.data.dry_T):
            self.data.dry_T.append(_shared(digest, x_T))
        self.cached[path, channel] = index, rate
        return index, rate

    def split(self) -> AmpData:
        data, config = self.data, self.config
        training = [piece for piece, from_train in self.pieces if from_train]
        taken = _choose(data.knobs, training, config.held_settings, set(), "held_settings")
        chosen = _choose(data.knobs, training, config.validation_settings, taken, "validation_settings")
        recorded = {_key(piece) for piece in training}
        shared = {piece.dry for piece in training}
        held_samples, validation_samples = (
            int(s * data.rate_hz) for s in (config.held_seconds, config.validation_seconds)
        )
        for piece, from_train in self.pieces:
            length, key = len(data.dry_T[piece.dry]), _key(piece)
            hold = length - held_samples
            judge = hold - validation_samples
            reach = HALF if data.lags else 0  # a sample between samples hears this many of the next
            if from_train and (key in chosen or (not chosen and key not in taken)):
                data.validation.append(_cut(piece, judge, hold - (reach if held_samples else 0)))
            if from_train and key not in chosen | taken:
                data.train.append(_cut(piece, 0, judge - reach))
            if piece.dry not in shared:
                (data.seen if key in recorded - taken else data.held).append(piece)
            elif key in taken or key not in recorded:
                if held_samples == 0:
                    raise UserError(
                        f"{config.name}: held takes use the dry signal that training uses",
                        "Set held_seconds, so that the end of it is kept from training.",
                    )
                data.held.append(_cut(piece, hold, length))
            elif held_samples:
                data.seen.append(_cut(piece, hold, length))
        for group, pieces in (("train", data.train), ("validate", data.validation), ("hold", data.held)):
            if not pieces:
                raise UserError(
                    f"{config.name}: the split leaves no take to {group}", "Move fewer settings or seconds."
                )
        for piece in data.train + data.validation + data.held + data.seen:
            if piece.stop - piece.start < MIN_REGION or piece.energy < SILENCE:
                raise UserError(
                    f"{config.name}: {format_setting(piece.setting)} has no sound from sample {piece.start} to {piece.stop}",
                    "Change held_seconds or validation_seconds.",
                )
        return data


def _unpadded(wet_T: np.ndarray, dry_T: np.ndarray) -> tuple[int, int]:
    """`(start, stop)` of what was recorded: a longer end of digital silence under a sounding dry signal is padding."""
    sounding_N = np.flatnonzero(wet_T)
    first, end = (int(sounding_N[0]), int(sounding_N[-1]) + 1) if len(sounding_N) else (0, len(wet_T))
    padded_before = first > HALF and np.any(dry_T[:first])
    padded_after = len(wet_T) - end > HALF and np.any(dry_T[end:])
    return first if padded_before else 0, end if padded_after else len(wet_T)


def _shared(digest: str, x_T: np.ndarray) -> Tensor:
    """One tensor for a dry signal that several datasets use."""
    known = _DRY_SIGNALS.get(digest)
    if known is None:
        _DRY_SIGNALS[digest] = known = torch.from_numpy(x_T)
    return known


def _key(piece: Piece) -> tuple[Value, ...]:
    return tuple(piece.setting.values())


def _scales(knobs: Knobs) -> set[tuple]:
    return {knob.scale for knob in knobs.knobs}


def _cut(piece: Piece, start: int, stop: int) -> Piece:
    start, stop = max(piece.start, start), min(piece.stop, stop)
    return Piece(piece.dry, piece.wet_T, start, max(stop, start), piece.setting, piece.levels_K)


def _choose(
    knobs: Knobs, pieces: list[Piece], wanted: int | Iterable[Setting], taken: set[tuple[Value, ...]], name: str
) -> set[tuple[Value, ...]]:
    """The settings to take out of training: those named, or as many as asked for, far from each other and from the default.

    Never a corner, nor a setting that alone reaches the end of a knob's recorded range (models interpolate); those with the fewest
    knobs at an end go first, then those that turn knobs which none chosen so far turns.
    """
    levels = {_key(piece): piece.levels_K for piece in pieces if _key(piece) not in taken}
    if not isinstance(wanted, int):
        named = {tuple(knobs.complete(setting, name).values()) for setting in wanted}
        for key in named - set(levels):
            setting = format_setting(dict(zip(knobs.names, key, strict=True)))
            raise UserError(f"{name}: {setting} is not a setting of the train manifest", "Name one that is.")
        return named
    if not wanted:
        return set()
    all_NK = torch.stack([*levels.values(), *(p.levels_K for p in pieces)])
    low_K, high_K, rest_K = all_NK.amin(0), all_NK.amax(0), torch.tensor(knobs.encode(knobs.defaults))
    moved = int((low_K < high_K).sum())
    ends = {key: int((((x_K == low_K) | (x_K == high_K)) & (low_K < high_K)).sum()) for key, x_K in levels.items()}
    chosen: dict[tuple[Value, ...], Tensor] = {}
    while len(chosen) < wanted:
        left = {key: x_K for key, x_K in levels.items() if key not in chosen}
        free = [key for key in left if ends[key] < moved and not _alone_at_an_end(left, key)]
        if not free:
            raise UserError(
                f"{name}: {wanted} settings are wanted, but only {len(chosen)} can leave training without narrowing a knob's range",
                "Ask for fewer, name the settings, or record more between the ends of the knobs.",
            )
        near_NK = torch.stack([rest_K, *chosen.values()])
        judged_K = (near_NK != rest_K).any(0)
        best = min(
            free,
            key=lambda key: (
                ends[key],
                -int(((left[key] != rest_K) & ~judged_K).sum()),
                -torch.cdist(left[key][None], near_NK).min().item(),
            ),
        )
        chosen[best] = left[best]
    return set(chosen)


def _alone_at_an_end(levels: dict[tuple[Value, ...], Tensor], key: tuple[Value, ...]) -> bool:
    if len(levels) == 1:
        return True
    others_NK = torch.stack([x_K for other, x_K in levels.items() if other != key])
    return bool(((levels[key] < others_NK.amin(0)) | (levels[key] > others_NK.amax(0))).any())
