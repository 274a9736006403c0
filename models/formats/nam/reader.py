"""Read a WaveNet `.nam` file, stock or live, A1 to A2, as a model.

Reads what NeuralAmpModelerCore reads of versions 0.5.0 to 0.7.x. What would not play the same here raises `UserError`.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.artifacts.model_config import ModelConfig, make_config
from models.audio.calibration import AnalogLevels
from models.core.errors import Notice, UserError
from models.core.schema import check_document, read_json
from models.formats.nam.hypernet import live_net, read_hypernet
from models.formats.nam.knob_encoder import is_own, read_encoder
from models.formats.nam.parametric import PARAMETRIC, read_parametric
from models.formats.nam.parsing import (
    HINT,
    MAX_CHANNELS,
    MAX_SUBMODELS,
    Form,
    Node,
    architecture_of,
    array_of,
    check_sizes,
    finite_floats,
    injection_of,
    largest_submodel,
    optional_object,
    per_layer,
    post_head_of,
)
from models.formats.nam.writer import OLD_PLAYERS, film_left_out_by_old_players
from models.knobs.schema import MAX_COLUMNS, Encoding, Knobs
from models.network.architecture import SLOTS, Film, Injection, Slot, WaveNetConfig
from models.network.numpy_wavenet import (
    NumpyConv,
    NumpyEncoder,
    NumpyLayer,
    NumpyNonlinear,
    NumpyWaveNet,
    parameter_shapes,
)

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet

CONTAINERS = ("SlimmableContainer", "SlimmableParametricContainer")

MAX_NESTED = 4  # condition networks inside each other

ALLOCATED_FREELY = 1 << 20  # weights that are allocated before the file is known to hold as many

DEFAULT_RATE_HZ = 48000  # of a file that states none, as players assume


def read_nam(path: Path) -> tuple[ModelConfig, "WaveNet"]:
    """Read a WaveNet `.nam` file as a torch module; see `read_nam_weights`."""
    from models.network.wavenet import as_module

    config, net = read_nam_weights(path)
    return config, as_module(net)


def read_nam_weights(path: Path) -> tuple[ModelConfig, NumpyWaveNet]:
    """Read a WaveNet `.nam` file; returns its config and its net as numpy arrays.

    The name is that of the file, the knobs are those of `metadata.knobs`, else `knob1`, ... from -1 to 1. Parametric
    files of other projects state their knobs (`parametric`); a HyperWaveNet whose knobs do not fold is read with the
    knobs at their defaults, with a `Notice`. Of a `SlimmableContainer`, as version 0.13 of the trainer writes it, the
    largest model is read; rate and levels that the container states hold for it. FiLM at layer1x1_post is applied, with
    a `Notice` where a layer is not blended: NeuralAmpModelerCore left it out there until August 2026, and a file does
    not say which player it is for.

    Raises `UserError` for a file that is not a `.nam` file, is damaged or too large, or has what no trainer writes: a
    condition network that is not a WaveNet, PReLU slopes per channel in the post-head.
    """
    document = whole = Node(read_json(path), str(path))
    if architecture_of(document) in CONTAINERS:
        document = largest_submodel(document)
    name = architecture_of(document)
    if name == "HyperWaveNet":
        schema, net = _read_hyper(document)
    elif name in PARAMETRIC:
        schema, net = _build_parametric(document)
    elif name == "WaveNet":
        schema, net = _read_wavenet(document)
    else:
        known = ", ".join(("WaveNet", *PARAMETRIC))
        raise UserError(f"{document.where}: architecture is '{name:.40}'; {known} can be read", HINT)
    if film_left_out_by_old_players(net):
        warnings.warn(f"{path}: {OLD_PLAYERS}", Notice, stacklevel=2)
    rate = whole.value.get("sample_rate") or document.value.get("sample_rate") or DEFAULT_RATE_HZ
    if not isinstance(rate, int | float) or not 8000 <= rate <= 192000:
        raise UserError(f"{path}: sample_rate is {rate!r:.20}, legal are 8000 to 192000 Hz", HINT)
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in path.stem.lower()).strip("-") or "model"
    known = {key: value for part in (document, whole) for key, value in _stated_levels(part).items()}
    levels = check_document(known, AnalogLevels, f"{document.where}: metadata")
    return make_config(name[:64], int(rate), schema, net.config, levels), net


def stated_loudness(path: Path) -> float | None:
    """Return the lowest loudness in dBFS that a `.nam` file states for itself, or for a model that it contains.

    Players amplify a file by what it lacks to the loudness of the others. None where it states none; raises `UserError`
    for a file that is no JSON object.
    """
    whole = Node(read_json(path), str(path))
    parts = [whole]
    if architecture_of(whole) in CONTAINERS:
        parts += [model.child("model") for model in whole.child("config").children("submodels", MAX_SUBMODELS)]
    found = [part.value["metadata"].get("loudness") for part in parts if isinstance(part.value.get("metadata"), dict)]
    return min(
        (float(one) for one in found if isinstance(one, int | float) and not isinstance(one, bool)), default=None
    )


def _read_wavenet(document: Node) -> tuple[Knobs, NumpyWaveNet]:
    knobs = document.child("config").get("in_channels", int, 1) - 1
    if not 0 <= knobs <= MAX_COLUMNS:
        raise UserError(f"{document.where}: in_channels is {knobs + 1}, legal are 1 to {MAX_COLUMNS + 1}", HINT)
    schema, encoding = _knobs_of_document(document, knobs)
    return schema, _build(document, knobs, 1, encoding)


def _build_parametric(document: Node) -> tuple[Knobs, NumpyWaveNet]:
    """Return knobs and net of a parametric file of another project."""
    parts = read_parametric(document)
    layers, columns, form = parts.shape.children("layers"), parts.knobs.columns(), parts.form
    features = columns if parts.encoder is None else parts.encoder.features
    condition = form.mixin_audio + features * form.mixin_features
    check_sizes(layers, columns if form.at_input else 0, condition, 1, parts.shape)
    net = _assemble(parts.shape, columns, 1, "levels", parts.weights, parts.encoder, None, form, document.where)
    if len(parts.film_mid_K):
        for layer in (layer for array in net.arrays for layer in array.layers):
            for film in layer.films.values():
                film.bias[:] += film.weight[..., 0].astype(np.float64) @ parts.film_mid_K
                film.weight[..., 0] *= parts.film_half_K
    if not any(layer.films for array in net.arrays for layer in array.layers) and not form.mixin_features:
        raise UserError(f"{document.where}: no FiLM is active, so its knobs reach nothing", HINT)
    return parts.knobs, _prune(net)


def _read_hyper(document: Node) -> tuple[Knobs, NumpyWaveNet]:
    """Return knobs and net of a HyperWaveNet; without knobs, with a `Notice`, where they do not fold."""
    hyper = read_hypernet(document)
    shape = document.child("config")
    check_sizes(shape.children("layers"), 0, 1, 1, shape)

    def stock(weights_N: np.ndarray) -> NumpyWaveNet:
        return _assemble(shape, 0, 1, "levels", weights_N.tolist(), None, None, Form(), document.where)

    if (live := live_net(hyper, stock)) is not None:
        return hyper.knobs, live
    rest = hyper.knobs.defaults
    text = ", ".join(f"{name} {value}" for name, value in rest.items())
    warnings.warn(
        f"{document.where}: its knobs change weights that a setting cannot change here, so it is read as it sounds "
        f"with its knobs at their defaults: {text}",
        Notice,
        stacklevel=4,
    )
    return Knobs(knobs=()), stock(hyper.weights_at(hyper.knobs.encode(rest)))


def _stated_levels(document: Node) -> dict[str, Any]:
    metadata = document.value.get("metadata")
    stated = metadata if isinstance(metadata, dict) else {}
    return {key: value for key in AnalogLevels.model_fields if (value := stated.get(key)) is not None}


def _build(document: Node, knobs: int, outputs: int, encoding: Encoding, nested: int = 0) -> NumpyWaveNet:
    """Return the net of a document, pruned; `nested` counts the condition networks around it."""
    shape = document.child("config")
    layers = shape.children("layers")
    condition_size, encoder, condition = 1 + knobs, None, None
    if shape.value.get("condition_dsp") is not None:
        inner = shape.child("condition_dsp")
        if is_own(inner.value):
            encoder = read_encoder(inner.value, knobs, inner.where)
            condition_size = 1 + encoder.features
        else:
            condition_size = layers[0].get("condition_size", int, 1)
            condition = _condition(inner, document, knobs, condition_size, nested)
    check_sizes(layers, knobs, condition_size, outputs, shape)
    weights = finite_floats(document, "weights")
    net = _assemble(shape, knobs, outputs, encoding, weights, encoder, condition, Form(), document.where)
    return _prune(net)


def _assemble(
    shape: Node,
    knobs: int,
    outputs: int,
    encoding: Encoding,
    weights: list[float],
    encoder: NumpyEncoder | None,
    condition: NumpyWaveNet | None,
    form: Form,
    where: str,
) -> NumpyWaveNet:
    """Return the net of a config whose sizes fit, with places for all that its form may have."""
    layers = shape.children("layers")
    features = knobs if encoder is None else encoder.features
    features = features if condition is None else condition.outputs - 1
    described = {
        "arrays": [array_of(layer, layer is layers[-1]) for layer in layers],
        "inject": injection_of(layers, knobs, encoder, encoding, features, form),
        "head": post_head_of(shape, layers[-1], outputs),
        "condition": None if condition is None else {"outputs": 1 + features, "net": condition.config.model_dump()},
    }
    config = check_document(described, WaveNetConfig, shape.where)
    expected = config.macs_per_sample(knobs, outputs)  # about one per weight
    expected -= 0 if condition is None else condition.config.macs_per_sample(knobs, 1 + features)
    if expected > ALLOCATED_FREELY + 2 * len(weights):  # a small file must not make us allocate a large net
        raise UserError(f"{where}: it has {len(weights)} weights, too few for its config", HINT)
    empty = {name: np.zeros(shape, np.float32) for name, shape in parameter_shapes(config, knobs, outputs).items()}
    if encoder is not None:
        empty |= encoder.named_weights
    if condition is not None:
        empty |= {f"condition.{name}": weight for name, weight in condition.weights.items()}
    net = NumpyWaveNet(config, knobs, empty, outputs)
    _fill_weights(net, layers, weights, where, form)
    return net


def _condition(inner: Node, outer: Node, knobs: int, outputs: int, nested: int) -> NumpyWaveNet:
    """Return a condition network that is not our knob encoder; raises `UserError` for one that does not fit."""
    if nested >= MAX_NESTED:
        raise UserError(f"{inner.where}: more than {MAX_NESTED} condition networks are nested", HINT)
    if (name := architecture_of(inner)) != "WaveNet":
        raise UserError(f"{inner.where}: architecture is '{name}'; only WaveNet can be read", HINT)
    if (rate := inner.value.get("sample_rate")) != (expected := outer.value.get("sample_rate")):
        raise UserError(f"{inner.where}: sample_rate is {rate!r:.20}, that of its model {expected!r:.20}", HINT)
    if (found := inner.child("config").get("in_channels", int, 1)) != 1 + knobs:
        raise UserError(f"{inner.where}: in_channels is {found}, expected {1 + knobs}", HINT)
    if not 1 <= outputs <= MAX_CHANNELS:
        raise UserError(f"{outer.where}: condition_size is {outputs}, legal are 1 to {MAX_CHANNELS}", HINT)
    return _build(inner, knobs, outputs, "levels", nested + 1)


def _fill_weights(net: NumpyWaveNet, layers: Sequence[Node], weights: list[float], where: str, form: Form) -> None:
    """Fill a net from the flat list in the file's order; raises `UserError` unless its length is exactly right."""
    flat, position = np.array(weights, np.float32), 0

    def take(*shape: int) -> np.ndarray:
        nonlocal position
        size = math.prod(shape)
        if position + size > len(flat):
            raise UserError(f"{where}: it has {len(flat)} weights, too few for its config", HINT)
        part = flat[position : position + size].reshape(shape)
        position += size
        return part

    for array, node in zip(net.arrays, layers, strict=True):
        array.rechannel.weight[:] = take(*array.rechannel.weight.shape)
        depth, groups = len(array.layers), node.get("groups_input_mixin", int, 1)
        activations = per_layer(node.value.get("activation", "Tanh"), depth)
        gates = per_layer(node.value.get("secondary_activation"), depth)
        for layer, activation, gate in zip(array.layers, activations, gates, strict=False):
            _take_conv(layer.conv, take)
            mixin = layer.mixin.weight[:, 0 if form.mixin_audio else 1 :, 0]
            rows, columns = mixin.shape
            mixin[:] = _take_matrix(take, rows, columns, groups, node.where)
            for conv in (layer.layer1x1, layer.head1x1):
                if conv is not None:
                    _take_conv(conv, take)
            _take_films(layer, node, take, form.film_audio + net.features)
            _take_slopes(layer.activation, activation, node.where)
            if layer.gate is not None:
                _take_slopes(layer.gate, gate, node.where)
        _take_conv(array.head, take)
    for conv in net.head.convs if net.head is not None else ():
        _take_conv(conv, take)
    net.head_scale[()] = take(1)[0]
    if position != len(flat):
        raise UserError(f"{where}: it has {len(flat)} weights, its config needs {position}", HINT)


def _take_slopes(nonlinear: NumpyNonlinear, described: Any, where: str) -> None:
    """Set PReLU's slopes, which are part of its description and not among the weights."""
    if nonlinear.slopes is not None and isinstance(described, dict) and "negative_slopes" in described:
        slopes = np.array(finite_floats(Node(described, where), "negative_slopes"), np.float32)
        if len(slopes) not in (1, len(nonlinear.slopes)):
            raise UserError(f"{where}: PReLU has {len(slopes)} slopes for {len(nonlinear.slopes)} channels", HINT)
        nonlinear.slopes[:] = slopes


def _take_conv(conv: NumpyConv, take: Any) -> None:
    conv.weight[:] = take(*conv.weight.shape)
    if conv.bias is not None:
        conv.bias[:] = take(*conv.bias.shape)


def _take_films(layer: NumpyLayer, node: Node, take: Any, conditions: int) -> None:
    for slot in SLOTS:
        film = layer.film(slot)
        if film is None:
            continue
        groups = optional_object(node, f"{slot}_film").get("groups", int, 1)
        weight, bias = (
            _take_matrix(take, film.weight.shape[0], conditions, groups, node.where),
            take(film.bias.shape[0]),
        )
        film.weight[..., 0] = weight
        film.bias[:] = bias


def _take_matrix(take: Any, rows: int, columns: int, groups: int, where: str) -> np.ndarray:
    """Take the weight of a 1x1; a grouped one as a block diagonal matrix."""
    if groups < 1 or rows % groups or columns % groups:
        raise UserError(f"{where}: {groups} groups do not divide {rows} by {columns}", HINT)
    matrix = np.zeros((groups, rows // groups, groups, columns // groups), np.float32)
    matrix[np.arange(groups), :, np.arange(groups)] = take(groups, rows // groups, columns // groups)
    return matrix.reshape(rows, columns)


def _knobs_of_document(document: Node, columns: int) -> tuple[Knobs, Encoding]:
    """Return the knobs of a file with `columns` inputs beside the audio, and the encoding that gives these columns."""
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


def _prune(net: NumpyWaveNet) -> NumpyWaveNet:
    """Return the same net without the places for knobs (and audio in FiLM) whose weights are all zero."""
    inject, arrays = net.config.inject, list(net.arrays)
    films: dict[tuple[Slot, bool, bool], list[int]] = {}
    for slot, index in product(SLOTS, range(len(arrays))):
        if found := [film for layer in arrays[index].layers if (film := layer.film(slot)) is not None]:
            takes = net.features == 0 or any(bool(film.weight[:, 0].any()) for film in found)
            audio = found[0].audio and takes
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
        encoder_layers=inject.encoder_layers,
    )
    config, pruned = net.config.model_copy(update={"inject": lean_inject}), {}
    for name, shape in parameter_shapes(config, net.knobs, net.outputs).items():
        source = net.weights[name]
        if name.endswith(("rechannel.weight", "mixin.weight")):
            source = source[:, : shape[1]]
        elif ".films." in name:
            if "input_mixin_pre" in name and len(source) != shape[0]:  # only the rows of the audio are left
                source = np.stack([rows[0] for rows in np.split(source, shape[0])])
            source = source[:, source.shape[1] - shape[1] :] if name.endswith("weight") else source
        pruned[name] = source
    return NumpyWaveNet(config, net.knobs, pruned, net.outputs)
