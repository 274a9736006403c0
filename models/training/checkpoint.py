"""The files of an interrupted run: recipe, history, and the state of training.

`state.safetensors` holds the net under `net.`, the average of the weights as `mean`, the optimizer's tensors under its
name (`adam.`), the skipped steps in a row as `failed`, and in its metadata the step.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.artifacts.folder import save_tensors
from models.artifacts.history import read_history
from models.artifacts.names import HISTORY, RECIPE, STATE
from models.core.errors import UserError
from models.core.files import open_regular, write_json, write_text
from models.network.wavenet import WaveNet
from models.training.config import Recipe, read_stored_recipe
from models.training.optimizers import Optimizer
from models.training.state import TrainState

MAX_STEP_DIGITS = 15

HINT_TRAIN_ANEW = "Train into a new folder."


def save_checkpoint(
    folder: Path, recipe: Recipe, history: Sequence[dict], net: WaveNet, state: TrainState, optimizer: Optimizer
) -> None:
    """Write all that is needed to continue from this step; `state` has one member."""
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    tensors["failed"] = state.failed_K[0]
    if state.mean_KP is not None:
        tensors["mean"] = state.mean_KP[0]
    tensors |= {f"{optimizer.name}.{name}": rows[0] for name, rows in state.optimizer.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECIPE, recipe.model_dump(mode="json"))
    write_text(folder / HISTORY, "".join(json.dumps(line) + "\n" for line in history))
    save_tensors(folder / STATE, tensors, {"step": str(int(state.step_K))})


def load_checkpoint(folder: Path, recipe: Recipe, net: WaveNet, state: TrainState, optimizer: Optimizer) -> list[dict]:
    """Read what `save_checkpoint` wrote into a net and its state, and return the history up to that step.

    Raises `UserError` for another recipe, a damaged file or one of another version.
    """
    saved = read_stored_recipe(folder / RECIPE)
    if saved != recipe:
        fault = next(name for name in Recipe.model_fields if getattr(saved, name) != getattr(recipe, name))
        raise UserError(
            f"{folder} was trained with another recipe: '{fault}' differs",
            "Choose another folder, or restore the recipe.",
        )
    step, tensors = _read(folder / STATE)
    if not _fits(tensors, net, state, optimizer):
        raise UserError(f"{folder / STATE} is damaged, or from another version of ampzoo", HINT_TRAIN_ANEW)
    net.load_state_dict(_below(tensors, "net"))  # the net's parameters are those of the state
    state.step_K.fill_(step)
    state.failed_K.copy_(tensors["failed"])
    if state.mean_KP is not None:
        state.mean_KP[0].copy_(tensors["mean"])
    found = _below(tensors, optimizer.name)
    for name, rows in state.optimizer.items():
        rows[0].copy_(found.get(name, torch.zeros(())))  # absent in a file before the first usable step
    return [line for line in read_history(folder) if line["step"] <= step]


def _read(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Return the step and the tensors of a state file; raises `UserError` for a link, a pipe and a damaged file."""
    open_regular(path, follow=False).close()
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            step = (file.metadata() or {}).get("step", "")
    except (SafetensorError, RecursionError):
        step, tensors = "", {}
    if not (step.isascii() and step.isdigit() and len(step) <= MAX_STEP_DIGITS):
        raise UserError(f"{path} is damaged", HINT_TRAIN_ANEW)
    return int(step), tensors


def _fits(tensors: dict[str, Tensor], net: WaveNet, state: TrainState, optimizer: Optimizer) -> bool:
    """Return whether a file has the tensors of this net and state; those of the optimizer may be missing."""
    needed = {f"net.{name}": value.shape for name, value in net.state_dict().items()} | {"failed": torch.Size()}
    if state.mean_KP is not None:
        needed["mean"] = state.mean_KP[0].shape
    own = {f"{optimizer.name}.{name}": rows[0].shape for name, rows in state.optimizer.items()}
    found = {name: value.shape for name, value in tensors.items()}
    return (
        needed.items() <= found.items()
        and ("mean" in found) == ("mean" in needed)
        and all(found.get(name, shape) == shape for name, shape in own.items())
    )


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}
