"""A knob encoder as the `condition_dsp` of a live `.nam` file: a nested WaveNet with kernels of 1.

Unit 0 of the nested net passes the audio through a PReLU of slope 1; all other units are ReLUs. Features take one
layer; a warp takes one more before it, whose 1x1 computes the curves. The layers of an imported encoder have a
nonlinearity of their own each, so one more layer before them passes the audio.

Shapes: K knob columns, J knots, E features, U units of the nested net.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from models.core.errors import UserError
from models.network.activation import BENDS, Activation
from models.network.architecture import SLOTS
from models.network.dense_layer import DenseLayer
from models.network.numpy_activations import activate_array
from models.network.numpy_wavenet import NumpyConv, NumpyEncoder, NumpyWarp

OWN = "ampzoo_encoder"  # the metadata key with the parameters of the encoder; the weights follow from them


def write_encoder(encoder: NumpyEncoder, columns: int, version: str, sample_rate: int) -> dict[str, Any]:
    """Return the nested document, a net with 1 + E outputs: the audio and the features."""
    layers, (head, head_bias) = (_imported_layers if encoder.layers else _layers)(encoder, columns)
    units = len(layers[0][1])
    passing = {"type": "PReLU", "negative_slopes": [1.0] + [0.0] * (units - 1)}
    activations = [passing] * len(layers)
    for number, (_, activation) in enumerate(encoder.layers, 1):
        activations[number] = _describe_activation(activation, units)
    off = {"active": False, "shift": True, "groups": 1}
    array = {
        "input_size": 1 + columns,
        "condition_size": 1 + columns,
        "head": {"out_channels": len(head), "kernel_size": 1, "bias": True},
        "channels": units,
        "bottleneck": units,
        "kernel_sizes": [1] * len(layers),
        "dilations": [1] * len(layers),
        "activation": activations,
        "gating_mode": ["none"] * len(layers),
        "secondary_activation": [None] * len(layers),
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        "groups_input": 1,
        "groups_input_mixin": 1,
        **{f"{slot}_film": off for slot in SLOTS},
    }
    rechannel = np.zeros((units, 1 + columns))
    parts = [rechannel, *(part for layer in layers for part in layer), head, head_bias, np.ones(1)]
    named = {name.removeprefix("encoder."): weight for name, weight in encoder.named_weights.items()}
    numbers: dict[str, Any] = {name: np.asarray(weight, np.float32).tolist() for name, weight in named.items()}
    for number, (_, activation) in enumerate(encoder.layers):
        numbers[f"layers.{number}.activation"] = activation and activation.model_dump()
    return {
        "version": version,
        "architecture": "WaveNet",
        "config": {"layers": [array], "head": None, "head_scale": 1.0, "in_channels": 1 + columns},
        "weights": np.concatenate([np.asarray(part, np.float32).reshape(-1) for part in parts]).tolist(),
        "sample_rate": sample_rate,
        "metadata": {OWN: numbers},
    }


def _layers(
    encoder: NumpyEncoder, columns: int
) -> tuple[Sequence[tuple[np.ndarray, ...]], tuple[np.ndarray, np.ndarray]]:
    """Return per layer `(conv (U, U), bias, mixin (U, 1 + K), 1x1 (U, U), bias)`, and the head `(1 + E, U)` with bias.

    The residual starts at zero; the first layer takes the knobs through its mixin.
    """
    warp, dense = encoder.warp, encoder.dense
    hinges = 0 if warp is None else warp.slope_steps_KJ.size
    units = 1 + hinges + (len(dense.weight) if dense is not None else 0)
    audio = np.zeros((1 + encoder.features, units))
    audio[0, 0] = 1
    head, head_bias = audio.copy(), np.zeros(1 + encoder.features)
    layers: list[tuple[np.ndarray, ...]] = []
    curves, curves_bias = np.zeros((columns, units)), np.zeros(columns)
    if warp is not None:
        knots = warp.slope_steps_KJ.shape[1]
        conv_bias, mixin = np.zeros(units), np.zeros((units, 1 + columns))
        conv_bias[1 : 1 + hinges] = -np.tile(warp.knots_J, columns)
        mixin[0, 0] = 1
        for column in range(columns):
            begin = 1 + column * knots
            mixin[begin : begin + knots, 1 + column] = 1
            curves[column, begin : begin + knots] = warp.slope_steps_KJ[column]
        curves_bias -= 1
        one, one_bias = np.zeros((units, units)), np.zeros(units)
        if dense is None:
            head[1:], head_bias[1:] = curves, curves_bias
        else:
            one[1 : 1 + columns], one_bias[1 : 1 + columns] = curves, curves_bias
        layers.append((np.zeros((units, units)), conv_bias, mixin, one, one_bias))
    if dense is not None:
        assert dense.bias is not None
        rows = slice(1 + hinges, units)
        conv, conv_bias, mixin = np.zeros((units, units)), np.zeros(units), np.zeros((units, 1 + columns))
        conv_bias[rows] = dense.bias
        if warp is None:
            mixin[0, 0] = 1
            mixin[rows, 1:] = dense.weight[..., 0]
        else:
            conv[rows, 1 : 1 + columns] = dense.weight[..., 0]
        head[1:, rows] = np.eye(encoder.features)
        layers.append((conv, conv_bias, mixin, np.zeros((units, units)), np.zeros(units)))
    return layers, (head, head_bias)


def _describe_activation(activation: Activation | None, units: int) -> dict[str, Any]:
    """Return the nonlinearity of an imported layer as the nested net states it; none is a PReLU of slope 1."""
    if activation is None:
        return {"type": "PReLU", "negative_slopes": [1.0] * units}
    if activation.bends is not None:
        return {"type": activation.type} | dict(zip(BENDS, activation.bends, strict=True))
    slope = {"negative_slope": activation.negative_slope} if activation.type == "LeakyReLU" else {}
    return {"type": activation.type} | slope


def _imported_layers(
    encoder: NumpyEncoder, columns: int
) -> tuple[Sequence[tuple[np.ndarray, ...]], tuple[np.ndarray, np.ndarray]]:
    """Return what `_layers` returns, for an encoder of dense layers.

    Each layer has units of its own, which its 1x1 adds to the residual, where the next one reads them. What a
    nonlinearity gives in the units of the others (0.5 for Sigmoid, else 0) is taken off in the head's bias.
    """
    widths = [len(conv.weight) for conv, _ in encoder.layers]
    units, begin, read = 1 + sum(widths), 1, slice(0, 0)
    constants = np.zeros(units)  # that other layers' nonlinearities add to a unit
    mixin = np.zeros((units, 1 + columns))
    mixin[0, 0] = 1
    layers = [(np.zeros((units, units)), np.zeros(units), mixin, np.zeros((units, units)), np.zeros(units))]
    for number, (dense, activation) in enumerate(encoder.layers):
        assert dense.bias is not None
        rows = slice(begin, begin + widths[number])
        conv, bias, mixin, one = (np.zeros((units, size)) for size in (units, 1, 1 + columns, units))
        if number:
            conv[rows, read] = dense.weight[..., 0]
        else:
            mixin[rows, 1:] = dense.weight[..., 0]
        bias[rows, 0] = dense.bias
        one[rows, rows] = np.eye(widths[number])
        at_zero = 0.0 if activation is None else activate_array(activation, None, np.zeros((1, 1))).item()
        constants += at_zero
        constants[rows] -= at_zero
        layers.append((conv, bias[:, 0], mixin, one, np.zeros(units)))
        begin, read = rows.stop, rows
    head = np.zeros((1 + encoder.features, units))
    head[0, 0] = 1
    head[1:, read] = np.eye(encoder.features)
    return layers, (head, -head @ constants)


def is_own(document: Any) -> bool:
    """Return whether a condition network is marked as a knob encoder of ours."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    return isinstance(metadata, dict) and OWN in metadata


def read_encoder(document: Any, columns: int, where: str) -> NumpyEncoder:
    """Return the encoder that `write_encoder` writes as this document; raises `UserError` for any other network."""
    refusal = UserError(f"{where} is not a knob encoder of the family", "Export the model again from its trainer.")
    metadata = document.get("metadata") if isinstance(document, dict) else None
    numbers = metadata.get(OWN) if isinstance(metadata, dict) else None
    if not isinstance(numbers, dict) or not isinstance(document.get("config"), dict):
        raise refusal
    try:
        state = {name: _as_floats(value) for name, value in numbers.items() if not name.endswith(".activation")}
        dense = _read_dense(numbers, state)
    except ValueError:
        raise refusal from None
    warp, bias = state.get("warp.log_slopes"), state.get("dense.bias")
    for size in (None if warp is None else warp.shape[-1:], None if bias is None else bias.shape):
        if size is not None and not (size and 1 <= size[0] <= 64):
            raise refusal
    encoder = _encoder(state, columns) if not dense else _imported_encoder(state, dense, columns)
    if encoder is None:
        raise refusal
    ours = write_encoder(encoder, columns, document.get("version", ""), document.get("sample_rate") or 0)
    try:
        theirs = _as_floats(document.get("weights"))
    except ValueError:
        raise refusal from None
    weights = np.array(ours["weights"], np.float32)
    if (
        document["config"].get("layers") != ours["config"]["layers"]
        or weights.shape != theirs.shape
        or not np.allclose(weights, theirs, rtol=1e-5, atol=1e-6)
    ):
        raise refusal
    return encoder


def _as_floats(value: Any) -> np.ndarray:
    """Return nested lists of finite numbers as float32; raises `ValueError` for anything else."""
    numbers = np.array(value)
    if numbers.dtype.kind not in "fi" or not (np.abs(numbers) < np.finfo(np.float32).max).all():
        raise ValueError("not finite numbers")
    return numbers.astype(np.float32)


def _read_dense(numbers: dict[str, Any], state: dict[str, np.ndarray]) -> list[DenseLayer]:
    """Return the layers of an imported encoder, none for one of ours; raises `ValueError` for what is none."""
    layers = []
    while (name := f"layers.{len(layers)}.activation") in numbers:
        bias = state.get(f"layers.{len(layers)}.bias", np.zeros(0))
        layers.append(DenseLayer.model_validate({"width": bias.size, "activation": numbers[name]}))
    if len(layers) > 8:
        raise ValueError("too many layers")
    return layers


def _imported_encoder(state: dict[str, np.ndarray], dense: list[DenseLayer], columns: int) -> NumpyEncoder | None:
    """Return the encoder of named arrays, None where names or shapes are not those of an imported encoder."""
    widths = [columns, *(layer.width for layer in dense)]
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        shapes |= {f"layers.{number}.weight": (outputs, inputs, 1), f"layers.{number}.bias": (outputs,)}
    if {name: part.shape for name, part in state.items()} != shapes:
        return None
    return encoder_of_layers(
        [(state[f"layers.{n}.weight"], state[f"layers.{n}.bias"]) for n in range(len(dense))], dense
    )


def encoder_of_layers(numbers: Sequence[tuple[np.ndarray, np.ndarray]], dense: Sequence[DenseLayer]) -> NumpyEncoder:
    """Return an encoder of dense layers from weights `(O, I)` or `(O, I, 1)` and biases `(O)`."""
    convs = [NumpyConv(weight.reshape(len(bias), -1, 1), bias) for weight, bias in numbers]
    layers = tuple((conv, layer.activation) for conv, layer in zip(convs, dense, strict=True))
    return NumpyEncoder(None, None, dense[-1].width, layers)


def _encoder(state: dict[str, np.ndarray], columns: int) -> NumpyEncoder | None:
    """Return the encoder of named arrays, None where names or shapes are not those of an encoder."""
    slopes, weight, bias = (state.get(name) for name in ("warp.log_slopes", "dense.weight", "dense.bias"))
    features = columns if bias is None else len(bias)
    shapes = {
        **({} if slopes is None else {"warp.log_slopes": (columns, slopes.shape[-1])}),
        **({} if bias is None else {"dense.weight": (features, columns, 1), "dense.bias": (features,)}),
    }
    if not state or {name: part.shape for name, part in state.items()} != shapes:
        return None
    dense = None if weight is None else NumpyConv(weight, bias)
    return NumpyEncoder(None if slopes is None else NumpyWarp(slopes), dense, features)
