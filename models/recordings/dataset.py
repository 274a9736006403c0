"""One amp's recordings in memory, as each stage of loading leaves them: read, aligned, split.

Shapes: T time in samples of the dry signal, K knobs.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from models.audio.calibration import UNSTATED, AnalogLevels
from models.core.errors import UserError
from models.knobs.schema import Encoding, Knobs, Setting, Value
from models.knobs.text import format_setting
from models.recordings.alignment import Lag, causal_margin
from models.recordings.config import DataConfig
from models.recordings.manifest import Take
from models.recordings.session_delays import SessionDelays
from models.recordings.take_store import TakeStore

SILENCE = 1e-9  # mean square, -90 dBFS

MIN_REGION = 256  # samples: an error measured on fewer means nothing


def energy(x_T: Tensor) -> float:
    """Sum of squares, in float64."""
    return sum(part.double().square().sum().item() for part in x_T.split(1 << 20))


@dataclass(frozen=True)
class ListedTake:
    """A take of a manifest, the index of its dry signal, and whether training may use it."""

    take: Take
    dry: int
    training: bool


@dataclass(frozen=True, eq=False)
class Recordings:
    """What the manifests of one amp list, with its dry signals; wet files are not read yet."""

    config: DataConfig
    knobs: Knobs
    rate_hz: int
    license: str
    device: str
    levels: AnalogLevels
    dry_T: tuple[Tensor, ...]
    takes: tuple[ListedTake, ...]
    delays: SessionDelays | None = None

    @property
    def margin(self) -> int:
        """Samples that aligned takes stay late; a delay that a manifest states is removed entirely."""
        return causal_margin(self.rate_hz) if self.config.align else 0


@dataclass(frozen=True, eq=False)
class Piece:
    """The part `start <= t < stop` of one take, on the time line of its dry signal.

    `dry` is the index of that signal in `AmpData.dry_T`; `wet_T` is the whole take, `(T,)`; `levels_K` the encoded
    setting.
    """

    dry: int
    wet_T: Tensor
    start: int
    stop: int
    setting: Setting
    levels_K: Tensor

    @property
    def key(self) -> tuple[Value, ...]:
        """Equal for pieces of one setting."""
        return tuple(self.setting.values())

    @property
    def energy(self) -> float:
        """Mean square of the target."""
        return energy(self.wet_T[self.start : self.stop]) / max(self.stop - self.start, 1)

    @property
    def peak(self) -> float:
        """Largest magnitude of the target."""
        return self.wet_T[self.start : self.stop].abs().max().item()

    def cut(self, start: int, stop: int) -> "Piece":
        """Return the part of this piece within `start <= t < stop`, which may be empty."""
        start, stop = max(self.start, start), min(self.stop, stop)
        return replace(self, start=start, stop=max(stop, start))


def _data_difference(piece: Piece, other: Piece) -> tuple[float, float]:
    """Return `(signal, error)`, sums of squares, of playing another piece instead of one, where both were recorded."""
    common = slice(max(piece.start, other.start), min(piece.stop, other.stop))
    wet_T = piece.wet_T[common]
    return energy(wet_T), energy(other.wet_T[common] - wet_T)


@dataclass(frozen=True, eq=False)
class AlignedRecordings:
    """Every take on the time line of its dry signal: `pieces` in the order of `recordings.takes`.

    `lags` are the delays that were removed, by wet file; `store` owns the samples.
    """

    recordings: Recordings
    pieces: tuple[Piece, ...]
    lags: dict[str, Lag]
    store: TakeStore


@dataclass(frozen=True, eq=False)
class AmpData:
    """One amp's takes, split.

    `train` is trained on. `validation` chooses between models. `held` (settings absent from both) and `seen` (recorded
    settings on held audio) are only reported. `recorded` are the whole takes. The other fields are those of
    `Recordings` and `AlignedRecordings`.
    """

    config: DataConfig
    knobs: Knobs
    rate_hz: int
    license: str
    device: str
    levels: AnalogLevels = UNSTATED
    dry_T: tuple[Tensor, ...] = ()
    train: tuple[Piece, ...] = ()
    validation: tuple[Piece, ...] = ()
    held: tuple[Piece, ...] = ()
    seen: tuple[Piece, ...] = ()
    recorded: tuple[Piece, ...] = ()
    lags: dict[str, Lag] = field(default_factory=dict)
    margin: int = 0
    store: TakeStore = field(default_factory=TakeStore, repr=False)
    linear_knobs: dict[int, Any] = field(default_factory=dict, init=False, repr=False)  # cache of `linear_knobs_of`
    judged: list[Piece] = field(default_factory=list, init=False, repr=False)  # cache of `judged_pieces`
    _baselines: dict[Piece, tuple[float, float]] = field(default_factory=dict, init=False, repr=False)

    def with_context(self, piece: Piece, receptive_field: int) -> tuple[Tensor, Tensor]:
        """Return `(x, target)`: the target of a piece, and its dry signal from the context of the first sample on."""
        return self.dry(piece, piece.start - receptive_field + 1, piece.stop), piece.wet_T[piece.start : piece.stop]

    def dry(self, piece: Piece, begin: int, stop: int) -> Tensor:
        """Return `begin <= t < stop` of a piece's dry signal, with silence before the recording began."""
        x_T = self.dry_T[piece.dry][max(begin, 0) : stop]
        return x_T if begin >= 0 else torch.cat([x_T.new_zeros(-begin), x_T])

    def encode(self, piece: Piece, encoding: Encoding) -> Tensor:
        """Encode a piece's setting for a network, `(K,)` or as long as the encoding makes it."""
        return torch.tensor(self.knobs.encode(piece.setting, encoding), dtype=torch.float32)

    def training_piece(self, piece: Piece, receptive_field: int, segment: int) -> Piece:
        """Cut a training piece so that it ends before the context of validation and held audio begins.

        Raises `UserError` when less than one segment is left.
        """
        evaluated_after = piece.stop < len(self.dry_T[piece.dry])
        usable = piece.cut(piece.start, piece.stop - (receptive_field - 1 if evaluated_after else 0))
        if usable.stop - usable.start < segment:
            raise UserError(
                f"{self.config.name}: {format_setting(piece.setting)} has {usable.stop - usable.start} samples "
                f"to train on, fewer than one segment of {segment} (receptive field {receptive_field})",
                "Use a shorter segment or receptive field, or hold less audio back.",
            )
        return usable

    def neighbor(self, piece: Piece) -> Piece | None:
        """Return the nearest other setting of training or validation, on the audio of a piece; None without one."""
        others = {p.key: p.levels_K for p in (*self.train, *self.validation) if p.key != piece.key}
        if not others:
            return None
        nearest = min(others, key=lambda key: torch.dist(others[key], piece.levels_K).item())
        found = (p.cut(piece.start, piece.stop) for p in self.recorded if p.dry == piece.dry and p.key == nearest)
        return max(found, key=lambda p: p.stop - p.start, default=None)

    def baseline(self, piece: Piece) -> tuple[float, float]:
        """Return `(signal, error)`, sums of squares, of playing the neighbor instead of a piece.

        Where both were recorded. Where no neighbor was recorded with the dry signal of the piece, the take of another
        setting with the smallest error is played; (0, 0) where there is none either. Computed once per piece.
        """
        if piece not in self._baselines:
            neighbor = self.neighbor(piece)
            alike = [p for p in self.recorded if p.dry == piece.dry and p.key != piece.key]
            others = [neighbor] if neighbor else [p.cut(piece.start, piece.stop) for p in alike]
            found = [_data_difference(piece, other) for other in others]
            known = [(signal, error) for signal, error in found if signal > 0]
            self._baselines[piece] = min(known, key=lambda pair: pair[1] / pair[0], default=(0.0, 0.0))
        return self._baselines[piece]

    def fingerprint(self, pieces: Iterable[Piece]) -> str:
        """Return the sha256 of the samples of pieces, dry and wet in turn, as float32."""
        digest = sha256()
        for piece in pieces:
            for signal_T in (self.dry_T[piece.dry], piece.wet_T):
                digest.update(signal_T[piece.start : piece.stop].cpu().numpy().tobytes())
        return digest.hexdigest()

    def describe(self) -> dict:
        """Return the split as plain data, so that every number can be traced to the audio it was measured on."""
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
