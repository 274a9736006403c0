"""Small searches for tests: configs, a played search without an engine, a search file over tiny amps."""

import json
import random
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from models.core.schema import check_document
from search.config.space import Space
from search.config.study import SearchConfig
from search.study.scheduler import TrialScheduler
from tests.support.makers import di, record

TINY_STEPS = 20
RAY_WARNINGS = [  # Ray leaves sockets to the garbage collector and warns about its own future
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]

CONFIGS = Path(__file__).parents[2] / "configs" / "models"


WIDE = Space(
    arrays=(1, 2, 3),
    narrowing=(1, 2),
    depth=(2, 5),
    cycles={"mine": (1, 5, 25)},
    dilations=("pow2", "pow3", "a2", "mine"),
    channels=(2, 3, 8),
    kernel_size=(2, 3),
    bottleneck=("full", "half"),
    activation=("Tanh", "PReLU"),
    gating=("none", "gated", "blended"),
    head1x1=(None, 3),
    head_kernel=(1, 4),
    inject=("input", "mixin", "film", "input+mixin+conv_pre", "any"),
    film_shift=(True, False),
    film_arrays=("all", "first", "last"),
    encoder=(None, 3),
    warp=(None, 3),
    encoding=("levels", "type_level"),
    learning={"batch": (2, 4), "segment": (64, 128)},
)


def config_of(folder: Path = Path(), **changes: Any) -> SearchConfig:
    split = {"held_settings": 1, "held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}
    document = {"name": "s", "datasets": [{"name": "a", "train": str(folder / "train.json"), **split}], **changes}
    return check_document(document, SearchConfig, "test")


def sample(space: Space, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return space.suggest(study.ask())


STEPS = 100


SMALL: dict[str, Any] = {
    "space": {"shapes": [], "depth": [2, 3, 4], "channels": [2, 3, 4, 5], "dilations": ["pow2"]},
    "learning": {"steps": STEPS, "report_every": 10, "segment": 64},
    "pruning": {"calibrate": 4, "grace": 20, "control": 5},
    "trials": 30,
}


def play(conductor: TrialScheduler, workers: int = 3, most: int = 10**6) -> None:
    """A simulated engine: several trials at once, errors that fall at speeds of their own; stops dead after `most` reports."""
    running: list[tuple[Any, int]] = []
    while most:
        while len(running) < workers and (task := conductor.propose()):
            running.append((task, conductor.trials[task.trial].get("step", 0)))
        if not running:
            return
        task, step = running.pop(0)
        step, most = step + 10, most - 1
        luck = random.Random(task.trial).random()
        error = 0.1 * luck + 1 / (5 + step * task.point["channels"] * (1 + luck))
        goes_on = conductor.report(
            task.trial, {"step": step, "esr": error, "amps": {"a": error}, "worst": {"a": error}}
        )
        if goes_on and step < task.steps:
            running.append((task, step))
        else:
            conductor.end(task.trial)


def search_file(folder: Path, amps: int = 2, **changes: Any) -> Path:
    """A search over `amps` tiny amps, as a file a person would write."""
    datasets = []
    for number in range(amps):
        record(folder / f"amp{number}", "train", di(seed=number))
        split = {"held_settings": 1, "held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}
        datasets.append({"name": f"amp{number}", "train": f"amp{number}/train.json", **split})
    document = {
        "name": "tiny",
        "datasets": datasets,
        "space": {"shapes": [], "depth": [2, 3], "dilations": ["pow2"], "channels": [2, 3]},
        "learning": {"steps": TINY_STEPS, "batch": 2, "segment": 128, "report_every": 10},
        "trials": 3,
        "final": None,
        **changes,
    }
    path = folder / "search.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


LOCAL: dict[str, Any] = {
    "learning": {"steps": 40, "batch": 2, "segment": 128, "report_every": 5},
    "trials": 6,
    "pruning": {"calibrate": 3, "grace": 5, "control": None},
    "final": {"steps": 50, "seeds": 2, "top": 1},
    "concurrent": 1,
}


def wait_until(true: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.1)


def beats(a: tuple, b: tuple) -> bool:
    """True when `a` dominates `b`: nowhere larger, somewhere smaller."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
