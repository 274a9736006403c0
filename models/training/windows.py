"""The windows that a step trains on, drawn by seed and step alone: of one run, or of several runs on a device.

Shapes: Q pieces of one run, or of all runs, one run after another; T samples in, S samples of target, B batch, K
members, E knobs, D steps drawn at once.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.evaluation.distances import pre_emphasize
from models.recordings.dataset import AmpData, Piece, energy
from models.training.composing import Composer, Window, filter_windows, response_of
from models.training.config import Recipe

DEVICE_BYTES = 1 << 35  # of recordings that a device holds

WindowBatch = tuple[Tensor, Tensor, Tensor, Tensor]  # x, target, knob levels, weight of the error


class WindowSampler:
    """Windows of the training pieces of one run.

    Raises `UserError` for a piece that is shorter than one segment. `rms` is the level of the pieces (full scale 1),
    `size` (B) the windows of a step.
    """

    def __init__(self, recipe: Recipe, data: AmpData) -> None:
        learning, receptive_field = recipe.learning, recipe.model.receptive_field
        self.size = learning.segments_per_step(receptive_field)
        self.data, self.learning, self.context = data, learning, receptive_field - 1
        self.pieces = [data.training_piece(piece, receptive_field, learning.segment) for piece in data.train]
        self.levels_QE = [data.encode(piece, recipe.model.inject.encoding) for piece in self.pieces]
        energy_Q = torch.tensor([piece.energy for piece in self.pieces])
        self.rms = energy_Q.mean().sqrt()
        if learning.pre_emphasis:
            energy_Q = torch.tensor([self._emphasized_energy(piece) for piece in self.pieces])
        self.weights_Q = 1 / energy_Q  # quiet pieces count as much as loud ones
        self.composer = Composer(recipe, data, self.pieces)

    def draw(self, step: int) -> tuple[list[int], list[int]]:
        """Return for each window of a step the index of its piece and the first sample of its target."""
        draw = np.random.default_rng([self.learning.seed, step])
        picks = draw.integers(len(self.pieces), size=self.size).tolist()
        spans = [(self.pieces[pick].start, self.pieces[pick].stop - self.learning.segment) for pick in picks]
        return picks, [int(draw.integers(first, last, endpoint=True)) for first, last in spans]

    def drawn(self, step: int) -> list[Window]:
        """Return the windows of a step, recorded and composed ones, as they are drawn."""
        composed, (picks, starts) = self.composer.draw(step), self.draw(step)
        return [
            composed.get(place) or Window(pick, start, (), self.levels_QE[pick], float(self.weights_Q[pick]))
            for place, (pick, start) in enumerate(zip(picks, starts, strict=True))
        ]

    def batch(self, step: int) -> WindowBatch:
        """Return the windows of a step: `(x_BT, target_BS, levels_BE, weight_B)`."""
        x, target, segment, windows = [], [], self.learning.segment, self.drawn(step)
        for window in windows:
            piece, stop = self.pieces[window.piece], window.start + segment
            x.append(self.data.dry(piece, window.start - self.context, stop))
            target.append(self._compose(window) if window.filters else piece.wet_T[window.start : stop])
        levels = torch.stack([window.levels_E for window in windows])
        weights = torch.tensor([window.weight for window in windows], dtype=self.weights_Q.dtype)
        return torch.stack(x), torch.stack(target), levels, weights

    def _compose(self, window: Window) -> Tensor:
        """The target `(S,)` of a composed window."""
        composer, wet_T = self.composer, self.pieces[window.piece].wet_T
        begin = window.start - composer.lead
        recorded_W = wet_T[begin : begin + composer.samples]
        response_F = response_of(composer.response_RF, torch.tensor(window.filters)).to(_complex_of(wet_T))
        return filter_windows(recorded_W, response_F, self.learning.segment)

    def _emphasized_energy(self, piece: Piece) -> float:
        """Mean square of a target after pre-emphasis."""
        wet_T = pre_emphasize(piece.wet_T[piece.start : piece.stop], self.learning.pre_emphasis)
        return energy(wet_T) / len(wet_T)


class WindowSource(Protocol):
    """Windows of several runs on a device, the same that each run draws by itself."""

    def draw(self, first: int, count: int) -> None:
        """Prepare the windows of `count` steps from step `first` on, at most D."""
        ...

    def windows(self, cursor: Tensor) -> WindowBatch:
        """Return `(x_KBT, target_KBS, levels_KBE, weight_KB)` of one of these steps, counted from 0 by `cursor`.

        `cursor` is `(1,)` on the device.
        """
        ...


def source_for(samplers: Sequence[WindowSampler], device: torch.device, ahead: int) -> WindowSource:
    """Return the source for runs of one shape: recordings on the device where they fit, else windows brought to it.

    `ahead` (D) steps are drawn at once.
    """
    held = sum(x_T.nbytes for side in _signals(samplers) for x_T in side)
    alike = len({sampler.composer.size for sampler in samplers}) == 1
    return (DeviceWindows if held <= DEVICE_BYTES and alike else HostWindows)(samplers, device, ahead)


class DeviceWindows:
    """Recordings on the device, each signal once, one after another; a batch is drawn as indices and gathered there.

    Dry signals stand after the silence that the first window may begin in. Composed windows are filtered on the device.
    """

    def __init__(self, samplers: Sequence[WindowSampler], device: torch.device, ahead: int) -> None:
        context, segment = samplers[0].context, samplers[0].learning.segment
        self._samplers, self._segment, self._composer = samplers, segment, samplers[0].composer
        dry, wet = _signals(samplers)
        dry_at, wet_at = _offsets(dry, context), _offsets(wet, 0)
        pieces = [(s.data.dry_T[piece.dry], piece.wet_T) for s in samplers for piece in s.pieces]
        self._dry_at_Q = torch.tensor([dry_at[dry_T] for dry_T, _ in pieces], device=device)
        self._wet_at_Q = torch.tensor([wet_at[wet_T] for _, wet_T in pieces], device=device)
        self._dry, self._wet = _joined(dry, context).to(device), _joined(wet, 0).to(device)
        self._input_T = torch.arange(context + segment, device=device)
        sizes = [len(sampler.pieces) for sampler in samplers]
        self._firsts = [sum(sizes[:member]) for member in range(len(sizes))]
        self._composes = any(sampler.composer.bases for sampler in samplers)
        responses = [sampler.composer.response_RF for sampler in samplers] if self._composes else []
        self._first_filters = [sum(map(len, responses[:member])) for member in range(len(samplers))]
        self._response_RF = torch.cat(responses).to(device, _complex_of(self._wet)) if responses else None
        lead, samples = (self._composer.lead, self._composer.samples) if self._composes else (0, segment)
        self._target_W = torch.arange(-lead, samples - lead, device=device)
        shape = ahead, len(samplers), samplers[0].size
        self._draws = torch.zeros((ahead, 2, *shape[1:]), dtype=torch.long, device=device)
        self._filters = torch.zeros((*shape, self._composer.depth), dtype=torch.long, device=device)
        self._composed = torch.zeros(shape, dtype=torch.bool, device=device)
        self._levels = torch.zeros(
            (*shape, *samplers[0].levels_QE[0].shape), dtype=samplers[0].levels_QE[0].dtype, device=device
        )
        self._weights = torch.zeros(shape, dtype=samplers[0].weights_Q.dtype, device=device)

    def draw(self, first: int, count: int) -> None:
        """See `WindowSource`."""
        drawn = [
            [self._draw_one(member, step) for member in range(len(self._samplers))]
            for step in range(first, first + count)
        ]
        draws = torch.stack([torch.stack([row[0] for row in step], 1) for step in drawn])
        self._draws[:count].copy_(draws)
        for table, part in ((self._filters, 1), (self._composed, 2), (self._levels, 3), (self._weights, 4)):
            table[:count].copy_(torch.stack([torch.stack([row[part] for row in step]) for step in drawn]))

    def _draw_one(self, member: int, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Pieces and starts `(2, B)`, filters `(B, depth)`, which are composed, levels and weights, of one run."""
        sampler, first_filter = self._samplers[member], self._first_filters[member]
        windows, identity = sampler.drawn(step), (0,) * self._composer.depth
        at = [[self._firsts[member] + window.piece for window in windows], [window.start for window in windows]]
        filters = [[first_filter + number for number in window.filters or identity] for window in windows]
        is_composed = [bool(window.filters) for window in windows]
        levels_BE = torch.stack([window.levels_E for window in windows])
        weight_B = torch.tensor([window.weight for window in windows], dtype=sampler.weights_Q.dtype)
        return torch.tensor(at), torch.tensor(filters), torch.tensor(is_composed), levels_BE, weight_B

    def windows(self, cursor: Tensor) -> WindowBatch:
        """See `WindowSource`."""
        piece_KB, start_KB = self._draws.index_select(0, cursor)[0]
        x_KBT = self._dry[(self._dry_at_Q[piece_KB] + start_KB)[..., None] + self._input_T]
        at_KBW = (self._wet_at_Q[piece_KB] + start_KB)[..., None] + self._target_W
        wet_KBW = self._wet[at_KBW.clamp(0, len(self._wet) - 1)]
        levels_KBE, weight_KB = (table.index_select(0, cursor)[0] for table in (self._levels, self._weights))
        if self._response_RF is None:
            return x_KBT, wet_KBW, levels_KBE, weight_KB
        filters, composed_KB = (table.index_select(0, cursor)[0] for table in (self._filters, self._composed))
        filtered_KBS = filter_windows(wet_KBW, response_of(self._response_RF, filters), self._segment)
        lead = self._composer.lead
        recorded_KBS = wet_KBW[..., lead : lead + self._segment]
        return x_KBT, torch.where(composed_KB[..., None], filtered_KBS, recorded_KBS), levels_KBE, weight_KB


class HostWindows:
    """Recordings in the host's memory or in mapped files; their windows are brought to the device for D steps at once.

    Two steps have room in the host's memory, pinned for a GPU: while one is on its way the next is gathered.
    """

    def __init__(self, samplers: Sequence[WindowSampler], device: torch.device, ahead: int) -> None:
        self._samplers, on_gpu = samplers, device.type == "cuda"
        batch, members = samplers[0].batch(0), len(samplers)
        self._tables = tuple(part.new_zeros(ahead, members, *part.shape, device=device) for part in batch)
        self._rooms = [
            tuple(torch.zeros(members, *part.shape, dtype=part.dtype, pin_memory=on_gpu) for part in batch)
            for _ in range(2)
        ]
        self._copied = [torch.cuda.Event() for _ in self._rooms] if on_gpu else []  # what was in a room has arrived

    def draw(self, first: int, count: int) -> None:
        """See `WindowSource`."""
        for number in range(count):
            turn = number % 2
            room = self._rooms[turn]
            if self._copied:
                self._copied[turn].synchronize()
            for member, sampler in enumerate(self._samplers):
                for rows, part in zip(room, sampler.batch(first + number), strict=True):
                    rows[member] = part
            for table, rows in zip(self._tables, room, strict=True):
                table[number].copy_(rows, non_blocking=True)
            if self._copied:
                self._copied[turn].record()

    def windows(self, cursor: Tensor) -> WindowBatch:
        """See `WindowSource`."""
        x_KBT, target_KBS, levels_KBE, weight_KB = (table.index_select(0, cursor)[0] for table in self._tables)
        return x_KBT, target_KBS, levels_KBE, weight_KB


def _signals(samplers: Sequence[WindowSampler]) -> tuple[list[Tensor], list[Tensor]]:
    """Return every dry signal once, and every wet one."""
    pieces = [(sampler, piece) for sampler in samplers for piece in sampler.pieces]
    dry = dict.fromkeys(sampler.data.dry_T[piece.dry] for sampler, piece in pieces)  # a tensor's hash is its identity
    wet = dict.fromkeys(piece.wet_T for _, piece in pieces)
    return list(dry), list(wet)


def _offsets(signals: Sequence[Tensor], silence: int) -> dict[Tensor, int]:
    """Return where the silence before each signal begins when they are joined."""
    offsets, length = {}, 0
    for x_T in signals:
        offsets[x_T] = length
        length += silence + len(x_T)
    return offsets


def _joined(signals: Sequence[Tensor], silence: int) -> Tensor:
    """Return all signals one after another, each after so much silence."""
    return torch.cat([part for x_T in signals for part in (x_T.new_zeros(silence), x_T)])


def _complex_of(signal: Tensor) -> torch.dtype:
    """The complex type for signals of this type."""
    return torch.complex128 if signal.dtype == torch.float64 else torch.complex64
