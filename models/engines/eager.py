"""The eager engine: the torch module itself. It supports every net, on every device."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from models.engines.base import WORKING_MEMORY, Loss, gradient_reach
from models.network.wavenet import WaveNet

ROWS_PER_CHANNEL = 6  # signals that autograd keeps per channel of a layer, about


SMALLEST_NORMAL = float(np.finfo(np.float32).smallest_normal)


class EagerEngine:
    """An `Engine` that calls the net, in parts of the batch whose intermediate results fit a processor's caches."""

    def __init__(self, net: WaveNet, truncates: bool = False) -> None:
        self.net, self._truncates = net, truncates
        self._rows = ROWS_PER_CHANNEL * sum(array.channels * array.depth for array in net.config.arrays)

    def __call__(self, x_BT: Tensor, knobs_BK: Tensor) -> Tensor:
        """See `Engine`."""
        with denormals_as_zero():
            return self.net(x_BT, knobs_BK)

    def accumulate_gradient(self, vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        """See `Engine`; `vector_P` must be `as_vector` of the net's parameters."""
        outputs = x_BT.shape[1] - self.net.receptive_field + 1
        reach = gradient_reach(outputs) if self._truncates else None
        step, total = max(1, WORKING_MEMORY // (4 * self._rows * x_BT.shape[1])), 0.0
        for begin in range(0, len(x_BT), step):
            items = slice(begin, begin + step)
            with denormals_as_zero():
                part = loss(self.net(x_BT[items], knobs_BK[items], reach), items)
                part.backward()
            total += part.item()
        return total


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Let this thread take numbers near zero as zero: fading notes would cost several times as much as others."""
    was_set = not (torch.tensor(SMALLEST_NORMAL) * 0.5).item()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was_set)
