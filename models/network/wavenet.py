"""The knob-conditioned WaveNet: NAM's own, with N knobs beside the audio.

Shapes: B batch, T time, K columns of the setting (its knobs), E what the layers see of the knobs (the knobs themselves, or an encoder's features), C channels,
W channels after the activation, R receptive field. Knobs are levels in [-1, 1], either still (`knobs_BK`) or moving
(`knobs_BKT`). Every point of the family is a native NAM WaveNet with K + 1 inputs; a model with K = 0 is a stock one. Where a net has a
condition net, its first output stands for the audio in mixin and FiLM, and the others for what they see of the knobs.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.architecture import Activation, Film, Head, LayerArray, Slot, WaveNetConfig
from models.network.knob_encoder import Encoder

FILM_SPREAD = 0.1  # a zero start leaves knobs nearly dead

Part = TypeVar("Part", bound=nn.Module)


class Stack(nn.ModuleList, Iterable[Part]):
    """A `ModuleList` whose parts are all of one type."""

    def __iter__(self) -> Iterator[Part]:
        return cast(Iterator[Part], super().__iter__())


def fast_tanh(z: Tensor) -> Tensor:
    """NeuralAmpModelerCore's rational approximation of tanh."""
    size, square = z.abs(), z * z
    above = 2.45550750702956 + 2.45550750702956 * size + (0.893229853513558 + 0.821226666969744 * size) * square
    return z * above / (2.44506634652299 + (2.44506634652299 + square) * (z + 0.814642734961073 * z * size).abs())


FIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "Tanh": torch.tanh,
    "ReLU": F.relu,
    "SiLU": F.silu,
    "Hardtanh": F.hardtanh,
    "Softsign": F.softsign,
    "Sigmoid": torch.sigmoid,
    "Hardswish": F.hardswish,
    "Fasttanh": fast_tanh,
}


class Nonlinear(nn.Module):
    """An activation; PReLU trains one slope per channel, the others have nothing to train."""

    def __init__(self, config: Activation, channels: int) -> None:
        super().__init__()
        self.config = config
        self.slopes = nn.Parameter(torch.full((channels,), config.negative_slope)) if config.type == "PReLU" else None

    def forward(self, z_BCT: Tensor) -> Tensor:
        """The same shape."""
        if self.slopes is not None:
            return F.prelu(z_BCT, self.slopes)
        if self.config.type == "LeakyReLU":
            return F.leaky_relu(z_BCT, self.config.negative_slope)
        if self.config.bends is not None:
            low, high, below, above = self.config.bends
            return z_BCT.clamp(low, high) + below * (z_BCT - low).clamp(max=0) + above * (z_BCT - high).clamp(min=0)
        return FIXED[self.config.type](z_BCT)


class Modulation(nn.Module):
    """Knobs scale and shift C channels (FiLM: feature-wise linear modulation, Perez et al. 2018), starting near identity.

    With `audio` the audio does so too, by the first column of the weight.
    """

    def __init__(self, features: int, channels: int, shift: bool, audio: bool = False) -> None:
        super().__init__()
        self.shift, self.audio = shift, audio
        features, rows = features + audio, channels * (2 if shift else 1)
        self.weight = nn.Parameter(torch.randn(rows, features, 1) * FILM_SPREAD)
        self.bias = nn.Parameter(torch.cat([torch.ones(channels), torch.zeros(rows - channels)]))

    def coefficients(self, e_BET: Tensor) -> tuple[Tensor, Tensor | float]:
        """`(scale_BCT, shift_BCT)` of all it hears; the shift is 0 where there is none."""
        rows = F.conv1d(e_BET, self.weight, self.bias)
        if not self.shift:
            return rows, 0.0
        scale, shift = rows.chunk(2, dim=1)
        return scale, shift

    def forward(self, z_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        """The modulated signal; `x` ends with it, and so does `e`, or it is one still column."""
        scale, shift = self.coefficients(self.heard(x_B1T[..., -z_BCT.shape[2] :], e_BET[..., -z_BCT.shape[2] :]))
        return scale * z_BCT + shift

    def heard(self, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        """What it hears of audio and knobs."""
        return torch.cat([x_B1T, e_BET.expand(-1, -1, x_B1T.shape[2])], 1) if self.audio else e_BET


class Layer(nn.Module):
    """One dilated convolution, what audio and knobs add to it, its activation, and its ways to the head and back to the residual."""

    def __init__(self, array: LayerArray, index: int, films: dict[Slot, Film], features: int, mixin: bool) -> None:
        super().__init__()
        c, w, inner = array.channels, array.width, array.inner(index)
        kernel, dilation = array.kernel_sizes[index], array.dilations[index]
        self.history = (kernel - 1) * dilation
        self.gating, gate = array.gatings[index], array.gates[index]
        self.conv = nn.Conv1d(c, inner, kernel, dilation=dilation, groups=array.groups)
        self.mixin = nn.Conv1d(1 + features if mixin else 1, inner, 1, bias=False)
        self.activation = Nonlinear(array.activations[index], w)
        self.gate = None if gate is None else Nonlinear(gate, w)
        self.layer1x1 = nn.Conv1d(w, c, 1, groups=array.layer1x1_groups) if array.layer1x1 else None
        self.head1x1 = nn.Conv1d(w, array.head1x1, 1, groups=array.head1x1_groups) if array.head1x1 else None
        sizes: dict[Slot, int] = {
            "conv_pre": c,
            "input_mixin_pre": self.mixin.in_channels,
            "activation_post": w,
            "layer1x1_post": c,
            "head1x1_post": array.head1x1 or 0,
        }
        self.films = nn.ModuleDict(
            {
                slot: Modulation(features, sizes.get(slot, inner), film.shift, film.audio)
                for slot, film in films.items()
                if features or film.audio
            }
        )

    def film(self, slot: Slot) -> Modulation | None:
        """The modulation at a slot, if there is one."""
        return cast(Modulation, self.films[slot]) if slot in self.films else None

    def _modulate(self, slot: Slot, z_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        film = self.film(slot)
        return z_BCT if film is None else film(z_BCT, x_B1T, e_BET)

    def _mix(self, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        """What audio and knobs add before the activation; split, so that still knobs cost one column."""
        weight, film = self.mixin.weight, self.film("input_mixin_pre")
        heard = e_BET[:, : weight.shape[1] - 1]
        if film is not None:
            scale, shift = film.coefficients(film.heard(x_B1T, e_BET))
            x_B1T, heard = scale[:, :1] * x_B1T, scale[:, 1:] * heard
            if isinstance(shift, Tensor):
                x_B1T, heard = x_B1T + shift[:, :1], heard + shift[:, 1:]
        z = F.conv1d(x_B1T, weight[:, :1])
        return z + F.conv1d(heard, weight[:, 1:]) if weight.shape[1] > 1 else z

    def forward(self, h_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> tuple[Tensor, Tensor]:
        """`(to the head, to the residual)`, both shorter than `h` by the layer's history; `x` and `e` end with `h`."""
        return self.convolve(self.taps(h_BCT, x_B1T, e_BET), x_B1T, e_BET)

    def taps(self, h_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        """What the convolution remembers: its input, as the knobs stood when it came in."""
        return self._modulate("conv_pre", h_BCT, x_B1T, e_BET)

    def convolve(self, taps_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> tuple[Tensor, Tensor]:
        """The layer from its taps on; `x` and `e` may be as short as what comes out."""
        z = self.conv(taps_BCT)
        x, e = x_B1T[..., -z.shape[2] :], e_BET[..., -z.shape[2] :]
        z = self._modulate("conv_post", z, x, e)
        z = z + self._modulate("input_mixin_post", self._mix(x, e), x, e)
        z = self._modulate("activation_pre", z, x, e)
        if self.gate is None:
            a = self.activation(z)
        else:
            plain, by = z.chunk(2, dim=1)
            weight = self.gate(by)
            a = self.activation(plain) * weight
            if self.gating == "blended":
                a = a + (1 - weight) * plain
        a = self._modulate("activation_post", a, x, e)
        head = a if self.head1x1 is None else self._modulate("head1x1_post", self.head1x1(a), x, e)
        residual = a if self.layer1x1 is None else self._modulate("layer1x1_post", self.layer1x1(a), x, e)
        return head, residual


class Array(nn.Module):
    """A stack of layers between its rechannel and its head."""

    def __init__(self, config: WaveNetConfig, index: int, inputs: int, features: int, outputs: int) -> None:
        super().__init__()
        array, films = config.arrays[index], config.inject.films(index)
        self.rechannel = nn.Conv1d(inputs, array.channels, 1, bias=False)
        self.layers: Stack[Layer] = Stack(
            Layer(array, layer, films, features, config.inject.mixin and features > 0) for layer in range(array.depth)
        )
        outputs, bias = config.head_outputs(index, outputs), config.head_bias(index)
        kernel, dilation = array.head_kernel_size, array.head_dilation
        self.history = (kernel - 1) * dilation  # of the head
        self.head = nn.Conv1d(array.head_width, outputs, kernel, dilation=dilation, bias=bias)


class PostHead(nn.Module):
    """What stands behind the last array's head: activations, each with its convolution."""

    def __init__(self, head: Head, outputs: int) -> None:
        super().__init__()
        widths = [head.inputs, *[head.channels] * (len(head.kernel_sizes) - 1), outputs]
        self.activations: Stack[Nonlinear] = Stack(Nonlinear(head.activation, width) for width in widths[:-1])
        self.convs: Stack[nn.Conv1d] = Stack(map(nn.Conv1d, widths, widths[1:], head.kernel_sizes))

    @property
    def steps(self) -> list[tuple[Nonlinear, nn.Conv1d]]:
        """Each activation with the convolution after it."""
        return list(zip(self.activations, self.convs, strict=True))

    def forward(self, h_BCT: Tensor) -> Tensor:
        """The outputs, shorter by the histories of the convolutions."""
        for activation, conv in self.steps:
            h_BCT = conv(activation(h_BCT))
        return h_BCT


class WaveNet(nn.Module):
    """Audio and knobs in, audio out; `head_scale` carries the level of the amp it learned.

    `outputs` is 1 but for a condition net.
    """

    head_scale: Tensor

    def __init__(self, config: WaveNetConfig, knobs: int, outputs: int = 1) -> None:
        super().__init__()
        self.config = config
        self.knobs, self.outputs = knobs, outputs
        inject, condition = config.inject, config.condition
        self.encoder = Encoder(knobs, inject) if knobs and (inject.encoder or inject.warp) else None
        self.condition = WaveNet(condition.net, knobs, condition.outputs) if condition else None
        if self.condition is not None:
            features = self.condition.outputs - 1
        else:
            features = self.encoder.features if self.encoder else knobs
        self.features = features
        first = 1 + knobs if inject.input else 1
        inputs = [first, *(array.channels for array in config.arrays)]
        self.arrays: Stack[Array] = Stack(
            Array(config, index, inputs[index], features, outputs) for index in range(len(config.arrays))
        )
        self.head = PostHead(config.head, outputs) if config.head else None
        self.register_buffer("head_scale", torch.tensor(1.0))

    @property
    def receptive_field(self) -> int:
        """R, in samples."""
        return self.config.receptive_field

    @property
    def parameter_count(self) -> int:
        """Trained numbers (the head scale is not one of them)."""
        return sum(p.numel() for p in self.parameters())

    def encode(self, knobs_BKT: Tensor) -> Tensor:
        """What the layers of a net without a condition net see of the knobs: the columns, or what the encoder makes of them."""
        return knobs_BKT if self.encoder is None else self.encoder(knobs_BKT)

    def rechannel(self, x_B1T: Tensor, knobs_BKT: Tensor) -> Tensor:
        """The first array's input: the audio, and the knobs where they enter here."""
        weight = next(iter(self.arrays)).rechannel.weight
        h = F.conv1d(x_B1T, weight[:, :1])
        return h + F.conv1d(knobs_BKT, weight[:, 1:]) if weight.shape[1] > 1 else h

    def forward(self, x_BT: Tensor, knobs: Tensor) -> Tensor:
        """Play.

        Args:
            x_BT: dry audio, T >= R samples.
            knobs: levels in [-1, 1], `(B, K)` still or `(B, K, T)` moving.

        Returns:
            Wet audio `(B, T - R + 1)`: sample n hears `x[n .. n + R - 1]`.
        """
        return self.channels(x_BT[:, None], knobs if knobs.ndim == 3 else knobs[..., None])[:, 0]

    def channels(self, x_B1T: Tensor, knobs_BKT: Tensor) -> Tensor:
        """All outputs, `(B, outputs, T - R + 1)`; knobs that stand still are one column."""
        if self.condition is None:
            heard, e = x_B1T, self.encode(knobs_BKT)
        else:
            heard, e = (condition := self.condition.channels(x_B1T, knobs_BKT))[:, :1], condition[:, 1:]
        length = heard.shape[2]
        h, head = self.rechannel(x_B1T[..., -length:], knobs_BKT[..., -length:]), None
        for index, array in enumerate(self.arrays):
            h = array.rechannel(h) if index else h
            for layer in array.layers:
                to_head, to_residual = layer(h, heard, e)
                head = to_head if head is None else head[..., -to_head.shape[2] :] + to_head
                h = h[..., -to_residual.shape[2] :] + to_residual
            head = array.head(head)
            h = h[..., -head.shape[2] :]
        assert head is not None
        head = self.head_scale * head
        return head if self.head is None else self.head(head)
