"""The knob-conditioned WaveNet as numpy arrays: all that playing, baking and writing files need. Light: no torch.

The names of the weights, their shapes and the tree of parts are those of the torch module (`network.wavenet`), so that
code that reads a net need not know which of the two it has.

Shapes: K knob columns, E features, T time or taps, J knots of a warp, O and I outputs and inputs of a convolution,
C channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from models.network.activation import Activation
from models.network.architecture import Film, Gating, LayerArray, Slot, WaveNetConfig
from models.network.numpy_activations import activate_array

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class NumpyConv:
    """A convolution: weight `(O, I / groups, T)`, bias `(O)` or None."""

    weight: np.ndarray
    bias: np.ndarray | None
    dilation: int = 1
    groups: int = 1


@dataclass(frozen=True)
class NumpyFilm:
    """A FiLM: rows of weight and bias are the scales, then the shifts; the first column is the audio's, if any."""

    weight: np.ndarray
    bias: np.ndarray
    shift: bool
    audio: bool


@dataclass(frozen=True)
class NumpyNonlinear:
    """An activation; `slopes` `(C)` are PReLU's, else None."""

    config: Activation
    slopes: np.ndarray | None


@dataclass(frozen=True)
class NumpyWarp:
    """A learned taper per knob column, `log_slopes` `(K, J)`; the formula is that of `network.knob_encoder.Warp`."""

    log_slopes: np.ndarray

    @property
    def knots_J(self) -> np.ndarray:
        """Positions in [-1, 1) where the slope may change."""
        count = self.log_slopes.shape[1]
        return 2 * np.arange(count, dtype=self.log_slopes.dtype) / count - 1

    @property
    def slope_steps_KJ(self) -> np.ndarray:
        """Change of slope at each knot."""
        return np.diff(np.exp(self.log_slopes), axis=1, prepend=self.log_slopes.dtype.type(0))


@dataclass(frozen=True)
class NumpyEncoder:
    """Knob columns to features: an optional warp, then optionally `relu(W k + b)`; or the layers of an imported one."""

    warp: NumpyWarp | None
    dense: NumpyConv | None
    features: int
    layers: tuple[tuple[NumpyConv, Activation | None], ...] = ()

    @property
    def named_weights(self) -> dict[str, np.ndarray]:
        """The weights by their names in the net."""
        named = {} if self.warp is None else {"encoder.warp.log_slopes": self.warp.log_slopes}
        if self.dense is not None:
            assert self.dense.bias is not None
            named |= {"encoder.dense.weight": self.dense.weight, "encoder.dense.bias": self.dense.bias}
        for index, (conv, _) in enumerate(self.layers):
            assert conv.bias is not None
            named |= {f"encoder.layers.{index}.weight": conv.weight, f"encoder.layers.{index}.bias": conv.bias}
        return named

    def encode(self, knobs_KT: np.ndarray) -> np.ndarray:
        """Return the features `(E, T)` of knob columns `(K, T)`."""
        for conv, activation in self.layers:
            assert conv.bias is not None
            knobs_KT = conv.weight[..., 0] @ knobs_KT + conv.bias[:, None]
            knobs_KT = knobs_KT if activation is None else activate_array(activation, None, knobs_KT)
        if self.warp is not None:
            past_KJT = np.maximum(knobs_KT[:, None] - self.warp.knots_J[:, None], 0)
            knobs_KT = (self.warp.slope_steps_KJ[..., None] * past_KJT).sum(1) - 1
        if self.dense is None:
            return knobs_KT
        assert self.dense.bias is not None
        return np.maximum(self.dense.weight[..., 0] @ knobs_KT + self.dense.bias[:, None], 0)


@dataclass(frozen=True)
class NumpyLayer:
    """One layer; `history` is in samples."""

    conv: NumpyConv
    mixin: NumpyConv
    activation: NumpyNonlinear
    gating: Gating
    gate: NumpyNonlinear | None
    layer1x1: NumpyConv | None
    head1x1: NumpyConv | None
    films: Mapping[Slot, NumpyFilm]
    history: int

    def film(self, slot: Slot) -> NumpyFilm | None:
        """Return the modulation at a slot, or None."""
        return self.films.get(slot)


@dataclass(frozen=True)
class NumpyArray:
    """A layer array; `history` is that of its head, in samples."""

    rechannel: NumpyConv
    layers: tuple[NumpyLayer, ...]
    head: NumpyConv
    history: int


@dataclass(frozen=True)
class NumpyPostHead:
    """Activations, each followed by a convolution."""

    activations: tuple[NumpyNonlinear, ...]
    convs: tuple[NumpyConv, ...]

    @property
    def steps(self) -> list[tuple[NumpyNonlinear, NumpyConv]]:
        """Pairs of an activation and the convolution after it."""
        return list(zip(self.activations, self.convs, strict=True))


class NumpyWaveNet:
    """A net as numpy arrays: `weights` by name, and as a tree of parts with the names of the torch module's."""

    def __init__(self, config: WaveNetConfig, knobs: int, weights: Weights, outputs: int = 1) -> None:
        """Take weights of the names and shapes of `parameter_shapes`; they are not copied."""
        self.config, self.knobs, self.outputs, self.weights = config, knobs, outputs, dict(weights)
        tree = _Tree(config, knobs, outputs, lambda name, *shape: weights[name])
        self.features, self.encoder, self.arrays, self.head = tree.features, tree.encoder, tree.arrays, tree.head
        self.head_scale = np.asarray(weights["head_scale"])
        inner = {name.removeprefix("condition."): w for name, w in weights.items() if name.startswith("condition.")}
        condition = config.condition
        self.condition = NumpyWaveNet(condition.net, knobs, inner, condition.outputs) if condition else None

    @property
    def receptive_field(self) -> int:
        """The receptive field in samples."""
        return self.config.receptive_field

    @property
    def dtype(self) -> np.dtype:
        """The number type."""
        return self.head_scale.dtype

    def astype(self, dtype: Any) -> "NumpyWaveNet":
        """Return the net in another number type."""
        weights = {name: np.asarray(weight, dtype) for name, weight in self.weights.items()}
        return NumpyWaveNet(self.config, self.knobs, weights, self.outputs)


def as_numpy(net: Any) -> NumpyWaveNet:
    """Return a net as numpy arrays: one that is already, as it is; a torch module on a CPU, its weights shared."""
    if isinstance(net, NumpyWaveNet):
        return net
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}
    return NumpyWaveNet(net.config, net.knobs, weights, net.outputs)


def parameter_shapes(config: WaveNetConfig, knobs: int, outputs: int = 1) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every weight of a net, those of its condition net and its head scale included.

    Nothing is allocated, so a config of any size may be asked.
    """
    shapes: dict[str, tuple[int, ...]] = {"head_scale": ()}

    def note(name: str, *shape: int) -> np.ndarray:
        shapes[name] = shape
        return np.broadcast_to(np.float32(0), shape)

    _Tree(config, knobs, outputs, note)
    if config.condition:
        inner = parameter_shapes(config.condition.net, knobs, config.condition.outputs)
        shapes |= {f"condition.{name}": shape for name, shape in inner.items()}
    return shapes


class _Tree:
    """The parts of a net; `weight(name, *shape)` returns an array for each of its weights."""

    def __init__(self, config: WaveNetConfig, knobs: int, outputs: int, weight: Any) -> None:
        self.config, self.weight = config, weight
        inject = config.inject
        self.encoder = self._encoder(knobs) if knobs and inject.encodes else None
        self.features = self.encoder.features if self.encoder else knobs
        if config.condition is not None:
            self.features = config.condition.outputs - 1
        inputs = [1 + knobs if inject.input else 1, *(array.channels for array in config.arrays)]
        self.arrays = tuple(self._array(index, inputs[index], outputs) for index in range(len(config.arrays)))
        self.head = self._post_head(outputs)

    def _conv(
        self, name: str, outs: int, ins: int, taps: int = 1, bias: bool = True, dilation: int = 1, groups: int = 1
    ) -> NumpyConv:
        weight = self.weight(f"{name}.weight", outs, ins // groups, taps)
        return NumpyConv(weight, self.weight(f"{name}.bias", outs) if bias else None, dilation, groups)

    def _encoder(self, knobs: int) -> NumpyEncoder:
        inject = self.config.inject
        if inject.encoder_layers:
            widths = [knobs, *(layer.width for layer in inject.encoder_layers)]
            convs = [self._conv(f"encoder.layers.{n}", o, i) for n, (i, o) in enumerate(pairwise(widths))]
            activations = [layer.activation for layer in inject.encoder_layers]
            return NumpyEncoder(None, None, widths[-1], tuple(zip(convs, activations, strict=True)))
        warp = NumpyWarp(self.weight("encoder.warp.log_slopes", knobs, inject.warp)) if inject.warp else None
        dense = self._conv("encoder.dense", inject.encoder, knobs) if inject.encoder else None
        return NumpyEncoder(warp, dense, inject.encoder or knobs)

    def _array(self, index: int, inputs: int, outputs: int) -> NumpyArray:
        array, name = self.config.arrays[index], f"arrays.{index}"
        films = self.config.inject.films(index)
        kernel, dilation = array.head_kernel_size, array.head_dilation
        return NumpyArray(
            self._conv(f"{name}.rechannel", array.channels, inputs, bias=False),
            tuple(self._layer(array, layer, films, f"{name}.layers.{layer}") for layer in range(array.depth)),
            self._conv(
                f"{name}.head",
                self.config.head_outputs(index, outputs),
                array.head_width,
                kernel,
                self.config.head_bias(index),
                dilation,
            ),
            (kernel - 1) * dilation,
        )

    def _layer(self, array: LayerArray, index: int, films: Mapping[Slot, Film], name: str) -> NumpyLayer:
        channels, width, inner = array.channels, array.width, array.conv_channels(index)
        kernel, dilation, gate = array.kernel_sizes[index], array.dilations[index], array.gates[index]
        mixin = 1 + self.features if self.config.inject.mixin and self.features else 1
        sizes = {
            "conv_pre": channels,
            "input_mixin_pre": mixin,
            "activation_post": width,
            "layer1x1_post": channels,
            "head1x1_post": array.head1x1 or 0,
        }
        pointwise, to_head = array.layer1x1_groups, array.head1x1_groups
        return NumpyLayer(
            self._conv(f"{name}.conv", inner, channels, kernel, True, dilation, array.groups),
            self._conv(f"{name}.mixin", inner, mixin, bias=False),
            self._nonlinear(f"{name}.activation", array.activations[index], width),
            array.gatings[index],
            None if gate is None else self._nonlinear(f"{name}.gate", gate, width),
            self._conv(f"{name}.layer1x1", channels, width, groups=pointwise) if array.layer1x1 else None,
            self._conv(f"{name}.head1x1", array.head1x1, width, groups=to_head) if array.head1x1 else None,
            {
                slot: self._film(f"{name}.films.{slot}", film, sizes.get(slot, inner))
                for slot, film in films.items()
                if self.features or film.audio
            },
            (kernel - 1) * dilation,
        )

    def _nonlinear(self, name: str, config: Activation, channels: int) -> NumpyNonlinear:
        slopes = self.weight(f"{name}.slopes", channels) if config.type == "PReLU" else None
        return NumpyNonlinear(config, slopes)

    def _film(self, name: str, film: Film, channels: int) -> NumpyFilm:
        rows = channels * (2 if film.shift else 1)
        weight = self.weight(f"{name}.weight", rows, self.features + film.audio, 1)
        return NumpyFilm(weight, self.weight(f"{name}.bias", rows), film.shift, film.audio)

    def _post_head(self, outputs: int) -> NumpyPostHead | None:
        head = self.config.head
        if head is None:
            return None
        widths = [head.inputs, *[head.channels] * (len(head.kernel_sizes) - 1), outputs]
        return NumpyPostHead(
            tuple(self._nonlinear(f"head.activations.{n}", head.activation, w) for n, w in enumerate(widths[:-1])),
            tuple(
                self._conv(f"head.convs.{n}", outs, ins, taps)
                for n, (ins, outs, taps) in enumerate(zip(widths, widths[1:], head.kernel_sizes, strict=False))
            ),
        )
