"""A WaveNet `.nam` file, stock or live, A1 to A2 -> a model of our family.

Reads what NeuralAmpModelerCore reads of versions 0.5.0 to 0.7.x. Whatever would not play the same here is refused, with the reason.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.artifacts.model_config import ModelConfig, make_config
from models.audio.calibration import Levels
from models.core.errors import UserError
from models.core.schema import check_document, read_json
from models.formats.nam.knob_encoder import is_own, read_encoder
from models.formats.nam.parsing import (
    HINT,
    MAX_CHANNELS,
    Node,
    array_of,
    check_sizes,
    each,
    floats,
    head_of,
    injection,
    kind_of,
    largest,
    optional,
)
from models.knobs.schema import MAX_COLUMNS, Encoding, Knobs
from models.network.architecture import SLOTS, Film, Injection, Slot, WaveNetConfig
from models.network.wavenet import Layer, Nonlinear, WaveNet

MAX_NESTED = 4  # condition networks in one another

ALLOCATED_FREELY = 1 << 20  # numbers

DEFAULT_RATE_HZ = 48000  # players take a file that does not say for this


def read_nam(path: Path) -> tuple[ModelConfig, WaveNet]:
    """Read a WaveNet `.nam`; its name is the file's, its knobs those of `metadata.knobs`, else `knob1`, ... from -1 to 1.

    Of a `SlimmableContainer`, as the trainer of 0.13 writes it, the largest of its models is read. FiLM after the 1x1 of a layer that is
    not blended becomes the identity: NeuralAmpModelerCore leaves it out. Raises `UserError` for a file that is not one, is damaged, is too
    large, or has what no trainer writes: a condition network that is no WaveNet, slopes per channel behind the stack.
    """
    document = Node(read_json(path), str(path))
    if kind_of(document) == "SlimmableContainer":
        document = largest(document)
    if (kind := kind_of(document)) != "WaveNet":
        raise UserError(f"{document.where}: architecture is '{kind}'; only WaveNet can be read", HINT)
    knobs = document.child("config").get("in_channels", int, 1) - 1
    if not 0 <= knobs <= MAX_COLUMNS:
        raise UserError(f"{path}: in_channels is {knobs + 1}, legal are 1 to {MAX_COLUMNS + 1}", HINT)
    schema, encoding = _knob_schema(document, knobs)
    net = _net(document, knobs, 1, encoding)
    rate = document.value.get("sample_rate") or DEFAULT_RATE_HZ
    if not isinstance(rate, int | float) or not 8000 <= rate <= 192000:
        raise UserError(f"{path}: sample_rate is {rate!r:.20}, legal are 8000 to 192000 Hz", HINT)
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in path.stem.lower()).strip("-") or "model"
    metadata = document.value.get("metadata")
    known = {key: metadata.get(key) for key in Levels.model_fields} if isinstance(metadata, dict) else {}
    levels = check_document(known, Levels, f"{document.where}: metadata")
    return make_config(name[:64], int(rate), schema, net.config, levels), net.eval()


@torch.no_grad()
def _net(document: Node, knobs: int, outputs: int, encoding: Encoding, nested: int = 0) -> WaveNet:
    """The net of a document, without the ways in whose weights are zero. A condition network is read by the same way."""
    shape, where = document.child("config"), f"{document.where}: config"
    layers = shape.children("layers")
    heard, encoder, condition = 1 + knobs, None, None
    if shape.value.get("condition_dsp") is not None:
        inner = shape.child("condition_dsp")
        if is_own(inner.value):
            encoder = read_encoder(inner.value, knobs, inner.where)
            heard = 1 + encoder.features
        else:
            heard = layers[0].get("condition_size", int, 1)
            condition = _condition(inner, document, knobs, heard, nested)
    check_sizes(layers, knobs, heard, outputs, shape)
    described = {
        "arrays": [array_of(layer, layer is layers[-1]) for layer in layers],
        "inject": injection(layers, knobs, heard, encoder, encoding),
        "head": head_of(shape, layers[-1], outputs),
        "condition": None if condition is None else {"outputs": heard, "net": condition.config.model_dump()},
    }
    config = check_document(described, WaveNetConfig, where)
    weights = floats(document, "weights")
    promised = config.macs_per_sample(knobs, outputs)  # about one per weight
    promised -= 0 if condition is None else condition.config.macs_per_sample(knobs, heard)
    if promised > ALLOCATED_FREELY + 2 * len(weights):  # before it is allocated: can so many numbers fill it?
        raise UserError(f"{document.where}: it has {len(weights)} weights, too few for its config", HINT)
    net = WaveNet(config, knobs, outputs)
    if net.encoder is not None and encoder is not None:
        net.encoder.load_state_dict(encoder.state_dict())
    if net.condition is not None and condition is not None:
        net.condition.load_state_dict(condition.state_dict())
    _load(net, layers, weights, document.where)
    return _prune(net)


def _condition(inner: Node, outer: Node, knobs: int, outputs: int, nested: int) -> WaveNet:
    """A condition network that is not our encoder."""
    if nested >= MAX_NESTED:
        raise UserError(f"{inner.where}: more than {MAX_NESTED} condition networks lie in one another", HINT)
    if (kind := kind_of(inner)) != "WaveNet":
        raise UserError(f"{inner.where}: architecture is '{kind}'; only WaveNet can be read", HINT)
    if (rate := inner.value.get("sample_rate")) != (expected := outer.value.get("sample_rate")):
        raise UserError(f"{inner.where}: sample_rate is {rate!r:.20}, that of its model {expected!r:.20}", HINT)
    if (found := inner.child("config").get("in_channels", int, 1)) != 1 + knobs:
        raise UserError(f"{inner.where}: in_channels is {found}, expected {1 + knobs}", HINT)
    if not 1 <= outputs <= MAX_CHANNELS:
        raise UserError(f"{outer.where}: condition_size is {outputs}, legal are 1 to {MAX_CHANNELS}", HINT)
    return _net(inner, knobs, outputs, "levels", nested + 1)


def _load(net: WaveNet, layers: Sequence[Node], weights: list[float], where: str) -> None:
    """Fill a net from the flat list, in the file's order; its length must be exactly right."""
    flat, position = torch.tensor(weights, dtype=torch.float32), 0

    def take(*shape: int) -> Tensor:
        nonlocal position
        size = int(torch.tensor(shape).prod())
        if position + size > len(flat):
            raise UserError(f"{where}: it has {len(flat)} weights, too few for its config", HINT)
        part = flat[position : position + size].reshape(shape)
        position += size
        return part

    for array, node in zip(net.arrays, layers, strict=True):
        array.rechannel.weight.copy_(take(*array.rechannel.weight.shape))
        depth, groups = len(array.layers), node.get("groups_input_mixin", int, 1)
        activations = each(node.value.get("activation", "Tanh"), depth)
        gates = each(node.value.get("secondary_activation"), depth)
        for layer, activation, gate in zip(array.layers, activations, gates, strict=False):
            _take_conv(layer.conv, take)
            rows, columns = layer.mixin.weight.shape[:2]
            layer.mixin.weight.copy_(_dense(take, rows, columns, groups, node.where)[..., None])
            for conv in (layer.layer1x1, layer.head1x1):
                if conv is not None:
                    _take_conv(conv, take)
            _take_films(layer, node, take, 1 + net.features)
            _take_slopes(layer.activation, activation, node.where)
            if layer.gate is not None:
                _take_slopes(layer.gate, gate, node.where)
        _take_conv(array.head, take)
    for conv in net.head.convs if net.head is not None else ():
        _take_conv(conv, take)
    net.head_scale.copy_(take(1)[0])
    if position != len(flat):
        raise UserError(f"{where}: it has {len(flat)} weights, its config needs {position}", HINT)


def _take_slopes(nonlinear: Nonlinear, described: Any, where: str) -> None:
    """PReLU's slopes stand in its description."""
    if nonlinear.slopes is not None and isinstance(described, dict) and "negative_slopes" in described:
        slopes = torch.tensor(floats(Node(described, where), "negative_slopes"))
        if len(slopes) not in (1, len(nonlinear.slopes)):
            raise UserError(f"{where}: PReLU has {len(slopes)} slopes for {len(nonlinear.slopes)} channels", HINT)
        nonlinear.slopes.copy_(slopes)


def _take_conv(conv: nn.Conv1d, take: Any) -> None:
    conv.weight.copy_(take(*conv.weight.shape))
    if conv.bias is not None:
        conv.bias.copy_(take(*conv.bias.shape))


def _take_films(layer: Layer, node: Node, take: Any, conditions: int) -> None:
    for slot in SLOTS:
        film = layer.film(slot)
        if film is None:
            continue
        groups = optional(node, f"{slot}_film").get("groups", int, 1)
        weight, bias = _dense(take, film.weight.shape[0], conditions, groups, node.where), take(film.bias.shape[0])
        if slot == "layer1x1_post" and layer.gating != "blended":  # players leave it out
            channels = len(bias) // (2 if film.shift else 1)
            weight, bias = torch.zeros_like(weight), torch.zeros_like(bias)
            bias[:channels] = 1
        film.weight.copy_(weight[..., None])
        film.bias.copy_(bias)


def _dense(take: Any, rows: int, columns: int, groups: int, where: str) -> Tensor:
    """A 1x1 weight, grouped ones as the block diagonal matrix they are."""
    if groups < 1 or rows % groups or columns % groups:
        raise UserError(f"{where}: {groups} groups do not divide {rows} by {columns}", HINT)
    blocks = take(groups, rows // groups, columns // groups)
    return torch.block_diag(*blocks)


def _knob_schema(document: Node, columns: int) -> tuple[Knobs, Encoding]:
    """The knobs of a file whose inputs beside the audio are `columns`, and which columns they become."""
    metadata = document.value.get("metadata")
    stated = metadata.get("knobs") if isinstance(metadata, Mapping) else None
    if isinstance(metadata, Mapping) and stated is not None and columns:
        schema = check_document({"knobs": stated}, Knobs, f"{document.where}: metadata")
        encoding: Encoding = "type_level" if metadata.get("knob_encoding") == "type_level" else "levels"
        if schema.columns(encoding) != columns:
            message = f"{document.where}: its knobs need {schema.columns(encoding)} inputs, in_channels has {columns}"
            raise UserError(message, HINT)
        return schema, encoding
    unnamed = [{"name": f"knob{number}", "min": -1, "max": 1} for number in range(1, columns + 1)]
    return check_document({"knobs": unnamed}, Knobs, document.where), "levels"


def _prune(net: WaveNet) -> WaveNet:
    """The same net without ways in whose weights are zero."""
    inject, arrays = net.config.inject, list(net.arrays)
    films: dict[tuple[Slot, bool, bool], list[int]] = {}
    for slot, index in product(SLOTS, range(len(arrays))):
        if found := [film for layer in arrays[index].layers if (film := layer.film(slot)) is not None]:
            audio = net.features == 0 or any(bool(film.weight[:, 0].any()) for film in found)
            films.setdefault((slot, found[0].shift, audio), []).append(index)
    lean_inject = Injection(
        encoding=inject.encoding,
        input=bool(arrays[0].rechannel.weight[:, 1:].any()),
        mixin=any(bool(layer.mixin.weight[:, 1:].any()) for array in arrays for layer in array.layers),
        film=tuple(
            Film(slot=slot, shift=shift, audio=audio, arrays=None if len(at) == len(arrays) else tuple(at))
            for (slot, shift, audio), at in films.items()
        ),
        encoder=inject.encoder,
        warp=inject.warp,
    )
    lean = WaveNet(net.config.model_copy(update={"inject": lean_inject}), net.knobs, net.outputs)
    kept = dict(net.state_dict())
    for name, tensor in lean.state_dict().items():
        source = kept[name]
        if name.endswith(("rechannel.weight", "mixin.weight")):
            source = source[:, : tensor.shape[1]]
        elif ".films." in name:
            if "input_mixin_pre" in name and len(source) != len(tensor):  # the audio's scale, then shift
                source = torch.stack([rows[0] for rows in source.chunk(len(tensor))])
            source = source[:, source.shape[1] - tensor.shape[1] :] if name.endswith("weight") else source
        tensor.copy_(source)
    return lean
