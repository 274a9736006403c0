"""One knob setting folded into the weights for good: the model as a stock WaveNet with one input, exactly.

Computed with numpy in float64; the formulas are those of `network.folding`, which folds for training.

Shapes: K knob columns, E features, C channels, O outputs, I inputs of a convolution, T its taps.
"""

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from models.core.errors import UserError
from models.network.architecture import Condition, Injection, LayerArray, Slot, WaveNetConfig
from models.network.numpy_wavenet import NumpyConv, NumpyLayer, NumpyWaveNet, as_numpy, parameter_shapes

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet


@overload
def bake(net: NumpyWaveNet, levels_K: list[float]) -> NumpyWaveNet: ...
@overload
def bake(net: "WaveNet", levels_K: list[float]) -> "WaveNet": ...
def bake(net: Any, levels_K: list[float]) -> Any:
    """Return a model without knobs that sounds as `net` does with its knobs still at `levels_K` (in [-1, 1]).

    The result is of the kind and the number type of `net`. A stock rechannel has no bias, so what the knobs add there,
    an offset o, moves on along the residual through the arrays: it adds `sum_t W_t o` to the bias of each convolution.
    FiLM at activation_post is folded into 1x1s; a layer that has none gets them. A net whose FiLM or condition net
    takes audio and knobs together (`WaveNetConfig.folds` is false) keeps it: a condition net then gives the knobs as
    constants.

    Raises `UserError` where such a net has knobs at the input and FiLM at conv_pre too.
    """
    source = as_numpy(net)
    stock = _bake(source.astype(np.float64), np.array(levels_K, np.float64)).astype(source.dtype)
    if isinstance(net, NumpyWaveNet):
        return stock
    from models.network.wavenet import as_module  # loads torch

    return as_module(stock)


def with_pointwise(config: WaveNetConfig) -> WaveNetConfig:
    """Return the config with both 1x1s in the arrays where FiLM at activation_post must be folded into them."""
    arrays = tuple(
        array.model_copy(update={"layer1x1": True, "head1x1": array.head_width})
        if "activation_post" in config.inject.films(a)
        else array
        for a, array in enumerate(config.arrays)
    )
    return config.model_copy(update={"arrays": arrays})


def _bake(source: NumpyWaveNet, levels_K: np.ndarray) -> NumpyWaveNet:
    """Return the baked net of a float64 net."""
    if not source.config.folds:
        return _with_constant_knobs(source, levels_K) if source.knobs else source
    config = with_pointwise(source.config) if source.knobs else source.config
    config = config.model_copy(update={"inject": Injection()})
    kept = ("head_scale", "head.convs")
    weights = {name: weight for name, weight in source.weights.items() if name.startswith(kept)}
    e_E, offset_C = _active_features(source, levels_K), levels_K
    for a, (array, stock) in enumerate(zip(source.arrays, config.arrays, strict=True)):
        name, rechannel = f"arrays.{a}", array.rechannel.weight
        offset_C = rechannel[:, 1 if a == 0 else 0 :, 0] @ (offset_C if a else levels_K[: rechannel.shape[1] - 1])
        weights[f"{name}.rechannel.weight"] = rechannel[:, :1] if a == 0 else rechannel
        weights |= {n: w for n, w in source.weights.items() if n.startswith(f"{name}.head.")}
        for index, layer in enumerate(array.layers):
            place = f"{name}.layers.{index}"
            weights |= {n: w for n, w in source.weights.items() if n.startswith(place) and n.endswith(".slopes")}
            weights |= _FoldedLayer(stock, layer, e_E).weights(place, offset_C)
    return NumpyWaveNet(config, 0, weights, source.outputs)


def _active_features(source: NumpyWaveNet, levels_K: np.ndarray) -> np.ndarray:
    """Return the features `(E)` of knobs that stand still."""
    return levels_K if source.encoder is None else source.encoder.encode(levels_K[:, None])[:, 0]


class _FoldedLayer:
    """One layer with still features `(E)`; `stock` is the array it becomes a part of."""

    def __init__(self, stock: LayerArray, layer: NumpyLayer, e_E: np.ndarray) -> None:
        self.stock, self.layer, self.e_E = stock, layer, e_E

    def weights(self, place: str, offset_C: np.ndarray) -> dict[str, np.ndarray]:
        """Return the layer's weights by name; `offset_C` is what the knobs add to the input of its convolution."""
        weight, audio, bias = self._convolution()
        weights = {
            f"{place}.conv.weight": _with_groups(weight, self.stock.groups),
            f"{place}.conv.bias": bias + weight.sum(2) @ offset_C,
            f"{place}.mixin.weight": audio[:, None, None],
        }
        both = {
            "layer1x1": (self.stock.layer1x1, self.layer.layer1x1, self.stock.layer1x1_groups),
            "head1x1": (self.stock.head1x1, self.layer.head1x1, self.stock.head1x1_groups),
        }
        for name, (has, conv, groups) in both.items():
            if has:
                matrix, constant = self._pointwise(conv, f"{name}_post")
                weights[f"{place}.{name}.weight"] = _with_groups(matrix[..., None], groups)
                weights[f"{place}.{name}.bias"] = constant
        return weights

    def _film(self, slot: Any) -> tuple[np.ndarray, np.ndarray | float] | None:
        """Return scale and shift at a slot, or None where there is no FiLM."""
        film = self.layer.film(slot)
        if film is None:
            return None
        rows = film.weight[..., 0] @ self.e_E + film.bias
        if not film.shift:
            return rows, 0.0
        scale, shift = np.split(rows, 2)
        return scale, shift

    def _convolution(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return all up to the activation: the taps `(O, C, T)`, the audio's part of the mixin, and the constant."""
        conv = self.layer.conv
        assert conv.bias is not None
        weight, bias = _ungrouped(conv.weight, conv.groups), conv.bias
        if found := self._film("conv_pre"):
            scale, shift = found
            if isinstance(shift, np.ndarray):
                bias = bias + weight.sum(2) @ shift
            weight = weight * scale[None, :, None]
        if found := self._film("conv_post"):
            scale, shift = found
            weight, bias = weight * scale[:, None, None], bias * scale + shift
        audio, constant = self._mixin()
        bias = bias + constant
        if found := self._film("activation_pre"):
            scale, shift = found
            weight, audio, bias = weight * scale[:, None, None], audio * scale, bias * scale + shift
        return weight, audio, bias

    def _mixin(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the input mixin as weights of the audio and the constant of the features, both `(O)`."""
        mixin = self.layer.mixin.weight[..., 0]
        audio, columns = mixin[:, 0], mixin[:, 1:]
        features, constant = self.e_E[: columns.shape[1]], np.zeros(len(audio))
        if found := self._film("input_mixin_pre"):
            scale, shift = found
            features = features * scale[1:]
            if isinstance(shift, np.ndarray):
                features, constant = features + shift[1:], audio * shift[0]
            audio = audio * scale[0]
        constant = constant + columns @ features
        if found := self._film("input_mixin_post"):
            scale, shift = found
            audio, constant = audio * scale, constant * scale + shift
        return audio, constant

    def _pointwise(self, conv: NumpyConv | None, slot: Slot | str) -> tuple[np.ndarray, np.ndarray]:
        """Return a 1x1 after the activation with the FiLM before and after it: weights `(O, I)`, constant `(O)`."""
        if conv is None:
            weight, bias = np.eye(self.stock.width), np.zeros(self.stock.width)
        else:
            assert conv.bias is not None
            weight, bias = _ungrouped(conv.weight, conv.groups)[..., 0], conv.bias
        if found := self._film("activation_post"):
            scale, shift = found
            if isinstance(shift, np.ndarray):
                bias = bias + weight @ shift
            weight = weight * scale
        if found := self._film(slot):
            scale, shift = found
            weight, bias = weight * scale[:, None], bias * scale + shift
        return weight, bias


def _with_constant_knobs(source: NumpyWaveNet, levels_K: np.ndarray) -> NumpyWaveNet:
    """Return the net with a condition net that gives the knobs as constants; biases take the knobs at the input."""
    condition = _constant_condition(source, levels_K) if source.condition is None else _bake(source.condition, levels_K)
    bare = {"input": False, "encoder": None, "warp": None, "encoder_layers": ()}
    inject = source.config.inject.model_copy(update=bare)
    config = source.config.model_copy(
        update={"inject": inject, "condition": Condition(outputs=1 + source.features, net=condition.config)}
    )
    weights = {n: weight for n, weight in source.weights.items() if not n.startswith(("condition.", "encoder."))}
    weights |= {f"condition.{name}": weight for name, weight in condition.weights.items()}
    first = source.arrays[0].rechannel.weight
    weights["arrays.0.rechannel.weight"] = first[:, :1]
    offset_C = first[:, 1:, 0] @ levels_K[: first.shape[1] - 1]
    for a, array in enumerate(source.arrays):
        offset_C = array.rechannel.weight[..., 0] @ offset_C if a else offset_C
        for index, layer in enumerate(array.layers):
            if layer.film("conv_pre") is not None and offset_C.any():
                message = (
                    "knobs at the input cannot be baked through FiLM at conv_pre "
                    "where FiLM or a condition net takes the audio"
                )
                raise UserError(message, "Play this model live, or use one without one of the two.")
            assert layer.conv.bias is not None
            constant_O = _ungrouped(layer.conv.weight, layer.conv.groups).sum(2) @ offset_C
            weights[f"arrays.{a}.layers.{index}.conv.bias"] = layer.conv.bias + constant_O
    return NumpyWaveNet(config, 0, weights, source.outputs)


def _constant_condition(source: NumpyWaveNet, levels_K: np.ndarray) -> NumpyWaveNet:
    """Return a condition net whose outputs are the audio, and the features of still knobs as constants."""
    passing = LayerArray.model_validate({"channels": 1, "kernel_size": 1, "dilations": [1], "activation": "PReLU"})
    config, outputs = WaveNetConfig(arrays=(passing,), inject=Injection()), 1 + source.features
    weights = {name: np.zeros(shape) for name, shape in parameter_shapes(config, 0, outputs).items()}
    ones = ("arrays.0.layers.0.mixin.weight", "arrays.0.layers.0.activation.slopes", "head_scale")
    weights |= {name: np.ones_like(weights[name]) for name in ones}
    weights["arrays.0.head.weight"][0] = 1
    weights["arrays.0.head.bias"][1:] = _active_features(source, levels_K)
    return NumpyWaveNet(config, 0, weights, outputs)


def _ungrouped(weight_OIT: np.ndarray, groups: int) -> np.ndarray:
    """Return the weight of a grouped convolution as that of an ungrouped one, with zeros between the groups."""
    outs, inputs, taps = weight_OIT.shape
    split = weight_OIT.reshape(groups, outs // groups, 1, inputs, taps)
    return (split * np.eye(groups)[:, None, :, None, None]).reshape(outs, groups * inputs, taps)


def _with_groups(weight_OIT: np.ndarray, groups: int) -> np.ndarray:
    """Return the weight within the groups of a grouped convolution; between them it is zero."""
    outs, inputs, taps = weight_OIT.shape
    split = weight_OIT.reshape(groups, outs // groups, groups, inputs // groups, taps)
    return split[np.arange(groups), :, np.arange(groups)].reshape(outs, inputs // groups, taps)
