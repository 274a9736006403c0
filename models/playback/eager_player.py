"""Plays a net with torch, in the net's own number type: nets that the compiled engines do not support.

Shapes: T time (one block), C channels.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.engines.eager import denormals_as_zero
from models.network.wavenet import WaveNet


class EagerPlayer:
    """Plays with torch, in the net's own number type."""

    def __init__(self, net: WaveNet) -> None:
        self.net = net
        dtype = net.head_scale.dtype
        self._histories, self._heads = [], []
        for array in net.arrays:
            channels = array.rechannel.out_channels
            self._histories.append([torch.zeros(1, channels, layer.history, dtype=dtype) for layer in array.layers])
            self._heads.append(torch.zeros(1, array.head.in_channels, array.history, dtype=dtype))
        self._post_head_histories = [
            torch.zeros(1, conv.in_channels, conv.kernel_size[0] - 1, dtype=dtype)
            for conv in (net.head.convs if net.head else ())
        ]
        self._condition = EagerPlayer(net.condition) if net.condition is not None else None

    @torch.no_grad()
    def play(self, x_T: np.ndarray, levels: list[float] | np.ndarray, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play the next block and return it, in `out_T` if one is given."""
        dtype = self.net.head_scale.dtype
        x = torch.from_numpy(np.ascontiguousarray(x_T)).to(dtype)[None, None]
        moving = torch.as_tensor(levels, dtype=dtype)
        knobs = (moving if moving.ndim == 2 else moving[:, None])[None]
        with denormals_as_zero():
            y_T = self._all_outputs(x, knobs)[0, 0].numpy()
        if out_T is None:
            return y_T
        out_T[:] = y_T
        return out_T

    def _all_outputs(self, x: Tensor, knobs: Tensor) -> Tensor:
        """Play the next block and return every output, `(1, outputs, T)`; see `WaveNet.all_outputs`."""
        net = self.net
        if self._condition is None:
            audio, e = x, net.encode(knobs)
        else:
            audio, e = (condition := self._condition._all_outputs(x, knobs))[:, :1], condition[:, 1:]
        h, head = net.rechannel(x, knobs), None
        for index, array in enumerate(net.arrays):
            h = array.rechannel(h) if index else h
            histories = self._histories[index]
            for number, layer in enumerate(array.layers):
                conv_input, histories[number] = _extend(histories[number], layer.conv_input(h, audio, e), layer.history)
                to_head, to_residual = layer.finish(conv_input, audio, e)
                head = to_head if head is None else head + to_head
                h = h + to_residual
            assert head is not None
            head_input, self._heads[index] = _extend(self._heads[index], head, array.history)
            head = array.head(head_input)
        assert head is not None
        head = net.head_scale * head
        for number, (activation, conv) in enumerate(net.head.steps if net.head is not None else ()):
            histories = self._post_head_histories
            conv_input, histories[number] = _extend(histories[number], activation(head), conv.kernel_size[0] - 1)
            head = conv(conv_input)
        return head


def _extend(history_1CT: Tensor, new_1CT: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return history and new samples joined, and the last `length` of them as the next history."""
    joined = torch.cat([history_1CT, new_1CT], dim=2)
    return joined, joined[..., joined.shape[2] - length :]


def play_whole(net: WaveNet, x_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
    """Play a whole signal after silence with still knobs; see `models.playback.stream.play`."""
    x = F.pad(torch.from_numpy(np.ascontiguousarray(x_T)).to(net.head_scale.dtype)[None], (net.receptive_field - 1, 0))
    with torch.no_grad():
        return net(x, torch.tensor([levels_K], dtype=x.dtype))[0].numpy()
