"""A model -> a `.nam` file: with live knobs as extra inputs, or stock once the knobs are baked away.

The format is that of NeuralAmpModelerCore: one JSON document with a flat list of weights, array by array.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from models.documents import ModelConfig
from models.files import write_text
from models.wavenet import Array, WaveNet

VERSION = "0.7.0"
FILM_SLOTS = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)


def to_nam(config: ModelConfig, net: WaveNet) -> dict:
    """The `.nam` document of a model: input channel 0 is audio, then one channel per knob, levels in [-1, 1].

    A model without knobs (a baked one) becomes a stock file that every player loads.
    """
    arrays = [(array, index == 0) for index, array in enumerate(net.arrays)]
    shape = {
        "layers": [_array_config(array, first, net.knobs) for array, first in arrays],
        "head": None,
        "head_scale": net.head_scale.item(),
    }
    if net.knobs:
        shape["in_channels"] = net.knobs + 1  # without it a player takes the file for a mono one
    weights = torch.cat(
        [*(_array_weights(array, first, net.knobs) for array, first in arrays), net.head_scale.reshape(1)]
    )
    knobs = [knob.model_dump() for knob in config.knobs.knobs]
    return {
        "version": VERSION,
        "architecture": "WaveNet",
        "config": shape,
        "weights": weights.float().tolist(),
        "sample_rate": config.audio.sample_rate,
        "metadata": {"name": config.name, **({"knobs": knobs} if net.knobs else {})},
    }


def write_nam(path: Path, config: ModelConfig, net: WaveNet, baked: dict[str, float] | None = None) -> None:
    """Write a model as `.nam`, whole or not at all; `baked` notes the setting that a baked model stands at."""
    document = to_nam(config, net)
    if baked is not None:
        document["metadata"]["baked_setting"] = baked
    write_text(path, json.dumps(document, allow_nan=False) + "\n")


def _array_config(array: Array, first: bool, knobs: int) -> dict:
    layers = list(array.layers)
    channels, film = array.rechannel.out_channels, layers[0].film is not None
    off = {"active": False, "shift": True, "groups": 1}
    return {
        "input_size": _rechannel(array, first, knobs).shape[1],
        "condition_size": knobs + 1,
        "head": {
            "out_channels": array.head.out_channels,
            "kernel_size": array.head.kernel_size[0],
            "bias": array.head.bias is not None,
        },
        "channels": channels,
        "bottleneck": channels,
        "kernel_sizes": [layer.conv.kernel_size[0] for layer in layers],
        "dilations": [layer.conv.dilation[0] for layer in layers],
        "activation": [_activation(layer.activation) for layer in layers],
        "gating_mode": ["none"] * len(layers),
        "secondary_activation": [None] * len(layers),
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        "groups_input": 1,
        "groups_input_mixin": 1,
        **{slot: {**off, "active": film and slot == "activation_pre_film"} for slot in FILM_SLOTS},
    }


def _activation(name: str) -> dict:
    return {"type": name, "negative_slope": 0.01} if name == "LeakyReLU" else {"type": name}


def _array_weights(array: Array, first: bool, knobs: int) -> Tensor:
    parts = [_rechannel(array, first, knobs)]
    for layer in array.layers:
        parts += [layer.conv.weight, layer.conv.bias, _knob_columns(layer.mixin.weight, knobs + 1)]
        parts += [layer.layer1x1.weight, layer.layer1x1.bias]
        if layer.film is not None:
            blind = torch.zeros_like(layer.film.weight[:, :1])  # FiLM never hears the audio
            parts += [torch.cat([blind, layer.film.weight], dim=1), layer.film.bias]
    parts += [array.head.weight, array.head.bias]
    return torch.cat([part.detach().reshape(-1) for part in parts if part is not None])


def _rechannel(array: Array, first: bool, knobs: int) -> Tensor:
    """The first array hears audio and knobs (with weight zero), the others the array before them."""
    return _knob_columns(array.rechannel.weight, knobs + 1) if first else array.rechannel.weight


def _knob_columns(weight: Tensor, inputs: int) -> Tensor:
    missing = inputs - weight.shape[1]
    return torch.cat([weight, weight.new_zeros(weight.shape[0], missing, 1)], dim=1) if missing else weight
