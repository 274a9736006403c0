"""A shelf, a study and outputs on real disks of other kinds: each works, or says in one sentence why."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.core.errors import UserError
from models.core.files import staged_file, staged_folder
from models.core.renames import STAGED
from models.core.scratch import scratch_folder
from search.study.lock import study_lock
from tests.support.disks import KINDS, mounted
from tests.support.packages import AMP, files, pulled, write_package, zoo


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with mounted(request.param, tmp_path / "mounts") as place:
        yield place


def test_files_and_folders_are_replaced(disk: Path):
    for text in ("first", "second"):
        with staged_file(disk / "a.txt") as staged:
            staged.write_text(text)
        with staged_folder(disk / "run") as staged:
            (staged / f"{text}.txt").write_text(text)
        assert (disk / "a.txt").read_text() == text and [p.name for p in (disk / "run").iterdir()] == [f"{text}.txt"]
    for stop in (OSError, KeyboardInterrupt):
        with pytest.raises(stop), staged_folder(disk / "run"):
            raise stop
    assert sorted(path.name for path in disk.iterdir()) in (["a.txt", "run"], ["a.txt", "lost+found", "run"])
    assert [p.name for p in (disk / "run").iterdir()] == ["second.txt"]


def test_a_shelf_is_used_as_on_any_disk(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Pushed to, pushed to again, listed, pulled from and to, verified, removed."""
    monkeypatch.chdir(tmp_path)
    shelf = ("--zoo", disk / "shelf")
    package, other = write_package(tmp_path / "package"), write_package(tmp_path / "other", {"presets.json": b"{}"})
    for made in (package, other, package):
        ran = zoo("push", made, AMP, *shelf)
        assert ran.code == 0, ran.err
    assert zoo("list", "-q", *shelf).out == f"{AMP}\n"
    assert zoo("verify", disk / "shelf" / AMP).code == 0
    for to in (tmp_path / "copy", disk / "copy", disk / "copy"):
        ran = zoo("pull", AMP, "--to", to, *shelf)
        assert ran.code == 0, ran.err
        assert pulled(to) == files()
    monkeypatch.setenv("ZOO_HOME", str(disk / "shelf"))
    assert zoo("rm", AMP, "--yes").code == 0 and zoo("list", "-q").out == ""
    assert not [path for path in disk.rglob(f"{STAGED}*")]


def test_one_search_drives_a_study(disk: Path):
    with study_lock(disk / "study"):
        try:
            with study_lock(disk / "study"):
                pass  # a disk without locks
        except UserError as problem:
            assert re.search(r"is being searched by process \d+ on ", problem.message)


def test_a_temporary_folder_ends(disk: Path):
    with scratch_folder(disk) as held, scratch_folder(disk) as other:
        (other / "file").write_bytes(b"x")
        assert held.exists() and other.exists()
    assert not held.exists() and not other.exists()


def test_names_that_differ_by_case_alone(disk: Path, tmp_path: Path):
    """On a disk that takes them for one, neither replaces the other unasked."""
    shelf = ("--zoo", disk / "shelf")
    one, two = write_package(tmp_path / "one"), write_package(tmp_path / "two", {"presets.json": b"{}"})
    (disk / "A").touch()
    blind = (disk / "a").exists()
    assert zoo("push", one, "alice/Tiny", *shelf).code == 0
    ran = zoo("push", two, "alice/tiny", *shelf)
    if not blind:
        assert ran.code == 0 and sorted(os.listdir(disk / "shelf" / "alice")) == ["Tiny", "tiny"]
        return
    assert ran.code != 0 and "Tiny" in ran.err, ran.err
    assert os.listdir(disk / "shelf" / "alice") == ["Tiny"]
    assert (disk / "shelf" / "alice" / "Tiny" / "presets.json").read_bytes() == files()["presets.json"]


def test_the_lock_of_a_study_follows_no_link(tmp_path: Path):
    """Beside a study that came from somewhere may lie anything."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / ".study.lock").symlink_to(mine)
    with (
        pytest.raises(UserError, match="the lock of a search, is a link to another file"),
        study_lock(tmp_path / "study"),
    ):
        pass
    assert mine.read_text() == "mine"
