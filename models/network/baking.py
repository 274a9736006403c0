"""One knob setting folded into the weights for good: the model as a stock WaveNet with one input, exactly.

Shapes: K knob columns, C channels, O outputs, I inputs of a convolution, T its taps.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.core.errors import UserError
from models.network.architecture import Condition, Injection, LayerArray, WaveNetConfig
from models.network.folding import Folding
from models.network.wavenet import Layer, WaveNet


@torch.no_grad()
def bake(net: WaveNet, levels_K: list[float]) -> WaveNet:
    """Return a model without knobs that sounds as `net` does with its knobs still at `levels_K` (in [-1, 1]).

    Computed in float64 with `folding`. A stock rechannel has no bias, so what the knobs add there, an offset o, moves
    on along the residual through the arrays: it adds `sum_t W_t o` to the bias of each convolution. FiLM at
    activation_post is folded into 1x1s; a layer that has none gets them. A net whose FiLM or condition net takes
    audio and knobs together (`WaveNetConfig.folds` is false) keeps it: a condition net then gives the knobs as
    constants.

    Raises `UserError` where such a net has knobs at the input and FiLM at conv_pre too.
    """
    source = copy.deepcopy(net).double()
    if not net.config.folds:
        stock = _with_constant_knobs(source, levels_K) if net.knobs else source
        return stock.to(net.head_scale.dtype).eval()
    folding = Folding(source)
    vector_P = torch.cat([parameter.flatten() for parameter in folding.parameters])
    weights_1N = folding.fold(vector_P, torch.tensor([levels_K], dtype=torch.float64))
    matrices = {place: matrix_1OI[0] for place, matrix_1OI in folding.matrices(weights_1N).items()}
    stock = WaveNet(folding.stock.model_copy(update={"inject": Injection()}), 0, net.outputs).double()
    stock.head_scale.copy_(source.head_scale)
    if stock.head is not None and source.head is not None:
        stock.head.load_state_dict(source.head.state_dict())
    offset_C = torch.ones(1, dtype=torch.float64)
    for a, (array, target) in enumerate(zip(source.arrays, stock.arrays, strict=True)):
        inputs = target.rechannel.in_channels
        rechannel_OI = matrices["rechannel", a, -1]
        offset_C = rechannel_OI[:, -len(offset_C) :] @ offset_C
        target.rechannel.weight.copy_(rechannel_OI[:, :inputs, None])
        target.head.load_state_dict(array.head.state_dict())
        for index, (layer, plain) in enumerate(zip(array.layers, target.layers, strict=True)):
            own = {name: matrices.get((name, a, index)) for name in ("conv", "layer1x1", "head1x1")}
            _set_layer(plain, layer, own, offset_C)
    return stock.to(net.head_scale.dtype).eval()


def _set_layer(plain: Layer, layer: Layer, matrices: Mapping[str, Tensor | None], offset_C: Tensor) -> None:
    """Give a stock layer its folded matrices; `offset_C` is what the knobs add to the input of its convolution."""
    conv_OI = matrices["conv"]
    assert conv_OI is not None
    weight_OIT = conv_OI[:, :-2].unflatten(1, (plain.conv.in_channels, -1))
    _set_conv(plain.conv, weight_OIT, conv_OI[:, -1] + weight_OIT.sum(2) @ offset_C)
    plain.mixin.weight.copy_(conv_OI[:, -2, None, None])
    plain.activation.load_state_dict(layer.activation.state_dict())
    if layer.gate is not None and plain.gate is not None:
        plain.gate.load_state_dict(layer.gate.state_dict())
    for name, pointwise in (("layer1x1", plain.layer1x1), ("head1x1", plain.head1x1)):
        matrix_OI = matrices[name]
        if pointwise is not None and matrix_OI is not None:
            _set_conv(pointwise, matrix_OI[:, :-1, None], matrix_OI[:, -1])


def _with_constant_knobs(source: WaveNet, levels_K: list[float]) -> WaveNet:
    """Return the net with a condition net that gives the knobs as constants; biases take the knobs at the input."""
    k = torch.tensor(levels_K, dtype=torch.float64)
    condition = _constant_condition(source, k) if source.condition is None else bake(source.condition, levels_K)
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
                message = (
                    "knobs at the input cannot be baked through FiLM at conv_pre "
                    "where FiLM or a condition net takes the audio"
                )
                raise UserError(message, "Play this model live, or use one without one of the two.")
            assert layer.conv.bias is not None and plain.conv.bias is not None
            plain.conv.bias.copy_(layer.conv.bias + _response_to_constant(layer.conv, offset))
    return stock


def _constant_condition(source: WaveNet, k: Tensor) -> WaveNet:
    """Return a condition net whose outputs are the audio, and the features of knobs still at `k` as constants."""
    passing = LayerArray.model_validate({"channels": 1, "kernel_size": 1, "dilations": [1], "activation": "PReLU"})
    net = WaveNet(WaveNetConfig(arrays=(passing,), inject=Injection()), 0, 1 + source.features).double()
    for parameter in net.parameters():
        parameter.zero_()
    (array,) = net.arrays
    (layer,) = array.layers
    assert layer.activation.slopes is not None and array.head.bias is not None
    for parameter in (layer.mixin.weight, layer.activation.slopes, array.head.weight[0]):
        parameter.fill_(1)
    array.head.bias[1:] = source.encode(k[None, :, None])[0, :, 0]
    return net


def _response_to_constant(conv: nn.Conv1d, constant_C: Tensor) -> Tensor:
    """Return what a convolution without its bias makes of a constant input, `(O,)`."""
    still = constant_C[None, :, None].expand(-1, -1, conv.weight.shape[2])
    return F.conv1d(still, conv.weight, groups=conv.groups)[0, :, 0]


def _set_conv(conv: nn.Conv1d, weight_OIT: Tensor, bias_O: Tensor) -> None:
    """Set weight and bias of a convolution; a grouped one takes the weights within its groups (the rest are zeros)."""
    assert conv.bias is not None
    outs, inputs = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    split = weight_OIT.reshape(conv.groups, outs, conv.groups, inputs, -1)
    conv.weight.copy_(split.diagonal(dim1=0, dim2=2).movedim(-1, 0).reshape(conv.weight.shape))
    conv.bias.copy_(bias_O)
