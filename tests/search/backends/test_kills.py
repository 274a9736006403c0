"""A trial that kills the process of a search with `--local`, as one does that needs more memory than there is."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.core.errors import UserError
from models.recordings.loading import load_data
from models.training.trainer import Trainer
from search.config.study import read_search
from search.launch.launcher import run_search
from search.run_options import Interrupted
from search.study.ledger import read_ledger, read_lines
from search.study.lines import LedgerLine, TrialRestart, TrialStart
from search.study.scheduler import MAX_STARTS, TrialScheduler
from search.study.tasks import Task
from tests.support.searches import RAY_WARNINGS, counted, scheduler_of, search_file

pytestmark = RAY_WARNINGS

STEPS, EVERY = 60, 10
LEARNING = {"steps": STEPS, "batch": 2, "segment": 128, "report_every": EVERY}
SECOND = 1  # the number of the trial that kills the process: one has finished before it


class Killed(BaseException):
    """The process is gone: nothing is cleaned up or reported."""


Search = Callable[..., list[LedgerLine]]


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Starts a search or goes on with it; the second trial raises `fate` after so many reports; returns the lines."""
    config = read_search(search_file(tmp_path, amps=1, trials=3, learning=LEARNING))
    train, save, study, far = Trainer.advance, Trainer.save, tmp_path / "study", tmp_path / "far"

    def go_on(
        fate: BaseException | None = None, reports: int = 0, full: bool = False, storage: str | None = None
    ) -> list[LedgerLine]:
        left = [reports]

        def is_second(trainer: Trainer) -> bool:
            starts = [line for line in read_lines(study) if isinstance(line, TrialStart)]
            return trainer.recipe.learning.seed in [line.seed for line in starts[SECOND : SECOND + 1]]

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
            resume = study.exists() or far.exists()
            run_search(config, study, counted(resume=resume, local=True, storage=storage))
        except UserError as problem:
            assert full and "No space left" in str(problem)
        except (Killed, KeyboardInterrupt) as end:
            assert end is fate or (isinstance(end, Interrupted) and isinstance(fate, KeyboardInterrupt))
        return read_lines(study)

    return go_on


def states(lines: list[LedgerLine]) -> list[str]:
    """The states of the second trial's lines, with the number of starts."""
    name = list(dict.fromkeys(line.trial for line in lines))[SECOND]
    found = [line for line in lines if line.trial == name]
    return [f"{line.state}{line.starts}" if isinstance(line, TrialRestart) else line.state for line in found]


def test_it_fails_after_three_kills_and_the_search_goes_on(search: Search, tmp_path: Path):
    for _ in range(MAX_STARTS):
        search(Killed())
    lines = search(Killed())
    assert states(lines) == ["start", "again2", "again3", "failed"]
    ended = read_ledger(tmp_path / "study")
    assert [record.state for record in ended] == ["finished", "failed", "finished"]
    assert "3 times the search was killed" in (ended[1].reason or "")
    assert "memory" in (ended[1].reason or "")


def test_a_trial_that_makes_progress_does_not_fail(search: Search):
    for _ in range(STEPS // EVERY - 1):
        search(Killed(), reports=1)
    lines = search()
    assert states(lines) == ["start", *["report", "again1"] * 5, "report", "finished"]


def test_a_trial_without_further_progress_fails_later(search: Search):
    search(Killed(), reports=2)
    for _ in range(MAX_STARTS):
        search(Killed())
    assert states(search(Killed())) == ["start", "report", "report", "again1", "again2", "again3", "failed"]


def test_a_person_may_interrupt_it_as_often_as_they_like(search: Search):
    for fate in (Killed(), Killed(), *(KeyboardInterrupt() for _ in range(4)), Killed(), Killed()):
        search(fate)
    lines = search()
    assert states(lines)[:6] == ["start", "again2", "again3", "left", "again1", "left"]
    assert states(lines)[-3:] == ["report", "report", "finished"]


def test_interruptions_are_copied_to_a_uri(search: Search, tmp_path: Path):
    uri = (tmp_path / "far").as_uri()
    for _ in range(MAX_STARTS + 1):
        assert states(search(KeyboardInterrupt(), storage=uri))[-1] == "left"
        shutil.rmtree(tmp_path / "study")
    assert states(search(storage=uri))[-1] == "finished"


def test_a_full_disk_is_no_fault_of_a_trial(search: Search):
    for _ in range(MAX_STARTS + 1):
        search(full=True)
    assert states(search())[:4] == ["start", "left", "again1", "left"]
    assert states(search())[-1] == "finished"


def test_trials_in_processes_of_their_own_are_not_counted(tmp_path: Path):
    """Ray counts their deaths; the death of the driver is no fault of a trial."""
    config = read_search(search_file(tmp_path, amps=1, trials=3, learning=LEARNING))
    amps = [load_data(data) for data in config.datasets]

    def drive() -> tuple[TrialScheduler, list[Task]]:
        scheduler = scheduler_of(config, tmp_path, amps)
        return scheduler, [task for _ in range(3) if (task := scheduler.suggest())]

    for _ in range(MAX_STARTS + 1):
        drive()
    scheduler, tasks = drive()
    assert len(tasks) == 3
    assert len(read_lines(tmp_path)) == 3
    assert all(scheduler.claim(task.trial) for task in tasks)
