"""A WaveNet `.nam` file, stock or live, A1 to A2 -> a model of our family.

Reads what NeuralAmpModelerCore reads of versions 0.5.0 to 0.7.x. Whatever would not play the same here is refused, with the reason.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.architecture import SLOTS, WaveNetConfig
from models.documents import ModelConfig, make_config
from models.encoder import Encoder
from models.errors import UserError
from models.files import check_document, read_json
from models.knobs import MAX_COLUMNS, Encoding, Knobs
from models.nam_encoder import read_encoder
from models.wavenet import Layer, WaveNet

VERSIONS = ("0.5.", "0.6.", "0.7.")
HINT = "Export the model again from its trainer."
MAX_CHANNELS = 64
DEFAULT_RATE_HZ = 48000  # players take a file that does not say for this
PLAIN_HARDTANH = {"min_val": -1.0, "max_val": 1.0}


def read_nam(path: Path) -> tuple[ModelConfig, WaveNet]:
    """Read a WaveNet `.nam`; its name is the file's, its knobs those of `metadata.knobs`, else `knob1`, ... from -1 to 1.

    Of a `SlimmableContainer`, as the trainer of 0.13 writes it, the largest of its models is read. Raises `UserError` for a file that is not one, is damaged, is too large, or uses what the family does not have: post-stack heads,
    FiLM that hears the audio, other condition networks than our encoder.
    """
    document = _Node(read_json(path), str(path))
    if _kind(document) == "SlimmableContainer":
        document = _largest(document)
    if (kind := _kind(document)) != "WaveNet":
        raise UserError(f"{document.where}: architecture is '{kind}'; only WaveNet can be read", HINT)
    shape = document.child("config")
    if shape.get("head", object, None) is not None:
        raise UserError(f"{path}: it has a post-stack head, which the family does not", HINT)
    knobs = shape.get("in_channels", int, 1) - 1
    if not 0 <= knobs <= MAX_COLUMNS:
        raise UserError(f"{path}: in_channels is {knobs + 1}, legal are 1 to {MAX_COLUMNS + 1}", HINT)
    layers = shape.children("layers")
    nested = shape.value.get("condition_dsp")
    encoder = read_encoder(nested, knobs, f"{path}: condition_dsp") if nested is not None else None
    schema, encoding = _knob_schema(document, knobs)
    described = _architecture(layers, knobs, encoder, encoding)
    net = WaveNet(check_document(described, WaveNetConfig, f"{path}: config"), knobs)
    _load(net, layers, _floats(document, "weights"), encoder, str(path))
    rate = document.value.get("sample_rate") or DEFAULT_RATE_HZ
    if not isinstance(rate, int | float) or not 8000 <= rate <= 192000:
        raise UserError(f"{path}: sample_rate is {rate!r:.20}, legal are 8000 to 192000 Hz", HINT)
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in path.stem.lower()).strip("-") or "model"
    return make_config(name[:64], int(rate), schema, (lean := _prune(net)).config), lean.eval()


class _Node:
    """A JSON object whose errors say where in the file it stands."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise UserError(f"{where} is not an object", HINT)
        self.value, self.where = value, where

    def get(self, key: str, kind: Any, default: Any) -> Any:
        found = self.value.get(key, default)
        if found is not default and (
            not isinstance(found, kind) or (kind is not object and isinstance(found, bool) != (kind is bool))
        ):
            raise UserError(f"{self.where}: '{key}' is a {type(found).__name__}", HINT)
        return found

    def child(self, key: str) -> "_Node":
        return _Node(self.value.get(key), f"{self.where}: {key}")

    def children(self, key: str, most: int = 4) -> list["_Node"]:
        found = self.value.get(key)
        if not isinstance(found, list) or not 1 <= len(found) <= most:
            raise UserError(f"{self.where}: '{key}' is not a list of 1 to {most} objects", HINT)
        return [_Node(item, f"{self.where}: {key}.{index}") for index, item in enumerate(found)]


def _kind(document: _Node) -> str:
    """The architecture of a document of a version that can be read."""
    version = document.get("version", str, "")
    if not version.startswith(VERSIONS):
        raise UserError(f"{document.where}: version is '{version}'; 0.5.0 to 0.7.x can be read", HINT)
    return document.get("architecture", str, "")


def _largest(container: _Node) -> _Node:
    """The model of a container that is played at full size."""
    models = container.child("config").children("submodels", 16)
    return max(models, key=lambda node: node.get("max_value", int | float, 0)).child("model")


def _architecture(layers: Sequence[_Node], knobs: int, encoder: Encoder | None, encoding: str) -> dict[str, Any]:
    """The config of the widest net the file may need: knobs at the input and the mixin; `_prune` takes away what is zero."""
    features = knobs if encoder is None else encoder.features
    inputs = 1 + knobs
    for layer in layers:
        for key, expected in (("condition_size", 1 + features), ("input_size", inputs)):
            if (found := layer.get(key, int, 1)) != expected:
                raise UserError(f"{layer.where}: {key} is {found}, expected {expected}", HINT)
        inputs = layer.get("channels", int, 0)
        if not 1 <= inputs <= MAX_CHANNELS:
            raise UserError(f"{layer.where}: channels is {inputs}, legal are 1 to {MAX_CHANNELS}", HINT)
    films = []
    for slot in SLOTS:
        nodes = [_Node(layer.value.get(f"{slot}_film") or {}, f"{layer.where}: {slot}_film") for layer in layers]
        active = [index for index, node in enumerate(nodes) if node.get("active", bool, False)]
        if active:
            shifts = {nodes[index].get("shift", bool, True) for index in active}
            if len(shifts) > 1:
                raise UserError(f"{nodes[0].where}: arrays differ in shift, which the family does not", HINT)
            films.append(
                {"slot": slot, "shift": shifts.pop(), "arrays": None if len(active) == len(layers) else active}
            )
    warp = None if encoder is None or encoder.warp is None else encoder.warp.log_slopes.shape[1]
    dense = None if encoder is None or encoder.dense is None else features
    ways = {"input": knobs > 0, "mixin": knobs > 0, "film": films}
    inject = {"encoding": encoding, **ways, "warp": warp, "encoder": dense}
    return {"arrays": [_array(layer, layer is layers[-1]) for layer in layers], "inject": inject}


def _array(layer: _Node, last: bool) -> dict[str, Any]:
    channels, bias = layer.value.get("channels"), layer.get("head_bias", bool, False)
    head, dilations = layer.value.get("head"), layer.value.get("dilations")
    depth = len(dilations) if isinstance(dilations, list) else 0
    heads = _Node(head if head is not None else {}, f"{layer.where}: head")
    layer1x1 = _Node(layer.value.get("layer1x1") or {}, f"{layer.where}: layer1x1")
    head1x1 = _Node(layer.value.get("head1x1") or {}, f"{layer.where}: head1x1")
    modes = layer.value.get("gating_mode", "gated" if layer.get("gated", bool, False) else "none")
    gating = modes if isinstance(modes, list) else [modes]
    gates = layer.value.get("secondary_activation")
    gates = [gate for gate in (gates if isinstance(gates, list) else [gates]) if gate is not None]
    bias = heads.get("bias", bool, bias)
    bottleneck = layer.value.get("bottleneck")
    if any(mode != gating[0] for mode in gating) or any(gate != gates[0] for gate in gates):
        raise UserError(f"{layer.where}: layers of one array differ in gating, which the family does not", HINT)
    return {
        "channels": channels,
        "bottleneck": None if bottleneck == channels else bottleneck,
        "kernel_size": layer.value.get("kernel_sizes", layer.value.get("kernel_size")),
        "dilations": dilations,
        "activation": [_activation(value, layer) for value in _each(layer.value.get("activation", "Tanh"), depth)],
        "gating": gating[0] if gating else "none",
        "gate": _activation(gates[0], layer) if gates else "Sigmoid",
        "groups": layer.get("groups_input", int, 1),
        "layer1x1": layer1x1.get("active", bool, True),
        "layer1x1_groups": layer1x1.get("groups", int, 1),
        "head1x1": head1x1.get("out_channels", int, 1) if head1x1.get("active", bool, False) else None,
        "head1x1_groups": head1x1.get("groups", int, 1) if head1x1.get("active", bool, False) else 1,
        "head_kernel_size": heads.get("kernel_size", int, 1),
        "head_bias": None if bias == last else bias,
    }


def _each(value: Any, depth: int) -> list[Any]:
    return value if isinstance(value, list) else [value] * depth


def _activation(value: Any, layer: _Node) -> dict[str, Any]:
    described = {"type": value} if isinstance(value, str) else value
    if not isinstance(described, dict):
        raise UserError(f"{layer.where}: activation is a {type(value).__name__}", HINT)
    known = {key: item for key, item in described.items() if key in ("type", "negative_slope")}
    bounds = {key: item for key, item in described.items() if key in PLAIN_HARDTANH}
    if any(PLAIN_HARDTANH[key] != item for key, item in bounds.items()):
        raise UserError(f"{layer.where}: activation {described} has other bounds than -1 and 1", HINT)
    return known


def _floats(node: _Node, key: str) -> list[float]:
    values = node.value.get(key)
    if not isinstance(values, list) or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise UserError(f"{node.where}: '{key}' is not a list of numbers", HINT)
    if not all(-3.4e38 < v < 3.4e38 for v in values):
        raise UserError(f"{node.where}: '{key}' holds a number that is not finite in single precision", HINT)
    return values


@torch.no_grad()
def _load(net: WaveNet, layers: Sequence[_Node], weights: list[float], encoder: Encoder | None, where: str) -> None:
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

    if net.encoder is not None and encoder is not None:
        net.encoder.load_state_dict(encoder.state_dict())
    for array, node in zip(net.arrays, layers, strict=True):
        array.rechannel.weight.copy_(take(*array.rechannel.weight.shape))
        activations = _each(node.value.get("activation", "Tanh"), len(array.layers))
        groups = node.get("groups_input_mixin", int, 1)
        for layer, activation in zip(array.layers, activations, strict=True):
            _take_conv(layer.conv, take)
            rows, columns = layer.mixin.weight.shape[:2]
            layer.mixin.weight.copy_(_dense(take, rows, columns, groups, node.where)[..., None])
            for conv in (layer.layer1x1, layer.head1x1):
                if conv is not None:
                    _take_conv(conv, take)
            _take_films(layer, node, take, columns)
            if layer.activation.slopes is not None and isinstance(activation, dict) and "negative_slopes" in activation:
                slopes = torch.tensor(_floats(_Node(activation, node.where), "negative_slopes"))
                if slopes.shape != layer.activation.slopes.shape:
                    raise UserError(
                        f"{node.where}: PReLU has {len(slopes)} slopes for {len(layer.activation.slopes)} channels",
                        HINT,
                    )
                layer.activation.slopes.copy_(slopes)
        _take_conv(array.head, take)
    net.head_scale.copy_(take(1)[0])
    if position != len(flat):
        raise UserError(f"{where}: it has {len(flat)} weights, its config needs {position}", HINT)


def _take_conv(conv: nn.Conv1d, take: Any) -> None:
    conv.weight.copy_(take(*conv.weight.shape))
    if conv.bias is not None:
        conv.bias.copy_(take(*conv.bias.shape))


def _take_films(layer: Layer, node: _Node, take: Any, conditions: int) -> None:
    for slot in SLOTS:
        film = layer.film(slot)
        if film is None:
            continue
        groups = _Node(node.value[f"{slot}_film"], f"{node.where}: {slot}_film").get("groups", int, 1)
        weight = _dense(take, film.weight.shape[0], conditions, groups, node.where)
        if weight[:, 0].any():
            raise UserError(f"{node.where}: {slot}_film hears the audio, which the family does not", HINT)
        film.weight.copy_(weight[:, 1:, None])
        film.bias.copy_(take(film.bias.shape[0]))


def _dense(take: Any, rows: int, columns: int, groups: int, where: str) -> Tensor:
    """A 1x1 weight, grouped ones as the block diagonal matrix they are."""
    if groups < 1 or rows % groups or columns % groups:
        raise UserError(f"{where}: {groups} groups do not divide {rows} by {columns}", HINT)
    blocks = take(groups, rows // groups, columns // groups)
    return torch.block_diag(*blocks)


def _knob_schema(document: _Node, columns: int) -> tuple[Knobs, Encoding]:
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


@torch.no_grad()
def _prune(net: WaveNet) -> WaveNet:
    """The same net without ways in whose weights are zero."""
    inject = net.config.inject
    first = next(iter(net.arrays)).rechannel.weight[:, 1:]
    mixed = any(layer.mixin.weight[:, 1:].any() for array in net.arrays for layer in array.layers)
    changed = {"input": bool(first.any()), "mixin": mixed}
    if all(getattr(inject, name) == value for name, value in changed.items()):
        return net
    lean = WaveNet(net.config.model_copy(update={"inject": inject.model_copy(update=changed)}), net.knobs)
    kept = dict(net.state_dict())
    for name, tensor in lean.state_dict().items():
        source = kept[name]
        if name.endswith(("rechannel.weight", "mixin.weight")):
            source = source[:, : tensor.shape[1]]
        elif "films.input_mixin_pre" in name and source.shape != tensor.shape:
            source = torch.stack([rows[0] for rows in source.chunk(tensor.shape[0])])  # the audio's scale, then shift
        tensor.copy_(source)
    return lean
