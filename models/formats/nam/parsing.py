"""From the `config` of a `.nam` file to an architecture as plain data; errors name the file and the place in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from models.core.errors import UserError
from models.core.schema import short_repr
from models.knobs.schema import Encoding
from models.network.activation import BENDS
from models.network.architecture import SLOTS, Slot
from models.network.numpy_wavenet import NumpyEncoder

VERSIONS = ("0.5.", "0.6.", "0.7.")

PARAMETRIC_VERSIONS = {name: ("1.0.", *VERSIONS) for name in ("ConcatWaveNet", "FiLMWaveNet", "HyperWaveNet")}

HINT = "Export the model again from its trainer."

MAX_CHANNELS = 64

MAX_SUBMODELS = 16  # of a container

PLAIN_HARDTANH = {"min_val": -1.0, "max_val": 1.0}

KIND_WORDS = ((bool, "true or false"), (str, "text"), (list, "a list"), (dict, "an object"), (int, "a number"))


@dataclass(frozen=True)
class Form:
    """What the columns of mixins and FiLMs stand for; in stock files the audio, then the knobs or their features."""

    mixin_audio: bool = True
    mixin_features: bool = True
    film_audio: bool = True
    at_input: bool = True  # whether knobs are inputs of the first array


class Node:
    """A JSON object that knows its place in the file, for error messages; every method raises `UserError`."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise UserError(f"{where} is not an object", HINT)
        self.value, self.where = value, where

    def get(self, key: str, kind: Any, default: Any) -> Any:
        """Return the value of a key, which must be of this type; the default where the key is missing."""
        found = self.value.get(key, default)
        if found is not default and (
            not isinstance(found, kind) or (kind is not object and isinstance(found, bool) != (kind is bool))
        ):
            legal = next(
                (words for one, words in KIND_WORDS if one in (get_args(kind) or (kind,))), "another kind of value"
            )
            raise UserError(f"{self.where}: '{key}' is {short_repr(found)}, legal is {legal}", HINT)
        return found

    def child(self, key: str) -> "Node":
        """Return the object under a key."""
        return Node(self.value.get(key), f"{self.where}: {key}")

    def children(self, key: str, most: int = 4) -> list["Node"]:
        """Return the objects listed under a key, 1 to `most`."""
        found = self.value.get(key)
        if not isinstance(found, list) or not 1 <= len(found) <= most:
            raise UserError(f"{self.where}: '{key}' is not a list of 1 to {most} objects", HINT)
        return [Node(item, f"{self.where}: {key}.{index}") for index, item in enumerate(found)]


def architecture_of(document: Node) -> str:
    """Return the architecture that a document names; raises `UserError` for a version that cannot be read."""
    version, name = document.get("version", str, ""), document.get("architecture", str, "")
    if not version.startswith(PARAMETRIC_VERSIONS.get(name, VERSIONS)):
        legal = "0.5.0 to 0.7.x" if name not in PARAMETRIC_VERSIONS else "1.0.x"
        raise UserError(f"{document.where}: version is '{version:.20}'; {legal} can be read", HINT)
    return name


def largest_submodel(container: Node) -> Node:
    """Return the largest model of a `SlimmableContainer`."""
    models = container.child("config").children("submodels", MAX_SUBMODELS)
    return max(models, key=lambda node: node.get("max_value", int | float, 0)).child("model")


def check_sizes(layers: Sequence[Node], knobs: int, condition: int, outputs: int, shape: Node) -> None:
    """Raise `UserError` unless each array's inputs and outputs fit its neighbors and the condition's channels."""
    inputs = 1 + knobs
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        for key, expected in (("condition_size", condition), ("input_size", inputs)):
            if (found := layer.get(key, int, 1)) != expected:
                raise UserError(f"{layer.where}: {key} is {found}, expected {expected}", HINT)
        inputs = layer.get("channels", int, 0)
        if not 1 <= inputs <= MAX_CHANNELS:
            raise UserError(f"{layer.where}: channels is {inputs}, legal are 1 to {MAX_CHANNELS}", HINT)
        given = _head(layer).value.get("out_channels", layer.value.get("head_size"))
        if following is not None:
            channels = following.value.get("channels")
            taken = optional_object(following, "head1x1")
            width = following.value.get("bottleneck", channels)
            expected = taken.value.get("out_channels") if taken.get("active", bool, False) else width
        else:
            expected = given if shape.value.get("head") is not None else outputs
        if given is not None and given != expected:
            raise UserError(f"{layer.where}: its head gives {given!r:.20} channels, expected {expected!r:.20}", HINT)


def injection_of(
    layers: Sequence[Node], knobs: int, encoder: NumpyEncoder | None, encoding: Encoding, features: int, form: Form
) -> dict[str, Any]:
    """Return the widest injection that the file may need; the reader removes what has zero weights alone.

    That is knobs at the input and the mixin, and FiLM that takes the audio too, as far as the form has them.
    """
    films = []
    for slot in SLOTS:
        shifts: dict[bool, list[int]] = {}
        for index, layer in enumerate(layers):
            if (film := _film(layer, slot)) is not None:
                shifts.setdefault(film.get("shift", bool, True), []).append(index)
        films += [
            {"slot": slot, "shift": shift, "audio": form.film_audio, "arrays": at} for shift, at in shifts.items()
        ]
    warp = None if encoder is None or encoder.warp is None else encoder.warp.log_slopes.shape[1]
    dense = None if encoder is None or encoder.dense is None else encoder.features
    places = {"input": form.at_input and knobs > 0, "mixin": form.mixin_features and features > 0, "film": films}
    imported = () if encoder is None else encoder.layers
    dense_layers = [{"width": len(conv.weight), "activation": a and a.model_dump()} for conv, a in imported]
    return {"encoding": encoding, **places, "warp": warp, "encoder": dense, "encoder_layers": dense_layers}


def optional_object(layer: Node, key: str) -> Node:
    """Return the object under a key, an empty one where it is missing."""
    return Node(layer.value.get(key) or {}, f"{layer.where}: {key}")


def _head(layer: Node) -> Node:
    return optional_object(layer, "head")


def _film(layer: Node, slot: Slot) -> Node | None:
    """Return the description of a FiLM slot, or None where it is not active."""
    film = layer.value.get(f"{slot}_film")
    if film is None or film is False:
        return None
    node = Node(film, f"{layer.where}: {slot}_film")
    return node if node.get("active", bool, True) else None


def post_head_of(shape: Node, last: Node, outputs: int) -> dict[str, Any] | None:
    """Return the post-head after the last array, or None."""
    if shape.value.get("head") is None:
        return None
    head = shape.child("head")
    inputs = _head(last).value.get("out_channels", last.value.get("head_size"))
    for key, expected in (("in_channels", inputs), ("out_channels", outputs)):
        if (found := head.value.get(key, expected)) != expected:
            raise UserError(f"{head.where}: {key} is {found!r:.20}, expected {expected!r:.20}", HINT)
    activation = _activation(head.value.get("activation"), head)
    if activation.get("type") == "PReLU":
        if "negative_slopes" in head.value["activation"]:
            raise UserError(f"{head.where}: PReLU has slopes per channel, which the family does not have there", HINT)
        activation["type"] = "LeakyReLU"  # of one slope for all it is the same
    kernels, channels = head.value.get("kernel_sizes"), head.value.get("channels")
    return {"inputs": inputs, "channels": channels, "kernel_sizes": kernels, "activation": activation}


def array_of(layer: Node, last: bool) -> dict[str, Any]:
    """Return one layer array; `last` decides the default of its head's bias."""
    channels, bias = layer.value.get("channels"), layer.get("head_bias", bool, False)
    dilations = layer.value.get("dilations")
    depth = len(dilations) if isinstance(dilations, list) else 0
    head, layer1x1, head1x1 = _head(layer), optional_object(layer, "layer1x1"), optional_object(layer, "head1x1")
    modes = per_layer(layer.value.get("gating_mode", "gated" if layer.get("gated", bool, False) else "none"), depth)
    gates = per_layer(layer.value.get("secondary_activation"), depth)
    if len(gates) < len(modes):
        raise UserError(f"{layer.where}: secondary_activation lists {len(gates)} for {len(modes)} layers", HINT)
    bias = head.get("bias", bool, bias)
    bottleneck = layer.value.get("bottleneck")
    return {
        "channels": channels,
        "bottleneck": None if bottleneck == channels else bottleneck,
        "kernel_size": layer.value.get("kernel_sizes", layer.value.get("kernel_size")),
        "dilations": dilations,
        "activation": [_activation(value, layer) for value in per_layer(layer.value.get("activation", "Tanh"), depth)],
        "gating": modes,
        "gate": [
            _activation(gate, layer) if gate and mode != "none" else {"type": "Sigmoid"}
            for mode, gate in zip(modes, gates, strict=False)
        ],
        "groups": layer.get("groups_input", int, 1),
        "layer1x1": layer1x1.get("active", bool, True),
        "layer1x1_groups": layer1x1.get("groups", int, 1) if layer1x1.get("active", bool, True) else 1,
        "head1x1": head1x1.get("out_channels", int, 1) if head1x1.get("active", bool, False) else None,
        "head1x1_groups": head1x1.get("groups", int, 1) if head1x1.get("active", bool, False) else 1,
        "head_kernel_size": head.get("kernel_size", int, 1),
        "head_dilation": head.get("head_dilation", int, 1),
        "head_bias": None if bias == last else bias,
    }


def per_layer(value: Any, depth: int) -> list[Any]:
    """Return one value per layer: a list as it is, one value repeated."""
    return value if isinstance(value, list) else [value] * depth


def _activation(value: Any, layer: Node) -> dict[str, Any]:
    """Return an activation as the architecture states it; raises `UserError` for parameters that it does not have."""
    described = {"type": value} if isinstance(value, str) else value
    if not isinstance(described, dict):
        raise UserError(
            f"{layer.where}: activation is {short_repr(value)}, which is neither a name nor an object", HINT
        )
    known = {key: item for key, item in described.items() if key in ("type", "negative_slope")}
    if known.get("type") in ("LeakyHardtanh", "LeakyHardTanh"):
        defaults = dict(zip(BENDS, (-1.0, 1.0, 0.01, 0.01), strict=True))
        return {"type": "LeakyHardtanh", "bends": [described.get(key, value) for key, value in defaults.items()]}
    bounds = {key: item for key, item in described.items() if key in PLAIN_HARDTANH}
    if any(PLAIN_HARDTANH[key] != item for key, item in bounds.items()):
        raise UserError(f"{layer.where}: activation {described} has other bounds than -1 and 1", HINT)
    return known


def finite_floats(node: Node, key: str) -> list[float]:
    """Return the numbers under a key, all finite in single precision; raises `UserError` for others."""
    values = node.value.get(key)
    if not isinstance(values, list) or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise UserError(f"{node.where}: '{key}' is not a list of numbers", HINT)
    if not all(-3.4e38 < v < 3.4e38 for v in values):
        raise UserError(f"{node.where}: '{key}' holds a number that is not finite in single precision", HINT)
    return values
