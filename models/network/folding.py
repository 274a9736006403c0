"""Knobs folded into weights: from a net's parameters and still knobs to the weights of a WaveNet without knobs.

An engine receives the folded weights and needs no code for knobs. Folding is differentiable, so every place where knobs
enter (input, mixin, FiLM, encoder) can be trained on any engine. Still knobs are constants, and FiLM scales rows and
columns of matrices. The formulas, in NAM's order of slots, with g and s a slot's scale and shift, W and b of the
convolution, m0 and M the audio's and the features' part of the mixin, e the features, L and c weight and bias of a 1x1:

* conv_pre: `b += sum_t W_t s`, `W := W diag(g)`
* conv_post: `W := diag(g) W`, `b := g b + s`
* input_mixin_pre: the mixin's constant is `M (g_k e + s_k) + m0 s0` instead of `M e`; `m0 := g0 m0`
* input_mixin_post: m0 and the constant times g, then the constant plus s
* activation_pre: all rows times g, then the constant plus s
* activation_post: `c += L s`, `L := L diag(g)`, with L the identity where the layer has no 1x1
* layer1x1_post, head1x1_post: `L := diag(g) L`, `c := g c + s`

Shapes: B items, K knob columns, E features, L layers of one shape, O outputs, I inputs, P parameters, N folded weights,
T taps of a kernel.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.network.activation import Activation
from models.network.architecture import LayerArray
from models.network.baking import with_pointwise
from models.network.wavenet import WaveNet


def needs_slopes(activation: Activation) -> bool:
    """Return whether an activation has slopes among the folded weights.

    Trained ones do; so does a slope below zero, with which the sign of the output does not give that of the input.
    """
    return activation.type == "PReLU" or (activation.type == "LeakyReLU" and activation.negative_slope < 0)


@dataclass(frozen=True)
class Block:
    """Matrices `(outs, inputs)` of one kind, one after another: one per listed layer, or one for the array."""

    kind: str
    array: int
    layers: tuple[int, ...]
    outs: int
    inputs: int

    @property
    def size(self) -> int:
        """Number of weights."""
        return max(len(self.layers), 1) * self.outs * self.inputs


class Folding:
    """The layout of a net's parameters in one vector, that of the folded weights, and `fold` from one to the other.

    `stock` is the architecture without knobs that the folded weights belong to. Raises `AssertionError` for a net that
    cannot be folded (`WaveNetConfig.folds`).
    """

    def __init__(self, net: WaveNet) -> None:
        assert net.config.folds, "FiLM or a condition net that takes the audio cannot be folded"
        self.config, self.knobs, self._outputs, self._encoder = net.config, net.knobs, net.outputs, net.encoder
        self.stock = with_pointwise(net.config) if net.knobs else net.config
        self.groups = [_group_layers(array) for array in net.config.arrays]
        self.parameter_stacks = _parameter_stacks(net, self.groups)

    @cached_property
    def blocks(self) -> list[Block]:
        """The folded weights in their order.

        Inputs of a convolution's matrix: channel by channel its taps, then the audio, then the constant 1. All others
        end with the constant too, but for slopes and for the rechannels after the first.
        """
        blocks, inputs = [], 2
        for a, (array, groups) in enumerate(zip(self.stock.arrays, self.groups, strict=True)):
            blocks.append(Block("rechannel", a, (), array.channels, inputs))
            for layers in groups:
                kernel = array.kernel_sizes[layers[0]]
                blocks.append(Block("conv", a, layers, array.conv_channels(layers[0]), array.channels * kernel + 2))
                if _layer_needs_slopes(array, layers[0]):
                    blocks.append(Block("slopes", a, layers, array.conv_channels(layers[0]), 1))
                if array.layer1x1:
                    blocks.append(Block("layer1x1", a, layers, array.channels, array.width + 1))
                if array.head1x1:
                    blocks.append(Block("head1x1", a, layers, array.head1x1, array.width + 1))
            outs = self.stock.head_outputs(a, self._outputs)
            blocks.append(Block("head", a, (), outs, array.head_width * array.head_kernel_size + 1))
            inputs = array.channels
        return blocks

    @cached_property
    def offsets(self) -> dict[tuple[str, int, int], int]:
        """Offset of the matrix of (kind, array, layer) among the folded weights; layer is -1 for those of the array."""
        offsets, begin = {}, 0
        for block in self.blocks:
            for number, layer in enumerate(block.layers or (-1,)):
                offsets[block.kind, block.array, layer] = begin + number * block.outs * block.inputs
            begin += block.size
        return offsets

    def matrices(self, weights_BN: Tensor) -> dict[tuple[str, int, int], Tensor]:
        """Split folded weights `(B, N)` into matrices `(B, O, I)` by (kind, array, layer), as in `offsets`."""
        matrices: dict[tuple[str, int, int], Tensor] = {}
        parts = weights_BN.split([block.size for block in self.blocks], 1)
        for block, part in zip(self.blocks, parts, strict=True):
            layers = block.layers or (-1,)
            split = part.view(len(part), len(layers), block.outs, block.inputs).unbind(1)
            matrices |= {(block.kind, block.array, layer): m for layer, m in zip(layers, split, strict=True)}
        return matrices

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The net's parameters in the order of the vector."""
        return [parameter for stack in self.parameter_stacks.values() for parameter in stack]

    def fold(self, vector_P: Tensor, knobs_BK: Tensor) -> Tensor:
        """Fold each item's knobs (levels in [-1, 1]) into the parameters: weights `(B, N)`, differentiable in both."""
        stacks = self.parameter_stacks
        shapes = {name: (len(stack), *stack[0].shape) for name, stack in stacks.items()}
        parts = vector_P.split([len(stack) * stack[0].numel() for stack in stacks.values()])
        stack = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        items, e_BE = len(knobs_BK), self._encode(stack, knobs_BK)
        matrices = []
        for a, (array, groups) in enumerate(zip(self.config.arrays, self.groups, strict=True)):
            matrices.append(_rechannel(stack[f"{a}.rechannel.weight"][0, ..., 0], knobs_BK, first=a == 0))
            for layers in groups:
                names = f"{a}.{layers[0]}."
                own = {name.removeprefix(names): part for name, part in stack.items() if name.startswith(names)}
                matrices += _Layers(array, self.stock.arrays[a], layers[0], own, e_BE).matrices()
            weight = stack[f"{a}.head.weight"][0].flatten(1)
            bias = stack[f"{a}.head.bias"][0] if f"{a}.head.bias" in stack else weight.new_zeros(len(weight))
            matrices.append(torch.cat([weight, bias[:, None]], 1)[None])
        return torch.cat([m.expand(items, *m.shape[1:]).reshape(items, -1) for m in matrices], 1)

    def _encode(self, stack: dict[str, Tensor], knobs_BK: Tensor) -> Tensor:
        """Return the features that mixin and FiLM take, `(B, E)`."""
        own = {name.removeprefix("encoder."): part[0] for name, part in stack.items() if name.startswith("encoder.")}
        if self._encoder is None:
            return knobs_BK
        return functional_call(self._encoder, own, knobs_BK[..., None])[..., 0]


def _group_layers(array: LayerArray) -> list[tuple[int, ...]]:
    """Group the layers of equal kernel size, activation and gate: each group is folded in one batch."""
    groups: dict[tuple, list[int]] = {}
    for layer, kind in enumerate(zip(array.kernel_sizes, array.activations, array.gatings, array.gates, strict=True)):
        groups.setdefault(kind, []).append(layer)
    return [tuple(layers) for layers in groups.values()]


def _parameter_stacks(net: WaveNet, groups: list[list[tuple[int, ...]]]) -> dict[str, list[nn.Parameter]]:
    """Return lists of parameters of one shape.

    Keys: `{array}.{first layer of a group}.{name}` with one parameter per layer; `{array}.{name}` and `encoder.{name}`
    with one.
    """
    stacks: dict[str, list[nn.Parameter]] = {}
    if net.encoder is not None:
        stacks |= {f"encoder.{name}": [parameter] for name, parameter in net.encoder.named_parameters()}
    for a, array in enumerate(net.arrays):
        for part in ("rechannel", "head"):
            named = getattr(array, part).named_parameters()
            stacks |= {f"{a}.{part}.{name}": [parameter] for name, parameter in named}
        layers = [dict(layer.named_parameters()) for layer in array.layers]
        for group in groups[a]:
            stacks |= {f"{a}.{group[0]}.{name}": [layers[i][name] for i in group] for name in layers[group[0]]}
    return stacks


def _layer_needs_slopes(array: LayerArray, layer: int) -> bool:
    gate = array.gates[layer]
    return needs_slopes(array.activations[layer]) or (gate is not None and needs_slopes(gate))


def _rechannel(weight_OI: Tensor, knobs_BK: Tensor, first: bool) -> Tensor:
    """Return the rechannel `(B or 1, O, I)`; the first array's has two inputs: the audio, and the knobs' constant."""
    if not first:
        return weight_OI[None]
    used_BK = knobs_BK[:, : weight_OI.shape[1] - 1]
    audio_BO = weight_OI[:, 0].expand(len(knobs_BK), -1)
    return torch.stack([audio_BO, used_BK @ weight_OI[:, 1:].T], 2)


def _ungrouped_layers(weight_LOIT: Tensor, groups: int) -> Tensor:
    """Return the weight of a grouped convolution as that of an ungrouped one, with zeros between the groups."""
    if groups == 1:
        return weight_LOIT
    layers, outs, inputs, taps = weight_LOIT.shape
    split = weight_LOIT.view(layers, groups, outs // groups, 1, inputs, taps)
    own = torch.eye(groups, dtype=split.dtype, device=split.device).view(1, groups, 1, groups, 1, 1)
    return (split * own).reshape(layers, outs, groups * inputs, taps)


class _Layers:
    """One group of layers (of equal shape, in one array) with still knobs: where FiLM is folded."""

    def __init__(
        self, array: LayerArray, stock: LayerArray, layer: int, stack: dict[str, Tensor], e_BE: Tensor
    ) -> None:
        self.array, self.stock, self.layer, self.stack, self.e_BE = array, stock, layer, stack, e_BE

    def matrices(self) -> list[Tensor]:
        """Return the folded matrices in the order of `Folding.blocks`, each `(B or 1, L, O, I)`."""
        found = [self.convolution()]
        if _layer_needs_slopes(self.stock, self.layer):
            found.append(self.slopes())
        if self.stock.layer1x1:
            found.append(self.pointwise("layer1x1", self.array.layer1x1_groups))
        if self.stock.head1x1:
            found.append(self.pointwise("head1x1", self.array.head1x1_groups))
        return found

    def film(self, slot: str) -> tuple[Tensor, Tensor | float] | None:
        """Return scale and shift at a slot, `(B, L, C)` (0.0 for no shift), or None where there is no FiLM."""
        weight = self.stack.get(f"films.{slot}.weight")
        if weight is None:
            return None
        bias = self.stack[f"films.{slot}.bias"]
        rows = torch.addmm(bias.flatten(), self.e_BE, weight.flatten(0, 1)[..., 0].T).view(-1, *bias.shape)
        if bias.shape[1] == self._width(slot):
            return rows, 0.0
        scale, shift = rows.chunk(2, dim=2)
        return scale, shift

    def _width(self, slot: str) -> int:
        """Return the channels at a slot."""
        named = {
            "conv_pre": self.array.channels,
            "input_mixin_pre": self.stack["mixin.weight"].shape[2],
            "activation_post": self.array.width,
            "layer1x1_post": self.array.channels,
            "head1x1_post": self.array.head1x1 or 0,
        }
        return named.get(slot, self.array.conv_channels(self.layer))

    def convolution(self) -> Tensor:
        """Return all up to the activation as one matrix: the taps, the audio's part of the mixin, the constant."""
        weight, bias = (
            _ungrouped_layers(self.stack["conv.weight"], self.array.groups)[None],
            self.stack["conv.bias"][None],
        )
        if found := self.film("conv_pre"):
            scale, shift = found
            if isinstance(shift, Tensor):
                bias = bias + torch.einsum("loi,bli->blo", weight[0].sum(-1), shift)
            weight = weight * scale[:, :, None, :, None]
        if found := self.film("conv_post"):
            scale, shift = found
            weight, bias = weight * scale[..., None, None], bias * scale + shift
        audio, constant = self._mixin()
        bias = bias + constant
        if found := self.film("activation_pre"):
            scale, shift = found
            weight, audio, bias = weight * scale[..., None, None], audio * scale, bias * scale + shift
        return _join_columns(weight.flatten(3), audio[..., None], bias[..., None])

    def _mixin(self) -> tuple[Tensor, Tensor | float]:
        """Return the input mixin as weights of the audio and the constant of the features, `(B or 1, L, O)`."""
        mixin = self.stack["mixin.weight"][..., 0]
        audio, knobs = mixin[None, ..., 0], mixin[..., 1:]
        features = self.e_BE[:, None, : knobs.shape[-1]]
        constant: Tensor | float = 0.0
        if found := self.film("input_mixin_pre"):
            scale, shift = found
            features = features * scale[..., 1:]
            if isinstance(shift, Tensor):
                features = features + shift[..., 1:]
                constant = audio * shift[..., :1]
            audio = audio * scale[..., :1]
        if knobs.shape[-1]:
            constant = constant + torch.einsum("loe,ble->blo", knobs, features.expand(-1, len(knobs), -1))
        if found := self.film("input_mixin_post"):
            scale, shift = found
            audio, constant = audio * scale, constant * scale + shift
        return audio, constant

    def pointwise(self, name: str, groups: int) -> Tensor:
        """Return a 1x1 after the activation with the FiLM before and after it: weights, then the constant."""
        weight = self.stack.get(f"{name}.weight")
        if weight is None:
            eye = torch.eye(self.array.width, dtype=self.e_BE.dtype, device=self.e_BE.device)
            weight = eye[None, None].expand(1, len(self.stack["conv.bias"]), -1, -1)
            bias = weight.new_zeros(weight.shape[:3])
        else:
            weight, bias = _ungrouped_layers(weight, groups)[None, ..., 0], self.stack[f"{name}.bias"][None]
        if found := self.film("activation_post"):
            scale, shift = found
            if isinstance(shift, Tensor):
                bias = bias + torch.einsum("low,blw->blo", weight[0], shift)
            weight = weight * scale[:, :, None]
        if found := self.film(f"{name}_post"):
            scale, shift = found
            weight, bias = weight * scale[..., None], bias * scale + shift
        return _join_columns(weight, bias[..., None])

    def slopes(self) -> Tensor:
        """Return the slopes of the activation, then those of the gate; constants where they are not trained."""
        count, width = len(self.stack["conv.bias"]), self.array.width
        found = []
        for name, activation in (
            ("activation", self.array.activations[self.layer]),
            ("gate", self.array.gates[self.layer]),
        ):
            if activation is None:
                continue
            slopes = self.stack.get(f"{name}.slopes")
            if slopes is None:
                slopes = self.e_BE.new_full((count, width), activation.negative_slope)
            found.append(slopes)
        return torch.cat(found, 1)[None, ..., None]


def _join_columns(*columns: Tensor) -> Tensor:
    """Concatenate along the inputs, with what is the same for all items repeated."""
    items = max(len(column) for column in columns)
    return torch.cat([column.expand(items, *column.shape[1:]) for column in columns], -1)
