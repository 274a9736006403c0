"""Writes a model as `amp.bin`, the file that the C player plays.

Shapes: R coefficients, E features.
"""

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.artifacts.model_config import ModelConfig
from models.core.errors import UserError
from models.core.files import staged_file
from models.engines.cpu_stream.lowering import PlayerProgram, lower
from models.formats.player.layout import (
    AMP_VERSION,
    AVOIDS_ZERO,
    ENCODINGS,
    FILE_OPERATION,
    HEADER,
    IDENTITY_BYTES,
    IS_GAIN,
    KNOB,
    LINEAR,
    LOG,
    MAGIC,
    POSITION,
    SWITCH,
)
from models.knobs.schema import AnyKnob, Knob, Switch
from models.network.numpy_wavenet import NumpyWaveNet

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet

PORTABLE_WIDTH, PORTABLE_REGISTERS = 16, 16  # tiles that fit every processor


def write_amp(path: Path, config: ModelConfig, net: "WaveNet | NumpyWaveNet", identity: str = "") -> None:
    """Write `amp_bytes(...)` whole or not at all."""
    data = amp_bytes(config, net, identity)
    with staged_file(path) as staged:
        staged.write_bytes(data)


def amp_bytes(config: ModelConfig, net: "WaveNet | NumpyWaveNet", identity: str = "") -> bytes:
    """Return a model as the bytes of `amp.bin`.

    Args:
        config: the model's.
        net: its weights, stored as float32.
        identity: distinguishes this amp from others, such as `owner/name`; the name of the model where it is empty.

    Raises:
        UserError: the architecture is one that only PyTorch plays (`WaveNetConfig.compiles`).
    """
    if not config.architecture.compiles:
        raise UserError(
            f"{config.name} has parts that only PyTorch plays (they occur in imported .nam files)",
            "Render files with it, or train a model of the zoo's own family.",
        )
    program = lower(net, width=PORTABLE_WIDTH, registers=PORTABLE_REGISTERS)
    knobs = config.knobs.knobs
    positions = [position for knob in knobs if isinstance(knob, Switch) for position in knob.positions]
    operations = np.array([tuple(operation) for operation in program.operations], FILE_OPERATION)
    weights, coefficients = _split_weights(program)
    body = b"".join(
        (
            np.array([_knob(knob) for knob in knobs], KNOB).tobytes(),
            np.array([(position.encode(),) for position in positions], POSITION).tobytes(),
            operations.tobytes(),
            weights.astype("<f4").tobytes(),
            coefficients.astype("<f4").tobytes(),
        )
    )
    header = _header(config, program, identity)
    header["positions"], header["operations"], header["weights"] = len(positions), len(operations), len(weights)
    header["size"] = HEADER.itemsize + len(body)
    return header.tobytes() + body


def _header(config: ModelConfig, program: PlayerProgram, identity: str) -> np.ndarray:
    """Return the header without the sizes of what follows it."""
    (knobs, features, _, levels_per_sample, encoder_operations, *buffers, coefficients, _, _) = program.net[0].tolist()
    audio, condition, level_rows, feature_rows, output = buffers
    facts = {
        "magic": MAGIC,
        "version": AMP_VERSION,
        "sample_rate": config.audio.sample_rate,
        "receptive_field": config.audio.receptive_field,
        "encoding": ENCODINGS.index(config.architecture.inject.encoding),
        "knobs": len(config.knobs.knobs),
        "columns": knobs,
        "features": features,
        "buffers": len(program.buffers),
        "encoder_operations": encoder_operations,
        "coefficients": coefficients,
        "input": audio,
        "condition": condition,
        "level_rows": level_rows,
        "feature_rows": feature_rows,
        "output": output,
        "levels_per_sample": levels_per_sample,
        "input_level_dbu": _or_nan(config.audio.input_level_dbu),
        "output_level_dbu": _or_nan(config.audio.output_level_dbu),
        "identity": hashlib.sha256((identity or config.name).encode()).digest()[:IDENTITY_BYTES],
        "name": config.name.encode(),
    }
    header = np.zeros((), HEADER)
    for name, value in facts.items():
        header[name] = value
    return header


def _split_weights(program: PlayerProgram) -> tuple[np.ndarray, np.ndarray]:
    """Return the fixed weights, and the coefficients: R constants, then E rows of R slopes."""
    features, coefficients, slopes = (program.net[0].tolist()[index] for index in (1, -3, -2))
    begin = slopes - coefficients
    return program.weights[:begin], program.weights[begin : slopes + features * coefficients]


def _knob(knob: AnyKnob) -> tuple:
    """Return a knob as a record of `KNOB`; the values of a switch are the indices of its positions."""
    if isinstance(knob, Knob):
        flags = IS_GAIN * knob.gain + AVOIDS_ZERO * knob.avoid_zero
        kind = LOG if knob.taper == "log" else LINEAR
        return (
            knob.name.encode(),
            kind,
            flags,
            0,
            knob.min,
            knob.max,
            knob.default,
            knob.step or 0,
            (knob.unit or "").encode(),
        )
    count = len(knob.positions)
    return knob.name.encode(), SWITCH, 0, count, 0, count - 1, knob.positions.index(knob.default), 1, b""


def _or_nan(level: float | None) -> float:
    return math.nan if level is None else level
