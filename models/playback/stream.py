"""Play a model block by block: the same sound whatever the size of the blocks, with knobs that stand still or move.

float32 nets are played by compiled kernels (`engines.cpu_stream`); other number types, nets that the kernels do not
support, and all nets where numba is missing, by torch.

Shapes: T time (one block), K knob columns, C channels.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.network.wavenet import WaveNet
from models.playback.exact import HOP, ExactPlayer
from models.playback.player import KnobLevels, Player

PREWARM_BLOCK = 1 << 14  # samples of silence played at once before a stream starts

Moves = Literal["ramp", "exact"]  # how a stream moves knobs

NUMBA = find_spec("numba") is not None


class Stream:
    """A model being played live; knobs may stand still or move within a block, sample by sample."""

    def __init__(self, net: WaveNet, levels_K: list[float], moves: Moves = "ramp", hop: int = HOP) -> None:
        """Start in silence, as if zeros had always been played with the knobs at `levels_K` (in [-1, 1]).

        The stream copies the weights that the net has now.

        Args:
            net: the model.
            levels_K: where the knobs stand.
            moves: `ramp`: knobs move as they are told, sample by sample; what the net has computed of the past under
                earlier settings is heard for a receptive field. `exact`: a crossfade between two still sounds, which
                ends two to three hops after a move, and costs `exact_move_cost` while a knob moves.
            hop: samples of a crossfade of exact moves; 20 ms at 48 kHz unless told otherwise.
        """
        self.net = net.eval()
        create = player_factory(net)
        self._exact = _exact_player(net, create, hop) if moves == "exact" else None
        self._player: Player = self._exact or create()
        self.reset(levels_K)

    def reset(self, levels_K: list[float]) -> None:
        """Forget what was played: play a receptive field of silence with these knobs."""
        if self._exact is not None:
            self._exact.restart(levels_K)
            return
        left = self.net.receptive_field
        while left > 0:
            self.process(np.zeros(min(left, PREWARM_BLOCK), np.float32), levels_K)
            left -= PREWARM_BLOCK

    def process(self, x_T: np.ndarray, levels: KnobLevels, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play one block and return it, of the same length and in the net's own number type.

        Args:
            x_T: dry audio, T >= 1 samples.
            levels: knobs in [-1, 1], K numbers that stand still or an array `(K, T)`; exact moves lead to its end.
            out_T: an array to write to. If all three are contiguous float32 arrays, a float32 net allocates nothing.

        Raises `AssertionError` where the levels do not fit the block or the net.
        """
        return self._player.play(x_T, levels, out_T)


def player_factory(net: WaveNet) -> Callable[[], Player]:
    """Return what creates the fastest players of a net; they share its weights, and each may run in its own thread."""
    if not NUMBA or net.head_scale.dtype != torch.float32 or not net.config.compiles:
        return partial(EagerPlayer, net)
    from models.engines.cpu_stream.lowering import lower
    from models.engines.cpu_stream.player import CompiledPlayer

    return partial(CompiledPlayer, lower(net))


def _exact_player(net: WaveNet, create: Callable[[], Player], hop: int) -> ExactPlayer:
    dtype = np.float64 if net.head_scale.dtype == torch.float64 else np.float32
    return ExactPlayer(create, net.receptive_field, hop, dtype)


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
    def play(self, x_T: np.ndarray, levels: KnobLevels, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play the next block and return it, in `out_T` if one is given."""
        dtype = self.net.head_scale.dtype
        x = torch.from_numpy(np.ascontiguousarray(x_T)).to(dtype)[None, None]
        moving = torch.as_tensor(levels, dtype=dtype)
        knobs = (moving if moving.ndim == 2 else moving[:, None])[None]
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


def play(net: WaveNet, x_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
    """Play a whole signal after silence with still knobs (levels in [-1, 1]); same length, the net's number type."""
    x = F.pad(torch.from_numpy(np.ascontiguousarray(x_T)).to(net.head_scale.dtype)[None], (net.receptive_field - 1, 0))
    with torch.no_grad():
        return net(x, torch.tensor([levels_K], dtype=x.dtype))[0].numpy()
