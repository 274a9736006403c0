"""A study that came from somewhere: what is a link or a pipe in it leads nowhere, what its owner links goes on."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from models.artifacts.names import EVAL, RECIPE, SPLIT
from models.core.errors import UserError
from search.config.study import read_search
from search.run import run_study
from search.storage.uri_store import Store
from search.study.board import best_runs, read_board
from search.study.files import BOARD, COSTS, JOURNAL, PICTURE, RECORDINGS, STUDY
from search.study.ledger import append, ledger_path, read_lines
from search.study.lock import is_starting, study_lock
from tests.support.packages import zoo
from tests.support.searches import SMALL, config_of, counted, counted_costs, scheduler_of, search_file, start_line

SECRET = '"s3cret"'


@pytest.fixture(scope="module", autouse=True)
def _counted() -> Iterator[None]:
    """Costs are the same on every machine."""
    with counted_costs():
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, beside its `search.json`."""
    folder = tmp_path_factory.mktemp("foreign")
    run_study(read_search(search_file(folder, amps=1, trials=2)), folder / "study", counted(local=True))
    return folder / "study"


@pytest.fixture
def study(done: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it; a test that waits for a pipe fails after two minutes, in place of never ending."""
    signal.alarm(120)
    yield shutil.copytree(done, tmp_path / "study")
    signal.alarm(0)


def replaced(path: Path, how: str) -> Path:
    """Put a pipe, or a link to a file of somebody else, in the place of a file; return that other file."""
    other = path.parents[1] / "mine.txt"
    other.write_text(SECRET)  # without a line feed: a ledger would be cut to nothing
    path.unlink(missing_ok=True)
    os.mkfifo(path) if how == "pipe" else path.symlink_to(other)
    return other


COMMANDS = {  # a record of the study -> the command that reads it first
    "ledger.jsonl": ("search", "search.json", "--out", "study", "--resume", "--local"),
    STUDY: ("board", "study"),
    BOARD: ("board", "study"),
    COSTS: ("search", "search.json", "--out", "study", "--resume", "--local"),
    RECORDINGS: ("search", "search.json", "--out", "study", "--resume", "--local"),
    PICTURE: ("package", "study", "--out", "to", "--license", "cc0-1.0", "--force"),
}


@pytest.mark.parametrize("how", ["link", "pipe"])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_record_is_a_link_or_a_pipe(done: Path, study: Path, name: str, how: str):
    if name == STUDY:
        (study / BOARD).unlink()
    other = replaced(study / name, how)
    places = {"study": study, "to": study.parent / "to", "search.json": done.parent / "search.json"}
    ran = zoo(*(str(places.get(word, word)) for word in COMMANDS[name]))
    told = " ".join(ran.err.split())
    assert ran.code == 1 and f"{name} is a {'link to another file' if how == 'link' else 'device or a pipe'}" in told
    assert other.read_text() == SECRET and SECRET.strip('"') not in ran.err + ran.out
    assert not (study.parent / "to").exists()


@pytest.mark.parametrize("how", ["link", "pipe"])
@pytest.mark.parametrize("name", [EVAL, SPLIT, RECIPE])
def test_no_record_of_a_run_is_a_link_or_a_pipe(study: Path, name: str, how: str):
    (run,) = best_runs(study)
    other = replaced(run / name, how)
    ran = zoo("package", run, "--out", study.parent / "to", "--license", "cc0-1.0", "--force")
    assert ran.code == 1 and f"{name} is a" in " ".join(ran.err.split()), ran
    assert other.read_text() == SECRET and not (study.parent / "to").exists()


def test_a_journal_that_is_a_link_is_written_anew(done: Path, study: Path):
    other = replaced(study / JOURNAL, "link")
    run_study(read_search(done.parent / "search.json"), study, counted(local=True, resume=True))
    assert other.read_text() == SECRET and not (study / JOURNAL).is_symlink()
    assert "trial" in (study / JOURNAL).read_text()


def test_nothing_is_appended_through_a_link(tmp_path: Path):
    (tmp_path / "study").mkdir()
    other = replaced(ledger_path(tmp_path / "study"), "link")
    with pytest.raises(UserError, match="is a link to another file"):
        append(tmp_path / "study", start_line("a"))
    assert other.read_text() == SECRET


def test_no_file_of_somebody_else_is_copied_to_a_uri(tmp_path: Path):
    (tmp_path / "study").mkdir()
    replaced(tmp_path / "study" / "board.png", "link")
    with pytest.raises(UserError, match="is a link to another file"):
        Store(f"file://{tmp_path}/store").put(tmp_path / "study", ["board.png"])
    assert not (tmp_path / "store" / "board.png").exists()


def test_the_lock_of_a_study_is_a_file(tmp_path: Path):
    os.mkfifo(tmp_path / ".study.lock")
    with pytest.raises(UserError, match="the lock of a search, is no file"), study_lock(tmp_path / "study"):
        pass
    with pytest.raises(UserError, match="the lock of a search, is no file"):
        is_starting(tmp_path / "study")


@pytest.mark.parametrize("how", ["trial", "trials"])
def test_no_trial_replaces_a_folder_of_somebody_else(tmp_path: Path, amps, folder: Path, how: str):
    """A trial that goes on replaces its folder: it must not be another one, which a link leads to."""
    config, study, mine = config_of(folder, **SMALL), tmp_path / "study", tmp_path / "home" / "Documents"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("all of it")
    (study / "trials").mkdir(parents=True)
    point = config.space.draw(Random(0))
    append(study, start_line("Documents", point=point, steps=100, cost=0.01, label="l", form="film"))
    if how == "trial":
        (study / "trials" / "Documents").symlink_to(mine)
    else:
        (study / "trials").rmdir()
        (study / "trials").symlink_to(mine.parent)
    with pytest.raises(UserError, match="is a link to another folder|holds 'thesis.txt', which is no amp"):
        scheduler_of(config, study, amps)
    assert (mine / "thesis.txt").read_text() == "all of it"


def test_what_its_owner_links_goes_on(done: Path, study: Path, tmp_path: Path):
    """A study moved to another disk, with a link at its old place, and its trials on a third."""
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    (study / "trials").rename(elsewhere / "trials")
    (study / "trials").symlink_to(elsewhere / "trials")
    study.rename(elsewhere / "study")
    study.symlink_to(elsewhere / "study")
    (study / BOARD).unlink()
    config = read_search(done.parent / "search.json").model_copy(update={"trials": 3})
    run_study(config, study, counted(local=True, resume=True))
    assert len(read_board(study).trials) == 3 and len(read_lines(study)) > 3
    assert study.is_symlink() and (study / "trials").is_symlink()
    assert zoo("board", study).code == 0
