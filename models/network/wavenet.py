"""The knob-conditioned WaveNet as a torch module: NAM's own WaveNet, with K knob columns beside the audio.

Every net of the family is a native NAM WaveNet with K + 1 inputs; with K = 0 it is a stock one. What mixin and FiLM
take is called the condition: the audio, and the features (the knob columns, or what the knob encoder makes of them).
Where a net has a condition net, its first output takes the place of the audio there, its other outputs that of the
features.

Shapes: B batch, T time, K knob columns, E features, C channels, W channels after the activation, R receptive field.
Knobs are levels in [-1, 1], either still (`knobs_BK`) or moving (`knobs_BKT`). Convolutions are not padded: a result is
shorter than its input by its history, and signals of different length are aligned at their ends.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.architecture import Film, Head, LayerArray, Slot, WaveNetConfig
from models.network.knob_encoder import Encoder
from models.network.nonlinear import Nonlinear
from models.network.numpy_wavenet import NumpyWaveNet

FILM_INIT_STD = 0.1  # of the weights; from 0 the knobs would hardly begin to learn

Module = TypeVar("Module", bound=nn.Module)


def _truncated(h_BCT: Tensor, reach: int | None) -> Tensor:
    """Return a signal whose gradient reaches so many samples before its end; None: all of it."""
    if reach is None or reach >= h_BCT.shape[2]:
        return h_BCT
    return torch.cat([h_BCT[..., :-reach].detach(), h_BCT[..., -reach:]], 2)


class TypedModuleList(nn.ModuleList, Iterable[Module]):
    """A `ModuleList` whose modules are all of one type."""

    def __iter__(self) -> Iterator[Module]:
        return cast(Iterator[Module], super().__iter__())


class Modulation(nn.Module):
    """FiLM: features scale and shift C channels; it starts near the identity.

    Feature-wise linear modulation, Perez et al. 2018, https://arxiv.org/abs/1709.07871. With `audio`, scale and shift
    depend on the audio too, by the first column of the weight. Rows of weight and bias: the scales, then the shifts.
    """

    def __init__(self, features: int, channels: int, shift: bool, audio: bool = False) -> None:
        super().__init__()
        self.shift, self.audio = shift, audio
        features, rows = features + audio, channels * (2 if shift else 1)
        self.weight = nn.Parameter(torch.randn(rows, features, 1) * FILM_INIT_STD)
        self.bias = nn.Parameter(torch.cat([torch.ones(channels), torch.zeros(rows - channels)]))

    def coefficients(self, x_B1T: Tensor, e_BET: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return `(scale_BCT, shift_BCT)` for audio x and features e; the shift is 0.0 where the slot has none."""
        condition = torch.cat([x_B1T, e_BET.expand(-1, -1, x_B1T.shape[2])], 1) if self.audio else e_BET
        rows = F.conv1d(condition, self.weight, self.bias)
        if not self.shift:
            return rows, 0.0
        scale, shift = rows.chunk(2, dim=1)
        return scale, shift

    def forward(self, z_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        """Scale and shift `z`; `x` and `e` may begin earlier, and `e` may be one column (features that stand still)."""
        scale, shift = self.coefficients(x_B1T[..., -z_BCT.shape[2] :], e_BET[..., -z_BCT.shape[2] :])
        return scale * z_BCT + shift


class Layer(nn.Module):
    """One layer: dilated convolution, input mixin, activation, and the 1x1s to the head and to the residual."""

    def __init__(self, array: LayerArray, index: int, films: dict[Slot, Film], features: int, mixin: bool) -> None:
        super().__init__()
        c, w, inner = array.channels, array.width, array.conv_channels(index)
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
        """Return the modulation at a slot, or None."""
        return cast(Modulation, self.films[slot]) if slot in self.films else None

    def _modulate(self, slot: Slot, z_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        film = self.film(slot)
        return z_BCT if film is None else film(z_BCT, x_B1T, e_BET)

    def _mix(self, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        """Return the input mixin's part of `z`; audio and features apart, so that still features cost one column."""
        weight, film = self.mixin.weight, self.film("input_mixin_pre")
        features = e_BET[:, : weight.shape[1] - 1]
        if film is not None:
            scale, shift = film.coefficients(x_B1T, e_BET)
            x_B1T, features = scale[:, :1] * x_B1T, scale[:, 1:] * features
            if isinstance(shift, Tensor):
                x_B1T, features = x_B1T + shift[:, :1], features + shift[:, 1:]
        z = F.conv1d(x_B1T, weight[:, :1])
        return z + F.conv1d(features, weight[:, 1:]) if weight.shape[1] > 1 else z

    def forward(self, h_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor, reach: int | None = None) -> tuple[Tensor, Tensor]:
        """Return `(to the head, to the residual)`, both shorter than `h` by the layer's history."""
        return self.finish(_truncated(self.conv_input(h_BCT, x_B1T, e_BET), reach), x_B1T, e_BET)

    def conv_input(self, h_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> Tensor:
        """Return the input of the convolution: what a stream must keep as the layer's history."""
        return self._modulate("conv_pre", h_BCT, x_B1T, e_BET)

    def finish(self, conv_input_BCT: Tensor, x_B1T: Tensor, e_BET: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the layer from the input of its convolution on; `x` and `e` are at least as long as the result."""
        z = self.conv(conv_input_BCT)
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
    """A stack of layers, with a rechannel before it and a head after it (NAM: a layer array)."""

    def __init__(self, config: WaveNetConfig, index: int, inputs: int, features: int, outputs: int) -> None:
        super().__init__()
        array, films = config.arrays[index], config.inject.films(index)
        self.rechannel = nn.Conv1d(inputs, array.channels, 1, bias=False)
        self.layers: TypedModuleList[Layer] = TypedModuleList(
            Layer(array, layer, films, features, config.inject.mixin and features > 0) for layer in range(array.depth)
        )
        outputs, bias = config.head_outputs(index, outputs), config.head_bias(index)
        kernel, dilation = array.head_kernel_size, array.head_dilation
        self.history = (kernel - 1) * dilation  # of the head
        self.head = nn.Conv1d(array.head_width, outputs, kernel, dilation=dilation, bias=bias)


class PostHead(nn.Module):
    """NAM's optional post-head: activations, each followed by a convolution."""

    def __init__(self, head: Head, outputs: int) -> None:
        super().__init__()
        widths = [head.inputs, *[head.channels] * (len(head.kernel_sizes) - 1), outputs]
        self.activations: TypedModuleList[Nonlinear] = TypedModuleList(
            Nonlinear(head.activation, width) for width in widths[:-1]
        )
        self.convs: TypedModuleList[nn.Conv1d] = TypedModuleList(map(nn.Conv1d, widths, widths[1:], head.kernel_sizes))

    @property
    def steps(self) -> list[tuple[Nonlinear, nn.Conv1d]]:
        """Pairs of an activation and the convolution after it."""
        return list(zip(self.activations, self.convs, strict=True))

    def forward(self, h_BCT: Tensor, reach: int | None = None) -> Tensor:
        """Return the outputs, shorter by the histories of the convolutions."""
        for activation, conv in self.steps:
            h_BCT = conv(_truncated(activation(h_BCT), reach))
        return h_BCT


class WaveNet(nn.Module):
    """Audio and knobs in, audio out.

    `head_scale` (a buffer, not trained) holds the level of the amp that was learned. `outputs` is 1 but in a condition
    net.
    """

    head_scale: Tensor

    def __init__(self, config: WaveNetConfig, knobs: int, outputs: int = 1) -> None:
        super().__init__()
        self.config = config
        self.knobs, self.outputs = knobs, outputs
        inject, condition = config.inject, config.condition
        self.encoder = Encoder(knobs, inject) if knobs and inject.encodes else None
        self.condition = WaveNet(condition.net, knobs, condition.outputs) if condition else None
        if self.condition is not None:
            features = self.condition.outputs - 1
        else:
            features = self.encoder.features if self.encoder else knobs
        self.features = features
        first = 1 + knobs if inject.input else 1
        inputs = [first, *(array.channels for array in config.arrays)]
        self.arrays: TypedModuleList[Array] = TypedModuleList(
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
        """Number of trained numbers; the head scale does not count."""
        return sum(p.numel() for p in self.parameters())

    def encode(self, knobs_BKT: Tensor) -> Tensor:
        """Return the features of the knobs: the columns themselves, or what the knob encoder makes of them."""
        return knobs_BKT if self.encoder is None else self.encoder(knobs_BKT)

    def rechannel(self, x_B1T: Tensor, knobs_BKT: Tensor) -> Tensor:
        """Return the first array's input: the audio through its rechannel, plus the knobs where they enter here."""
        weight = next(iter(self.arrays)).rechannel.weight
        h = F.conv1d(x_B1T, weight[:, :1])
        return h + F.conv1d(knobs_BKT, weight[:, 1:]) if weight.shape[1] > 1 else h

    def forward(self, x_BT: Tensor, knobs: Tensor, reach: int | None = None) -> Tensor:
        """Play audio with knobs.

        Args:
            x_BT: dry audio, T >= R samples.
            knobs: levels in [-1, 1], `(B, K)` still or `(B, K, T)` moving.
            reach: samples before its end to which the gradient of a signal reaches, None for all of it.

        Returns:
            Wet audio `(B, T - R + 1)`; sample n depends on `x[n .. n + R - 1]`.
        """
        return self.all_outputs(x_BT[:, None], knobs if knobs.ndim == 3 else knobs[..., None], reach)[:, 0]

    def all_outputs(self, x_B1T: Tensor, knobs_BKT: Tensor, reach: int | None = None) -> Tensor:
        """Return every output channel, `(B, outputs, T - R + 1)`; still knobs are one column, `(B, K, 1)`."""
        if self.condition is None:
            audio, e = x_B1T, self.encode(knobs_BKT)
        else:
            audio, e = (condition := self.condition.all_outputs(x_B1T, knobs_BKT, reach))[:, :1], condition[:, 1:]
        length = audio.shape[2]
        h, head = self.rechannel(x_B1T[..., -length:], knobs_BKT[..., -length:]), None
        for index, array in enumerate(self.arrays):
            h = array.rechannel(h) if index else h
            for layer in array.layers:
                to_head, to_residual = layer(h, audio, e, reach)
                head = to_head if head is None else head[..., -to_head.shape[2] :] + to_head
                h = h[..., -to_residual.shape[2] :] + to_residual
            assert head is not None, "an array has layers"
            head = array.head(_truncated(head, reach))
            h = h[..., -head.shape[2] :]
        assert head is not None
        head = self.head_scale * head
        return head if self.head is None else self.head(head, reach)


def as_module(weights: NumpyWaveNet) -> WaveNet:
    """Return a net of numpy arrays as a torch module of the same number type, in evaluation mode."""
    net = WaveNet(weights.config, weights.knobs, weights.outputs)
    if weights.dtype != np.float32:
        net = net.double()
    net.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.weights.items()})
    return net.eval()
