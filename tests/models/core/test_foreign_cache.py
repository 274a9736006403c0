"""A cache folder that is read-only, or that another user made, costs time and never a command."""

import os
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba  # noqa: F401 (loaded by the user who may read it, not by the other one)
import numpy as np
import pytest

from models.core.cache import read_measurement, write_measurement
from models.core.errors import Notice
from models.engines.jit import cached_njit
from models.formats.player import build
from models.formats.player.build import compilers, library
from models.formats.player.native import load_library
from search.storage.recordings import _copy_folder

NOBODY = 65534

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user and mount"
)

needs_compiler = pytest.mark.skipif(not compilers(), reason="no C compiler is installed")


def _double(x_T):
    for index in range(len(x_T)):
        x_T[index] *= 2
    return x_T[0]


@contextmanager
def another_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a user who did not make the cache."""
    monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that root made, in folders that everybody may enter."""
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/") and not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def use_everything() -> None:
    """What commands do with the cache; each of it works."""
    write_measurement("cost", {"of": "a"}, 0.5)
    assert cached_njit(_double)(np.ones(3, np.float32)) == 2
    copy = _copy_folder("s3://bucket/a")
    copy.mkdir(parents=True, exist_ok=True)
    (copy / "take.wav").write_bytes(b"x")
    if compilers():
        assert load_library(library()).player_amp_size() > 0


@needs_root
@pytest.mark.parametrize("mode", [0o500, 0o555, 0o755, 0o777], ids=oct)
def test_a_cache_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: int):
    """Whatever its folders and files allow."""
    write_measurement("cost", {"of": "a"}, 0.25)
    if compilers():  # which another user may not be able to start
        whole = library().read_bytes()
        monkeypatch.setattr(build, "_built", lambda *words, **more: whole)
    for path in folder.rglob("*"):
        path.chmod(mode if path.is_dir() else mode & 0o666)
    folder.chmod(mode)
    with another_user(monkeypatch), warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        assert read_measurement("cost", {"of": "a"}) in (None, 0.25)
        use_everything()


@needs_root
@pytest.mark.skipif(sys.platform != "linux", reason="mounts are tried on Linux")
def test_a_cache_on_a_disk_that_is_read_only(folder: Path):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    try:
        write_measurement("cost", {"of": "a"}, 0.25)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        with pytest.warns(Notice, match="cannot keep"):
            use_everything()
        assert read_measurement("cost", {"of": "a"}) == 0.25
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@needs_root
@needs_compiler
def test_code_that_another_user_could_have_written_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    path = library()
    whole = path.read_bytes()
    os.chown(path, NOBODY, NOBODY)
    assert library() == path and path.stat().st_uid == 0 and path.read_bytes() == whole


@needs_compiler
@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "no digest", "digest of another"])
def test_a_damaged_library_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str):
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(build, "_built", lambda *words, **more: b"library")
    path = library()
    digest = path.with_name(f"{path.name}.sha256")
    if damage == "no digest":
        digest.unlink()
    elif damage == "digest of another":
        digest.write_bytes(b"\xff" * 64)
    else:
        path.write_bytes({"cut": b"lib", "empty": b"", "flipped": b"librarY"}[damage])
    assert library().read_bytes() == b"library" and len(digest.read_text()) == 64
