"""The command `zoo train`: a run folder from takes alone, or from three files; interrupts and mistakes do no harm."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from benchmarks.optimizers import shape_config
from models.artifacts.evaluation import read_evaluation
from models.artifacts.history import read_history
from models.artifacts.names import RECIPE, WEIGHTS
from models.core.errors import DivergedError
from models.training.config import LearningConfig, Recipe
from models.training.recommended import recommended_learning
from tests.support.makers import GRID, amp, architecture, di, entry, record, write_manifest, write_wav
from tests.support.packages import LICENSE, ZOO, around, full_disk, read_files, refused, zoo
from tests.support.pedal import record_pedal
from zoo.package.finished_run import publishing_fault

STEPS, EVERY = 240, 5
WORDS = ("--data", "data.json", "--model", "model.json", "--learning", "learning.json", "--out")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a tiny dataset and the three files of a training run."""
    record(tmp_path / "takes", "train", di(1.5))
    plain = {"held_settings": 2, "held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}
    write(tmp_path / "data.json", {"name": "tiny", "train": "takes/train.json", **plain})
    write(tmp_path / "model.json", architecture().model_dump(mode="json"))
    learning = {"steps": STEPS, "batch": 2, "segment": 128, "warmup": 5, "report_every": EVERY}
    write(tmp_path / "learning.json", learning)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def edit(path: Path, **changes: Any) -> None:
    write(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def test_folds_score_every_setting_before_the_training_on_all(here: Path):
    edit(here / "learning.json", steps=10)
    ran = zoo("train", *WORDS, "runs/folds", "--folds", "2")
    assert (ran.code, ran.out) == (0, "runs/folds\n")
    lines = ran.err.splitlines()
    assert [line[:8] for line in lines if line.startswith("fold ")] == ["fold 1: ", "fold 2: "]
    assert "2 folds: each of" in ran.err and "standard deviation over the folds" in ran.err
    again = zoo("train", *WORDS, "runs/folds", "--folds", "2")
    assert again.code == 0 and "step " not in again.err
    refused(zoo("train", *WORDS, "runs/many", "--folds", "50"), 1, "50 folds are wanted")


def test_resumed_training_gives_the_same_weights(here: Path):
    command = [ZOO, "train", *WORDS, "runs/tiny"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=around()) as run:
        assert run.stderr
        assert run.stdout
        phases = [run.stderr.readline() for _ in range(2)]
        first = run.stderr.readline()
        run.send_signal(signal.SIGINT)
        out, rest = run.communicate(timeout=60)
    assert first.startswith(f"step {EVERY:>6} of {STEPS}  loss ")
    assert "validation ESR" in first
    assert phases == ["reading tiny\n", "training\n"]
    assert rest.splitlines()[-2:] == [
        "stopped training into runs/tiny",
        f"Go on with: {shlex.join(('zoo', *map(str, command[1:])))}",
    ]
    assert (run.returncode, out) == (130, "")
    assert "Traceback" not in rest
    assert "held-out" not in rest
    assert not (here / "runs/tiny" / WEIGHTS).exists()
    assert not list(here.rglob(".staged*"))
    reached = read_history(here / "runs/tiny")[-1]["step"]
    assert reached < STEPS
    refused(zoo("package", "runs/tiny", "--license", LICENSE), 3, "runs/tiny is a run that has not ended")

    ran = zoo("train", *WORDS, "runs/tiny")
    assert (ran.code, ran.out) == (0, "runs/tiny\n")
    messages = ran.err.splitlines()
    assert messages[:2] == ["reading tiny", f"training {reached} of {STEPS}"]
    held, worst, *_ = messages[messages.index("scoring") + 1 :]
    assert worst.startswith("worst at ")
    assert messages[2].startswith(f"step {reached + EVERY:>6} of {STEPS}  loss ")
    assert held.startswith("held ESR over 2 settings never trained on: mean ")
    assert zoo("train", *WORDS, "runs/whole").code == 0
    runs = [read_files(here / "runs" / name) for name in ("tiny", "whole")]
    assert runs[0][WEIGHTS] == runs[1][WEIGHTS]
    assert runs[0]["state.safetensors"] == runs[1]["state.safetensors"]
    scores = [read_evaluation(here / "runs" / name).model_copy(update={"seconds": 0}) for name in ("tiny", "whole")]
    assert scores[0] == scores[1]
    assert scores[0].step == STEPS

    assert zoo("train", *WORDS, "runs/tiny").out == "runs/tiny\n"  # a finished run is not trained again
    again = read_files(here / "runs/tiny")
    assert again == runs[0]
    assert zoo("package", "runs/tiny", "--license", LICENSE, "--force").out == "packages/tiny\n"


BAD_FILES: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "no data": ("data.json", None, ("does not exist",)),
    "no model": ("model.json", None, ("does not exist",)),
    "no learning": ("learning.json", None, ("does not exist",)),
    "data is no JSON": ("data.json", "{", ("is not valid JSON",)),
    "model is no JSON": ("model.json", "{", ("is not valid JSON",)),
    "learning is no JSON": ("learning.json", "{", ("is not valid JSON",)),
    "unknown key of data": ("data.json", {"tarin": "x"}, ("unknown key 'tarin'",)),
    "unknown key of model": ("model.json", {"chanels": 3}, ("unknown key 'chanels'",)),
    "unknown key of learning": ("learning.json", {"setps": 3}, ("unknown key 'setps'", "steps")),
    "bad data": ("data.json", {"name": "My Amp"}, ("'name' is 'My Amp'",)),
    "bad model": ("model.json", {"arrays": []}, ("'arrays' is []",)),
    "bad model inside": (
        "model.json",
        {"arrays": [{"channels": 3, "dilations": [1, 0]}]},
        ("'arrays.0.dilations.1' is 0",),
    ),
    "bad learning": ("learning.json", {"steps": "many"}, ("'steps' is 'many'",)),
    "learning that is no number": ("learning.json", {"learning_rate": 0}, ("'learning_rate' is 0",)),
    "no takes": ("data.json", {"train": "takes/none.json"}, ("takes/none.json", "does not exist")),
    "a segment too long": ("learning.json", {"segment": 1 << 20}, ("tiny", "to train on", "segment of 1048576")),
    "too many held": ("data.json", {"held_settings": 50}, ("held_settings", "50")),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_FILES)
def test_wrong_file_is_named_with_its_key(here: Path, what: str):
    name, change, expected = BAD_FILES[what]
    if change is None:
        (here / name).unlink()
    elif isinstance(change, str):
        (here / name).write_text(change)
    else:
        edit(here / name, **change)
    refused(
        zoo("train", *WORDS, "run"),
        3 if expected[-1] == "does not exist" else 1,
        *expected,
        *([] if expected[0].startswith(("tiny", "held", "takes")) else [name]),
    )
    assert not (here / "run").exists()


def test_take_that_is_missing_is_named(here: Path):
    (here / "takes/train_3.wav").unlink()
    refused(zoo("train", *WORDS, "run"), 3, "takes/train_3.wav does not exist")
    assert not (here / "run").exists()


def test_rate_that_differs_is_named(here: Path):
    write_wav(here / "takes/odd.wav", amp(di(1.5), 5, 0.5), 44100)
    takes = [entry("train_dry.wav", f"train_{number}.wav", GRID[number]) for number in range(8)]
    write_manifest(here / "takes/train.json", [*takes, entry("train_dry.wav", "odd.wav", GRID[8])])
    refused(zoo("train", *WORDS, "run"), 1, "odd.wav is at 44100 Hz")


@pytest.mark.parametrize("out", ["/proc/run", "/dev/null/run", "model.json", "model.json/run"])
def test_unwritable_folder_is_named(here: Path, out: str):
    before = read_files(here)
    refused(zoo("train", *WORDS, out), 1, out.removesuffix("/run"))
    assert read_files(here) == before


def test_folder_of_something_else_is_left_alone(here: Path):
    refused(zoo("train", *WORDS, "takes"), 1, "takes is not empty and holds no run")
    edit(here / "learning.json", steps=5)
    assert zoo("train", *WORDS, "run").code == 0
    before = read_files(here / "run")
    edit(here / "learning.json", seed=1)
    refused(zoo("train", *WORDS, "run"), 1, "run was trained with another recipe: 'learning' differs")
    assert read_files(here / "run") == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_refused(here: Path):
    (here / "run").mkdir(0o555)
    refused(zoo("train", *WORDS, "run"), 1, "permission is denied")


def test_training_resumes_after_a_full_disk(here: Path):
    edit(here / "learning.json", steps=10)
    with full_disk(2000):
        ran = zoo("train", *WORDS, "run")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert not list(here.rglob(".staged*"))
    assert any(line.startswith("error: ") for line in ran.err.splitlines())
    assert "run/" in ran.err
    assert zoo("train", *WORDS, "run").code == 0
    assert (here / "run" / RECIPE).exists()


def test_divergence_gives_a_hint(here: Path):
    with mock.patch("models.training.fit.fit", side_effect=DivergedError("the loss is nan at step 3")):
        refused(zoo("train", *WORDS, "run"), 1, "diverged: the loss is nan at step 3", "learning_rate")


def test_the_report_and_the_card_say_which_knobs_filter_after_the_distortion(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "takes").mkdir()
    record_pedal(tmp_path / "takes", stated="tone")
    split = {"held_settings": 1, "held_seconds": 0.05, "validation_settings": 1, "validation_seconds": 0.05}
    write(tmp_path / "data.json", {"name": "pedal", "train": "takes/train.json", **split})
    write(tmp_path / "model.json", architecture().model_dump(mode="json"))
    learning = {"steps": 120, "batch": 4, "segment": 512, "warmup": 5, "report_every": 120}  # quiet enough to package
    write(tmp_path / "learning.json", learning)
    ran = zoo("train", *WORDS, "run")
    said = [line for line in ran.err.splitlines() if line.startswith("composed takes: ")]
    assert [line.split()[2:6] for line in said] == [[name, "filters", "after", "the"] for name in ("tone", "level")]
    assert "distortion from 0 to 1 (ESR up to " in said[0]
    assert said[0].endswith("; as stated")
    assert zoo("package", "run", "--license", LICENSE, "--force", "--out", "packages").code == 0
    card = (tmp_path / "packages" / "run" / "README.md").read_text()
    assert f"\n* {said[0].removeprefix('composed takes: ').removesuffix('; as stated')}\n" in card
    training = json.loads((tmp_path / "packages" / "run" / "training.json").read_text())
    assert [found["knob"] for found in training["linear_knobs"]] == ["tone", "level"]


def recipe_of(*words: str) -> tuple[Recipe, Path, str]:
    """What the command would train, where, and what it says."""
    with mock.patch("models.training.fit.fit", side_effect=DivergedError("stop")) as fit:
        ran = zoo("train", *words)
    assert fit.called, ran.err
    return fit.call_args.args[0], fit.call_args.args[1], ran.err.splitlines()[0]


def test_takes_alone_are_enough(here: Path):
    recipe, out, said = recipe_of("takes/train.json")
    assert said == "recipe for 20 takes: A1 lite with FiLM, SOAP, 1,200 steps (what measured best; docs/results.md)"
    assert recipe.model == shape_config("a1-lite-film")  # the net that was measured
    assert recipe.learning == LearningConfig(steps=1200)
    assert (recipe.data.name, recipe.data.train, out) == ("takes", here / "takes/train.json", Path("runs/takes"))
    assert (recipe.data.held_settings, recipe.data.align) == (2, True)
    recipe, out, _ = recipe_of("data.json", "--out", "run")
    assert (recipe.data, out) == (recipe_of("--data", "data.json")[0].data, Path("run"))
    assert (recipe.data.name, recipe.data.held_seconds) == ("tiny", 0.25)


def test_a_file_that_is_given_is_used(here: Path):
    recipe, _, said = recipe_of("data.json", "--model", "model.json")
    assert (recipe.model, recipe.learning.steps) == (architecture(), 1200)
    assert said == "recipe for 20 takes: SOAP, 1,200 steps (what measured best; docs/results.md)"
    recipe, _, said = recipe_of("data.json", "--learning", "learning.json")
    assert (recipe.model, recipe.learning.steps) == (shape_config("a1-lite-film"), STEPS)
    assert said.startswith("recipe for 20 takes: A1 lite with FiLM (")
    assert recipe_of(*WORDS, "run")[2].startswith("error: training diverged")
    assert recipe_of("data.json", *WORDS[2:], "run")[:2] == recipe_of(*WORDS, "run")[:2]


@pytest.mark.parametrize(("takes", "steps"), [(1, 1200), (9, 1200), (42, 1200), (84, 2400), (100, 2900), (900, 12_000)])
def test_more_takes_than_were_measured_get_more_steps(takes: int, steps: int):
    assert recommended_learning(takes).steps == steps


def test_few_takes_are_told(here: Path):
    record(here / "few", "takes", di(1.5), [GRID[n] for n in (0, 3, 8, 16, 19)])
    assert recipe_of("few/takes.json")[2].endswith("(what measured best, with 9 to 42 takes; docs/results.md)")


def test_what_are_no_takes_is_refused(here: Path):
    refused(zoo("train", "none.json"), 3, "none.json does not exist")
    refused(zoo("train", "model.json"), 1, "model.json")


def test_run_of_takes_alone(here: Path):
    edit(here / "learning.json", steps=5)
    ran = zoo("train", "takes/train.json", "--learning", "learning.json")
    assert (ran.code, ran.out) == (0, "runs/takes\n"), ran.err
    assert "split: 2 of the settings held, 2 for validation, the rest for training" in ran.err
    evaluation = read_evaluation(here / "runs/takes")
    fault = publishing_fault(evaluation)
    assert f"the model should not be published, and zoo package refuses it: {fault}" in ran.err, "five steps"
    assert "next: zoo play runs/takes (in the browser, its knobs alive)\n" in ran.err
    assert evaluation.step == 5
