"""Update rules of gradient descent, on the parameters of K members at once.

To add a rule (Muon, SOAP): write one more class with a `name` and the methods of `Optimizer`, return it from
`optimizer_for`, and add its word to `LearningConfig`. Nothing else changes: whatever `init` returns is stacked,
selected, moved between devices, saved and loaded by name (`TrainState`, `checkpoint`). A rule that needs each parameter
as a matrix takes `parameters` in its constructor; with `sizes = [shape.numel() for _, shape in parameters]`,
`vector_KP.split(sizes, 1)` are the parameters, each `(K, size)`, and a state tensor may be `(K, rows, columns)`. The
learning rate comes per member and per step.

Shapes: K members, P parameters of one member as one vector.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam

from models.training.config import LearningConfig

Parameters = Sequence[tuple[str, torch.Size]]  # name and shape, in the order of the vector

OptimizerState = dict[str, Tensor]  # tensors by name, each `(K, ...)`


class Optimizer(Protocol):
    """An update rule."""

    @property
    def name(self) -> str:
        """Prefix of its tensors in a checkpoint."""
        ...

    def init(self, vector_KP: Tensor) -> OptimizerState:
        """Return the state before the first step."""
        ...

    def update(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """Move the vectors and the state of the members in `usable_K` in place; leave the others as they are.

        `rate_K` are float64 learning rates. Off the CPU it reads no number back, so that a CUDA graph can replay it.
        """
        ...


def optimizer_for(learning: LearningConfig, parameters: Parameters) -> Optimizer:
    """Return the rule that a learning config asks for, for a net with these parameters."""
    return Adam()


def replace_rows(old: Tensor, new: Tensor, usable_K: Tensor) -> None:
    """Write the rows of `new` in `usable_K` into `old`, both `(K, ...)`, in place."""
    old.copy_(torch.where(usable_K.view(-1, *(1,) * (old.dim() - 1)), new, old))


class Adam:
    """Adam (Kingma and Ba 2015) without weight decay. Its state has the names of `torch.optim.Adam`."""

    name = "adam"
    betas = (0.9, 0.999)
    epsilon = 1e-8

    def init(self, vector_KP: Tensor) -> OptimizerState:
        """See `Optimizer`."""
        step_K = torch.zeros(len(vector_KP), dtype=torch.float32, device=vector_KP.device)
        return {"step": step_K, "exp_avg": torch.zeros_like(vector_KP), "exp_avg_sq": torch.zeros_like(vector_KP)}

    def update(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """See `Optimizer`. On a CPU torch's kernel is faster, and rounds as all runs before were rounded."""
        rule = self.update_by_kernel if vector_KP.device.type == "cpu" else self.update_batched
        rule(vector_KP, gradient_KP, state, rate_K, usable_K)

    def update_by_kernel(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """Update member by member with torch's fused kernel."""
        moved = vector_KP, gradient_KP, state["exp_avg"], state["exp_avg_sq"]
        beta1, beta2 = self.betas
        for member in usable_K.nonzero().flatten().tolist():
            vector, gradient, first, second = ([tensor[member]] for tensor in moved)
            adam(
                vector, gradient, first, second, [], [state["step"][member]], fused=True, amsgrad=False, maximize=False,
                beta1=beta1, beta2=beta2, lr=rate_K[member].item(), weight_decay=0, eps=self.epsilon,
            )  # fmt: skip

    def update_batched(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """Update all members at once. The bias corrections are float64, as they are near 0 at first."""
        beta1, beta2 = self.betas
        step_K = state["step"] + 1
        first_KP = torch.lerp(state["exp_avg"], gradient_KP, 1 - beta1)
        second_KP = torch.addcmul(beta2 * state["exp_avg_sq"], gradient_KP, gradient_KP, value=1 - beta2)
        rate_K1 = (rate_K / (1 - beta1 ** step_K.double())).to(gradient_KP)[:, None]
        root_K1 = (1 - beta2 ** step_K.double()).sqrt().to(gradient_KP)[:, None]
        replace_rows(vector_KP, vector_KP - rate_K1 * first_KP / (second_KP.sqrt() / root_K1 + self.epsilon), usable_K)
        replace_rows(state["exp_avg"], first_KP, usable_K)
        replace_rows(state["exp_avg_sq"], second_KP, usable_K)
        replace_rows(state["step"], step_K, usable_K)
