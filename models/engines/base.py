"""models/engines/base.py."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from models.network.wavenet import WaveNet

WORKING_MEMORY = 1 << 25  # bytes: traces of more items at once would leave the processor's caches


Loss = Callable[[Tensor, slice], Tensor]  # of what was played for these items of the batch; summed over items


class Engine(Protocol):
    """One way to compute a net. Another device is another class with these two."""

    net: WaveNet

    def __call__(self, x_BT: Tensor, knobs_BK: Tensor) -> Tensor:
        """What `net(x_BT, knobs_BK)` gives, `(B, S)`; knobs are still."""
        ...

    def descend(self, vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        """Add to the gradient of `vector_P` (see `as_vector`) that of the loss, summed over parts of the batch; returns the sum."""
        ...


def as_vector(parameters: Sequence[nn.Parameter]) -> nn.Parameter:
    """One vector that holds all parameters, so that they are clipped and moved as one: each becomes a view of it, and so do gradients."""
    vector = nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [parameter.numel() for parameter in parameters]
    parts = zip(parameters, vector.data.split(sizes), vector.grad.split(sizes), strict=True)
    for parameter, part, gradient in parts:
        parameter.data, parameter.grad = part.view_as(parameter), gradient.view_as(parameter)
    return vector
