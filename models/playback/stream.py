"""Play a model block by block: state in, state out, the same sound whatever the block size.

float32 nets are played by compiled kernels (models/compiled.py), others, and all where numba is missing, by torch.
Shapes: T time (one block), K knobs, C channels.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.network.wavenet import WaveNet

PREWARM_BLOCK = 1 << 14

Levels = list[float] | np.ndarray

NUMBA = find_spec("numba") is not None


class Stream:
    """A model being played; the knobs may stand still or move within a block, sample by sample."""

    def __init__(self, net: WaveNet, levels_K: list[float]) -> None:
        """Start in silence: as if zeros had always been playing with the knobs where they are (levels in [-1, 1]).

        The stream keeps the weights that the net has now.
        """
        self.net = net.eval()
        self._player = players(net)()
        self.reset(levels_K)

    def reset(self, levels_K: list[float]) -> None:
        """Forget what was played, as a receptive field of silence makes it forgotten, with these knobs."""
        left = self.net.receptive_field
        while left > 0:
            self.process(np.zeros(min(left, PREWARM_BLOCK), np.float32), levels_K)
            left -= PREWARM_BLOCK

    def process(self, x_T: np.ndarray, levels: Levels, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play one block of any length from 1: dry audio in, wet audio of the same length out, in the net's own number type.

        `levels` are K numbers for knobs that stand still, or an array `(K, T)` for knobs that move. With `out_T` to write to, and all
        three contiguous float32 arrays, a float32 net's block is played without a new array.
        """
        return self._player.play(x_T, levels, out_T)


class Player(Protocol):
    """What keeps the state of one stream; after as many samples as the receptive field it has forgotten how it began."""

    def play(self, x_T: np.ndarray, levels: Levels, out_T: np.ndarray | None = None) -> np.ndarray:
        """The next block, written to `out_T` if there is one."""
        ...


def players(net: WaveNet) -> Callable[[], Player]:
    """Makes the fastest players there are for a net; they share its weights, and each may have its own thread."""
    if not NUMBA or net.head_scale.dtype != torch.float32 or not net.config.compiles:
        return partial(Plain, net)
    from models.engines.cpu_stream.lowering import lower
    from models.engines.cpu_stream.player import Compiled

    return partial(Compiled, lower(net))


class Plain:
    """Plays with torch, in the net's own number type."""

    def __init__(self, net: WaveNet) -> None:
        self.net = net
        dtype = net.head_scale.dtype
        self._histories, self._heads = [], []
        for array in net.arrays:
            channels = array.rechannel.out_channels
            self._histories.append([torch.zeros(1, channels, layer.history, dtype=dtype) for layer in array.layers])
            self._heads.append(torch.zeros(1, array.head.in_channels, array.history, dtype=dtype))
        self._behind = [
            torch.zeros(1, conv.in_channels, conv.kernel_size[0] - 1, dtype=dtype)
            for conv in (net.head.convs if net.head else ())
        ]
        self._condition = Plain(net.condition) if net.condition is not None else None

    @torch.no_grad()
    def play(self, x_T: np.ndarray, levels: Levels, out_T: np.ndarray | None = None) -> np.ndarray:
        """The next block, written to `out_T` if there is one."""
        dtype = self.net.head_scale.dtype
        x = torch.from_numpy(np.ascontiguousarray(x_T)).to(dtype)[None, None]
        moving = torch.as_tensor(levels, dtype=dtype)
        knobs = (moving if moving.ndim == 2 else moving[:, None])[None]
        y_T = self._channels(x, knobs)[0, 0].numpy()
        if out_T is None:
            return y_T
        out_T[:] = y_T
        return out_T

    def _channels(self, x: Tensor, knobs: Tensor) -> Tensor:
        """All outputs of the next block, `(1, outputs, T)`."""
        net = self.net
        if self._condition is None:
            heard, e = x, net.encode(knobs)
        else:
            heard, e = (condition := self._condition._channels(x, knobs))[:, :1], condition[:, 1:]
        h, head = net.rechannel(x, knobs), None
        for index, array in enumerate(net.arrays):
            h = array.rechannel(h) if index else h
            histories = self._histories[index]
            for number, layer in enumerate(array.layers):
                taps, histories[number] = _remember(histories[number], layer.taps(h, heard, e), layer.history)
                to_head, to_residual = layer.convolve(taps, heard, e)
                head = to_head if head is None else head + to_head
                h = h + to_residual
            assert head is not None
            known, self._heads[index] = _remember(self._heads[index], head, array.history)
            head = array.head(known)
        assert head is not None
        head = net.head_scale * head
        for number, (activation, conv) in enumerate(net.head.steps if net.head is not None else ()):
            known, self._behind[number] = _remember(self._behind[number], activation(head), conv.kernel_size[0] - 1)
            head = conv(known)
        return head


def _remember(history_1CT: Tensor, new_1CT: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """`(all that is known, the last `length` samples of it)`."""
    known = torch.cat([history_1CT, new_1CT], dim=2)
    return known, known[..., known.shape[2] - length :]


def play(net: WaveNet, x_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
    """Play a whole signal at once with still knobs, silence before it; same length out, in the net's own number type."""
    x = F.pad(torch.from_numpy(np.ascontiguousarray(x_T)).to(net.head_scale.dtype)[None], (net.receptive_field - 1, 0))
    with torch.no_grad():
        return net(x, torch.tensor([levels_K], dtype=x.dtype))[0].numpy()
