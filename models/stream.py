"""Play a model block by block: state in, state out, the same sound whatever the block size.

Shapes: T time (one block), K knobs, C channels.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.wavenet import WaveNet

PREWARM_BLOCK = 1 << 14


class Stream:
    """A model being played. The knobs may change between blocks; a change acts from the block's first sample on."""

    def __init__(self, net: WaveNet, levels_K: list[float]) -> None:
        """Start in silence: as if zeros had always been playing with the knobs where they are (levels in [-1, 1])."""
        self.net = net.eval()
        self._zeros = [
            [torch.zeros(1, array.rechannel.out_channels, layer.history) for layer in array.layers]
            for array in net.arrays
        ]
        self.reset(levels_K)

    def reset(self, levels_K: list[float]) -> None:
        """Forget what was played and pre-warm with silence and these knobs."""
        self._histories = [list(layers) for layers in self._zeros]
        *_, last = self.net.arrays
        self._last_head = last.head
        self._head = torch.zeros(1, last.head.in_channels, last.head.kernel_size[0] - 1)
        left = self.net.receptive_field
        while left > 0:
            self.process(np.zeros(min(left, PREWARM_BLOCK), np.float32), levels_K)
            left -= PREWARM_BLOCK

    @torch.no_grad()
    def process(self, x_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
        """Play one block of any length from 1: dry audio in, wet audio of the same length out, in the net's own number type."""
        dtype = self.net.head_scale.dtype
        x = torch.from_numpy(np.ascontiguousarray(x_T)).to(dtype)[None, None]
        knobs = torch.tensor(levels_K, dtype=dtype)[None, :, None]
        h, head = x, None
        for array, histories in zip(self.net.arrays, self._histories, strict=True):
            h = array.rechannel(h)
            for index, layer in enumerate(array.layers):
                known = torch.cat([histories[index].to(dtype), h], dim=2)
                histories[index] = known[..., known.shape[2] - layer.history :]
                z = layer(known, x, knobs)
                head = z if head is None else head + z
                h = h + layer.layer1x1(z)
            if array.head is self._last_head:
                head = self._remember_head(head)
            head = array.head(head)
        assert head is not None
        return (self.net.head_scale * head[0, 0]).numpy()

    def _remember_head(self, head_1CT: Tensor | None) -> Tensor:
        assert head_1CT is not None
        known = torch.cat([self._head.to(head_1CT.dtype), head_1CT], dim=2)
        self._head = known[..., known.shape[2] - self._head.shape[2] :]
        return known


def play(net: WaveNet, x_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
    """Play a whole signal at once with still knobs, silence before it; same length out, in the net's own number type."""
    x = F.pad(torch.from_numpy(np.ascontiguousarray(x_T)).to(net.head_scale.dtype)[None], (net.receptive_field - 1, 0))
    with torch.no_grad():
        return net(x, torch.tensor([levels_K], dtype=x.dtype))[0].numpy()
