"""Where a stack's windows come from: recordings that lie on the device, each signal once, or, where they are too many, windows brought there.

Shapes: Q pieces of all trainers, one trainer after another, T samples in, S samples of target, B batch, K members, D steps drawn at once.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from models.training.trainer import Trainer

DEVICE_BYTES = 1 << 35  # of recordings that a device keeps


Windows = tuple[Tensor, Tensor, Tensor, Tensor]


class Source(Protocol):
    """The windows of some steps, drawn as the solo runs would draw them."""

    def draw(self, first: int, count: int) -> None:
        """Make those of the steps from `first` on ready, at most D of them."""
        ...

    def windows(self, cursor: Tensor) -> Windows:
        """Of one of these steps, which `cursor (1,)` on the device counts from 0: `(x_KBT, target_KBS, levels, weight_KB)`."""
        ...


def source_for(trainers: Sequence[Trainer], device: torch.device, ahead: int) -> Source:
    """The source of a stack of these trainers, for `ahead` (D) steps drawn at once."""
    kind = Resident if sum(x_T.nbytes for side in _signals(trainers) for x_T in side) <= DEVICE_BYTES else Brought
    return kind(trainers, device, ahead)


def _signals(trainers: Sequence[Trainer]) -> tuple[list[Tensor], list[Tensor]]:
    """Every dry signal once, and every wet one."""
    pieces = [(trainer, piece) for trainer in trainers for piece in trainer.pieces]
    dry = {id(x_T): x_T for x_T in (trainer.data.dry_T[piece.dry] for trainer, piece in pieces)}
    wet = {id(piece.wet_T): piece.wet_T for _, piece in pieces}
    return list(dry.values()), list(wet.values())


class Resident:
    """Signals end to end, and where each piece lies among them. Dry signals stand after the silence that the first window may hear.

    A batch is a draw of indices; its windows are gathered on the device.
    """

    def __init__(self, trainers: Sequence[Trainer], device: torch.device, ahead: int) -> None:
        context, segment = trainers[0].net.receptive_field - 1, trainers[0].recipe.learning.segment
        dry, wet = _signals(trainers)
        dry_at, wet_at = _places(dry, context), _places(wet, 0)
        pieces = [(trainer.data.dry_T[piece.dry], piece.wet_T) for trainer in trainers for piece in trainer.pieces]
        self._dry_at_Q = torch.tensor([dry_at[id(dry_T)] for dry_T, _ in pieces], device=device)
        self._wet_at_Q = torch.tensor([wet_at[id(wet_T)] for _, wet_T in pieces], device=device)
        self._dry, self._wet = _joined(dry, context).to(device), _joined(wet, 0).to(device)
        self._levels_QK = torch.cat([torch.stack(trainer.levels_PK) for trainer in trainers]).to(device)
        self._weights_Q = torch.cat([trainer.weights_P for trainer in trainers]).to(device)
        self._heard = torch.arange(context + segment, device=device)
        self._wanted = torch.arange(segment, device=device)
        sizes = [len(trainer.pieces) for trainer in trainers]
        self._trainers, self._firsts = trainers, [sum(sizes[:member]) for member in range(len(sizes))]
        shape = ahead, 2, len(trainers), trainers[0].recipe.learning.batch
        self._draws = torch.zeros(shape, dtype=torch.long, device=device)

    def draw(self, first: int, count: int) -> None:
        """See `Source`."""
        draws = []
        for step in range(first, first + count):
            drawn = [trainer.draw(step) for trainer in self._trainers]
            picks = [[at + pick for pick in own] for at, (own, _) in zip(self._firsts, drawn, strict=True)]
            draws.append((picks, [starts for _, starts in drawn]))
        self._draws[:count].copy_(torch.tensor(draws))

    def windows(self, cursor: Tensor) -> Windows:
        """See `Source`."""
        piece_KB, start_KB = self._draws.index_select(0, cursor)[0]
        x_KBT = self._dry[(self._dry_at_Q[piece_KB] + start_KB)[..., None] + self._heard]
        target_KBS = self._wet[(self._wet_at_Q[piece_KB] + start_KB)[..., None] + self._wanted]
        return x_KBT, target_KBS, self._levels_QK[piece_KB], self._weights_Q[piece_KB]


class Brought:
    """Windows gathered where the recordings are kept, in memory or in mapped files, and brought to the device for D steps at once.

    Two steps have room in the host's memory, pinned for a GPU: while one is on its way the next is gathered.
    """

    def __init__(self, trainers: Sequence[Trainer], device: torch.device, ahead: int) -> None:
        self._trainers, on_gpu = trainers, device.type == "cuda"
        batch, members = trainers[0].batch(0), len(trainers)
        self._tables = tuple(part.new_zeros(ahead, members, *part.shape, device=device) for part in batch)
        self._rooms = [
            tuple(torch.zeros(members, *part.shape, dtype=part.dtype, pin_memory=on_gpu) for part in batch)
            for _ in range(2)
        ]
        self._gone = [torch.cuda.Event() for _ in self._rooms] if on_gpu else []  # what was in a room has arrived

    def draw(self, first: int, count: int) -> None:
        """See `Source`."""
        for number in range(count):
            turn = number % 2
            room = self._rooms[turn]
            if self._gone:
                self._gone[turn].synchronize()
            for member, trainer in enumerate(self._trainers):
                for rows, part in zip(room, trainer.batch(first + number), strict=True):
                    rows[member] = part
            for table, rows in zip(self._tables, room, strict=True):
                table[number].copy_(rows, non_blocking=True)
            if self._gone:
                self._gone[turn].record()

    def windows(self, cursor: Tensor) -> Windows:
        """See `Source`."""
        x_KBT, target_KBS, levels, weight_KB = (table.index_select(0, cursor)[0] for table in self._tables)
        return x_KBT, target_KBS, levels, weight_KB


def _places(signals: Sequence[Tensor], silence: int) -> dict[int, int]:
    """Where each signal's silence begins among all of them, by its `id`."""
    places, length = {}, 0
    for x_T in signals:
        places[id(x_T)] = length
        length += silence + len(x_T)
    return places


def _joined(signals: Sequence[Tensor], silence: int) -> Tensor:
    """All of them, each after so much silence."""
    return torch.cat([part for x_T in signals for part in (x_T.new_zeros(silence), x_T)])
