"""Small searches for tests: configs, a simulated backend, a search file over tiny amps."""

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from models.core.schema import check_document
from models.recordings.dataset import AmpData
from search.backends.local import run_local
from search.config.space import Point, Space
from search.config.study import SearchConfig
from search.optimizer.candidates import CandidatePool
from search.optimizer.surrogate import features
from search.run_options import RunOptions
from search.study.build import make_scheduler
from search.study.constraints import ModelCandidate
from search.study.cost import CountedCost, MeasuredCost
from search.study.ledger import read_lines
from search.study.lines import AGAIN, LedgerLine, TrialRecord, TrialReport, TrialStart
from search.study.scheduler import Listener, TrialScheduler
from search.study.summary import choose
from search.study.tasks import Task
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
    learning_rate=(0.003, 0.015),
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
    if isinstance(space := document.get("space", {}), dict):
        document["space"] = {"learning_rate": (0.003, 0.015), **space}
    return check_document(document, SearchConfig, "test")


def sample(space: Space, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return space.suggest(study.ask())


STEPS = 100


SMALL: dict[str, Any] = {
    "space": {"shapes": [], "depth": [2, 3, 4], "channels": [2, 3, 4, 5], "dilations": ["pow2"]},
    "learning": {"steps": STEPS, "report_every": 10, "segment": 64, "silence": 0.0, "interaction": 0.0},
    "pruning": {"calibrate": 4, "grace": 20, "control": 5},
    "trials": 30,
}


def scheduler_of(
    config: SearchConfig, study: Path, amps: Sequence[AmpData], stock: Sequence[Point] = (), **more: Any
) -> TrialScheduler:
    """A scheduler whose costs are counted: the same on every machine."""
    return make_scheduler(config, study, amps, stock, cost_model=CountedCost(), **more)


def start_line(trial: str, **changes: Any) -> TrialStart:
    """The start of a trial; unless changed with a point of no space and sizes of no model."""
    facts: dict[str, Any] = {"number": 0, "point": {}, "label": "", "form": "", "steps": 10, "seed": 0}
    facts |= {"cost": 1, "macs": 1, "parameters": 1, "receptive_field": 1, "columns": 1, "rate_hz": 48_000}
    return TrialStart(trial=trial, **(facts | changes))


def pool_of(
    space: Space,
    first: Sequence[Point] = (),
    violation: Callable[[ModelCandidate], str | None] = lambda candidate: None,
) -> CandidatePool[ModelCandidate]:
    """Candidates for an amp with two knobs; without recordings, and without bounds but `violation`."""
    config = config_of().model_copy(update={"space": space})

    def to_candidate(point: Point) -> ModelCandidate:
        model = space.model(point)
        macs = model.macs_per_sample(2)
        return ModelCandidate(point, model, config.learning_of(point), features(point, macs=macs), math.log10(macs))

    return CandidatePool(space, to_candidate, violation, [to_candidate(point) for point in first])


def counted(**how: Any) -> RunOptions:
    """Options of a search whose costs are counted."""
    return RunOptions(cost_model=CountedCost(), **how)


@contextmanager
def counted_costs() -> Iterator[None]:
    """Commands inside count costs, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MeasuredCost, "cost", CountedCost.cost)
        patch.setattr(MeasuredCost, "reference_s", CountedCost.reference_s)
        yield


def report(trial: str, step: int, esr: float, **more: Any) -> TrialReport:
    """A report of a trial on one amp."""
    errors: dict[str, Any] = {"amps": {"a": esr}, "worst": {"a": esr}}
    return TrialReport(trial=trial, step=step, esr=esr, **(errors | more))


def play(scheduler: TrialScheduler, workers: int = 3, most: int = 10**6) -> None:
    """Simulate a backend: several trials at once, errors that fall at different speeds; stop after `most` reports."""
    running: list[tuple[Task, int]] = []
    while most:
        while len(running) < workers and (task := scheduler.suggest()):
            running.append((task, scheduler.record(task.trial).step))
        if not running:
            return
        task, step = running.pop(0)
        step, most = step + 10, most - 1
        luck = random.Random(task.trial).random()
        error = 0.1 * luck + 1 / (5 + step * task.point.get("channels", 4) * (1 + luck))
        if scheduler.on_report(report(task.trial, step, error)) and step < task.steps:
            running.append((task, step))
        else:
            scheduler.on_complete(task.trial)


PLAIN: dict[str, Any] = {  # learning, for speed
    "batch": 2, "segment": 128, "optimizer": "adam", "composed": 0.0, "silence": 0.0, "interaction": 0.0,
}  # fmt: skip


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
        "learning": {**PLAIN, "steps": TINY_STEPS, "report_every": 10},
        "trials": 3,
        "final": None,
        **changes,
    }
    path = folder / "search.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


LOCAL: dict[str, Any] = {
    "learning": {**PLAIN, "steps": 40, "report_every": 5},
    "trials": 6,
    "pruning": {"calibrate": 3, "grace": 5, "control": None},
    "final": {"steps": 50, "seeds": 2, "top": 1},
    "concurrent": 1,
}


def wait_until(true: Any, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.1)


def beats(a: tuple, b: tuple) -> bool:
    """True when `a` dominates `b`: nowhere larger, somewhere smaller."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def comparable_lines(study: Path) -> list[LedgerLine]:
    """A ledger without what differs between backends: seconds and checkpoints."""
    lines = read_lines(study)
    return [replace(line, seconds=None, checkpoint=None) if isinstance(line, TrialReport) else line for line in lines]


def reported_errors(study: Path, trial: str) -> dict[int, float]:
    """Step -> error of a trial, from the ledger."""
    lines = (line for line in read_lines(study) if isinstance(line, TrialReport))
    return {line.step: line.esr for line in lines if line.trial == trial}


def search_with_finals(
    config: SearchConfig,
    study: Path,
    amps: list[AmpData],
    run: Callable[[TrialScheduler, list[AmpData]], None] = run_local,
    listener: Listener | None = None,
) -> None:
    """Train all trials and finals, or continue where an earlier call was cut."""
    assert config.final
    scheduler = scheduler_of(config, study, amps, listener=listener)
    run(scheduler, amps)
    scheduler.begin_finals(choose(config, study, config.final.top))
    run(scheduler, amps)


class PowerCut(BaseException):
    """The machine is gone: nothing is cleaned up or reported."""


def cut_after(lines: int) -> Listener:
    """A listener on whose machine the power fails after so many lines."""
    seen: list[TrialRecord] = []

    def listener(record: TrialRecord) -> None:
        seen.append(record)
        if len(seen) == lines:
            raise PowerCut

    return listener


def stable_lines(study: Path) -> list[LedgerLine]:
    """A ledger without seconds, which differ from run to run, and without restarts."""
    lines = [line for line in read_lines(study) if line.state != AGAIN]
    return [replace(line, seconds=None) if isinstance(line, TrialReport) else line for line in lines]
