"""The model in a folder: config and weights, written whole and read with checks."""

import struct
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, WEIGHTS
from models.core.errors import IntegrityError, NotFound, UserError
from models.core.files import staged_file, write_json
from models.core.schema import read_document
from models.network.wavenet import WaveNet

MAX_HEADER_BYTES = 1 << 20

UNCHECKED_BYTES = 16 << 20  # of weights: a model of at most so many is allocated without a check of the file's size


def save_model(folder: Path, config: ModelConfig, net: WaveNet) -> None:
    """Write `config.json` and `model.safetensors`, each whole or not at all."""
    write_json(folder / CONFIG, config.model_dump(mode="json"))
    save_tensors(folder / WEIGHTS, dict(net.state_dict()))


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all; raises `UserError` when it cannot be written."""
    plain = {key: value.detach().contiguous() for key, value in tensors.items()}
    try:
        with staged_file(path) as staged:
            save_file(plain, staged, metadata or {"format": "pt"})
    except SafetensorError:
        raise UserError(f"{path} cannot be written", "Is the disk full, or the folder read-only?") from None


def load_model(folder: Path) -> tuple[ModelConfig, WaveNet]:
    """Read the model of a run folder or a package, in evaluation mode.

    Raises `NotFound` when the folder holds no model, `IntegrityError` when the weights do not match the config, and
    `UserError` when the config is malformed or contradicts itself.
    """
    if not (folder / CONFIG).exists():
        raise NotFound(
            f"{folder} holds no model ({CONFIG} is missing)", "Name a run folder, a package, or an amp of the zoo."
        )
    config = read_document(folder / CONFIG, ModelConfig)
    if config.audio.receptive_field != config.architecture.receptive_field:
        raise UserError(
            f"{folder / CONFIG}: audio.receptive_field is {config.audio.receptive_field}, but the architecture's is "
            f"{config.architecture.receptive_field}",
            "The package was edited by hand; get it again.",
        )
    _check_size(folder, config)
    net = WaveNet(config.architecture, config.columns)
    net.load_state_dict(load_weights(folder / WEIGHTS, dict(net.state_dict())))
    return config, net.eval()


def _check_size(folder: Path, config: ModelConfig) -> None:
    """Before a large model is allocated, raise `IntegrityError` if its file of weights is too small for its config.

    The bound in the first lines is cheap and never too low: a layer has at most so many weights per product. It spares
    small models the exact count, whose preparation takes torch seconds.
    """
    features = max(config.columns, config.architecture.inject.encoder or 0)
    if 4 * config.architecture.macs_per_sample(config.columns) * 8 * (1 + features) <= UNCHECKED_BYTES:
        return
    with torch.device("meta"):
        shapes = WaveNet(config.architecture, config.columns).state_dict().values()
    promised = sum(shape.numel() * shape.element_size() for shape in shapes)
    found = (folder / WEIGHTS).stat().st_size if (folder / WEIGHTS).exists() else promised
    if found < promised and promised > UNCHECKED_BYTES:
        raise IntegrityError(
            f"{folder / WEIGHTS} is {found:,} bytes, the model of {CONFIG} takes {promised:,}",
            "Get the model again from where it was published.",
        )


def load_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Read tensors of exactly the expected names, shapes and types, all finite; else raises `IntegrityError`."""
    hint = "Get the model again from where it was published."
    try:
        with path.open("rb") as file:
            (header,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if header > MAX_HEADER_BYTES:
            raise IntegrityError(
                f"{path}: its header claims {header:,} bytes, at most {MAX_HEADER_BYTES:,} are legal", hint
            )
        tensors = load_file(path)
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing", hint) from None
    except OSError as problem:
        raise IntegrityError(f"{path} cannot be read: {problem.strerror}", hint) from None
    except SafetensorError:
        raise IntegrityError(f"{path} is not a safetensors file, or is cut short or damaged", hint) from None
    if unmatched := sorted(set(tensors) ^ set(expected)):
        word = "lacks" if unmatched[0] in expected else "has an unexpected"
        raise IntegrityError(f"{path} {word} tensor '{unmatched[0]}'", hint)
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise IntegrityError(
                f"{path}: tensor '{name}' is {tensor.dtype} {tuple(tensor.shape)}, "
                f"expected {expected[name].dtype} {tuple(expected[name].shape)}",
                hint,
            )
        if not tensor.isfinite().all():
            raise IntegrityError(f"{path}: tensor '{name}' holds a number that is not finite", hint)
    return tensors
