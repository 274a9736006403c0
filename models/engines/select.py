"""What plays and trains a net: compiled kernels where there are any for its device and type, else the net as it is.

Shapes: B items, T samples in, S samples out, K knobs, P parameters.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor, nn

from models.wavenet import WaveNet

WORKING_MEMORY = 1 << 25  # bytes: traces of more items at once would leave the processor's caches
ROWS_PER_CHANNEL = 6  # that the plain net keeps for its derivative, about

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


def device_for(gpus: float) -> torch.device:
    """Where a training takes place that was promised so many GPUs: on one if it sees any, else on the CPU.

    Promised a part of one, the process keeps to that part of its memory from now on.
    """
    if gpus <= 0 or not torch.cuda.is_available():
        return torch.device("cpu")
    if gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus)
    return torch.device("cuda")


def engine_for(net: WaveNet) -> Engine:
    """The fastest engine for a net where it lies."""
    parameter = next(net.parameters())
    plain = parameter.device.type != "cpu" or parameter.dtype != torch.float32 or not net.config.compiles
    if not plain and find_spec("numba"):
        from models.tape_engine import TapeEngine

        return TapeEngine(net)
    return Plain(net)


class Plain:
    """The net as it is, in parts of the batch that stay in the processor's caches."""

    def __init__(self, net: WaveNet) -> None:
        self.net = net
        self._rows = ROWS_PER_CHANNEL * sum(array.channels * array.depth for array in net.config.arrays)

    def __call__(self, x_BT: Tensor, knobs_BK: Tensor) -> Tensor:
        """See `Engine`."""
        return self.net(x_BT, knobs_BK)

    def descend(self, vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        """See `Engine`; the gradients of the net's parameters are parts of the vector's."""
        step, total = max(1, WORKING_MEMORY // (4 * self._rows * x_BT.shape[1])), 0.0
        for begin in range(0, len(x_BT), step):
            items = slice(begin, begin + step)
            found = loss(self.net(x_BT[items], knobs_BK[items]), items)
            found.backward()
            total += found.item()
        return total


def as_vector(parameters: Sequence[nn.Parameter]) -> nn.Parameter:
    """One vector that holds all parameters, so that they are clipped and moved as one: each becomes a view of it, and so do gradients."""
    vector = nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [parameter.numel() for parameter in parameters]
    parts = zip(parameters, vector.data.split(sizes), vector.grad.split(sizes), strict=True)
    for parameter, part, gradient in parts:
        parameter.data, parameter.grad = part.view_as(parameter), gradient.view_as(parameter)
    return vector
