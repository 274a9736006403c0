"""Parametric `.nam` files of other projects: their knobs, their encoder, and in what order their weights are.

Told apart by architecture and keys; docs/reference/nam-files.md names the projects and what was compared with them:

* `ConcatWaveNet` (NamParametricPlugin, version 1.0.0): `config.params`; knobs are inputs beside the audio.
* `FiLMWaveNet` (the same): FiLM takes the knobs alone, or what `config.param_encoder` makes of them.
* `HyperWaveNet` (the same): see `hypernet`.
* `ParametricWaveNet` with `config.parametric`: A2 with FiLM before the activation.
* `ParametricWaveNet` with `config.param_encoder`: mixin and FiLM take the features of an encoder, and no audio.

Shapes: K knob columns, E features, O and I outputs and inputs of a layer.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.core.errors import UserError
from models.core.schema import check_document
from models.formats.nam.knob_encoder import encoder_of_layers
from models.formats.nam.parsing import HINT, Form, Node, finite_floats, optional_object
from models.knobs.schema import MAX_POSITIONS, Knobs
from models.network.dense_layer import DenseLayer
from models.network.numpy_wavenet import NumpyEncoder

PARAMETRIC = ("ConcatWaveNet", "FiLMWaveNet", "HyperWaveNet", "ParametricWaveNet")

FILM_ALONE = Form(mixin_features=False, film_audio=False, at_input=False)
NO_AUDIO = Form(mixin_audio=False, film_audio=False, at_input=False)

MAX_ENCODER = 64  # numbers that a layer of an encoder gives

A2_KERNELS = [6] * 14 + [15, 15] + [6] * 7
A2_DILATIONS = [1, 3, 7, 17, 41, 101, 239] * 2 + [1, 13] + [1, 3, 7, 17, 41, 101, 239]


@dataclass(frozen=True)
class Parametric:
    """What is special about a file: the rest of its weights is that of a stock WaveNet.

    `film_mid` and `film_half` are those of knobs that FiLM takes as faceplate values: value = mid + half * level.
    """

    knobs: Knobs
    shape: Node
    form: Form
    weights: list[float]
    encoder: NumpyEncoder | None = None
    film_mid_K: np.ndarray = field(default_factory=lambda: np.zeros(0))
    film_half_K: np.ndarray = field(default_factory=lambda: np.zeros(0))


def read_parametric(document: Node) -> Parametric:
    """Return what is special about a file of another project; raises `UserError` for a kind that is not known."""
    name, shape = document.get("architecture", str, ""), document.child("config")
    if name == "ConcatWaveNet":
        return Parametric(read_params(shape), _with_sizes(shape), Form(), finite_floats(document, "weights"))
    if name == "FiLMWaveNet":
        return _film_wavenet(document, shape)
    if "parametric" in shape.value:
        return _a2_with_film(document, shape)
    if "param_encoder" in shape.value:
        return _with_param_encoder(document, shape)
    kind = " of an early kind (param_names)" if "param_names" in shape.value else " of an unknown kind"
    raise UserError(
        f"{document.where}: it is a ParametricWaveNet{kind}; those with config.parametric or config.param_encoder "
        "can be read",
        "Export it anew with a newer version of its trainer, or with fixed knobs.",
    )


# Knobs.


def read_params(shape: Node) -> Knobs:
    """Return the knobs of `config.params`: of type `continuous`, or `switch` with `enum_names`."""
    known, knobs = set(), []
    for node in shape.children("params", 32):
        name = _spelled(node.get("name", str, ""), known)
        if node.get("type", str, "continuous") == "switch":
            positions = _positions(node)
            default = node.get("default", int | float, 0)
            if not (math.isfinite(default) and default == int(default) and 0 <= default < len(positions)):
                raise UserError(f"{node.where}: 'default' is {default!r:.20}, not the number of a position", HINT)
            knobs.append({"name": name, "positions": positions, "default": positions[int(default)]})
            continue
        step = {} if node.value.get("step") is None else {"step": node.value["step"]}
        knobs.append({"name": name, **_knob_range(node, "min", "max"), **step, "avoid_zero": _flag(node, "avoid_zero")})
    return check_document({"knobs": knobs}, Knobs, f"{shape.where}: params")


def _knob_range(node: Node, low: str, high: str) -> dict[str, Any]:
    """Return min, max and default of a knob; the default is the middle where none is stated."""
    values = {"min": node.get(low, int | float, None), "max": node.get(high, int | float, None)}
    if missing := [key for key, value in zip((low, high), values.values(), strict=True) if value is None]:
        raise UserError(f"{node.where}: '{missing[0]}' is missing", HINT)
    default = node.value.get("default")
    return values if default is None else {**values, "default": default}


def _flag(node: Node, key: str) -> bool:
    return node.get(key, bool, False)


def _positions(node: Node) -> list[str]:
    names, known = node.value.get("enum_names"), set()
    listed = isinstance(names, list) and 2 <= len(names) <= MAX_POSITIONS
    if not listed or not all(isinstance(name, str) for name in names):
        raise UserError(f"{node.where}: 'enum_names' is not a list of 2 to {MAX_POSITIONS} texts", HINT)
    spelled = []
    for number, name in enumerate(names, 1):
        plain = re.sub(r"[^A-Za-z0-9 _.+-]+", "-", name)[:32].lstrip(" _.+-").rstrip() or f"position {number}"
        while plain in known:
            plain = f"{plain[:28]} {number}"
        known.add(plain)
        spelled.append(plain)
    return spelled


def _spelled(name: str, known: set[str]) -> str:
    """Return a knob's name in our spelling, unlike those that are `known`, and add it to them."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:32].rstrip("-_")
    plain = plain if plain[:1].isalpha() else f"knob-{plain}"[:32].rstrip("-")
    number, found = 2, plain
    while found in known:
        found, number = f"{plain[:28]}-{number}", number + 1
    known.add(found)
    return found


# The forms.


def _with_sizes(shape: Node) -> Node:
    """Return the config of a net whose knobs are inputs, with the sizes that the file may leave out."""
    if shape.value.get("condition_dsp") is not None:
        raise UserError(f"{shape.where}: it has a condition network beside its knobs", HINT)
    inputs = 1 + read_params(shape).columns()
    layers = [{"condition_size": inputs, **node.value} for node in shape.children("layers")]
    layers[0] = {"input_size": inputs, **layers[0]}
    _refuse_packing(shape)
    return replace_layers(shape, layers)


def replace_layers(shape: Node, layers: Sequence[dict[str, Any]]) -> Node:
    """Return a config with other layer arrays."""
    return Node({**shape.value, "layers": list(layers)}, shape.where)


def _refuse_packing(shape: Node) -> None:
    for node in shape.children("layers"):
        if node.value.get("packing") is not None:
            raise UserError(f"{node.where}: its channels are packed, which is not read", HINT)


def _film_wavenet(document: Node, shape: Node) -> Parametric:
    """A stock net of one input, whose FiLM takes the knobs alone; the weights begin with the encoder's."""
    if shape.value.get("condition_dsp") is not None:
        raise UserError(f"{shape.where}: it has a condition network beside its knobs", HINT)
    _refuse_packing(shape)
    knobs, weights = read_params(shape), finite_floats(document, "weights")
    columns, encoder = knobs.columns(), None
    if shape.value.get("param_encoder") is not None:
        node = shape.child("param_encoder")
        hidden = _widths(node, node.value.get("hidden_sizes", []))
        last = _widths(node, [node.value.get("out_features", columns)])[0]
        activation = node.value.get("activation", "ReLU")
        dense = [*((width, activation) for width in hidden), (last, None)]
        encoder, weights = _take_encoder(node, dense, columns, weights)
    features = columns if encoder is None else encoder.features
    for layer in shape.children("layers"):
        if (found := layer.get("film_condition_size", int, features)) != features:
            raise UserError(f"{layer.where}: film_condition_size is {found}, expected {features}", HINT)
    return Parametric(knobs, shape, FILM_ALONE, weights, encoder)


def _with_param_encoder(document: Node, shape: Node) -> Parametric:
    """Mixin and FiLM take the features of two layers of tanh alone; knobs go from 0 to 1 into the first."""
    node, known, knobs = shape.child("param_encoder"), set(), []
    for param in node.children("params", 32):
        knobs.append({"name": _spelled(param.get("name", str, ""), known), **_knob_range(param, "minimum", "maximum")})
    schema = check_document({"knobs": knobs}, Knobs, f"{node.where}: params")
    columns = schema.columns()
    if (count := node.get("num_params", int, columns)) != columns:
        raise UserError(f"{node.where}: num_params is {count}, 'params' lists {columns}", HINT)
    sizes = _widths(node, [node.value.get("hidden_size"), node.value.get("condition_size")])
    activation = node.value.get("activation", "Tanh")
    dense = [(width, activation) for width in sizes]
    encoder, weights = _take_encoder(node, dense, columns, finite_floats(document, "weights"), low=0.0)
    layers = []
    for layer in shape.children("layers"):
        if optional_object(layer, "input_mixin_pre_film").get("active", bool, False):
            raise UserError(f"{layer.where}: FiLM at input_mixin_pre takes no audio here, which is not read", HINT)
        kernel = layer.get("head_kernel_size", int, 1)
        head = {
            "out_channels": layer.value.get("head_size"),
            "kernel_size": kernel,
            "bias": layer.get("head_bias", bool, True),
        }
        layers.append(layer.value if "head" in layer.value else {**layer.value, "head": head})
    return Parametric(schema, replace_layers(shape, layers), NO_AUDIO, weights, encoder)


def _a2_with_film(document: Node, shape: Node) -> Parametric:
    """NAM's A2 with FiLM before the activation, which takes faceplate values; `config.layers` is the channels."""
    node, known, knobs = shape.child("parametric"), set(), []
    version, head = node.get("schema_version", int, 0), node.get("head_mode", str, "residual")
    if (kind := node.get("type", str, "film")) != "film" or version not in (0, 1) or head != "skip":
        found = f"type {kind!r:.20}, schema_version {version}, head_mode {head!r:.20}"
        raise UserError(f"{node.where}: it has {found}; only film, 1 and skip can be read", HINT)
    for param in node.children("parameters", 32):
        steps = param.get("steps", int, 0)
        values = _knob_range(param, "min", "max")
        if steps >= 2 and isinstance(values["max"], int | float):
            values["step"] = (values["max"] - values["min"]) / (steps - 1)
        knobs.append({"name": _spelled(param.get("name", str, ""), known), **values})
    schema = check_document({"knobs": knobs}, Knobs, f"{node.where}: parameters")
    if (count := node.get("condition_size", int, schema.columns())) != schema.columns():
        raise UserError(f"{node.where}: condition_size is {count}, 'parameters' lists {schema.columns()}", HINT)
    array = {
        "input_size": 1,
        "condition_size": 1,
        "channels": shape.value.get("layers"),
        "kernel_sizes": A2_KERNELS,
        "dilations": A2_DILATIONS,
        "activation": {"type": "LeakyReLU", "negative_slope": 0.01},
        "head": {"out_channels": 1, "kernel_size": 16, "bias": True},
        "activation_pre_film": {"active": True, "shift": True, "groups": 1},
    }
    low, high = (np.array([knob[key] for knob in knobs], np.float64) for key in ("min", "max"))
    form, weights = FILM_ALONE, finite_floats(document, "weights")
    return Parametric(schema, replace_layers(shape, [array]), form, weights, None, (low + high) / 2, (high - low) / 2)


# The encoder.


def _widths(node: Node, values: Any) -> list[int]:
    """Return sizes of an encoder's layers, as they are stated."""
    if not isinstance(values, list) or len(values) > 7:
        raise UserError(f"{node.where}: its hidden sizes are not a list of up to 7 numbers", HINT)
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_ENCODER:
            raise UserError(f"{node.where}: a size is {value!r:.20}, legal are 1 to {MAX_ENCODER}", HINT)
    return values


def _take_encoder(
    node: Node, dense: Sequence[tuple[int, Any]], columns: int, weights: list[float], low: float = -1.0
) -> tuple[NumpyEncoder, list[float]]:
    """Return the encoder whose layers the weights begin with, and the weights after them.

    Per layer its matrix, row by row, then its bias. Knobs go from `low` to 1 into it; ours are levels.
    """
    described = [{"width": width, "activation": activation} for width, activation in dense]
    layers = [check_document(layer, DenseLayer, node.where) for layer in described]
    numbers, inputs, begin = [], columns, 0
    for layer in layers:
        matrix, end = begin + layer.width * inputs, begin + layer.width * (inputs + 1)
        if end > len(weights):
            raise UserError(f"{node.where}: the file has {len(weights)} weights, too few for its config", HINT)
        numbers.append((np.array(weights[begin:matrix]).reshape(layer.width, inputs), np.array(weights[matrix:end])))
        inputs, begin = layer.width, end
    weight, bias = numbers[0]
    numbers[0] = weight * (1 - low) / 2, bias + weight.sum(1) * (1 + low) / 2
    single = [(weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in numbers]
    return encoder_of_layers(single, layers), weights[begin:]
