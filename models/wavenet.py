"""The knob-conditioned WaveNet: NAM's own, with N knobs beside the audio.

Shapes: B batch, T time, K knobs, C channels, R receptive field. Knobs are levels in [-1, 1], either still (`knobs_BK`) or moving
(`knobs_BKT`). Every point of the family is a native NAM WaveNet with K + 1 inputs; a model with K = 0 is a stock one.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.recipe import LayerArray, WaveNetConfig

ACTIVATIONS = {"Tanh": torch.tanh, "ReLU": F.relu, "LeakyReLU": F.leaky_relu, "SiLU": F.silu}
FILM_SPREAD = 0.1  # a zero start leaves knobs nearly dead
Part = TypeVar("Part", bound=nn.Module)


class Stack(nn.ModuleList, Iterable[Part]):
    """A `ModuleList` whose parts are all of one type."""

    def __iter__(self) -> Iterator[Part]:
        return cast(Iterator[Part], super().__iter__())


class Film(nn.Module):
    """Knobs -> scale and shift of C channels (feature-wise linear modulation, Perez et al. 2018), starting near identity."""

    def __init__(self, knobs: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2 * channels, knobs, 1) * FILM_SPREAD)
        self.bias = nn.Parameter(torch.cat([torch.ones(channels), torch.zeros(channels)]))

    def forward(self, knobs_BKT: Tensor) -> tuple[Tensor, Tensor]:
        """`(scale_BCT, shift_BCT)`."""
        scale, shift = F.conv1d(knobs_BKT, self.weight, self.bias).chunk(2, dim=1)
        return scale, shift


class Layer(nn.Module):
    """One dilated convolution, what the audio and the knobs add to it, its activation, and the 1x1 back to the residual."""

    def __init__(self, array: LayerArray, dilation: int, knobs: int, mixin: bool, film: bool) -> None:
        super().__init__()
        c = array.channels
        self.conv = nn.Conv1d(c, c, array.kernel_size, dilation=dilation)
        self.mixin = nn.Conv1d(1 + knobs if mixin else 1, c, 1, bias=False)
        self.film = Film(knobs, c) if film and knobs else None
        self.layer1x1 = nn.Conv1d(c, c, 1)
        self.history = (array.kernel_size - 1) * dilation
        self.activation = array.activation

    def forward(self, h_BCT: Tensor, x_B1T: Tensor, knobs_BKT: Tensor) -> Tensor:
        """Activations, shorter than `h` by the layer's history; `x` and `knobs` (T long, or 1 when still) end with it."""
        z = self.conv(h_BCT)
        length = z.shape[2]
        z = z + F.conv1d(x_B1T[..., -length:], self.mixin.weight[:, :1])
        knobs = knobs_BKT[..., -length:]
        if self.mixin.in_channels > 1:
            z = z + F.conv1d(knobs, self.mixin.weight[:, 1:])
        if self.film is not None:
            scale, shift = self.film(knobs)
            z = scale * z + shift
        return ACTIVATIONS[self.activation](z)


class Array(nn.Module):
    """A stack of layers between its rechannel and its head."""

    def __init__(
        self, array: LayerArray, config: WaveNetConfig, inputs: int, outputs: int, knobs: int, last: bool
    ) -> None:
        super().__init__()
        self.rechannel = nn.Conv1d(inputs, array.channels, 1, bias=False)
        self.layers: Stack[Layer] = Stack(
            Layer(array, d, knobs, config.inject.mixin, "activation_pre" in config.inject.film) for d in array.dilations
        )
        self.head = nn.Conv1d(array.channels, outputs, config.head_kernel_size if last else 1, bias=last)


class WaveNet(nn.Module):
    """Audio and knobs in, audio out; `head_scale` carries the level of the amp it learned."""

    head_scale: Tensor

    def __init__(self, config: WaveNetConfig, knobs: int) -> None:
        super().__init__()
        self.config = config
        self.knobs = knobs
        arrays, inputs = [], 1
        for index, array in enumerate(config.arrays):
            last = index == len(config.arrays) - 1
            outputs = 1 if last else config.arrays[index + 1].channels
            arrays.append(Array(array, config, inputs, outputs, knobs, last))
            inputs = array.channels
        self.arrays: Stack[Array] = Stack(arrays)
        self.register_buffer("head_scale", torch.tensor(1.0))

    @property
    def receptive_field(self) -> int:
        """R, in samples."""
        return self.config.receptive_field

    @property
    def parameter_count(self) -> int:
        """Trained numbers (the head scale is not one of them)."""
        return sum(p.numel() for p in self.parameters())

    def forward(self, x_BT: Tensor, knobs: Tensor) -> Tensor:
        """Play.

        Args:
            x_BT: dry audio, T >= R samples.
            knobs: levels in [-1, 1], `(B, K)` still or `(B, K, T)` moving.

        Returns:
            Wet audio `(B, T - R + 1)`: sample n hears `x[n .. n + R - 1]`.
        """
        x = x_BT[:, None]
        moving = knobs if knobs.ndim == 3 else knobs[..., None]
        h, head = x, None
        for array in self.arrays:
            h = array.rechannel(h)
            for layer in array.layers:
                z = layer(h, x, moving)
                head = z if head is None else head[..., -z.shape[2] :] + z
                h = h[..., -z.shape[2] :] + layer.layer1x1(z)
            head = array.head(head)
        assert head is not None
        return self.head_scale * head[:, 0]
