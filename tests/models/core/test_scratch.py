"""Temporary folders end with their process: at its end, or, where it was killed, with the next command."""

import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from models.core import files
from models.core.files import staged_file, staged_folder, write_text
from models.core.scratch import PREFIX, Scratch, scratch_folder, sweep_scratch, temporary_files_in

posix = pytest.mark.skipif(os.name != "posix", reason="this system has no locks on files")

HOLDING = """
import sys, time
from pathlib import Path
from models.core.files import staged_file, staged_folder
from models.core.scratch import Scratch
place = Path(sys.argv[1])
made = Scratch(place)
(made.folder / "half").write_bytes(b"x")
with staged_file(place / "a.wav") as file, staged_folder(place / "run") as folder:
    print(made.folder, file, folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def child(tmp_path: Path):
    """A process that holds a temporary folder, a staged file and a staged folder."""
    started = subprocess.Popen([sys.executable, "-c", HOLDING, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout
        yield started, [Path(word) for word in started.stdout.readline().split()]
    finally:
        started.kill()
        started.communicate()


def make_old(path: Path) -> None:
    os.utime(path, (time.time() - 7200,) * 2)


@posix
def test_what_a_killed_process_left_is_removed_and_a_living_one_keeps_its_own(
    tmp_path: Path, child: tuple[subprocess.Popen[str], list[Path]]
):
    process, made = child
    for path in made:
        make_old(path)
    sweep_scratch(tmp_path)
    files._sweep_staged.cache_clear()
    write_text(tmp_path / "b.txt", "")
    assert all(path.exists() for path in made)

    process.send_signal(signal.SIGKILL)
    process.wait()
    with scratch_folder(tmp_path):
        assert not made[0].exists() and made[1].exists()
    files._sweep_staged.cache_clear()
    with staged_folder(tmp_path / "run"):
        assert not any(path.exists() for path in made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.txt", "run"]


@posix
def test_young_files_and_what_is_no_leftover_stay(tmp_path: Path):
    kept = [tmp_path / name for name in (f".staged-{'0' * 16}.wav", f".staged-{'1' * 16}-run-old", ".staged-mine")]
    for path in kept:
        path.touch()
    for path in kept[1:]:
        make_old(path)
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path)
    (tmp_path / f".staged-{'2' * 16}").symlink_to(tmp_path)
    make_old(tmp_path)
    files._sweep_staged.cache_clear()
    with scratch_folder(tmp_path), staged_file(tmp_path / "a.txt") as staged:
        staged.write_text("")
    assert all(path.exists() for path in kept) and len(list(tmp_path.iterdir())) == 6


@posix
def test_without_locks_only_age_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fcntl.flock", lambda *args: (_ for _ in ()).throw(OSError(95, "not supported")))
    living, dead = Scratch(tmp_path), tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    sweep_scratch(tmp_path)
    assert living.folder.exists() and dead.exists()
    os.utime(dead, (time.time() - 100_000,) * 2)
    sweep_scratch(tmp_path)
    assert living.folder.exists() and not dead.exists()
    living.remove()


def test_a_folder_is_private_and_goes_with_an_error(tmp_path: Path):
    with pytest.raises(KeyError), scratch_folder(tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700 or os.name != "posix"
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_libraries_and_programs_put_their_temporary_files_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    usual = tempfile.gettempdir()
    show = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
    with scratch_folder(tmp_path) as folder, temporary_files_in(folder):
        assert Path(tempfile.mkdtemp()).parent == folder
        assert subprocess.run(show, capture_output=True, text=True, check=True).stdout.strip() == str(folder)
    assert tempfile.gettempdir() == usual and "TMPDIR" not in os.environ


@posix
def test_a_folder_that_was_swept_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made, make = [], tempfile.mkdtemp

    def make_and_sweep(**words: object) -> str:
        made.append(make(prefix=PREFIX, dir=tmp_path))
        if len(made) == 1:
            sweep_scratch(tmp_path)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_sweep)
    with scratch_folder(tmp_path) as folder:
        assert len(made) == 2 and folder == Path(made[1]) and folder.is_dir()


def test_no_other_module_makes_temporary_folders_of_its_own():
    root = Path(__file__).parents[3]
    places = [path for package in ("models", "search", "zoo") for path in (root / package).rglob("*.py")]
    found = {path.name for path in places if re.search(r"mkdtemp|mkstemp|Temporary(File|Dir)", path.read_text("utf-8"))}
    assert found == {"scratch.py", "ray_worker.py"}  # of checkpoints, in a folder that is swept when a study is resumed
