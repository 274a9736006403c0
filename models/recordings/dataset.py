"""models/recordings/dataset.py."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256

import torch
from torch import Tensor

from models.audio.calibration import UNSTATED, AnalogLevels
from models.core.errors import UserError
from models.knobs.schema import Encoding, Knobs, Setting, Value
from models.knobs.text import format_setting
from models.recordings.alignment import Lag, causal_margin
from models.recordings.config import DataConfig
from models.recordings.take_store import TakeStore

SILENCE = 1e-9  # mean square, -90 dBFS

MIN_REGION = 256  # samples: shorter regions measure nothing


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
    levels: AnalogLevels = UNSTATED
    dry_T: list[Tensor] = field(default_factory=list)
    train: list[Piece] = field(default_factory=list)
    validation: list[Piece] = field(default_factory=list)
    held: list[Piece] = field(default_factory=list)
    seen: list[Piece] = field(default_factory=list)
    recorded: list[Piece] = field(default_factory=list)
    lags: dict[str, Lag] = field(default_factory=dict)
    keep: TakeStore = field(default_factory=TakeStore, repr=False, compare=False)
    _baselines: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)  # by `id` of a piece

    @property
    def margin(self) -> int:
        """Samples that lined up takes stay late; a delay that a manifest states is taken off as it is."""
        return causal_margin(self.rate_hz) if self.config.align else 0

    def with_context(self, piece: Piece, receptive_field: int) -> tuple[Tensor, Tensor]:
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


def _key(piece: Piece) -> tuple[Value, ...]:
    return tuple(piece.setting.values())


def _cut(piece: Piece, start: int, stop: int) -> Piece:
    start, stop = max(piece.start, start), min(piece.stop, stop)
    return Piece(piece.dry, piece.wet_T, start, max(stop, start), piece.setting, piece.levels_K)
