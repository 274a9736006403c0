"""The recordings of some trainers on one device, each signal once, from which the windows of a step are gathered there.

Shapes: Q pieces of all trainers, one trainer after another, T samples in, S samples of target, B batch, K members.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.train import Trainer


class Resident:
    """Signals end to end, and where each piece lies among them. Dry signals stand after the silence that the first window may hear."""

    def __init__(self, trainers: Sequence[Trainer], device: torch.device) -> None:
        context, segment = trainers[0].net.receptive_field - 1, trainers[0].recipe.learning.segment
        dry, wet = _Signals(context), _Signals(0)
        pieces = [(trainer.data.dry_T[piece.dry], piece.wet_T) for trainer in trainers for piece in trainer.pieces]
        self._dry_at_Q, self._wet_at_Q = (
            torch.tensor([signals.place(x_T) for x_T in side], device=device)
            for signals, side in zip((dry, wet), zip(*pieces, strict=True), strict=True)
        )
        self._dry, self._wet = dry.joined().to(device), wet.joined().to(device)
        self._levels_QK = torch.cat([torch.stack(trainer.levels_PK) for trainer in trainers]).to(device)
        self._weights_Q = torch.cat([trainer.weights_P for trainer in trainers]).to(device)
        self._heard = torch.arange(context + segment, device=device)
        self._wanted = torch.arange(segment, device=device)

    def windows(self, piece_KB: Tensor, start_KB: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`(x_KBT, target_KBS, levels, weight_KB)` of targets that begin at `start` of each piece's dry signal."""
        x_KBT = self._dry[(self._dry_at_Q[piece_KB] + start_KB)[..., None] + self._heard]
        target_KBS = self._wet[(self._wet_at_Q[piece_KB] + start_KB)[..., None] + self._wanted]
        return x_KBT, target_KBS, self._levels_QK[piece_KB], self._weights_Q[piece_KB]


class _Signals:
    """Signals one after another, each once, after so much silence."""

    def __init__(self, silence: int) -> None:
        self._silence, self._length = silence, 0
        self._places: dict[int, int] = {}
        self._parts: list[Tensor] = []

    def place(self, x_T: Tensor) -> int:
        """Where a signal's silence begins."""
        place = self._places.setdefault(id(x_T), self._length)
        if place == self._length:
            self._parts += [x_T.new_zeros(self._silence), x_T]
            self._length += self._silence + len(x_T)
        return place

    def joined(self) -> Tensor:
        """All of them."""
        return torch.cat(self._parts)
