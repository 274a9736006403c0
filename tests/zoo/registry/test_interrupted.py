"""A process that is killed while it replaces an amp on a disk that cannot exchange folders: no amp is lost."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.packages import AMP, around, files, read_files, refused, write_package, zoo
from zoo.names import Ref
from zoo.registry.folders import remove_stale
from zoo.registry.shelf import Shelf

DIES = """
import os, sys
from pathlib import Path
from models.core import renames
renames.exchange_folders = lambda one, other: False
rename = Path.replace
def dies(self, target):
    rename(self, target)
    if str(target).endswith("-old"):
        os._exit(9)
Path.replace = dies
from zoo.cli.main import main
main()
"""


@pytest.fixture
def lost(tmp_path: Path) -> Shelf:
    """A shelf whose one amp was moved away by a process that died before it put the next one there."""
    shelf = Shelf(tmp_path / "shelf")
    shelf.push(shelf.plan(write_package(tmp_path / "first"), AMP))
    other = write_package(tmp_path / "other", {"presets.json": b"{}"})
    words = [sys.executable, "-c", DIES, "push", other, AMP, "--zoo", shelf.folder]
    assert subprocess.run([*map(str, words)], env=around(), check=False).returncode == 9
    assert not (shelf.folder / AMP).exists()
    return shelf


def test_list_shows_it_again(lost: Shelf):
    assert zoo("list", "-q", "--zoo", lost.folder).out == f"{AMP}\n"
    assert read_files(lost.folder / AMP) == files()


def test_pull_brings_it_back(lost: Shelf, tmp_path: Path):
    lost.pull(Ref(AMP), tmp_path / "pulled")
    assert read_files(tmp_path / "pulled") == files()


def test_the_sweep_of_another_pull_brings_it_back(lost: Shelf):
    folder = lost.folder / "alice"
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    remove_stale(folder)
    assert [path.name for path in folder.iterdir()] == ["tiny"] and read_files(folder / "tiny") == files()


def test_what_version_02_left_is_not_swept(tmp_path: Path):
    """It did not say what it had moved away; the manifest does."""
    folder = write_package(tmp_path / "shelf" / "alice" / ".staged-abcd1234-old").parent
    os.utime(folder / ".staged-abcd1234-old", (0, 0))
    remove_stale(folder)
    assert [path.name for path in folder.iterdir()] == ["tiny"] and read_files(folder / "tiny") == files()


def test_what_was_superseded_is_swept(lost: Shelf, tmp_path: Path):
    folder = lost.folder / "alice"
    write_package(folder / "tiny")
    for path in folder.iterdir():
        os.utime(path, (time.time() - 7200,) * 2)
    remove_stale(folder)
    assert [path.name for path in folder.iterdir()] == ["tiny"]


def test_a_removal_that_is_killed_leaves_no_half(tmp_path: Path):
    """What `zoo rm` removes is no longer an amp before its first file goes."""
    shelf = Shelf(tmp_path / "shelf")
    shelf.push(shelf.plan(write_package(tmp_path / "package"), AMP))
    script = f"""
import os, shutil
from pathlib import Path
shutil.rmtree = lambda folder: os._exit(9)
from zoo.names import Ref
from zoo.registry.shelf import Shelf
Shelf(Path({str(shelf.folder)!r})).remove(Ref({AMP!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], env=around(), check=False).returncode == 9
    assert shelf.names() == []


def test_a_twin_by_case_is_another_amp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that is blind to case (exFAT, those of macOS and Windows): it finds `tiny` under the name `Tiny`."""
    shelf, package = Shelf(tmp_path / "shelf"), write_package(tmp_path / "package")
    shelf.push(shelf.plan(package, "alice/Tiny"))
    real = os.listdir
    monkeypatch.setattr("zoo.package.manifest.os.listdir", lambda folder: [name.lower() for name in real(folder)])
    refused(zoo("show", "alice/Tiny", "--zoo", shelf.folder), 3, "no amp 'alice/Tiny'", "has one at 'tiny'")
    refused(zoo("push", package, "alice/Tiny", "--zoo", shelf.folder), 1, "is called 'tiny' on this disk")
    refused(zoo("pull", "alice/Tiny", "--zoo", shelf.folder, "--to", tmp_path / "to"), 3, "has one at 'tiny'")
