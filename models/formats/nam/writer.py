"""Write a model as a `.nam` file: with live knobs as extra inputs, or a stock file once the knobs are baked.

The format is that of NeuralAmpModelerCore: one JSON document with a flat list of weights, array by array.
"""

import json
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.artifacts.model_config import ModelConfig
from models.audio.decibels import power_decibels
from models.audio.guitar import guitar
from models.core.errors import Notice
from models.core.files import write_text
from models.formats.nam.knob_encoder import write_encoder
from models.knobs.schema import Setting
from models.network.activation import BENDS
from models.network.architecture import SLOTS, LayerArray, Slot
from models.network.numpy_wavenet import NumpyArray, NumpyLayer, NumpyNonlinear, NumpyWaveNet, as_numpy
from models.playback.stream import play

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet

    Net = WaveNet | NumpyWaveNet

NAM_VERSION = "0.7.0"

OLD_PLAYERS = (
    "its FiLM after the 1x1 is applied in every layer, as trainers do; "
    "players with NeuralAmpModelerCore 0.5.5 or older leave it out and sound different"
)

LOUDNESS_INPUT_DBFS, LOUDNESS_SEED = -15.0, 7  # of the guitar that loudness is measured with


def to_nam(config: ModelConfig, net: "Net") -> dict[str, Any]:
    """Return the `.nam` document of a model: input channel 0 is audio, then one channel per knob column in [-1, 1].

    A model without knobs (a baked one) becomes a stock file that every player loads.
    """
    shape, weights = _describe_net(as_numpy(net), config.audio.sample_rate)
    knobs, encoding = [knob.model_dump() for knob in config.knobs.knobs], config.architecture.inject.encoding
    return {
        "version": NAM_VERSION,
        "architecture": "WaveNet",
        "config": shape,
        "weights": weights,
        "sample_rate": config.audio.sample_rate,
        "metadata": {
            "name": config.name,
            "loudness": loudness(net, config.encode({}) if net.knobs else [], config.audio.sample_rate),
            **config.audio.levels.model_dump(),
            **({"knobs": knobs, "knob_encoding": encoding} if net.knobs else {}),
        },
    }


def _describe_net(net: NumpyWaveNet, rate_hz: int) -> tuple[dict[str, Any], list[float]]:
    """Return the `config` of a net and its weights."""
    conditions = 1 + net.features
    arrays = list(zip(net.arrays, net.config.arrays, strict=True))
    shape: dict[str, Any] = {
        "layers": [
            _array_config(array, data, 1 + net.knobs if index == 0 else array.rechannel.weight.shape[1], conditions)
            for index, (array, data) in enumerate(arrays)
        ],
        "head": _head_config(net),
        "head_scale": net.head_scale.item(),
    }
    if net.knobs:
        shape["in_channels"] = net.knobs + 1  # without it players assume a mono file
    if net.encoder is not None:
        shape["condition_dsp"] = write_encoder(net.encoder, net.knobs, NAM_VERSION, rate_hz)
    elif net.condition is not None:
        inner, numbers = _describe_net(net.condition, rate_hz)
        nested = {"version": NAM_VERSION, "architecture": "WaveNet", "config": inner, "weights": numbers}
        shape["condition_dsp"] = {**nested, "sample_rate": rate_hz}
    parts: list[np.ndarray | None] = []
    for index, array in enumerate(net.arrays):
        weight = array.rechannel.weight
        parts.append(_weight_columns(weight, 1 + net.knobs) if index == 0 else weight)
        for layer in array.layers:
            parts += _layer_weights(layer, conditions)
        parts += [array.head.weight, array.head.bias]
    for conv in net.head.convs if net.head is not None else ():
        parts += [conv.weight, conv.bias]
    return shape, _flat([*parts, net.head_scale])


def write_nam(path: Path, config: ModelConfig, net: "Net", baked: Setting | None = None) -> None:
    """Write a model as a `.nam` file, whole or not at all; `baked` is noted as the setting of a baked model.

    Warns (`Notice`) of FiLM at layer1x1_post in layers that are not blended, which older players leave out.
    """
    net = as_numpy(net)
    if film_left_out_by_old_players(net):
        warnings.warn(f"{path}: {OLD_PLAYERS}; baked files are not affected", Notice, stacklevel=2)
    document = to_nam(config, net)
    if baked is not None:
        document["metadata"]["baked_setting"] = baked
    write_text(path, json.dumps(document, allow_nan=False) + "\n")


def loudness(net: "Net", levels_K: list[float], rate_hz: int) -> float:
    """Return `metadata.loudness`: the RMS in dBFS of a model's output for one second of guitar, knobs at `levels_K`.

    Players use it to play models equally loud. NAM measures with a recording of -15 dBFS RMS; ours is a synthetic
    guitar at that level, which on the virtual amp differs by at most 1.5 dB from clean to full gain.
    """
    y_T = play(net, standard_guitar(rate_hz), levels_K).astype(np.float64)
    return round(power_decibels(float(np.square(y_T).mean())), 2)


@lru_cache(maxsize=4)
def standard_guitar(rate_hz: int) -> np.ndarray:
    """Return the second of guitar, `(T,)`, that loudness is measured with."""
    x_T = guitar(1.0, rate_hz, LOUDNESS_SEED)
    return x_T * (10 ** (LOUDNESS_INPUT_DBFS / 20) / np.sqrt(np.square(x_T, dtype=np.float64).mean())).astype(
        np.float32
    )


def _array_config(array: NumpyArray, data: LayerArray, inputs: int, conditions: int) -> dict[str, Any]:
    layers = list(array.layers)
    return {
        "input_size": inputs,
        "condition_size": conditions,
        "head": {
            "out_channels": len(array.head.weight),
            "kernel_size": array.head.weight.shape[2],
            "bias": array.head.bias is not None,
            **({"head_dilation": data.head_dilation} if data.head_dilation > 1 else {}),
        },
        "channels": data.channels,
        "bottleneck": data.width,
        "kernel_sizes": list(data.kernel_sizes),
        "dilations": list(data.dilations),
        "activation": [_activation_document(layer.activation) for layer in layers],
        "gating_mode": list(data.gatings),
        "secondary_activation": [None if layer.gate is None else _activation_document(layer.gate) for layer in layers],
        "head1x1": {
            "active": data.head1x1 is not None,
            "out_channels": data.head1x1 or 1,
            "groups": data.head1x1_groups,
        },
        "layer1x1": {"active": data.layer1x1, "groups": data.layer1x1_groups},
        "groups_input": data.groups,
        "groups_input_mixin": 1,
        **{f"{slot}_film": _film_config(layers[0], slot) for slot in SLOTS},
    }


def _head_config(net: NumpyWaveNet) -> dict[str, Any] | None:
    if net.head is None or net.config.head is None:
        return None
    return {
        "channels": net.config.head.channels,
        "out_channels": net.outputs,
        "kernel_sizes": list(net.config.head.kernel_sizes),
        "activation": _activation_document(net.head.activations[0]),
    }


def _film_config(layer: NumpyLayer, slot: Slot) -> dict[str, Any]:
    film = layer.film(slot)
    return {"active": film is not None, "shift": film is None or film.shift, "groups": 1}


def _activation_document(activation: NumpyNonlinear) -> dict[str, Any]:
    kind = activation.config.type
    if activation.slopes is not None:
        return {"type": kind, "negative_slopes": activation.slopes.tolist()}
    if kind == "LeakyReLU":
        return {"type": kind, "negative_slope": activation.config.negative_slope}
    if activation.config.bends is not None:
        return {"type": kind} | dict(zip(BENDS, activation.config.bends, strict=True))
    return {"type": kind}


def _layer_weights(layer: NumpyLayer, conditions: int) -> list[np.ndarray | None]:
    """Return a layer's weights in the order of the file; `conditions` are the channels of the condition."""
    parts = [layer.conv.weight, layer.conv.bias, _weight_columns(layer.mixin.weight, conditions)]
    for conv in (layer.layer1x1, layer.head1x1):
        parts += [] if conv is None else [conv.weight, conv.bias]
    for slot in SLOTS:
        if film := layer.film(slot):
            halves = film.weight.shape[0] // (2 if film.shift else 1)
            missing = conditions - halves if slot == "input_mixin_pre" else 0
            audio = [] if film.audio else [np.zeros_like(film.bias[:, None, None])]
            weight, count = np.concatenate([*audio, film.weight], 1), len(film.bias) // halves
            rows = [np.pad(part, ((0, missing), (0, 0), (0, 0))) for part in np.split(weight, count)]
            parts += [
                np.concatenate(rows),
                np.concatenate([np.pad(part, (0, missing)) for part in np.split(film.bias, count)]),
            ]
    return parts


def film_left_out_by_old_players(net: NumpyWaveNet) -> bool:
    """Return whether NeuralAmpModelerCore to version 0.5.5 plays a net otherwise: without its FiLM at layer1x1_post.

    It applied that in blended layers alone. FiLM that is the identity does not count.
    """
    inner = net.condition is not None and film_left_out_by_old_players(net.condition)
    return inner or any(_has_such_film(layer) for array in net.arrays for layer in array.layers)


def _has_such_film(layer: NumpyLayer) -> bool:
    film = layer.film("layer1x1_post")
    if film is None or layer.gating == "blended":
        return False
    channels = len(film.bias) // (2 if film.shift else 1)
    is_identity = bool((film.bias[:channels] == 1).all()) and not film.bias[channels:].any() and not film.weight.any()
    return not is_identity


def _weight_columns(weight: np.ndarray, inputs: int) -> np.ndarray:
    """Pad a 1x1 weight with zero columns for inputs that it does not use."""
    return np.pad(weight, ((0, 0), (0, inputs - weight.shape[1]), (0, 0)))


def _flat(parts: Sequence[np.ndarray | None]) -> list[float]:
    return np.concatenate([np.asarray(part, np.float32).reshape(-1) for part in parts if part is not None]).tolist()
