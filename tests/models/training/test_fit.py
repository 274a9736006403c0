"""A run gives the same numbers however often it is interrupted, reports divergence, and learns what the knobs do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.artifacts.evaluation import Evaluation, read_evaluation
from models.artifacts.folder import load_model
from models.artifacts.history import read_history
from models.artifacts.names import CONFIG, EVAL, HISTORY, MACHINE, RECIPE, SPLIT, STATE, WEIGHTS
from models.core.errors import DivergedError, UserError
from models.network.activation import Activation
from models.network.architecture import LayerArray, WaveNetConfig
from models.recordings.config import DataConfig
from models.training.config import LearningConfig, Recipe, as_begun, upgrade_stored
from models.training.fit import TrainingProgress, fit
from models.training.schedule import rate_at
from tests.support.makers import KNOBS, RATE, architecture, data_config, di, recipe, record

ALL = {CONFIG, WEIGHTS, EVAL, RECIPE, HISTORY, SPLIT, STATE, MACHINE}


def stop_at(step: int) -> Callable[[TrainingProgress], None]:
    def stop(progress: TrainingProgress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return stop


def never(progress: TrainingProgress) -> None:
    raise AssertionError(f"trained on to step {progress.step}")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def untimed(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(update={"seconds": 0})


def untimed_history(folder: Path) -> list[dict]:
    return [{**line, "seconds": 0} for line in read_history(folder)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    return data_config(record(tmp_path_factory.mktemp("takes"), "train", di(1.5)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data: DataConfig) -> tuple[Path, Evaluation]:
    out = tmp_path_factory.mktemp("runs") / "plain"
    return out, fit(recipe(data), out)


def test_run_folder_holds_all_files(finished: tuple[Path, Evaluation], data: DataConfig):
    out, evaluation = finished
    assert set(contents(out)) == ALL
    assert read_evaluation(out) == evaluation and evaluation.step == 30
    config, net = load_model(out)
    assert config.knobs == KNOBS and config.audio.sample_rate == RATE and config.architecture == architecture()
    assert evaluation.parameters == net.parameter_count
    assert Recipe.model_validate_json((out / RECIPE).read_text()) == recipe(data)
    split = json.loads((out / SPLIT).read_text())["pieces"]
    for group in ("validation", "held", "seen"):
        scored = [score.setting for score in getattr(evaluation, group).settings]
        assert scored == [piece["setting"] for piece in split[group]]
    assert [line["step"] for line in read_history(out)] == [10, 20, 30]
    assert read_history(out)[-1]["validation_esr"] == evaluation.validation.mean


def test_same_seed_gives_the_same_bytes(tmp_path: Path, data: DataConfig, finished: tuple[Path, Evaluation]):
    torch.manual_seed(99)  # what else is drawn in the process does not matter
    np.random.seed(99)
    assert untimed(fit(recipe(data), tmp_path / "again")) == untimed(finished[1])
    fit(recipe(data, seed=1), tmp_path / "other")
    first, again, other = (contents(folder) for folder in (finished[0], tmp_path / "again", tmp_path / "other"))
    for name in (CONFIG, WEIGHTS, STATE, RECIPE, SPLIT):
        assert again[name] == first[name], name
        assert (other[name] == first[name]) == (name in (CONFIG, SPLIT)), name


@pytest.mark.parametrize("stops", [(10,), (20,), (30,), (10, 20, 30)], ids=str)
def test_interrupted_run_ends_as_an_uninterrupted_one(
    tmp_path: Path, data: DataConfig, finished: tuple[Path, Evaluation], stops: tuple[int, ...]
):
    out, steps = tmp_path / "run", []
    for step in stops:
        with pytest.raises(KeyboardInterrupt):
            fit(recipe(data), out, stop_at(step))
        assert set(contents(out)) == {RECIPE, HISTORY, STATE}
        torch.rand(3)
    evaluation = fit(recipe(data), out, lambda progress: steps.append(progress.step))
    assert steps == [step for step in (10, 20, 30) if step > stops[-1]]
    assert untimed(evaluation) == untimed(finished[1])
    mine, theirs = contents(out), contents(finished[0])
    assert all(mine[name] == theirs[name] for name in (CONFIG, WEIGHTS, STATE, RECIPE, SPLIT))
    assert untimed_history(out) == untimed_history(finished[0])


def test_run_begun_before_optimizers_were_a_choice_goes_on_with_adam(
    tmp_path: Path, data: DataConfig, finished: tuple[Path, Evaluation]
):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(recipe(data), out, stop_at(10))
    stored = json.loads((out / RECIPE).read_text())
    stored["learning"] = {
        key: value
        for key, value in stored["learning"].items()
        if key not in ("optimizer", "composed", "silence", "interaction")
    }
    (out / RECIPE).write_text(json.dumps(stored))
    plan = recipe(data)
    stated = plan.learning.model_dump(include={"steps", "batch", "segment", "warmup", "report_every"})
    fit(plan.model_copy(update={"learning": LearningConfig(**stated)}), out)
    assert (out / WEIGHTS).read_bytes() == (finished[0] / WEIGHTS).read_bytes()
    assert json.loads((out / RECIPE).read_text())["learning"]["optimizer"] == "adam"


def test_run_begun_before_silence_counted_goes_on_without_it(tmp_path: Path, data: DataConfig):
    """And with the validation settings that it had; with silence stated now, it is another recipe."""
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(recipe(data, optimizer="soap"), out, stop_at(10))
    stored = json.loads((out / RECIPE).read_text())
    del stored["learning"]["silence"], stored["learning"]["interaction"], stored["data"]["validation_composed"]
    (out / RECIPE).write_text(json.dumps(stored))
    unstated = DataConfig.model_validate(data.model_dump(exclude={"validation_composed"}))
    assert unstated.validation_composed == 2
    plan = recipe(unstated, optimizer="soap")
    stated = plan.learning.model_dump(exclude={"silence", "interaction"})
    with pytest.raises(UserError, match="another recipe"):
        fit(plan.model_copy(update={"learning": LearningConfig(**stated, silence=50.0)}), out)
    fit(plan.model_copy(update={"learning": LearningConfig(**stated)}), out)
    finished = json.loads((out / RECIPE).read_text())
    assert [finished["learning"][key] for key in ("silence", "interaction", "optimizer")] == [0.0, 0.0, "soap"]
    assert finished["data"]["validation_composed"] == 0
    assert len(read_evaluation(out).validation.settings) == data.validation_settings


@pytest.mark.parametrize(
    ("stated", "wanted"), [({}, (8, 2048)), ({"segment": 256}, (8, 256)), ({"batch": 4}, (4, 2048))]
)
def test_what_began_with_the_former_segments_goes_on_with_them(
    tmp_path: Path, stated: dict[str, int], wanted: tuple[int, int]
):
    """Where nothing else is stated; what began with others is another recipe, as it was."""
    (tmp_path / RECIPE).write_text(json.dumps({"learning": {"batch": 8, "segment": 2048, "steps": 9}}))
    found = as_begun(LearningConfig.model_validate(stated), tmp_path / RECIPE)
    assert (found.batch, found.segment) == wanted
    assert not found.truncate
    (tmp_path / RECIPE).write_text(json.dumps({"learning": {"batch": 0, "segment": 512, "steps": 9}}))
    assert as_begun(LearningConfig(), tmp_path / RECIPE).segments_per_step(755) == 18
    (tmp_path / RECIPE).write_text(json.dumps({"learning": {"batch": 3, "segment": 999, "steps": 9}}))
    assert as_begun(LearningConfig(), tmp_path / RECIPE).batch == LearningConfig().batch


@pytest.mark.parametrize("field", [1, 100, 755, 4093, 1 << 17])
def test_a_step_takes_the_work_of_eight_long_segments_whatever_the_receptive_field(field: int):
    """To half a segment; a stated number stays."""
    learning = LearningConfig()
    assert abs(learning.step_work(field) - 8 * (2048 + field)) <= (learning.segment + 0.3 * field) / 2
    assert LearningConfig(segment=2048, truncate=False).segments_per_step(field) == 8
    assert LearningConfig(segment=1 << 20).segments_per_step(1) == 1
    assert LearningConfig(batch=5).segments_per_step(field) == 5
    assert LearningConfig(mrstft=0.1).segment == 2048 and LearningConfig(mrstft=0.1, segment=600).segment == 600


def test_stored_documents_state_what_was_no_choice_when_they_were_written():
    """Runs and studies; what they state stays."""
    run = {"data": {"name": "a"}, "learning": {"optimizer": "soap", "composed": 0.5}}
    learning = {"optimizer": "soap", "composed": 0.5, "silence": 0.0, "interaction": 0.0, "truncate": False}
    assert upgrade_stored(run) == {"data": {"name": "a", "validation_composed": 0}, "learning": learning}
    study = {"datasets": [{"name": "a"}, {"name": "b", "validation_composed": 3}], "learning": {"steps": 9}}
    upgraded = upgrade_stored(study)
    assert [amp["validation_composed"] for amp in upgraded["datasets"]] == [0, 3]
    assert upgraded["learning"] == {**learning, "steps": 9, "optimizer": "adam", "composed": 0.0}
    assert upgrade_stored(upgraded) == upgraded


@pytest.mark.parametrize("stop", [*range(6), *range(9, 13)], ids=str)
def test_run_stopped_at_any_write_can_be_resumed(
    tmp_path: Path, data: DataConfig, finished: tuple[Path, Evaluation], monkeypatch: pytest.MonkeyPatch, stop: int
):
    """Ctrl-C after so many files were put in place, of the 13 that a run of three reports writes."""
    out, replace, writes = tmp_path / "run", Path.replace, 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal writes
        writes += 1
        if writes == stop + 1:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", failing)
        fit(recipe(data), out)
    assert untimed(fit(recipe(data), out)) == untimed(finished[1])
    assert (out / WEIGHTS).read_bytes() == (finished[0] / WEIGHTS).read_bytes()
    assert untimed_history(out) == untimed_history(finished[0])


def test_finished_run_is_not_trained_again(data: DataConfig, finished: tuple[Path, Evaluation]):
    out, evaluation = finished
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.iterdir()}
    assert fit(recipe(data), out, never) == evaluation
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.iterdir()} == before


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("data", {"data": {"held_seconds": 0.3}}),
        ("model", {"model": {"inject": {"mixin": True}}}),
        ("learning", {"learning": {"steps": 40}}),
    ],
)
def test_another_recipe_in_the_folder_is_refused(
    data: DataConfig, finished: tuple[Path, Evaluation], part: str, change: dict[str, dict[str, Any]]
):
    out, plain = finished[0], recipe(data).model_dump()
    other = Recipe.model_validate(plain | {name: plain[name] | values for name, values in change.items()})
    before = contents(out)
    with pytest.raises(UserError) as caught:
        fit(other, out, never)
    assert str(out) in caught.value.message and f"'{part}' differs" in caught.value.message and caught.value.hint
    assert contents(out) == before


def test_folder_with_something_else_in_it_is_refused(tmp_path: Path, data: DataConfig):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="is not empty and holds no run"):
        fit(recipe(data), tmp_path, never)
    assert contents(tmp_path) == {"thesis.tex": b"mine"}


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path, data: DataConfig):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UserError):
        fit(recipe(data), tmp_path / "run", never)


@pytest.mark.parametrize("name", [STATE, HISTORY])
def test_damaged_run_is_a_user_error(tmp_path: Path, data: DataConfig, name: str):
    with pytest.raises(KeyboardInterrupt):
        fit(recipe(data), tmp_path, stop_at(10))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-5])
    with pytest.raises(UserError, match=name):
        fit(recipe(data), tmp_path, never)


def test_diverged_run_raises_and_writes_no_model(tmp_path: Path, data: DataConfig):
    deep = WaveNetConfig(arrays=(LayerArray(channels=8, dilations=(1,) * 30, activation=(Activation(type="ReLU"),)),))
    plan = recipe(data, deep, learning_rate=1, gradient_clip=1e9, warmup=0, batch=1, segment=64)
    with pytest.raises(DivergedError, match="the loss is"):
        fit(plan, tmp_path / "run")
    assert not {CONFIG, WEIGHTS, EVAL} & set(contents(tmp_path / "run"))


@pytest.mark.parametrize("seed", [-1, 1 << 70])
def test_unusable_seed_is_refused_by_the_config(tmp_path: Path, data: DataConfig, seed: int):
    try:
        plan = recipe(data, seed=seed, steps=1)
    except ValueError:
        return
    fit(plan, tmp_path / "run")


@pytest.mark.parametrize(("steps", "warmup"), [(100, 10), (100, 0), (1, 0), (50, 200)])
def test_learning_rate_rises_then_only_falls(steps: int, warmup: int):
    learning = LearningConfig(steps=steps, warmup=warmup, learning_rate=0.01, final_rate=0.1)
    rates = [rate_at(step, learning) for step in range(steps)]
    assert all(0 < rate <= 0.01 for rate in rates)
    turned = rates[warmup:]
    assert turned == sorted(turned, reverse=True) and all(rate >= 0.001 for rate in turned)
    if warmup < steps:
        assert max(rates) > 0.0095


def test_model_learns_what_the_knobs_do(tmp_path: Path, data: DataConfig):
    """On every held setting, with audio that it was not trained on, better than the nearest recorded setting."""
    model = WaveNetConfig(arrays=(LayerArray(channels=6, dilations=(1, 2)),), inject=architecture("mixin+film").inject)
    evaluation = fit(recipe(data, model, steps=500, batch=8, learning_rate=0.02, report_every=250), tmp_path / "run")
    held = evaluation.held
    assert len(held.settings) == 2 and held.baseline_mean is not None and evaluation.seen
    assert held.mean < 0.2 * held.baseline_mean
    for score in held.settings:
        assert score.baseline_esr and score.esr < 0.5 * score.baseline_esr
    assert evaluation.seen.mean < 0.05
