"""A knob setting folded into the weights: the model as a stock one-input WaveNet, exactly.

Shapes: K knobs, E encoded knobs, C channels. A still knob is a constant, so each way in folds: an input at the rechannel is an
offset o that rides the residual through the array; the mixin adds a constant; FiLM, which never hears the audio, scales rows.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.architecture import Condition, Injection, LayerArray, Slot, WaveNetConfig
from models.errors import UserError
from models.wavenet import Layer, WaveNet


@torch.no_grad()
def bake(net: WaveNet, levels_K: list[float]) -> WaveNet:
    """A model without knobs that sounds as `net` does with its knobs still at `levels_K` (in [-1, 1]).

    Folds in float64, by the formulas of the module's helpers, applied in NAM's order. FiLM after the activation needs 1x1s to fold into:
    where a layer has none, the baked one gets them. What hears audio and knobs together does not fold into a layer: it keeps
    hearing both, the knobs as constants that a condition net gives. Raises `UserError` where knobs at the input meet FiLM before a
    convolution in such a net.
    """
    source = copy.deepcopy(net).double()
    if source.condition is not None or any(film.audio for film in net.config.inject.film):
        stock = _beside_constants(source, levels_K) if net.knobs else source
        return stock.to(net.head_scale.dtype).eval()
    stock = WaveNet(_without_knobs(net.config), 0, net.outputs).double()
    k = torch.tensor(levels_K, dtype=torch.float64)
    e = source.encode(k[None, :, None])[0, :, 0]
    stock.head_scale.copy_(source.head_scale)
    if stock.head is not None and source.head is not None:
        stock.head.load_state_dict(source.head.state_dict())
    offset = torch.zeros(0).double()
    for index, (array, target) in enumerate(zip(source.arrays, stock.arrays, strict=True)):
        weight = array.rechannel.weight[..., 0]
        if index == 0:
            offset, weight = weight[:, 1:] @ k[: weight.shape[1] - 1], weight[:, :1]
        else:
            offset = weight @ offset
        target.rechannel.weight.copy_(weight[..., None])
        target.head.load_state_dict(array.head.state_dict())
        for layer, plain in zip(array.layers, target.layers, strict=True):
            _fold_input(layer, plain, offset, e)
            _fold_outputs(layer, plain, e)
    return stock.to(net.head_scale.dtype).eval()


def _beside_constants(source: WaveNet, levels_K: list[float]) -> WaveNet:
    """The net whose condition net hears no knobs but knows them, and whose biases hold what they do at the input."""
    k = torch.tensor(levels_K, dtype=torch.float64)
    condition = _constants(source, k) if source.condition is None else bake(source.condition, levels_K)
    inject = source.config.inject.model_copy(update={"input": False, "encoder": None, "warp": None})
    config = source.config.model_copy(
        update={"inject": inject, "condition": Condition(outputs=1 + source.features, net=condition.config)}
    )
    stock = WaveNet(config, 0, source.outputs).double()
    state = {
        name: value for name, value in source.state_dict().items() if not name.startswith(("condition.", "encoder."))
    }
    first = state["arrays.0.rechannel.weight"]
    state["arrays.0.rechannel.weight"] = first[:, :1]
    stock.load_state_dict(state | {f"condition.{name}": value for name, value in condition.state_dict().items()})
    offset = first[:, 1:, 0] @ k[: first.shape[1] - 1]
    for index, (array, target) in enumerate(zip(source.arrays, stock.arrays, strict=True)):
        offset = array.rechannel.weight[..., 0] @ offset if index else offset
        for layer, plain in zip(array.layers, target.layers, strict=True):
            if layer.film("conv_pre") is not None and offset.any():
                message = "knobs at the input do not fold through FiLM at conv_pre where FiLM or a condition net hears the audio"
                raise UserError(message, "Play this model live; one without either of the two can be baked.")
            assert layer.conv.bias is not None
            _copy_bias(plain.conv, layer.conv.bias + _through(layer.conv, offset))
    return stock


def _constants(source: WaveNet, k: Tensor) -> WaveNet:
    """A net that gives the audio, and what the layers see of the knobs."""
    passing = LayerArray.model_validate({"channels": 1, "kernel_size": 1, "dilations": [1], "activation": "PReLU"})
    net = WaveNet(WaveNetConfig(arrays=(passing,), inject=Injection()), 0, 1 + source.features).double()
    for parameter in net.parameters():
        parameter.zero_()
    (array,) = net.arrays
    (layer,) = array.layers
    assert layer.activation.slopes is not None and array.head.bias is not None
    for one in (layer.mixin.weight, layer.activation.slopes, array.head.weight[0]):
        one.fill_(1)
    array.head.bias[1:] = source.encode(k[None, :, None])[0, :, 0]
    return net


def _without_knobs(config: WaveNetConfig) -> WaveNetConfig:
    arrays = tuple(
        _with_room(array, "activation_post" in config.inject.films(i)) for i, array in enumerate(config.arrays)
    )
    return config.model_copy(update={"arrays": arrays, "inject": Injection()})


def _with_room(array: LayerArray, needed: bool) -> LayerArray:
    """The array with both 1x1s, where FiLM after the activation must fold into them."""
    return array.model_copy(update={"layer1x1": True, "head1x1": array.head_width}) if needed else array


def _film(layer: Layer, slot: Slot, e_E: Tensor) -> tuple[Tensor, Tensor] | None:
    """Scale and shift of a slot at still knobs."""
    film = layer.film(slot)
    if film is None:
        return None
    scale, shift = film.coefficients(e_E[None, :, None])
    scale = scale[0, :, 0]
    return scale, shift[0, :, 0] if isinstance(shift, Tensor) else torch.zeros_like(scale)


def _fold_input(layer: Layer, plain: Layer, offset_C: Tensor, e_E: Tensor) -> None:
    """Everything up to the activation: `W`, `b` of the convolution and `m0`, the audio's column of the mixin.

    conv_pre: `b += sum_t W_t (g o + s)`, `W := W diag(g)`; conv_post: `W := diag(g) W`, `b := g b + s`; mixin: `b += Mk e`;
    input_mixin_pre: `b += Mk (g_k e + s_k) + m0 s0`, `m0 := g0 m0`; input_mixin_post: `m0 := g m0`, its constant `:= g c + s`;
    activation_pre: all rows times g, `b += s`.
    """
    weight, bias, groups = layer.conv.weight, layer.conv.bias, layer.conv.groups
    assert bias is not None
    arriving = offset_C
    if found := _film(layer, "conv_pre", e_E):
        arriving = found[0] * offset_C + found[1]
    bias = bias + _through(layer.conv, arriving)
    if found:
        weight = _scale_inputs(weight, groups, found[0])
    if found := _film(layer, "conv_post", e_E):
        weight, bias = found[0][:, None, None] * weight, found[0] * bias + found[1]
    audio, knobs = layer.mixin.weight[:, 0, 0], layer.mixin.weight[:, 1:, 0]
    heard = e_E[: knobs.shape[1]]
    constant = knobs @ heard
    if found := _film(layer, "input_mixin_pre", e_E):
        scale, shift = found
        constant = knobs @ (scale[1:] * heard + shift[1:]) + audio * shift[0]
        audio = scale[0] * audio
    if found := _film(layer, "input_mixin_post", e_E):
        audio, constant = found[0] * audio, found[0] * constant + found[1]
    bias = bias + constant
    if found := _film(layer, "activation_pre", e_E):
        weight, audio, bias = found[0][:, None, None] * weight, found[0] * audio, found[0] * bias + found[1]
    plain.conv.weight.copy_(weight)
    _copy_bias(plain.conv, bias)
    plain.mixin.weight.copy_(audio[:, None, None])


def _fold_outputs(layer: Layer, plain: Layer, e_E: Tensor) -> None:
    """From the activation on.

    activation_post: `L := L diag(g)`, `bL += L s`, and the same for the head's 1x1 (identities where there was none);
    layer1x1_post and head1x1_post: `L := diag(g) L`, `bL := g bL + s`.
    """
    plain.activation.load_state_dict(layer.activation.state_dict())
    if layer.gate is not None and plain.gate is not None:
        plain.gate.load_state_dict(layer.gate.state_dict())
    after = _film(layer, "activation_post", e_E)
    ways: tuple[tuple[nn.Conv1d | None, nn.Conv1d | None, Slot], ...] = (
        (layer.layer1x1, plain.layer1x1, "layer1x1_post"),
        (layer.head1x1, plain.head1x1, "head1x1_post"),
    )
    for way, target, slot in ways:
        if target is None:
            continue
        if way is None:
            weight, bias = (
                torch.eye(target.in_channels, dtype=torch.float64)[..., None],
                torch.zeros(target.out_channels).double(),
            )
        else:
            assert way.bias is not None
            weight, bias = way.weight, way.bias
        if after:
            bias = bias + F.conv1d(after[1][None, :, None], weight, groups=target.groups)[0, :, 0]
            weight = _scale_inputs(weight, target.groups, after[0])
        if found := _film(layer, slot, e_E):
            weight, bias = found[0][:, None, None] * weight, found[0] * bias + found[1]
        target.weight.copy_(weight)
        _copy_bias(target, bias)


def _through(conv: nn.Conv1d, constant_C: Tensor) -> Tensor:
    """What a convolution makes of a constant, without its bias."""
    still = constant_C[None, :, None].expand(-1, -1, conv.weight.shape[2])
    return F.conv1d(still, conv.weight, groups=conv.groups)[0, :, 0]


def _scale_inputs(weight: Tensor, groups: int, scale_C: Tensor) -> Tensor:
    """`W diag(scale)` of a grouped convolution `(out, in / groups, taps)`."""
    return weight * scale_C.reshape(groups, -1).repeat_interleave(weight.shape[0] // groups, 0)[..., None]


def _copy_bias(conv: nn.Conv1d, bias_C: Tensor) -> None:
    assert conv.bias is not None
    conv.bias.copy_(bias_C)
