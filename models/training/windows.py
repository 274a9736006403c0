"""The windows that a step trains on, drawn by seed and step alone: of one run, or of several runs on a device.

Shapes: Q pieces of one run, or of all runs, one run after another; T samples in, S samples of target, B batch, K
members, E knobs, D steps drawn at once.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.evaluation.distances import pre_emphasise
from models.recordings.dataset import AmpData, Piece, energy
from models.training.config import Recipe

DEVICE_BYTES = 1 << 35  # of recordings that a device holds

WindowBatch = tuple[Tensor, Tensor, Tensor, Tensor]  # x, target, knob levels, weight of the error


class WindowSampler:
    """Windows of the training pieces of one run.

    Raises `UserError` for a piece that is shorter than one segment. `rms` is the level of the pieces (full scale 1).
    """

    def __init__(self, recipe: Recipe, data: AmpData) -> None:
        learning, receptive_field = recipe.learning, recipe.model.receptive_field
        self.data, self.learning, self.context = data, learning, receptive_field - 1
        self.pieces = [data.training_piece(piece, receptive_field, learning.segment) for piece in data.train]
        self.levels_QE = [data.encode(piece, recipe.model.inject.encoding) for piece in self.pieces]
        energy_Q = torch.tensor([piece.energy for piece in self.pieces])
        self.rms = energy_Q.mean().sqrt()
        if learning.pre_emphasis:
            energy_Q = torch.tensor([self._emphasised_energy(piece) for piece in self.pieces])
        self.weights_Q = 1 / energy_Q  # quiet pieces count as much as loud ones

    def draw(self, step: int) -> tuple[list[int], list[int]]:
        """Return for each window of a step the index of its piece and the first sample of its target."""
        draw = np.random.default_rng([self.learning.seed, step])
        picks = draw.integers(len(self.pieces), size=self.learning.batch).tolist()
        spans = [(self.pieces[pick].start, self.pieces[pick].stop - self.learning.segment) for pick in picks]
        return picks, [int(draw.integers(first, last, endpoint=True)) for first, last in spans]

    def batch(self, step: int) -> WindowBatch:
        """Return the windows of a step: `(x_BT, target_BS, levels_BE, weight_B)`."""
        x, target, levels = [], [], []
        picks, starts = self.draw(step)
        for pick, start in zip(picks, starts, strict=True):
            piece, stop = self.pieces[pick], start + self.learning.segment
            x.append(self.data.dry(piece, start - self.context, stop))
            target.append(piece.wet_T[start:stop])
            levels.append(self.levels_QE[pick])
        return torch.stack(x), torch.stack(target), torch.stack(levels), self.weights_Q[picks]

    def _emphasised_energy(self, piece: Piece) -> float:
        """Mean square of a target after pre-emphasis."""
        wet_T = pre_emphasise(piece.wet_T[piece.start : piece.stop], self.learning.pre_emphasis)
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
    return (DeviceWindows if held <= DEVICE_BYTES else HostWindows)(samplers, device, ahead)


class DeviceWindows:
    """Recordings on the device, each signal once, one after another; a batch is drawn as indices and gathered there.

    Dry signals stand after the silence that the first window may begin in.
    """

    def __init__(self, samplers: Sequence[WindowSampler], device: torch.device, ahead: int) -> None:
        context, segment = samplers[0].context, samplers[0].learning.segment
        dry, wet = _signals(samplers)
        dry_at, wet_at = _offsets(dry, context), _offsets(wet, 0)
        pieces = [(s.data.dry_T[piece.dry], piece.wet_T) for s in samplers for piece in s.pieces]
        self._dry_at_Q = torch.tensor([dry_at[dry_T] for dry_T, _ in pieces], device=device)
        self._wet_at_Q = torch.tensor([wet_at[wet_T] for _, wet_T in pieces], device=device)
        self._dry, self._wet = _joined(dry, context).to(device), _joined(wet, 0).to(device)
        self._levels_QE = torch.cat([torch.stack(sampler.levels_QE) for sampler in samplers]).to(device)
        self._weights_Q = torch.cat([sampler.weights_Q for sampler in samplers]).to(device)
        self._input_T = torch.arange(context + segment, device=device)
        self._target_S = torch.arange(segment, device=device)
        sizes = [len(sampler.pieces) for sampler in samplers]
        self._samplers, self._firsts = samplers, [sum(sizes[:member]) for member in range(len(sizes))]
        shape = ahead, 2, len(samplers), samplers[0].learning.batch
        self._draws = torch.zeros(shape, dtype=torch.long, device=device)

    def draw(self, first: int, count: int) -> None:
        """See `WindowSource`."""
        draws = []
        for step in range(first, first + count):
            drawn = [sampler.draw(step) for sampler in self._samplers]
            picks = [[at + pick for pick in own] for at, (own, _) in zip(self._firsts, drawn, strict=True)]
            draws.append((picks, [starts for _, starts in drawn]))
        self._draws[:count].copy_(torch.tensor(draws))

    def windows(self, cursor: Tensor) -> WindowBatch:
        """See `WindowSource`."""
        piece_KB, start_KB = self._draws.index_select(0, cursor)[0]
        x_KBT = self._dry[(self._dry_at_Q[piece_KB] + start_KB)[..., None] + self._input_T]
        target_KBS = self._wet[(self._wet_at_Q[piece_KB] + start_KB)[..., None] + self._target_S]
        return x_KBT, target_KBS, self._levels_QE[piece_KB], self._weights_Q[piece_KB]


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
