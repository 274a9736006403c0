"""A knob encoder as the `condition_dsp` of a live `.nam` file: a nested WaveNet with kernels of 1.

Unit 0 of the nested net passes the audio through a PReLU of slope 1; all other units are ReLUs. Features take one
layer; a warp takes one more before it, whose 1x1 computes the curves.

Shapes: K knob columns, J knots, E features, U units of the nested net.
"""

from typing import Any

import torch
from torch import Tensor

from models.core.errors import UserError
from models.network.architecture import SLOTS, Injection
from models.network.knob_encoder import Encoder

OWN = "ampzoo_encoder"  # the metadata key with the parameters of the encoder; the weights follow from them


@torch.no_grad()
def write_encoder(encoder: Encoder, columns: int, version: str, sample_rate: int) -> dict[str, Any]:
    """Return the nested document, a net with 1 + E outputs: the audio and the features."""
    layers, (head, head_bias) = _layers(encoder, columns)
    units = len(layers[0][1])
    off = {"active": False, "shift": True, "groups": 1}
    array = {
        "input_size": 1 + columns,
        "condition_size": 1 + columns,
        "head": {"out_channels": len(head), "kernel_size": 1, "bias": True},
        "channels": units,
        "bottleneck": units,
        "kernel_sizes": [1] * len(layers),
        "dilations": [1] * len(layers),
        "activation": [{"type": "PReLU", "negative_slopes": [1.0] + [0.0] * (units - 1)}] * len(layers),
        "gating_mode": ["none"] * len(layers),
        "secondary_activation": [None] * len(layers),
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        "groups_input": 1,
        "groups_input_mixin": 1,
        **{f"{slot}_film": off for slot in SLOTS},
    }
    rechannel = torch.zeros(units, 1 + columns)
    parts = [rechannel, *(part for layer in layers for part in layer), head, head_bias, torch.ones(1)]
    numbers = {name: value.float().tolist() for name, value in encoder.state_dict().items()}
    return {
        "version": version,
        "architecture": "WaveNet",
        "config": {"layers": [array], "head": None, "head_scale": 1.0, "in_channels": 1 + columns},
        "weights": torch.cat([part.float().reshape(-1) for part in parts]).tolist(),
        "sample_rate": sample_rate,
        "metadata": {OWN: numbers},
    }


def _layers(encoder: Encoder, columns: int) -> tuple[list[tuple[Tensor, ...]], tuple[Tensor, Tensor]]:
    """Return per layer `(conv (U, U), bias, mixin (U, 1 + K), 1x1 (U, U), bias)`, and the head `(1 + E, U)` with bias.

    The residual starts at zero; the first layer takes the knobs through its mixin.
    """
    warp, dense = encoder.warp, encoder.dense
    hinges = 0 if warp is None else warp.slope_steps_KJ.numel()
    units = 1 + hinges + (dense.out_channels if dense is not None else 0)
    audio = torch.zeros(1 + encoder.features, units)
    audio[0, 0] = 1
    head, head_bias = audio.clone(), torch.zeros(1 + encoder.features)
    layers: list[tuple[Tensor, ...]] = []
    curves, curves_bias = torch.zeros(columns, units), torch.zeros(columns)
    if warp is not None:
        knots = warp.slope_steps_KJ.shape[1]
        conv_bias, mixin = torch.zeros(units), torch.zeros(units, 1 + columns)
        conv_bias[1 : 1 + hinges] = -warp.knots_J.repeat(columns)
        mixin[0, 0] = 1
        for column in range(columns):
            begin = 1 + column * knots
            mixin[begin : begin + knots, 1 + column] = 1
            curves[column, begin : begin + knots] = warp.slope_steps_KJ[column]
        curves_bias -= 1
        one, one_bias = torch.zeros(units, units), torch.zeros(units)
        if dense is None:
            head[1:], head_bias[1:] = curves, curves_bias
        else:
            one[1 : 1 + columns], one_bias[1 : 1 + columns] = curves, curves_bias
        layers.append((torch.zeros(units, units), conv_bias, mixin, one, one_bias))
    if dense is not None:
        assert dense.bias is not None
        rows = slice(1 + hinges, units)
        conv, conv_bias, mixin = torch.zeros(units, units), torch.zeros(units), torch.zeros(units, 1 + columns)
        conv_bias[rows] = dense.bias
        if warp is None:
            mixin[0, 0] = 1
            mixin[rows, 1:] = dense.weight[..., 0]
        else:
            conv[rows, 1 : 1 + columns] = dense.weight[..., 0]
        head[1:, rows] = torch.eye(encoder.features)
        layers.append((conv, conv_bias, mixin, torch.zeros(units, units), torch.zeros(units)))
    return layers, (head, head_bias)


def is_own(document: Any) -> bool:
    """Return whether a condition network is marked as a knob encoder of ours."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    return isinstance(metadata, dict) and OWN in metadata


@torch.no_grad()
def read_encoder(document: Any, columns: int, where: str) -> Encoder:
    """Return the encoder that `write_encoder` writes as this document; raises `UserError` for any other network."""
    refusal = UserError(f"{where} is not a knob encoder of the family", "Export the model again from its trainer.")
    metadata = document.get("metadata") if isinstance(document, dict) else None
    numbers = metadata.get(OWN) if isinstance(metadata, dict) else None
    if not isinstance(numbers, dict) or not isinstance(document.get("config"), dict):
        raise refusal
    try:
        state = {name: torch.tensor(value, dtype=torch.float32) for name, value in numbers.items()}
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise refusal from None
    warp, dense = state.get("warp.log_slopes"), state.get("dense.bias")
    sizes = {"warp": None if warp is None else warp.shape[-1], "encoder": None if dense is None else len(dense)}
    if not state or not all(size is None or 1 <= size <= 64 for size in sizes.values()):
        raise refusal
    encoder = Encoder(columns, Injection.model_construct(**sizes))
    if {name: part.shape for name, part in state.items()} != {n: p.shape for n, p in encoder.state_dict().items()}:
        raise refusal
    encoder.load_state_dict(state)
    ours = write_encoder(encoder, columns, document.get("version", ""), document.get("sample_rate") or 0)
    try:
        theirs = torch.tensor(document.get("weights"), dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise refusal from None
    weights = torch.tensor(ours["weights"])
    if (
        document["config"].get("layers") != ours["config"]["layers"]
        or weights.shape != theirs.shape
        or not torch.allclose(weights, theirs, rtol=1e-5, atol=1e-6)
    ):
        raise refusal
    return encoder
