"""A trial that takes the search that trains it with it, as one does that needs more memory than there is, under `--local`."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.core.errors import UserError
from models.recordings.loading import load_data
from models.training.trainer import Trainer
from search.launch.launcher import run_search
from search.run import read_search
from search.study.ledger import read_ledger, read_lines
from search.study.scheduler import STARTS, Conductor, Task
from tests.search.test_run import pytestmark, search_file  # noqa: F401 (Ray's warnings are passed over here too)

STEPS, EVERY = 60, 10
LEARNING = {"steps": STEPS, "batch": 2, "segment": 128, "report_every": EVERY}
SECOND = 1  # the trial that fares ill: one has finished before it


class Killed(BaseException):
    """The process is gone: nothing is tidied up, nobody is told."""


Search = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Begins a search, or goes on with it, in which the second trial fares ill after so many reports; returns its lines."""
    config = read_search(search_file(tmp_path, amps=1, trials=3, learning=LEARNING))
    train, save, study, far = Trainer.advance, Trainer.save, tmp_path / "study", tmp_path / "far"

    def go_on(
        fate: BaseException | None = None, reports: int = 0, full: bool = False, storage: str | None = None
    ) -> list[dict[str, Any]]:
        left = [reports]

        def is_second(trainer: Trainer) -> bool:
            lines = [line for line in read_lines(study) if line["state"] == "start"]
            return trainer.recipe.learning.seed in [line["seed"] for line in lines[SECOND : SECOND + 1]]

        def advance(trainer: Trainer, *how: Any) -> float:
            if fate and is_second(trainer):
                left[0] -= 1
                if left[0] < 0:
                    raise fate
            return train(trainer, *how)

        def fill(trainer: Trainer, folder: Path) -> None:
            if full and is_second(trainer):
                raise OSError(28, "No space left on device", str(folder))
            save(trainer, folder)

        monkeypatch.setattr(Trainer, "advance", advance)
        monkeypatch.setattr(Trainer, "save", fill)
        try:
            run_search(config, study, resume=study.exists() or far.exists(), local=True, storage=storage)
        except UserError as problem:
            assert full and "No space left" in str(problem)
        except (Killed, KeyboardInterrupt) as end:
            assert end is fate
        return read_lines(study)

    return go_on


def told(lines: list[dict[str, Any]], trial: int = SECOND) -> list[str]:
    """What the ledger says of the trial, and how often it says that it was begun again."""
    names = list(dict.fromkeys(line["trial"] for line in lines))
    return [f"{line['state']}{line.get('starts', '')}" for line in lines if line["trial"] == names[trial]]


def test_it_fails_when_it_did_so_three_times_and_the_search_goes_on(search: Search, tmp_path: Path):
    for _ in range(STARTS):
        search(Killed())
    lines = search(Killed())
    assert told(lines) == ["start", "again2", "again3", "failed"]
    ended = read_ledger(tmp_path / "study")
    assert [line["state"] for line in ended] == ["finished", "failed", "finished"]
    assert "3 times the search was killed" in ended[1]["reason"] and "memory" in ended[1]["reason"]


def test_what_comes_further_each_time_does_not_fail(search: Search):
    for _ in range(STEPS // EVERY - 1):
        search(Killed(), reports=1)
    lines = search()
    assert told(lines) == ["start", *["report", "again1"] * 5, "report", "finished"]


def test_one_that_makes_no_more_progress_fails_later(search: Search):
    search(Killed(), reports=2)
    for _ in range(STARTS):
        search(Killed())
    assert told(search(Killed())) == ["start", "report", "report", "again1", "again2", "again3", "failed"]


def test_a_person_may_interrupt_it_as_often_as_they_like(search: Search):
    for fate in (Killed(), Killed(), *(KeyboardInterrupt() for _ in range(4)), Killed(), Killed()):
        search(fate)
    lines = search()
    assert told(lines)[:6] == ["start", "again2", "again3", "left", "again1", "left"]
    assert told(lines)[-3:] == ["report", "report", "finished"]


def test_interruptions_are_told_at_a_uri_too(search: Search, tmp_path: Path):
    uri = (tmp_path / "far").as_uri()
    for _ in range(STARTS + 1):
        assert told(search(KeyboardInterrupt(), storage=uri))[-1] == "left"
        shutil.rmtree(tmp_path / "study")
    assert told(search(storage=uri))[-1] == "finished"


def test_a_full_disk_is_not_its_fault(search: Search):
    for _ in range(STARTS + 1):
        search(full=True)
    assert told(search())[:4] == ["start", "left", "again1", "left"] and told(search())[-1] == "finished"


def test_trials_in_processes_of_their_own_are_not_counted(tmp_path: Path):
    """Ray counts their deaths: that of the driver is nobody's fault."""
    config = read_search(search_file(tmp_path, amps=1, trials=3, learning=LEARNING))
    amps = [load_data(data) for data in config.datasets]

    def drive() -> tuple[Conductor, list[Task]]:
        conductor = Conductor(config, tmp_path, amps)
        return conductor, [task for _ in range(3) if (task := conductor.propose())]

    for _ in range(STARTS + 1):
        drive()
    conductor, tasks = drive()
    assert len(tasks) == 3 and len(read_lines(tmp_path)) == 3
    assert all(conductor.begin_here(task.trial) for task in tasks)
