"""A training step on the CPU: both engines agree, and steps without finite numbers are skipped."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.artifacts.folder import load_model, save_tensors
from models.artifacts.history import read_history
from models.artifacts.names import STATE
from models.core.errors import DivergedError, UserError
from models.engines.base import Engine, Loss
from models.engines.cpu_train.engine import CompiledEngine
from models.engines.eager import EagerEngine
from models.evaluation.distances import mrstft
from models.network.folding import Folding
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import LearningConfig
from models.training.schedule import rate_at
from models.training.state import PATIENCE
from models.training.trainer import Trainer
from tests.support.makers import (
    GRID,
    amp,
    architecture,
    data_config,
    di,
    entry,
    recipe,
    record,
    write_manifest,
    write_wav,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AmpData:
    return load_data(data_config(record(tmp_path_factory.mktemp("takes"), "train", di(1.5))))


class Failing:
    """An engine whose numbers are not finite at some of its calls."""

    def __init__(self, engine: Engine, at: set[int]) -> None:
        self.engine, self.at, self.net, self.calls = engine, at, engine.net, 0

    def __call__(self, x_BT: Tensor, knobs_BK: Tensor) -> Tensor:
        return self.engine(x_BT, knobs_BK)

    def accumulate_gradient(self, vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        found = self.engine.accumulate_gradient(vector_P, x_BT, knobs_BK, loss)
        self.calls += 1
        if self.calls - 1 in self.at:
            assert vector_P.grad is not None
            vector_P.grad[0] = math.inf
        return found


def weights(trainer: Trainer) -> list[bytes]:
    return [value.numpy().tobytes() for value in trainer.net.state_dict().values()]


@pytest.mark.parametrize("form", ["mixin+film", "input"])
def test_two_hundred_steps_are_those_of_the_eager_engine(data: AmpData, form: str, monkeypatch: pytest.MonkeyPatch):
    plan = recipe(data.config, architecture(form), steps=200, pre_emphasis=0.5)
    fast = Trainer(plan, data)
    assert isinstance(fast.solo.engine, CompiledEngine)
    monkeypatch.setattr("models.training.solo.engine_for", EagerEngine)
    plain = Trainer(plan, data)
    assert isinstance(plain.solo.engine, EagerEngine)
    for _ in range(20):
        assert fast.advance(10) == pytest.approx(plain.advance(10), rel=1e-5)
    for name, value in fast.net.state_dict().items():
        torch.testing.assert_close(value, plain.net.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_step_that_is_not_finite_changes_nothing(data: AmpData):
    trainer = Trainer(recipe(data.config), data)
    trainer.solo.engine = Failing(trainer.solo.engine, {3, 4, 7})
    trainer.advance(3)
    before = weights(trainer)
    trainer.advance(2)
    assert weights(trainer) == before and trainer.failed == 2
    trainer.advance(1)
    assert weights(trainer) != before and trainer.failed == 0
    trainer.advance(4)
    assert [line.get("skipped") for line in trainer.history] == [None, 2, None, 1]
    assert trainer.history[1]["loss"] is None and trainer.history[3]["loss"] > 0


def test_run_diverges_after_steps_without_finite_numbers(data: AmpData, tmp_path: Path):
    """Also when it was interrupted and resumed in between."""
    trainer = Trainer(recipe(data.config), data)
    trainer.solo.engine = Failing(trainer.solo.engine, set(range(2, 100)))
    trainer.advance(2 + PATIENCE - 3)
    trainer.save(tmp_path)
    with pytest.raises(DivergedError, match=f"at step {PATIENCE + 1}"):
        trainer.advance(10)
    again = Trainer(recipe(data.config), data)
    again.load(tmp_path)
    assert weights(again) == weights(trainer) and read_history(tmp_path) == again.history
    again.solo.engine = Failing(again.solo.engine, set(range(100)))
    with pytest.raises(DivergedError, match=f"at step {PATIENCE + 1}"):
        again.advance(10)


@pytest.mark.parametrize(
    "learning",
    [
        {"mrstft": 0.01},
        {"optimizer": "soap", "composed": 0.5, "silence": 10.0, "interaction": 0.1},
        {"optimizer": "muon"},
    ],
)
def test_run_can_be_interrupted_at_any_step(data: AmpData, tmp_path: Path, learning: dict[str, Any]):
    plan = recipe(data.config, architecture("encoder"), steps=12, **learning)
    whole = Trainer(plan, data)
    whole.advance(12)
    for step in (1, 5, 11):
        first, second = Trainer(plan, data), Trainer(plan, data)
        first.advance(step)
        first.save(tmp_path / str(step))
        second.load(tmp_path / str(step))
        second.advance(12)
        assert weights(second) == weights(whole)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_model_has_the_average_of_the_weights(data: AmpData, tmp_path: Path, ema: float):
    """By its definition: each usable step moves the average towards the weights; interrupted or not."""
    plan = recipe(data.config, steps=12, ema=ema)
    whole, means = Trainer(plan, data), []
    whole.solo.engine = Failing(whole.solo.engine, {5})
    mean_P = whole.vector_P.detach().clone()
    for step in range(12):
        whole.advance(1)
        if step != 5:
            decay = min(ema, (1 + step) / (10 + step))
            mean_P = decay * mean_P + (1 - decay) * whole.vector_P.detach()
        means.append(mean_P)
    kept_P = torch.cat([parameter.detach().flatten() for parameter in Folding(whole.model).parameters])
    torch.testing.assert_close(kept_P, means[-1])
    assert (whole.model is whole.net) == (ema == 0) and torch.equal(kept_P, whole.vector_P) == (ema == 0)
    first, second = Trainer(plan, data), Trainer(plan, data)
    first.solo.engine = Failing(first.solo.engine, {5})
    first.advance(7)
    first.save(tmp_path)
    second.load(tmp_path)
    second.advance(5)
    assert weights(second) == weights(whole) and second.validate() == whole.validate()
    second.finish(tmp_path)
    found = load_model(tmp_path)[1].state_dict()
    assert all(torch.equal(found[name], value) for name, value in whole.model.state_dict().items())


def test_state_of_another_version_is_refused(data: AmpData, tmp_path: Path):
    trainer = Trainer(recipe(data.config), data)
    trainer.advance(1)
    trainer.save(tmp_path)
    save_tensors(tmp_path / STATE, {"net.head_scale": torch.tensor(1.0)}, {"step": "1"})
    with pytest.raises(UserError, match="another version"):
        trainer.load(tmp_path)


@pytest.mark.parametrize("changes", [{}, {"mrstft": 0.1}, {"pre_emphasis": 0.9}], ids=str)
def test_quiet_take_counts_as_much_as_a_loud_one(tmp_path: Path, changes: dict[str, Any]):
    """The same recording 40 dB down has the same share of the loss."""
    x_T = di(1.5)
    dry, entries = write_wav(tmp_path / "dry.wav", x_T), []
    for number, setting in enumerate(GRID):
        wet_T = (0.01 if number % 2 else 1.0) * amp(x_T, 5, 0.5)
        wet = write_wav(tmp_path / f"{number}.wav", wet_T.astype(np.float32))
        entries.append(entry(dry.name, wet.name, setting))
    data = load_data(data_config(write_manifest(tmp_path / "train.json", entries)))
    shares = {}
    for number in (0, 1):
        trainer = Trainer(recipe(data.config, batch=1, **changes), data)
        piece = next(index for index, p in enumerate(trainer.windows.pieces) if GRID.index(p.setting) % 2 == number)
        target_BS = trainer.windows.pieces[piece].wet_T[None, 1000:1512]
        x_BT, knobs_BK = torch.zeros(1, trainer.net.receptive_field + 511), torch.zeros(1, 2)
        weight_B = trainer.windows.weights_Q[piece, None]
        trainer.windows.batch = lambda step, x=x_BT, y=target_BS, k=knobs_BK, w=weight_B: (x, y, k, w)
        with torch.no_grad():
            trainer.vector_P.zero_()  # plays silence
        shares[number] = trainer.advance(1)
    assert shares[0] == pytest.approx(shares[1], rel=1e-3) and shares[0] > 0.1


def test_training_does_not_depend_on_the_recorded_level(tmp_path: Path):
    """An amp 40 dB down trains as the amp itself and comes out 40 dB down."""
    x_T, played = di(1.5), []
    for scale in (1.0, 0.01):
        folder = tmp_path / str(scale)
        dry, entries = write_wav(folder / "dry.wav", x_T), []
        for number, setting in enumerate(GRID):
            wet_T = scale * amp(x_T, setting["gain"], setting["tone"])
            wet = write_wav(folder / f"{number}.wav", wet_T.astype(np.float32))
            entries.append(entry(dry.name, wet.name, setting))
        config = data_config(write_manifest(folder / "train.json", entries))
        trainer = Trainer(recipe(config), load_data(config))
        loss = trainer.advance(20)
        trainer.finish(folder / "run")
        net = load_model(folder / "run")[1]
        with torch.no_grad():
            played.append((loss, net(torch.from_numpy(x_T)[None], torch.zeros(1, 2))))
    (loud, loud_BS), (quiet, quiet_BS) = played
    assert quiet == pytest.approx(loud, rel=1e-4) and loud_BS.std() > 0.01
    assert (100 * quiet_BS - loud_BS).norm() <= 1e-3 * loud_BS.norm()


def test_spectral_distance_is_per_window(data: AmpData):
    torch.manual_seed(0)
    one_BT, other_BT = torch.randn(3, 3000), torch.randn(3, 3000)
    together = mrstft(one_BT, other_BT)
    assert together.shape == (3,) and mrstft(one_BT, one_BT).abs().max() == 0
    alone = torch.cat([mrstft(a[None], b[None]) for a, b in zip(one_BT, other_BT, strict=True)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("schedule", ["cosine", "exponential", "constant"])
def test_schedules_end_at_the_final_rate(schedule: str):
    learning = LearningConfig.model_validate({"steps": 1000, "warmup": 10, "schedule": schedule, "final_rate": 0.1})
    peak, last = learning.learning_rate, rate_at(999, learning)
    assert rate_at(10, learning) == pytest.approx(peak, rel=0.03)
    assert last == pytest.approx(peak if schedule == "constant" else 0.1 * peak, rel=0.01)


def test_baseline_is_computed_once(data: AmpData, monkeypatch: pytest.MonkeyPatch):
    trainer = Trainer(recipe(data.config), data)
    first = trainer.validate()
    monkeypatch.setattr(AmpData, "neighbor", None)
    assert trainer.validate() == first and first.baseline_mean


def test_a_whole_training_imports_no_compiler(tmp_path: Path):
    """The parts of torch that it could import take seconds of every worker of a search."""
    takes = record(tmp_path, "train", di(1.5))
    script = f"""
import sys
from pathlib import Path
from models.recordings.loading import load_data
from models.training.trainer import Trainer
from tests.support.makers import data_config, recipe
data = load_data(data_config(Path({str(takes)!r})))
parts = dict(optimizer="soap", silence=100.0, interaction=1.0, composed=0.5)
trainer = Trainer(recipe(data.config, **parts), data)
trainer.advance(30)
trainer.finished_model()
print(sorted({{"sympy", "torch._dynamo"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", done.stdout
