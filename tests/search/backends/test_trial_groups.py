"""Trials of one architecture trained together: how they are grouped, that each trains as it would alone, and Ray."""

import math
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from models.core.errors import DivergedError, UserError
from models.evaluation.scoring import score
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.placement import place_trainers
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer
from search.backends.environment import RAY_ENVIRONMENT
from search.backends.local import run_local
from search.config.study import SearchConfig, read_search
from search.launch.launcher import run_search
from search.study import ledger
from search.study.ledger import read_ledger, read_lines
from search.study.lines import ENDS, FINISHED, LedgerLine, TrialRecord, TrialReport, latest
from search.study.results import TrialFault
from search.study.scheduler import TrialScheduler
from search.study.tasks import Task
from search.study.trial_group import TrialGroup
from tests.support.ray_nodes import trial_processes
from tests.support.searches import (
    LOCAL,
    RAY_WARNINGS,
    comparable_lines,
    config_of,
    counted,
    reported_errors,
    scheduler_of,
    search_file,
    search_with_finals,
)
from tests.support.stacks import stack_by_shape

pytestmark = [pytest.mark.ray, *RAY_WARNINGS]

GROUPED: dict[str, Any] = {
    **LOCAL,
    "learning": {**LOCAL["learning"], "steps": 20},
    "trials": 7,
    "final": {"steps": 25, "seeds": 2, "top": 1},
    "stacked_trials": 3,
    "seed": 1,  # of which a trial is pruned
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SearchConfig:
    return read_search(search_file(tmp_path_factory.mktemp("tiny"), amps=2, **GROUPED))


@pytest.fixture(scope="module")
def amps(tiny: SearchConfig) -> list[AmpData]:
    return [load_data(data) for data in tiny.datasets]


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups are suggested and stacked, on the CPU."""
    monkeypatch.setattr("search.backends.local.device_for", lambda gpus: torch.device("cuda"))
    monkeypatch.setattr("search.study.trial_group.place_trainers", lambda trainers, device: stack_by_shape(trainers))


def form_of(config: SearchConfig, task: Task) -> tuple:
    learning = config.learning_of(task.point)
    return config.space.model(task.point), learning.batch, task.steps


def end(scheduler: TrialScheduler, tasks: Sequence[Task]) -> None:
    """Train all to the end, by one worker."""
    for task in tasks:
        error = 0.1 / task.point["channels"] + task.point["learning_rate"]
        errors = {data.name: error for data in scheduler.config.datasets}
        report = TrialReport(trial=task.trial, step=task.steps, esr=error, amps=errors, worst=errors)
        assert scheduler.on_report(report)
        assert scheduler.on_complete(task.trial)


def test_a_group_is_one_architecture_trained_in_several_ways(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    space = tiny.space.model_copy(update={"learning": {"mrstft": (0.0, 0.01), "batch": (2, 4)}})
    config = tiny.model_copy(update={"space": space, "trials": 15})
    stock = [point for point in map(space.complete, ({"channels": 2}, {"channels": 3})) if point]
    scheduler, groups = scheduler_of(config, tmp_path, amps, stock), list[list[Task]]()
    while group := scheduler.suggest_group(4):
        groups.append(group)
        end(scheduler, group)
    assert [len(group) for group in groups] == [1, 1, 4, 4, 4, 1], "stock comes alone, and each is one of the trials"
    assert [group[0].point for group in groups[:2]] == stock
    assert all(len({form_of(config, task) for task in group}) == 1 for group in groups)
    assert len({task.trial for group in groups for task in group}) == 15 == scheduler.started
    assert {task.point["mrstft"] for group in groups[2:5] for task in group} == {0.0, 0.01}
    assert len({task.point["learning_rate"] for task in groups[4]}) > 1


def test_a_scheduler_that_reads_the_ledger_suggests_the_same(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    space = tiny.space.model_copy(update={"learning": {"mrstft": (0.0, 0.01), "batch": (2, 4)}})
    config = tiny.model_copy(update={"space": space, "trials": 30})
    scheduler, again = scheduler_of(config, tmp_path, amps), tmp_path / "again"
    for _ in range(5):
        end(scheduler, scheduler.suggest_group(4))
    again.mkdir()
    shutil.copy(ledger.ledger_path(tmp_path), again)
    reader = scheduler_of(config, again, amps)
    group = scheduler.suggest_group(4)
    assert len(group) == 4
    assert reader.suggest_group(4) == group


def test_groups_after_a_cut_are_those_of_a_whole_search(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    stock = [point for point in map(tiny.space.complete, ({"channels": 2}, {"channels": 3})) if point]
    scheduler = scheduler_of(tiny, tmp_path, amps, stock)
    for _ in range(3):
        end(scheduler, scheduler.suggest_group(2))
    (tmp_path / "again").mkdir()
    shutil.copy(ledger.ledger_path(tmp_path), tmp_path / "again")
    again = scheduler_of(tiny, tmp_path / "again", amps, stock)
    wanted = scheduler.suggest_group(2)
    assert again.suggest_group(2) == wanted
    assert len(wanted) == 2


def test_a_group_of_one_is_what_is_suggested_alone(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    for name in ("alone", "grouped"):
        (tmp_path / name).mkdir()
    alone, grouped = (scheduler_of(tiny, tmp_path / name, amps) for name in ("alone", "grouped"))
    while task := alone.suggest():
        end(alone, [task])
    while group := grouped.suggest_group(1):
        end(grouped, group)
    assert read_lines(tmp_path / "alone") == read_lines(tmp_path / "grouped")


def test_a_space_without_learning_axes_is_not_grouped(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    space = tiny.space.model_copy(update={"learning_rate": (0.01, 0.01)})
    scheduler = scheduler_of(tiny.model_copy(update={"space": space}), tmp_path, amps)
    assert [len(scheduler.suggest_group(4)) for _ in range(3)] == [1, 1, 1]


def test_started_trials_are_grouped_with_similar_ones(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """As the seeds of the finals are."""
    config = tiny.model_copy(update={"final": tiny.final and tiny.final.model_copy(update={"seeds": 5})})
    scheduler = scheduler_of(config, tmp_path, amps)
    first, second = scheduler.suggest_group(3), scheduler.suggest_group(3)
    again = scheduler_of(config, tmp_path, amps)
    assert [again.suggest_group(2), again.suggest_group(2)] == [first[:2], first[2:]]
    assert again.suggest_group(9) == second
    assert form_of(config, first[0]) != form_of(config, second[0])
    end(again, first + second)
    rest = again.suggest_group(3)
    assert len(rest) == 1, "seven trials in all"
    end(again, rest)
    again.begin_finals([first[0].trial, second[0].trial])
    finals = [again.suggest_group(3) for _ in range(4)]
    assert [[task.trial.partition("-")[0] for task in group] for group in finals] == [
        [group[0].trial] * count for group in (first, second) for count in (3, 2)
    ]
    assert [[task.seed for task in group] for group in finals] == [[0, 1, 2], [3, 4]] * 2
    assert not again.suggest_group(3)


@pytest.mark.parametrize(
    ("stated", "cpus", "gpus", "share"),
    [
        ({}, 16, 0, 0), ({}, 16, 1, 0.25), ({}, 3, 1, 0.3333), ({}, 2, 1, 0.5),
        ({}, 8, 8, 1), ({}, 2, 8, 1), ({}, 9, 2, 0.25),
        ({"cpus_per_trial": 4}, 8, 1, 0.5), ({"concurrent": 1}, 16, 1, 1), ({"concurrent": 4}, 16, 2, 0.5),
        ({"gpus_per_trial": 0}, 16, 1, 0), ({"gpus_per_trial": 0.1}, 16, 1, 0.1), ({"gpus_per_trial": 1}, 4, 0, 1),
    ],
)  # fmt: skip
def test_gpus_are_shared_so_that_all_are_used(stated: dict[str, Any], cpus: int, gpus: int, share: float):
    assert config_of(**stated).gpu_share(cpus, gpus) == share


def test_missing_gpus_are_reported(tiny: SearchConfig, tmp_path: Path):
    config = tiny.model_copy(update={"gpus_per_trial": 64.0})
    with pytest.raises(UserError, match="gpus_per_trial is 64, and torch sees"):
        run_search(config, tmp_path / "study", counted())
    assert not read_lines(tmp_path / "study")


def test_a_grouped_trial_trains_as_it_would_alone(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_on_a_gpu: None
):
    """Up to rounding errors in the last digits."""
    tiny = tiny.model_copy(update={"seed": 3})  # one of which a trial is pruned
    stacked: list[int] = []
    advance, select, kept = StackedTrainers.advance, StackedTrainers.select, list[int]()

    def counted(stack: StackedTrainers, steps: int) -> list[float]:
        stacked.append(len(stack.trainers))
        return advance(stack, steps)

    def noted(stack: StackedTrainers, members: Sequence[int]) -> None:
        kept.append(len(members))
        select(stack, members)

    monkeypatch.setattr(StackedTrainers, "advance", counted)
    monkeypatch.setattr(StackedTrainers, "select", noted)
    study = tmp_path / "study"
    study.mkdir()
    search_with_finals(tiny, study, amps)
    monkeypatch.undo()
    assert {4, 6} <= set(stacked), "three trials or two seeds, each on both amps"
    assert kept, "a pruned trial leaves its stack at once"
    assert "pruned" in {record.state for record in read_ledger(study)}
    for record in latest(read_lines(study)):
        alone = train_alone(tiny, amps, task_of(record), tmp_path)
        found = reported_errors(study, record.trial)
        assert found == pytest.approx({step: alone[step] for step in found}, rel=1e-3)
        assert (study / "trials" / record.trial).exists() == (record.state == FINISHED)


def task_of(record: TrialRecord) -> Task:
    """The task of a trial, to train from its beginning."""
    return Task(record.trial, record.point, record.steps, record.seed)


def train_alone(config: SearchConfig, amps: Sequence[AmpData], task: Task, nowhere: Path) -> dict[int, float]:
    """Step -> error of a trial that is trained by itself."""
    found: dict[int, float] = {}
    group = TrialGroup(config, [task], amps, {task.trial: nowhere / "none"}, torch.device("cpu"))
    while group.active:
        result = group.advance()[task.trial]
        assert isinstance(result, TrialReport)
        found[result.step] = result.esr
    return found


def test_a_fault_in_a_group_does_not_affect_others(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One diverges on its second amp, one runs out of memory while it is validated, one is fine."""
    monkeypatch.setattr("search.study.trial_group.place_trainers", lambda trainers, device: stack_by_shape(trainers))
    (tmp_path / "first").mkdir()
    tasks = scheduler_of(tiny, tmp_path / "first", amps).suggest_group(3)
    group = TrialGroup(tiny, tasks, amps, {task.trial: tmp_path / "none" for task in tasks}, torch.device("cpu"))
    wild, dead, sound = (task.trial for task in tasks)
    (stack,) = group._parts
    assert isinstance(stack, StackedTrainers)
    with torch.no_grad():
        stack.state.vector_KP[1] = math.nan
    poor = group.trainers[dead][0]

    def validate(trainer: Trainer) -> Any:
        if trainer is poor:
            raise MemoryError("9 GB are wanted")
        return score(trainer.model.eval(), trainer.data, trainer.data.validation)

    monkeypatch.setattr(Trainer, "validate", validate)
    found = group.advance()
    fault, report = found[wild], found[sound]
    assert isinstance(fault, TrialFault)
    assert fault.kind == "diverged"
    assert "not finite" in fault.reason
    assert found[dead] == TrialFault(dead, "failed", "9 GB are wanted")
    assert report.step == 5
    assert list(group.trainers) == group.active == [sound]
    group.advance()
    assert group._parts == [stack]
    assert len(stack.trainers) == 2
    monkeypatch.undo()
    alone = train_alone(tiny, amps, tasks[2], tmp_path)
    last = group.advance()[sound]
    assert isinstance(last, TrialReport)
    assert last.esr == pytest.approx(alone[15], rel=1e-3)


def test_a_search_goes_on_with_the_rest_of_a_group(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_on_a_gpu: None
):
    """Of the first three trials one runs out of memory and one diverges, at their second report."""
    config = tiny.model_copy(update={"trials": 3, "datasets": tiny.datasets[:1]})

    def validate(trainer: Trainer) -> Any:
        place = [record.seed for record in latest(read_lines(tmp_path))].index(trainer.recipe.learning.seed)
        if trainer.step > 5 and place < 2:
            raise (MemoryError("9 GB are wanted"), DivergedError("the loss is not finite"))[place]
        return score(trainer.model.eval(), trainer.data, trainer.data.validation)

    monkeypatch.setattr(Trainer, "validate", validate)
    run_local(scheduler_of(config, tmp_path, amps[:1]), amps[:1])
    trials = latest(read_lines(tmp_path))
    assert [record.state for record in trials] == ["failed", "diverged", "finished"]
    assert [record.reason for record in trials] == ["9 GB are wanted", "the loss is not finite", None]
    assert [len(reported_errors(tmp_path, record.trial)) for record in trials] == [1, 1, 4]
    assert [folder.name for folder in (tmp_path / "trials").iterdir()] == [trials[2].trial]


class Cut(BaseException):
    """A power cut."""


def test_a_grouped_search_that_is_cut_anywhere_goes_on(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_on_a_gpu: None
):
    """After every third line of the ledger, in turn just before and just after it was written."""
    append, left, study = ledger.append, [3], tmp_path / "study"
    config = tiny.model_copy(update={"datasets": tiny.datasets[:1]})
    study.mkdir()

    def cut(where: Path, line: LedgerLine) -> None:
        left[0] -= 1
        if left[0] == 0 and len(cuts) % 2:
            raise Cut
        append(where, line)
        if left[0] == 0:
            raise Cut

    monkeypatch.setattr(ledger, "append", cut)
    cuts: list[bytes] = []
    while True:
        left[0] = 3
        try:
            search_with_finals(config, study, amps[:1])
            break
        except Cut:
            cuts.append(ledger.ledger_path(study).read_bytes())
    assert len(cuts) > 10
    assert all(after.startswith(before) for before, after in pairwise(cuts))
    trials = latest(read_lines(study))
    assert all(record.state in ENDS for record in trials)
    assert len(trials) == tiny.trials + 2
    for record in trials:
        found = reported_errors(study, record.trial)
        assert list(found) == sorted(found)
        assert record.state != FINISHED or max(found) == record.steps
        alone = train_alone(config, amps[:1], task_of(record), tmp_path)
        assert found == pytest.approx({step: alone[step] for step in found}, rel=1e-3)


@pytest.fixture
def cluster_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray believes in one; torch sees none there and trains on the CPU."""
    monkeypatch.setenv("ZOO_TEST", str(os.getpid()))
    for name, value in RAY_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    yield
    ray.shutdown()


def test_groups_on_ray_are_those_of_this_process(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster_with_a_gpu: None
):
    """Line for line, even if their process is killed: no report is lost or written twice."""
    killed: list[int] = []

    def kill(record: TrialRecord) -> None:
        started = [other for other in latest(read_lines(tmp_path / "ray")) if not other.has_ended]
        if record.state == "report" and record.step == 10 and len(started) == 3 and not killed:
            killed.extend(trial_processes())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    for name in ("ray", "local"):
        (tmp_path / name).mkdir()

    def on_ray(scheduler: TrialScheduler, amps: list[AmpData]) -> None:
        from search.backends.ray_tune import RayTrials

        with RayTrials(scheduler, amps, str(tmp_path / "storage")) as trials:
            trials.begin()()

    config = tiny.model_copy(update={"datasets": tiny.datasets[:1]})
    search_with_finals(config, tmp_path / "ray", amps[:1], on_ray, kill)
    monkeypatch.setattr("search.backends.local.device_for", lambda gpus: torch.device("cuda"))
    monkeypatch.setattr(
        "search.study.trial_group.place_trainers",
        lambda trainers, device: place_trainers(trainers, torch.device("cpu")),
    )
    search_with_finals(config, tmp_path / "local", amps[:1])
    assert killed
    assert comparable_lines(tmp_path / "ray") == comparable_lines(tmp_path / "local")
    finished = {record.trial for record in read_ledger(tmp_path / "ray") if record.state == FINISHED}
    assert {folder.name for folder in (tmp_path / "ray" / "trials").iterdir()} == finished
    last = [
        {part.name for part in folder.iterdir() if part.is_dir()}
        for folder in (tmp_path / "storage").glob("*/*/checkpoint_*")
    ]
    assert any(last)
    assert all(names <= finished for names in last if names & finished), "pruned trials are dropped at once"
