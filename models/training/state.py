"""What training steps change, of K members at once, and how one step changes it.

Shapes: K members, P parameters of one member as one vector.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.training.optimizers import Optimizer, OptimizerState, replace_rows

PATIENCE = 10  # steps in a row without finite numbers, after which a run has diverged


@dataclass(frozen=True)
class TrainState:
    """Parameters, their average over steps (None without one), optimizer state and counters; all change in place.

    `step_K` counts the steps that are done, `failed_K` those of the last steps, in a row, that were skipped.
    """

    vector_KP: Tensor
    mean_KP: Tensor | None
    optimizer: OptimizerState
    step_K: Tensor
    failed_K: Tensor

    @staticmethod
    def begin(vector_KP: Tensor, mean_KP: Tensor | None, optimizer: Optimizer) -> "TrainState":
        """Return the state before the first step; it shares the memory of these tensors."""
        step_K, failed_K = (torch.zeros(len(vector_KP), dtype=torch.long) for _ in range(2))
        return TrainState(vector_KP, mean_KP, optimizer.init(vector_KP), step_K, failed_K)

    @staticmethod
    def stack(states: Sequence["TrainState"], device: torch.device) -> "TrainState":
        """Return a copy of several states as one. Where some have an average, the others' is their vector."""
        if any(state.mean_KP is not None for state in states):
            states = [replace(s, mean_KP=s.vector_KP) if s.mean_KP is None else s for s in states]
        return _combine(states, lambda *rows: torch.cat(rows).to(device))

    def select(self, members: Tensor) -> "TrainState":
        """Return a copy of some members, by their index."""
        return _combine([self], lambda rows: rows.index_select(0, members))

    def cpu(self) -> "TrainState":
        """Return the same on the CPU."""
        return _combine([self], Tensor.cpu)

    def copy_from(self, other: "TrainState", member: int) -> None:
        """Write one member of another state into this one, which has one member."""
        pairs = [(self.vector_KP, other.vector_KP), (self.step_K, other.step_K), (self.failed_K, other.failed_K)]
        pairs += [(own, other.optimizer[name]) for name, own in self.optimizer.items()]
        if self.mean_KP is not None and other.mean_KP is not None:
            pairs.append((self.mean_KP, other.mean_KP))
        for own, theirs in pairs:
            own[0].copy_(theirs[member])

    def apply(
        self, optimizer: Optimizer, gradient_KP: Tensor, finite_K: Tensor, rate_K: Tensor, blend_K: Tensor
    ) -> Tensor:
        """Take one step; return whose was used `(K,)`, where others are skipped.

        `rate_K` are float64 learning rates, `blend_K` the share of the new vector in the average. A member that has
        been skipped `PATIENCE` times in a row stands still for good.
        """
        active_K = self.failed_K < PATIENCE
        usable_K = finite_K & active_K
        optimizer.update(self.vector_KP, gradient_KP, self.optimizer, rate_K, usable_K)
        if self.mean_KP is not None:
            replace_rows(self.mean_KP, torch.lerp(self.mean_KP, self.vector_KP, blend_K[:, None]), usable_K)
        self.failed_K.copy_(torch.where(usable_K, 0, self.failed_K + active_K))
        self.step_K.add_(self.failed_K < PATIENCE)
        return usable_K


def _combine(states: Sequence[TrainState], change: Callable[..., Tensor]) -> TrainState:
    """Make each tensor of a state from that of all states."""
    means = [state.mean_KP for state in states if state.mean_KP is not None]
    return TrainState(
        change(*(state.vector_KP for state in states)),
        change(*means) if means else None,
        {name: change(*(state.optimizer[name] for state in states)) for name in states[0].optimizer},
        change(*(state.step_K for state in states)),
        change(*(state.failed_K for state in states)),
    )
