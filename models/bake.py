"""A knob setting folded into the weights: the model as a stock one-input WaveNet, exactly.

Shapes: K knobs, C channels.
"""

import copy

import torch

from models.recipe import Injection
from models.wavenet import Layer, WaveNet


@torch.no_grad()
def bake(net: WaveNet, levels_K: list[float]) -> WaveNet:
    """A model without knobs that sounds as `net` does with its knobs still at `levels_K` (in [-1, 1]).

    Folds, in float64. Input mixin M = [m0 | Mk]: `b += Mk k`, `M := m0`. FiLM before the activation, scale g and shift s at k:
    `W := diag(g) W`, `m0 := g m0`, `b := g b + s`. Both are exact because a still knob adds a constant and FiLM sees only knobs.
    """
    stock = WaveNet(net.config.model_copy(update={"inject": Injection()}), 0).double()
    source = copy.deepcopy(net).double()
    k = torch.tensor(levels_K, dtype=torch.float64)
    stock.head_scale.copy_(source.head_scale)
    for array, target in zip(source.arrays, stock.arrays, strict=True):
        target.rechannel.load_state_dict(array.rechannel.state_dict())
        target.head.load_state_dict(array.head.state_dict())
        for layer, plain in zip(array.layers, target.layers, strict=True):
            _fold(layer, plain, k)
    return stock.to(net.head_scale.dtype).eval()


def _fold(layer: Layer, plain: Layer, k: torch.Tensor) -> None:
    weight, bias, audio = layer.conv.weight, layer.conv.bias, layer.mixin.weight[:, :1]
    assert bias is not None
    assert plain.conv.bias is not None
    if layer.mixin.in_channels > 1:
        bias = bias + layer.mixin.weight[:, 1:, 0] @ k
    if layer.film is not None:
        scale, shift = (layer.film.weight[..., 0] @ k + layer.film.bias).chunk(2)
        weight, audio, bias = scale[:, None, None] * weight, scale[:, None, None] * audio, scale * bias + shift
    plain.conv.weight.copy_(weight)
    plain.conv.bias.copy_(bias)
    plain.mixin.weight.copy_(audio)
    plain.layer1x1.load_state_dict(layer.layer1x1.state_dict())
