"""The state file has the tensors that runs had from the first version on, and resumes what it holds."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from models.artifacts.folder import save_tensors
from models.artifacts.names import HISTORY, RECIPE, STATE
from models.core.errors import UserError
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.trainer import Trainer
from tests.support.makers import data_config, di, recipe, record


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AmpData:
    return load_data(data_config(record(tmp_path_factory.mktemp("takes"), "train", di(1.5))))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_state_file_has_the_names_and_shapes_of_torch(data: AmpData, tmp_path: Path, ema: float):
    trainer = Trainer(recipe(data.config, ema=ema), data)
    trainer.advance(7)
    trainer.save(tmp_path)
    tensors, size = load_file(tmp_path / STATE), trainer.vector_P.numel()
    rest = {name: tuple(tensor.shape) for name, tensor in tensors.items() if not name.startswith("net.")}
    adam = {"adam.step": (), "adam.exp_avg": (size,), "adam.exp_avg_sq": (size,)}
    assert rest == {"failed": (), **adam, **({"mean": (size,)} if ema else {})}
    assert tensors["adam.step"].dtype == torch.float32
    assert tensors["adam.step"] == 7
    assert {name for name in tensors if name.startswith("net.")} == {f"net.{name}" for name in trainer.net.state_dict()}
    with safe_open(tmp_path / STATE, "pt") as file:
        assert file.metadata() == {"step": "7"}


def test_state_file_without_an_update_yet_can_be_read(data: AmpData, tmp_path: Path):
    """A file written before the first usable step had no tensors of the optimizer."""
    trainer = Trainer(recipe(data.config), data)
    trainer.save(tmp_path)
    tensors = {name: tensor for name, tensor in load_file(tmp_path / STATE).items() if not name.startswith("adam.")}
    save_tensors(tmp_path / STATE, tensors, {"step": "0"})
    again = Trainer(recipe(data.config), data)
    again.advance(3)
    again.load(tmp_path)
    assert again.step == 0
    assert again.advance(10) == trainer.advance(10)
    assert torch.equal(again.vector_P, trainer.vector_P)


Tensors = dict[str, torch.Tensor]

DAMAGES: dict[str, Callable[[Tensors], tuple[Tensors, dict[str, str] | None]]] = {
    "no step": lambda tensors: (tensors, None),
    "a step that is text": lambda tensors: (tensors, {"step": "seven"}),
    "a step of 5,000 digits": lambda tensors: (tensors, {"step": "7" * 5000}),
    "a step below zero": lambda tensors: (tensors, {"step": "-1"}),
    "no net": lambda tensors: ({k: v for k, v in tensors.items() if not k.startswith("net.")}, {"step": "7"}),
    "a net of another shape": lambda tensors: (
        {k: v[None].clone() if k.startswith("net.") else v for k, v in tensors.items()},
        {"step": "7"},
    ),
    "moments of one number": lambda tensors: ({**tensors, "adam.exp_avg": torch.zeros(())}, {"step": "7"}),
    "a mean of one number": lambda tensors: ({**tensors, "mean": torch.zeros(1)}, {"step": "7"}),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_state_is_told(what: str, data: AmpData, tmp_path: Path):
    trainer = Trainer(recipe(data.config, ema=0.9), data)
    trainer.advance(7)
    trainer.save(tmp_path)
    tensors, metadata = DAMAGES[what](load_file(tmp_path / STATE))
    save_file(tensors, tmp_path / STATE, metadata)
    with pytest.raises(UserError, match=r"state\.safetensors is damaged"):
        trainer.load(tmp_path)


@pytest.mark.parametrize("name", [STATE, HISTORY, RECIPE])
@pytest.mark.parametrize("how", ["link", "pipe"])
def test_what_a_training_goes_on_with_is_a_file(data: AmpData, tmp_path: Path, name: str, how: str):
    """A pipe is not waited for, and a link leads nowhere."""
    trainer = Trainer(recipe(data.config), data)
    trainer.save(tmp_path / "run")
    (tmp_path / "run" / name).rename(tmp_path / "other")
    os.mkfifo(tmp_path / "run" / name) if how == "pipe" else (tmp_path / "run" / name).symlink_to(tmp_path / "other")
    signal.alarm(60)
    try:
        with pytest.raises(UserError, match=rf"{name} is a (link to another file|device or a pipe)"):
            trainer.load(tmp_path / "run")
    finally:
        signal.alarm(0)
