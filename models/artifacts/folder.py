"""The model in a folder: config and weights, written whole and read with checks.

Reading needs numpy alone; torch is loaded where a model is wanted as a torch module.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, WEIGHTS
from models.core.errors import IntegrityError, NotFound, UserError
from models.core.files import HINT_LFS, LFS_POINTER, open_regular, staged_file, write_json
from models.core.schema import read_document
from models.network.numpy_wavenet import NumpyWaveNet, parameter_shapes

if TYPE_CHECKING:
    import torch

    from models.network.wavenet import WaveNet

MAX_HEADER_BYTES = 1 << 20

UNCHECKED_BYTES = 16 << 20  # of weights: for fewer, the error names the tensor that is missing

NUMBER_TYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}  # as safetensors names them

HINT_GET_MODEL_AGAIN = "Get the model again from where it was published."


def save_model(folder: Path, config: ModelConfig, net: "WaveNet") -> None:
    """Write `config.json` and `model.safetensors`, each whole or not at all."""
    write_json(folder / CONFIG, config.model_dump(mode="json"))
    save_tensors(folder / WEIGHTS, dict(net.state_dict()))


def save_tensors(path: Path, tensors: dict[str, "torch.Tensor"], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all; raises `UserError` when it cannot be written."""
    from safetensors.torch import save_file

    plain = {key: value.detach().contiguous() for key, value in tensors.items()}
    try:
        with staged_file(path) as staged:
            save_file(plain, staged, metadata or {"format": "pt"})
    except SafetensorError:
        raise UserError(f"{path} cannot be written", "Is the disk full, or the folder read-only?") from None


def load_model(folder: Path) -> tuple[ModelConfig, "WaveNet"]:
    """Read the model of a run folder or a package as a torch module in evaluation mode; raises as `read_model` does."""
    from models.network.wavenet import as_module

    config, net = read_model(folder)
    return config, as_module(net)


def read_model(folder: Path) -> tuple[ModelConfig, NumpyWaveNet]:
    """Read the model of a run folder or a package as numpy arrays.

    Raises `NotFound` when the folder holds no model, `IntegrityError` when the weights do not match the config, and
    `UserError` when the config is malformed or contradicts itself.
    """
    check_holds_model(folder)
    config = read_document(folder / CONFIG, ModelConfig)
    if config.audio.receptive_field != config.architecture.receptive_field:
        raise UserError(
            f"{folder / CONFIG}: audio.receptive_field is {config.audio.receptive_field}, but the architecture's is "
            f"{config.architecture.receptive_field}",
            "The package was edited by hand; get it again.",
        )
    shapes = parameter_shapes(config.architecture, config.columns)
    _check_weights_size(folder, shapes)
    return config, NumpyWaveNet(config.architecture, config.columns, load_weights(folder / WEIGHTS, shapes))


def check_holds_model(folder: Path) -> None:
    """Raise `NotFound` for a folder or a file that is no model's folder."""
    if not (folder / CONFIG).exists():
        found = f"{folder} holds no model ({CONFIG} is missing)" if folder.exists() else f"{folder} does not exist"
        raise NotFound(found, "Name a run folder, a package, or an amp of the zoo.")


def _check_weights_size(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Before anything is allocated, raise `IntegrityError` if the file of weights is too small for its config."""
    promised = sum(4 * int(np.prod(shape)) for shape in shapes.values())
    found = (folder / WEIGHTS).stat().st_size if (folder / WEIGHTS).exists() else promised
    if found < promised and promised > UNCHECKED_BYTES:
        raise IntegrityError(
            f"{folder / WEIGHTS} is {found:,} bytes, the model of {CONFIG} takes {promised:,}", HINT_GET_MODEL_AGAIN
        )


def load_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read float32 arrays of exactly these names and shapes, all finite; else raises `IntegrityError`."""
    hint = HINT_GET_MODEL_AGAIN
    try:
        with open_regular(path) as file:
            begin = file.read(len(LFS_POINTER))
        if begin == LFS_POINTER:
            raise IntegrityError(f"{path} is a Git LFS pointer, not the file itself", HINT_LFS)
        (header,) = struct.unpack("<Q", begin[:8].ljust(8, b"\0"))
        if header > MAX_HEADER_BYTES:
            raise IntegrityError(
                f"{path}: its header claims {header:,} bytes, at most {MAX_HEADER_BYTES:,} are legal", hint
            )
        with safe_open(path, "numpy") as file:
            _check_weight_names(path, {name: file.get_slice(name) for name in file.keys()}, shapes)  # noqa: SIM118 (no dict)
            weights = {name: file.get_tensor(name) for name in shapes}
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing", hint) from None
    except UserError as problem:
        raise IntegrityError(problem.message, problem.hint if problem.hint == HINT_LFS else hint) from None
    except OSError as problem:
        raise IntegrityError(f"{path} cannot be read: {problem.strerror}", hint) from None
    except SafetensorError:
        raise IntegrityError(f"{path} is not a safetensors file, or is cut short or damaged", hint) from None
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise IntegrityError(f"{path}: tensor '{name}' holds a number that is not finite", hint)
    return weights


def _check_weight_names(path: Path, found: dict, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise `IntegrityError` unless the slices of a file have these names and shapes, in float32; reads no number."""
    if unmatched := sorted(set(found) ^ set(shapes)):
        word = "lacks" if unmatched[0] in shapes else "has an unexpected"
        raise IntegrityError(f"{path} {word} tensor '{unmatched[0]}'", HINT_GET_MODEL_AGAIN)
    for name, part in found.items():
        shape, kind = tuple(part.get_shape()), NUMBER_TYPES.get(part.get_dtype(), part.get_dtype())
        if shape != shapes[name] or kind != "float32":
            raise IntegrityError(
                f"{path}: tensor '{name}' is {kind} {shape}, expected float32 {shapes[name]}", HINT_GET_MODEL_AGAIN
            )
