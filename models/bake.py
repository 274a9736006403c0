"""A knob setting folded into the weights: the model as a stock one-input WaveNet, exactly.

Shapes: K knobs, C channels, O outputs, I inputs of a convolution, T its taps.
"""

import copy

import torch
from torch import Tensor, nn

from models.architecture import Injection
from models.fold import Folding
from models.wavenet import WaveNet


@torch.no_grad()
def bake(net: WaveNet, levels_K: list[float]) -> WaveNet:
    """A model without knobs that sounds as `net` does with its knobs still at `levels_K` (in [-1, 1]).

    Folds in float64 (models/fold.py). A stock rechannel has no constant, so what knobs add there, an offset o, rides the residual through the
    arrays: to each convolution it adds `sum_t W_t o`. FiLM after the activation needs 1x1s to fold into: where a layer has none, the baked
    one gets them.
    """
    source = copy.deepcopy(net).double()
    folding = Folding(source)
    vector_P = torch.cat([parameter.flatten() for parameter in folding.parameters])
    weights_1N = folding.fold(vector_P, torch.tensor([levels_K], dtype=torch.float64))
    matrices = {place: matrix_1OI[0] for place, matrix_1OI in folding.matrices(weights_1N).items()}
    stock = WaveNet(folding.stock.model_copy(update={"inject": Injection()}), 0).double()
    stock.head_scale.copy_(source.head_scale)
    offset_C = torch.ones(1, dtype=torch.float64)
    for a, (array, target) in enumerate(zip(source.arrays, stock.arrays, strict=True)):
        inputs = target.rechannel.in_channels
        rechannel_OI = matrices["rechannel", a, -1]
        offset_C = rechannel_OI[:, -len(offset_C) :] @ offset_C
        target.rechannel.weight.copy_(rechannel_OI[:, :inputs, None])
        target.head.load_state_dict(array.head.state_dict())
        for index, (layer, plain) in enumerate(zip(array.layers, target.layers, strict=True)):
            conv_OI = matrices["conv", a, index]
            weight_OIT = conv_OI[:, :-2].unflatten(1, (plain.conv.in_channels, -1))
            _fill(plain.conv, weight_OIT, conv_OI[:, -1] + weight_OIT.sum(2) @ offset_C)
            plain.mixin.weight.copy_(conv_OI[:, -2, None, None])
            plain.activation.load_state_dict(layer.activation.state_dict())
            if layer.gate is not None and plain.gate is not None:
                plain.gate.load_state_dict(layer.gate.state_dict())
            for name, one in (("layer1x1", plain.layer1x1), ("head1x1", plain.head1x1)):
                if one is not None:
                    matrix_OI = matrices[name, a, index]
                    _fill(one, matrix_OI[:, :-1, None], matrix_OI[:, -1])
    return stock.to(net.head_scale.dtype).eval()


def _fill(conv: nn.Conv1d, weight_OIT: Tensor, bias_O: Tensor) -> None:
    """Give a convolution its weights; a grouped one those within its groups (the others are zeros)."""
    assert conv.bias is not None
    outs, inputs = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    split = weight_OIT.reshape(conv.groups, outs, conv.groups, inputs, -1)
    conv.weight.copy_(split.diagonal(dim1=0, dim2=2).movedim(-1, 0).reshape(conv.weight.shape))
    conv.bias.copy_(bias_O)
