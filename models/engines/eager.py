"""models/engines/eager.py."""

from torch import Tensor

from models.engines.base import WORKING_MEMORY, Loss
from models.network.wavenet import WaveNet

ROWS_PER_CHANNEL = 6  # that the plain net keeps for its derivative, about


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
