"""A folder that is replaced is there, old or new, whenever the process is killed and whatever the disk can do."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.core import renames
from models.core.files import staged_folder, write_text
from models.core.renames import is_only_copy, restore_folder, restore_folders

REPLACE = """
import os, sys
from pathlib import Path
from models.core import renames
from models.core.files import staged_folder, write_text
path, calls = Path(sys.argv[1]), int(sys.argv[2])
if sys.argv[3] == "plain":
    renames.exchange_folders = lambda one, other: False
real = {name: getattr(os, name) for name in ("rename", "replace", "unlink", "rmdir")}
def counted(name):
    def call(*args, **more):
        global calls
        calls -= 1
        if calls < 0:
            os._exit(9)
        return real[name](*args, **more)
    return call
with staged_folder(path) as staged:
    write_text(staged / "a.txt", "new")
    write_text(staged / "deep" / "b.txt", "new")
    for name in real:
        setattr(os, name, counted(name))
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Path]:
    """A real overlay whose lower layer has the folder `amp`, on a real tmpfs."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("mounting needs root on Linux")
    mounts = []

    def mount(*words: str) -> None:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this system mounts nothing: {done.stderr.strip()}")
        mounts.append(words[-1])

    base, merged = tmp_path / "base", tmp_path / "merged"
    base.mkdir()
    merged.mkdir()
    try:
        mount("-t", "tmpfs", "none", str(base))
        for layer in ("lower", "upper", "work"):
            (base / layer).mkdir()
        put_old(base / "lower" / "amp")
        layers = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
        mount("-t", "overlay", "overlay", "-o", f"{layers},redirect_dir=off", str(merged))
        yield merged
    finally:
        for place in reversed(mounts):
            subprocess.run(["umount", "-l", place], check=True)


def put_old(folder: Path) -> Path:
    write_text(folder / "a.txt", "old")
    write_text(folder / "deep" / "b.txt", "old")
    return folder


def content(folder: Path) -> set[str]:
    """The texts of a folder that is whole: {"old"} or {"new"}."""
    assert sorted(path.name for path in folder.rglob("*")) == ["a.txt", "b.txt", "deep"]
    return {path.read_text() for path in folder.rglob("*.txt")}


def replace_and_die(path: Path, calls: int, way: str) -> bool:
    """Replace a folder in a process that dies at its n-th change of the disk; return whether it did."""
    done = subprocess.run(
        [sys.executable, "-c", REPLACE, str(path), str(calls), way], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 9


@pytest.mark.parametrize("way", ["exchanged", "plain"])
def test_killed_anywhere_the_folder_is_there(tmp_path: Path, way: str):
    for calls in range(40):
        path = put_old(tmp_path / str(calls) / "amp")
        died = replace_and_die(path, calls, way)
        if way == "exchanged":
            assert path.exists()  # at no moment is nothing there
        restore_folder(path)
        assert content(path) in ({"old"}, {"new"})
        if not died:
            assert content(path) == {"new"} and [p.name for p in path.parent.iterdir()] == ["amp"]
            return
    pytest.fail("it never came to its end")


def test_killed_anywhere_on_a_lower_layer_of_an_overlay(overlay: Path):
    """The folder of a container's image cannot be renamed: it is copied, and the copy is put back."""
    with pytest.raises(OSError, match="cross-device") as raised:
        (overlay / "amp").rename(overlay / "other")
    assert raised.value.errno == errno.EXDEV
    for calls in range(60):
        fresh = overlay.parent / "base"
        subprocess.run(["umount", str(overlay)], check=True)
        for layer in ("upper", "work"):
            subprocess.run(["rm", "-rf", str(fresh / layer)], check=True)
            (fresh / layer).mkdir()
        layers = f"lowerdir={fresh}/lower,upperdir={fresh}/upper,workdir={fresh}/work,redirect_dir=off"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(overlay)], check=True)
        died = replace_and_die(overlay / "amp", calls, "exchanged")
        restore_folders(overlay)
        assert content(overlay / "amp") in ({"old"}, {"new"}), calls
        if not died:
            assert content(overlay / "amp") == {"new"} and [p.name for p in overlay.iterdir()] == ["amp"]
            return
        with staged_folder(overlay / "amp") as staged:
            write_text(staged / "a.txt", "next")
        assert (overlay / "amp" / "a.txt").read_text() == "next"
    pytest.fail("it never came to its end")


def test_the_next_writer_puts_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = put_old(tmp_path / "amp")
    monkeypatch.setattr(renames, "exchange_folders", lambda one, other: False)
    path.rename(tmp_path / f"{renames.STAGED}{'0' * 16}-amp-old")
    with pytest.raises(KeyboardInterrupt), staged_folder(path):
        raise KeyboardInterrupt
    assert content(path) == {"old"} and [p.name for p in tmp_path.iterdir()] == ["amp"]


def test_a_copy_that_was_superseded_is_not_put_back(tmp_path: Path):
    path = put_old(tmp_path / "amp")
    left = put_old(tmp_path / f"{renames.STAGED}{'0' * 16}-amp-old")
    write_text(path / "a.txt", "new")
    assert not is_only_copy(left)
    restore_folders(tmp_path)
    assert (path / "a.txt").read_text() == "new" and left.exists()


@pytest.mark.parametrize("name", ["a-old", "-old", "x" * 200, "ü b", "with.dots"])
def test_any_name_is_put_back(tmp_path: Path, name: str):
    path = put_old(tmp_path / name)
    left = tmp_path / f"{renames.STAGED}{'f' * 16}-{name}-old"
    path.rename(left)
    assert is_only_copy(left)
    restore_folders(tmp_path)
    assert content(path) == {"old"}


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path):
    write_text(tmp_path / "amp", "mine")
    with pytest.raises(FileExistsError, match="amp"), staged_folder(tmp_path / "amp"):
        pytest.fail("it began")
    assert (tmp_path / "amp").read_text() == "mine"
