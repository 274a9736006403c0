"""Real disks of other kinds, mounted for a test: tmpfs, overlay, and those of FUSE whose programs are installed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

IMAGE_BYTES = 64 << 20


def _run(*words: str | Path) -> str:
    """Run a program and return what it says; skips the test where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{words[0]} cannot be used here: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def _tmpfs(place: Path, base: Path) -> None:
    _run("mount", "-t", "tmpfs", "-o", "size=64m", "none", place)


def _overlay(place: Path, base: Path) -> None:
    _run("mount", "-t", "tmpfs", "none", base)
    _run("mount", "-t", "overlay", "overlay", "-o", _layers(base), place)


def _fuse_overlay(place: Path, base: Path) -> None:
    _run("mount", "-t", "tmpfs", "none", base)
    _run("fuse-overlayfs", "-o", _layers(base), place)


def _layers(base: Path) -> str:
    for name in ("lower", "upper", "work"):
        (base / name).mkdir()
    return f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"


def _bindfs(place: Path, base: Path) -> None:
    """A passing-on disk that refuses changes of modes and owners, as those of buckets and of Windows do."""
    _run("bindfs", "--chmod-deny", "--chown-deny", "--chgrp-deny", base, place)


def _exfat(place: Path, base: Path) -> None:
    image = base / "exfat.img"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    _run("mkfs.exfat", image)
    device = _run("losetup", "--find", "--show", image)
    try:
        _run("mount.exfat-fuse", device, place)
    finally:
        _run("losetup", "--detach", device)  # once it is not mounted any longer


KINDS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {  # the program that each needs, and how it is mounted
    "tmpfs": ("mount", _tmpfs),
    "overlay": ("mount", _overlay),
    "fuse-overlayfs": ("fuse-overlayfs", _fuse_overlay),
    "bindfs": ("bindfs", _bindfs),
    "exfat": ("mount.exfat-fuse", _exfat),
}


@contextmanager
def mounted(kind: str, folder: Path) -> Iterator[Path]:
    """Yield an empty disk of a kind; skips the test, with a word, where it cannot be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root on Linux")
    program, mount = KINDS[kind]
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        pytest.skip(f"{program} is not installed")
    place, base = folder / "disk", folder / "base"
    place.mkdir(parents=True)
    base.mkdir()
    try:
        mount(place, base)
        yield place
    finally:
        for mount_point in (place, base):
            if os.path.ismount(mount_point):
                subprocess.run(["umount", "-l", mount_point], check=True)
