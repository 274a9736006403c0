"""Trials of one architecture that are trained as one: what the conductor packs, that each is what it would have been alone, and Ray."""

import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
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
from search.config.study import SearchConfig
from search.launch.launcher import run_search
from search.run import read_search
from search.study import ledger
from search.study.board import choose
from search.study.ledger import ENDS, Line, latest, read_ledger, read_lines
from search.study.scheduler import Listener, Task, TrialScheduler
from search.study.trial import TrialGroup
from tests.support.ray_nodes import trial_processes
from tests.support.searches import LOCAL, RAY_WARNINGS, config_of, search_file
from tests.support.stacks import stack_by_shape

pytestmark = [pytest.mark.ray, *RAY_WARNINGS]

PACKED: dict[str, Any] = {
    **LOCAL,
    "learning": {**LOCAL["learning"], "steps": 20},
    "trials": 7,
    "final": {"steps": 25, "seeds": 2, "top": 1},
    "stacked_trials": 3,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SearchConfig:
    return read_search(search_file(tmp_path_factory.mktemp("tiny"), amps=2, **PACKED))


@pytest.fixture(scope="module")
def amps(tiny: SearchConfig) -> list[AmpData]:
    return [load_data(data) for data in tiny.datasets]


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs are proposed and stacked, on the CPU."""
    monkeypatch.setattr("search.backends.local.device_for", lambda gpus: torch.device("cuda"))
    monkeypatch.setattr("search.study.trial.place_trainers", lambda trainers, device: stack_by_shape(trainers))


def form_of(config: SearchConfig, task: Task) -> tuple:
    learning = config.learning_of(task.point)
    return config.space.model(task.point), learning.batch, task.steps


def end(conductor: TrialScheduler, tasks: Sequence[Task]) -> None:
    """All trained to the end, by one worker."""
    for task in tasks:
        error = 0.1 / task.point["channels"] + task.point["learning_rate"]
        told = {"esr": error, "amps": {"amp0": error}, "worst": {"amp0": error}}
        assert conductor.report(task.trial, {"step": task.steps, **told}) and conductor.end(task.trial)


def test_a_pack_is_one_architecture_learnt_in_several_ways(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    space = tiny.space.model_copy(update={"learning": {"mrstft": (0.0, 0.01), "batch": (2, 4)}})
    config = tiny.model_copy(update={"space": space, "trials": 15})
    stock = [point for point in map(space.complete, ({"channels": 2}, {"channels": 3})) if point]
    conductor, packs = TrialScheduler(config, tmp_path, amps, stock), list[list[Task]]()
    while pack := conductor.suggest_group(4):
        packs.append(pack)
        end(conductor, pack)
    assert [len(pack) for pack in packs] == [1, 1, 4, 4, 4, 1], "stock comes alone, and each is one of the trials"
    assert [pack[0].point for pack in packs[:2]] == stock
    assert all(len({form_of(config, task) for task in pack}) == 1 for pack in packs)
    assert len({task.trial for pack in packs for task in pack}) == 15 == conductor.begun
    ways = {task.point[key] for pack in packs[2:5] for task in pack for key in ("mrstft",)}
    assert ways == {0.0, 0.01} and len({task.point["learning_rate"] for task in packs[4]}) > 1
    told = TrialScheduler(config.model_copy(update={"trials": 30}), tmp_path, amps)
    conductor.config = told.config
    conductor.study = told.study = tmp_path / "other"
    conductor.study.mkdir()
    assert conductor.suggest_group(4) == told.suggest_group(4), "whoever reads the ledger proposes the same"


def test_packs_after_a_cut_are_those_of_a_search_that_was_not_cut(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path
):
    stock = [point for point in map(tiny.space.complete, ({"channels": 2}, {"channels": 3})) if point]
    conductor = TrialScheduler(tiny, tmp_path, amps, stock)
    for _ in range(3):
        end(conductor, conductor.suggest_group(2))
    (tmp_path / "again").mkdir()
    shutil.copy(ledger.ledger_path(tmp_path), tmp_path / "again")
    again = TrialScheduler(tiny, tmp_path / "again", amps, stock)
    wanted = conductor.suggest_group(2)
    assert again.suggest_group(2) == wanted and len(wanted) == 2


def test_a_pack_of_one_is_what_is_proposed_alone(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    for name in ("alone", "packed"):
        (tmp_path / name).mkdir()
    alone, packed = (TrialScheduler(tiny, tmp_path / name, amps) for name in ("alone", "packed"))
    while task := alone.propose():
        end(alone, [task])
    while pack := packed.suggest_group(1):
        end(packed, pack)
    assert read_lines(tmp_path / "alone") == read_lines(tmp_path / "packed")


def test_a_space_without_another_way_to_learn_is_not_packed(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    space = tiny.space.model_copy(update={"learning_rate": (0.01, 0.01)})
    conductor = TrialScheduler(tiny.model_copy(update={"space": space}), tmp_path, amps)
    assert [len(conductor.suggest_group(4)) for _ in range(3)] == [1, 1, 1]


def test_what_had_begun_is_packed_with_its_like(tiny: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """As the seeds of the finals are."""
    config = tiny.model_copy(update={"final": tiny.final and tiny.final.model_copy(update={"seeds": 5})})
    conductor = TrialScheduler(config, tmp_path, amps)
    first, second = conductor.suggest_group(3), conductor.suggest_group(3)
    again = TrialScheduler(config, tmp_path, amps)
    assert [again.suggest_group(2), again.suggest_group(2)] == [first[:2], first[2:]]
    assert again.suggest_group(9) == second and form_of(config, first[0]) != form_of(config, second[0])
    end(again, first + second)
    rest = again.suggest_group(3)
    assert len(rest) == 1, "seven trials in all"
    end(again, rest)
    again.begin_finals([first[0].trial, second[0].trial])
    finals = [again.suggest_group(3) for _ in range(4)]
    assert [[task.trial.partition("-")[0] for task in pack] for pack in finals] == [
        [pack[0].trial] * count for pack in (first, second) for count in (3, 2)
    ]
    assert [[task.seed for task in pack] for pack in finals] == [[0, 1, 2], [3, 4]] * 2 and not again.suggest_group(3)


@pytest.mark.parametrize(
    ("stated", "cpus", "gpus", "share"),
    [
        ({}, 16, 0, 0), ({}, 16, 1, 0.25), ({}, 3, 1, 0.3333), ({}, 2, 1, 0.5), ({}, 8, 8, 1), ({}, 2, 8, 1), ({}, 9, 2, 0.25),
        ({"cpus_per_trial": 4}, 8, 1, 0.5), ({"concurrent": 1}, 16, 1, 1), ({"concurrent": 4}, 16, 2, 0.5),
        ({"gpus_per_trial": 0}, 16, 1, 0), ({"gpus_per_trial": 0.1}, 16, 1, 0.1), ({"gpus_per_trial": 1}, 4, 0, 1),
    ],
)  # fmt: skip
def test_gpus_are_shared_so_that_all_are_used(stated: dict[str, Any], cpus: int, gpus: int, share: float):
    assert config_of(**stated).gpu_share(cpus, gpus) == share


def test_gpus_that_are_not_here_are_told(tiny: SearchConfig, tmp_path: Path):
    config = tiny.model_copy(update={"gpus_per_trial": 64.0})
    with pytest.raises(UserError, match="gpus_per_trial is 64, and torch sees"):
        run_search(config, tmp_path / "study")
    assert not read_lines(tmp_path / "study")


def test_a_packed_search_finds_what_each_trial_would_have_come_to(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_on_a_gpu: None
):
    """To rounding, which some hundred steps leave in the last digits."""
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
    search(tiny, study, amps)
    monkeypatch.undo()
    assert {4, 6} <= set(stacked), "three trials or two seeds, each on both amps"
    assert kept and "pruned" in {line["state"] for line in read_ledger(study)}, (
        "what is pruned leaves its stack at once"
    )
    for line in latest(read_lines(study)):
        alone = heard_alone(tiny, amps, line, tmp_path)
        found = reports(study, line["trial"])
        assert found == pytest.approx({step: alone[step] for step in found}, rel=1e-3)
        assert (study / "trials" / line["trial"]).exists() == (line["state"] == ledger.FINISHED)


def search(
    config: SearchConfig,
    study: Path,
    amps: list[AmpData],
    run: Callable[[TrialScheduler, list[AmpData]], None] = run_local,
    listener: Listener | None = None,
) -> None:
    """All trials and finals, going on where an earlier call was cut."""
    assert config.final
    conductor = TrialScheduler(config, study, amps, listener=listener)
    run(conductor, amps)
    conductor.begin_finals(choose(config, study, config.final.top))
    run(conductor, amps)


def heard_alone(config: SearchConfig, amps: Sequence[AmpData], line: Line, nowhere: Path) -> dict[int, float]:
    """Step -> error of a trial that is trained by itself."""
    task, found = Task(line["trial"], line["point"], line["steps"], line["seed"]), {}
    pack = TrialGroup(config, [task], amps, {task.trial: nowhere / "none"}, torch.device("cpu"))
    while pack.going:
        result = pack.advance()[task.trial]
        found[result["step"]] = result["esr"]
    return found


def reports(study: Path, trial: str) -> dict[int, float]:
    return {
        line["step"]: line["esr"] for line in read_lines(study) if line["state"] == "report" and line["trial"] == trial
    }


def test_what_ends_badly_in_a_pack_touches_no_other(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One diverges on its second amp, one runs out of memory while it is judged, one is fine."""
    monkeypatch.setattr("search.study.trial.place_trainers", lambda trainers, device: stack_by_shape(trainers))
    (tmp_path / "first").mkdir()
    tasks = TrialScheduler(tiny, tmp_path / "first", amps).suggest_group(3)
    pack = TrialGroup(tiny, tasks, amps, {task.trial: tmp_path / "none" for task in tasks}, torch.device("cpu"))
    wild, dead, sound = (task.trial for task in tasks)
    (stack,) = pack._parts
    assert isinstance(stack, StackedTrainers)
    with torch.no_grad():
        stack.state.vector_KP[1] = math.nan
    poor = pack.members[dead][0]

    def validate(trainer: Trainer) -> Any:
        if trainer is poor:
            raise MemoryError("9 GB are wanted")
        return score(trainer.model.eval(), trainer.data, trainer.data.validation)

    monkeypatch.setattr(Trainer, "validate", validate)
    found = pack.advance()
    assert math.isnan(found[wild]["esr"]) and "not finite" in found[wild]["reason"]
    assert found[dead] == {"failed": "9 GB are wanted"} and found[sound]["step"] == 5
    assert list(pack.members) == pack.going == [sound]
    pack.advance()
    assert pack._parts == [stack] and len(stack.trainers) == 2
    line = {"trial": sound, "point": tasks[2].point, "steps": tasks[2].steps, "seed": tasks[2].seed}
    monkeypatch.undo()
    alone = heard_alone(tiny, amps, line, tmp_path)
    assert pack.advance()[sound]["esr"] == pytest.approx(alone[15], rel=1e-3)


def test_a_search_goes_on_with_what_is_left_of_a_pack(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_on_a_gpu: None
):
    """Of the first three trials one runs out of memory and one diverges, at their second report."""
    config = tiny.model_copy(update={"trials": 3, "datasets": tiny.datasets[:1]})

    def validate(trainer: Trainer) -> Any:
        place = [line["seed"] for line in latest(read_lines(tmp_path))].index(trainer.recipe.learning.seed)
        if trainer.step > 5 and place < 2:
            raise (MemoryError("9 GB are wanted"), DivergedError("the loss is not finite"))[place]
        return score(trainer.model.eval(), trainer.data, trainer.data.validation)

    monkeypatch.setattr(Trainer, "validate", validate)
    run_local(TrialScheduler(config, tmp_path, amps[:1]), amps[:1])
    trials = latest(read_lines(tmp_path))
    assert [line["state"] for line in trials] == ["failed", "diverged", "finished"]
    assert [line.get("reason") for line in trials] == ["9 GB are wanted", "the loss is not finite", None]
    assert [len(reports(tmp_path, line["trial"])) for line in trials] == [1, 1, 4]
    assert [folder.name for folder in (tmp_path / "trials").iterdir()] == [trials[2]["trial"]]


class Cut(BaseException):
    """A power cut."""


def test_a_packed_search_that_is_cut_anywhere_goes_on_member_by_member(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_on_a_gpu: None
):
    """After every third line of the ledger, in turn just before and just after it was written."""
    append, left, study = ledger.append, [3], tmp_path / "study"
    config = tiny.model_copy(update={"datasets": tiny.datasets[:1]})
    study.mkdir()

    def cut(where: Path, line: Line) -> None:
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
            search(config, study, amps[:1])
            break
        except Cut:
            cuts.append(ledger.ledger_path(study).read_bytes())
    assert len(cuts) > 10 and all(after.startswith(before) for before, after in pairwise(cuts))
    trials = latest(read_lines(study))
    assert all(line["state"] in ENDS for line in trials) and len(trials) == tiny.trials + 2
    for line in trials:
        found = reports(study, line["trial"])
        assert list(found) == sorted(found) and (line["state"] != ledger.FINISHED or max(found) == line["steps"])
        alone = heard_alone(config, amps[:1], line, tmp_path)
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


def test_packs_on_ray_are_those_of_this_process_even_if_their_process_dies(
    tiny: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster_with_a_gpu: None
):
    """Line for line: nothing that was reported is told twice or lost."""
    killed: list[int] = []

    def kill(line: Line) -> None:
        started = [one for one in latest(read_lines(tmp_path / "ray")) if one["state"] not in ENDS]
        if line["state"] == "report" and line["step"] == 10 and len(started) == 3 and not killed:
            killed.extend(trial_processes())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    for name in ("ray", "local"):
        (tmp_path / name).mkdir()

    def on_ray(conductor: TrialScheduler, amps: list[AmpData]) -> None:
        from search.backends.ray_tune import run_trials

        run_trials(conductor, amps, str(tmp_path / "storage"), None)

    config = tiny.model_copy(update={"datasets": tiny.datasets[:1]})
    search(config, tmp_path / "ray", amps[:1], on_ray, kill)
    monkeypatch.setattr("search.backends.local.device_for", lambda gpus: torch.device("cuda"))
    monkeypatch.setattr(
        "search.study.trial.place_trainers", lambda trainers, device: place_trainers(trainers, torch.device("cpu"))
    )
    search(config, tmp_path / "local", amps[:1])
    passing = ("seconds", "checkpoint")
    one, two = (
        [{key: value for key, value in line.items() if key not in passing} for line in read_lines(tmp_path / study)]
        for study in ("ray", "local")
    )
    assert killed and one == two
    finished = {line["trial"] for line in read_ledger(tmp_path / "ray") if line["state"] == ledger.FINISHED}
    assert {folder.name for folder in (tmp_path / "ray" / "trials").iterdir()} == finished
    last = [
        {part.name for part in folder.iterdir() if part.is_dir()}
        for folder in (tmp_path / "storage").glob("*/*/checkpoint_*")
    ]
    assert any(last) and all(names <= finished for names in last if names & finished), (
        "what is pruned is dropped at once"
    )
