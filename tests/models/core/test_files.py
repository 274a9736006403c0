"""A written file or folder is complete, old or new, and no temporary file is left."""

import errno
import json
import os
from pathlib import Path

import pytest

from models.core import renames
from models.core.errors import UserError
from models.core.files import staged_file, staged_folder, write_json, write_text
from models.core.schema import read_json

STOPS = [ValueError, OSError, KeyboardInterrupt]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("before", [None, "old"])
def test_interrupted_write_leaves_the_old_file(tmp_path: Path, before: str | None, stop: type[BaseException]):
    path = tmp_path / "notes.txt"
    if before:
        path.write_text(before)
    with pytest.raises(stop), staged_file(path) as staged:
        staged.write_text("half")
        raise stop
    assert names(tmp_path) == (["notes.txt"] if before else [])
    assert not before or path.read_text() == before


def test_staged_file_appears_complete_and_readable_by_all(tmp_path: Path):
    path = tmp_path / "new" / "notes.txt"
    for text in ("first", "second"):
        with staged_file(path) as staged:
            staged.write_text(text)
            assert staged.suffix == path.suffix  # writers choose a format by it
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert names(path.parent) == ["notes.txt"]


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o002, 0o664, 0o775)]
)
def test_modes_are_what_the_umask_leaves(tmp_path: Path, umask: int, file: int, folder: int):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "notes.txt", "")
        with staged_folder(tmp_path / "run") as staged:
            (staged / "plain.txt").write_text("")
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert found == {"notes.txt": file, "run": folder, "plain.txt": file}


def test_a_disk_without_modes_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **more: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    for place in (Path, os):
        monkeypatch.setattr(place, "chmod", refuse)
    write_text(tmp_path / "notes.txt", "text")
    for text in ("first", "second"):
        with staged_folder(tmp_path / "run") as staged:
            write_text(staged / "plain.txt", text)
    assert (tmp_path / "run" / "plain.txt").read_text() == "second" and names(tmp_path) == ["notes.txt", "run"]


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("before", [None, "old"])
def test_interrupted_write_leaves_the_old_folder(tmp_path: Path, before: str | None, stop: type[BaseException]):
    path = tmp_path / "run"
    if before:
        write_text(path / "deep" / "kept.txt", before)
    with pytest.raises(stop), staged_folder(path) as staged:
        (staged / "half.txt").write_text("half")
        raise stop
    assert names(tmp_path) == (["run"] if before else [])
    assert not before or (names(path) == ["deep"] and (path / "deep" / "kept.txt").read_text() == before)


def test_folder_that_cannot_be_moved_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, replace = tmp_path / "run", Path.replace
    write_text(path / "kept.txt", "old")

    def refuse_new(self: Path, target: Path) -> Path:
        if target == path and (self / "new.txt").exists():
            raise OSError("disk is gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse_new)
    monkeypatch.setattr(renames, "exchange_folders", lambda one, other: False)
    with pytest.raises(OSError, match="disk is gone"), staged_folder(path) as staged:
        (staged / "new.txt").write_text("new")
    assert names(tmp_path) == ["run"]
    assert names(path) == ["kept.txt"]


def test_staged_folder_replaces_the_old_one(tmp_path: Path):
    path = tmp_path / "run"
    write_text(path / "gone.txt", "old")
    with staged_folder(path) as staged:
        (staged / "new.txt").write_text("new")
        assert names(path) == ["gone.txt"]
    assert names(tmp_path) == ["run"]
    assert names(path) == ["new.txt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_value_without_json_leaves_the_old_file(tmp_path: Path, value: object):
    path = tmp_path / "value.json"
    write_json(path, {"old": True})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"new": value})
    assert names(tmp_path) == ["value.json"]
    assert read_json(path) == {"old": True}


def test_a_name_that_is_no_text_is_told_before_anything_is_written(tmp_path: Path):
    name = os.fsdecode(b"take \xff G4.wav")
    with pytest.raises(UserError, match=r"x\.json cannot hold a name that is no UTF-8 text: .*take . G4"):
        write_json(tmp_path / "x.json", {"entries": [{"output_file": name}]})
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "x.json", {"emoji": "\U0001f3b8 \\ud8"})
    assert json.loads((tmp_path / "x.json").read_text()) == {"emoji": "\U0001f3b8 \\ud8"}
