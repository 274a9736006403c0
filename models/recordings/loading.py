"""Takes in memory, split by setting and by audio so that nothing judged was ever trained on.

Shapes: T time in samples of the dry signal, K knobs, B batch, R receptive field, S segment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from models.audio.interpolation import HALF
from models.audio.io import read_audio, read_length
from models.core.errors import UserError
from models.knobs.schema import Knobs
from models.knobs.text import format_setting
from models.recordings.alignment import MAX_LAG_SECONDS, Lag, align, line_up
from models.recordings.config import DataConfig
from models.recordings.dataset import MIN_REGION, SILENCE, AmpData, Piece, _cut, _key
from models.recordings.manifest import Manifest, Take, read_manifest
from models.recordings.splitting import _choose

_DRY_SIGNALS: WeakValueDictionary[str, Tensor] = WeakValueDictionary()  # in use, by the hash of their samples


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


def _scales(knobs: Knobs) -> set[tuple]:
    return {knob.scale for knob in knobs.knobs}
