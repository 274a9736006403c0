"""Windows of takes that were not recorded: composed in training, a recorded take through filters of its linear knobs.

Shapes: S samples of a target, N taps, F bins of a transform of `size` samples, E knobs, G positions of a knob's grid,
R filters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.fft import next_fast_len, rfft
from torch import Tensor

from models.knobs.schema import Setting
from models.recordings.composed_pieces import find_bases
from models.recordings.dataset import AmpData, Piece
from models.recordings.filter_interpolation import LEAD, TAPS
from models.recordings.linear_knobs import linear_knobs_of
from models.training.config import Recipe

POSITIONS = 33  # of each knob's grid, from its first to its last position

STREAM = 1  # of random numbers, separate from those of the recorded windows


@dataclass(frozen=True)
class Window:
    """A drawn window: piece, first sample of the target, filter numbers, knob levels, weight of the error.

    A recorded window has no filters, a composed one as many as the depth of its `Composer`.
    """

    piece: int
    start: int
    filters: tuple[int, ...]
    levels_E: Tensor
    weight: float


class Composer:
    """Draws windows of composed takes; a draw depends on seed and step alone.

    `response_RF` are the responses of the filters, the first of them the identity; a window passes `depth` filters.
    Nothing is composed where `bases` is empty: no knob is linear, or the encoding is `type_level`.
    """

    def __init__(self, recipe: Recipe, data: AmpData, pieces: Sequence[Piece]) -> None:
        self._recipe, self._data, self._pieces = recipe, data, pieces
        learning, encoding = recipe.learning, recipe.model.inject.encoding
        linear = (
            linear_knobs_of(data, recipe.model.receptive_field) if learning.composed and encoding == "levels" else []
        )
        self._linear, self.depth = linear, max(1, len(linear))
        self._windows = learning.segments_per_step(recipe.model.receptive_field)
        self.samples = learning.segment + self.depth * (TAPS - 1)  # of the recorded window that a target needs
        self.size = even_fast_len(self.samples)
        self._values = [np.linspace(float(knob.positions[0]), float(knob.positions[-1]), POSITIONS) for knob in linear]
        self.response_RF = torch.from_numpy(self._responses()).to(torch.complex64)
        room = learning.segment + self.depth * TAPS
        self.bases = [
            base for base in find_bases(linear, pieces) if pieces[base.piece].stop - pieces[base.piece].start > room
        ]
        self._power_F = {base.piece: self._power_spectrum(pieces[base.piece]) for base in self.bases}

    @property
    def lead(self) -> int:
        """Samples before a target that its filters depend on."""
        return self.depth * (TAPS - 1 - LEAD)

    def draw(self, step: int) -> dict[int, Window]:
        """Return the composed windows of a step, by their place in the batch."""
        if not self.bases:
            return {}
        learning = self._recipe.learning
        random = np.random.default_rng([learning.seed, step, STREAM])
        places = np.flatnonzero(random.random(self._windows) < learning.composed)
        return {int(place): self._draw_one(random) for place in places}

    def describe(self) -> list[dict[str, Any]]:
        """Return the linear knobs and their evidence as plain data."""
        return [knob.describe().model_dump(mode="json") for knob in self._linear]

    def _draw_one(self, random: np.random.Generator) -> Window:
        """Draw a base, a grid position of each free knob and a first sample."""
        base = self.bases[random.integers(len(self.bases))]
        piece, segment = self._pieces[base.piece], self._recipe.learning.segment
        setting, filters = dict(piece.setting), []
        for knob in base.knobs:
            position = int(random.integers(POSITIONS))
            setting[self._linear[knob].knob.name] = float(self._values[knob][position])
            filters.append(1 + knob * POSITIONS + position)
        start = random.integers(piece.start + self.lead, piece.stop - segment - self.depth * LEAD, endpoint=True)
        gain_F = self.response_RF[filters].abs().square().prod(0)
        weight = 1 / max(float(gain_F.double() @ self._power_F[base.piece]), 1e-12)
        filters += [0] * (self.depth - len(filters))
        return Window(base.piece, int(start), tuple(filters), self._encode(setting), weight)

    def _encode(self, setting: Setting) -> Tensor:
        """Return a setting as knob levels `(E,)`."""
        return torch.tensor(self._data.knobs.encode(setting, "levels"), dtype=torch.float32)

    def _responses(self) -> np.ndarray:
        """Return the responses `(R, F)` of the filters: the identity, then the grid of each knob."""
        identity_N = np.zeros((1, TAPS))
        identity_N[0, LEAD] = 1
        grids = [
            knob.taps_at([knob.knob.level(float(value)) for value in values])
            for knob, values in zip(self._linear, self._values, strict=True)
        ]
        return np.asarray(rfft(np.concatenate([identity_N, *grids]), self.size))

    def _power_spectrum(self, piece: Piece) -> Tensor:
        """Return the mean square of a piece by bin `(F,)`, after pre-emphasis; the sum is that of the piece."""
        y_T = piece.wet_T[piece.start : piece.stop].double()
        frames = y_T[: len(y_T) // self.size * self.size].view(-1, self.size) if len(y_T) >= self.size else y_T[None]
        power_F = torch.fft.rfft(frames, self.size).abs().square().mean(0) / self.size / frames.shape[1]
        power_F[1 : (self.size + 1) // 2] *= 2
        radians_F = torch.arange(len(power_F)) * (2 * torch.pi / self.size)
        emphasis = self._recipe.learning.pre_emphasis
        return power_F * (1 + emphasis**2 - 2 * emphasis * torch.cos(radians_F))


def even_fast_len(samples: int) -> int:
    """Return the next even length with a fast Fourier transform."""
    size = samples
    while (size := next_fast_len(size, real=True)) % 2:
        size += 1
    return size


def response_of(response_RF: Tensor, filters: Tensor) -> Tensor:
    """Return the responses `(..., F)` of filters in series, given their numbers `(..., depth)`."""
    return response_RF[filters].prod(-2)


def filter_windows(wet: Tensor, response: Tensor, segment: int) -> Tensor:
    """Filter windows `(..., W)` by responses `(..., F)`; return the last samples `(..., S)`, which are exact."""
    size = 2 * (response.shape[-1] - 1)
    filtered = torch.fft.irfft(torch.fft.rfft(wet, size) * response, size)
    return filtered[..., wet.shape[-1] - segment : wet.shape[-1]]
