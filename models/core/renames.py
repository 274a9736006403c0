"""A folder takes the place of another: in one step where the system can, else so that whoever comes next can mend it.

Linux and macOS exchange two folders in one step. Where a disk cannot (NFS, FUSE, exFAT), the old folder is renamed to
`.staged-RANDOM-NAME-old` first; a folder of a lower layer of an overlay, which cannot be renamed, is copied there. A
process that is killed in between leaves the old folder under that name, and `restore_folder` puts it back.
"""

import ctypes
import errno
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from secrets import token_hex

STAGED = ".staged-"  # begins the name of a file or folder that is being written

GOING = f"{STAGED}going"  # lies in a folder that is being removed and has a complete copy

RETIRED = re.compile(rf"{re.escape(STAGED)}[0-9a-f]{{16}}-(?P<name>.+)-old", re.DOTALL)

NAME_ATTEMPTS = 100

AT_CURRENT_FOLDER, EXCHANGE, SWAP = -100, 2, 2  # of renameat2 (Linux) and renamex_np (macOS)

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)

FULL = (errno.ENOTEMPTY, errno.EEXIST)


def staged_path(path: Path, suffix: str = "") -> Path:
    """Return a new name beside `path` for what will take its place."""
    return path.with_name(f"{STAGED}{token_hex(8)}{suffix}")


def replace_folder(staged: Path, path: Path) -> None:
    """Put the folder `staged` in the place of `path`, which may be missing; of two processes the last one wins.

    What was there is removed. Raises `OSError` where it cannot be done; the old folder is then in its place.
    """
    _flush(staged)
    if path.is_dir() and exchange_folders(staged, path):
        shutil.rmtree(staged, ignore_errors=True)
        return
    retired = path.with_name(f"{staged.name}-{path.name}-old")
    try:
        _replace_in_two_steps(staged, path, retired)
    finally:
        restore_folder(path)
        if _is_whole(path):
            shutil.rmtree(retired, ignore_errors=True)


def exchange_folders(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system or the disk cannot."""
    exchange = _exchange_call()
    return exchange is not None and exchange(os.fsencode(one), os.fsencode(other)) == 0


def restore_folder(path: Path) -> None:
    """Put back the folder `path` where a process was killed while it replaced it; else do nothing.

    Does nothing either where this user may not write.
    """
    if _is_whole(path):
        return
    found = [retired for retired, name in _retired_folders(path.parent) if name == path.name]
    for retired in sorted(found, key=_moved_at, reverse=True):
        try:
            _remove_in_place(path)
            retired.replace(path)
            return
        except FileNotFoundError:  # another process was faster
            continue
        except OSError as problem:
            if problem.errno in (*READ_ONLY, *FULL):
                return
            raise


def restore_folders(parent: Path) -> None:
    """Put back every folder in `parent` whose replacement was interrupted; see `restore_folder`."""
    for _, name in _retired_folders(parent):
        restore_folder(parent / name)


def is_only_copy(path: Path) -> bool:
    """Return whether a staged folder may be the only copy of a folder that was being replaced."""
    named = RETIRED.fullmatch(path.name)
    if named:
        return not _is_whole(path.with_name(named["name"]))
    return path.name.endswith("-old")  # of version 0.2, which did not say what it had moved


def _replace_in_two_steps(staged: Path, path: Path, retired: Path) -> None:
    """Move `path` to `retired`, then `staged` to `path`."""
    for _ in range(NAME_ATTEMPTS):
        with suppress(FileNotFoundError):  # nothing is there, or another process moved it away
            _retire(path, retired)
        try:
            staged.replace(path)
            return
        except OSError as problem:
            if problem.errno not in FULL:
                raise
            shutil.rmtree(retired, ignore_errors=True)  # another process filled the place
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))


def _retire(path: Path, retired: Path) -> None:
    """Move a folder to `retired`; one that an overlay cannot rename is copied whole, then removed."""
    try:
        path.replace(retired)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        copy = retired.with_name(f"{retired.name.removesuffix('-old')}-copy")
        try:
            shutil.copytree(path, copy, symlinks=True)
            _flush(copy)
            copy.replace(retired)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        (path / GOING).touch()
        _remove_in_place(path)


def _remove_in_place(path: Path) -> None:
    """Remove the rest of a folder that has a complete copy, its mark last; does nothing where there is no mark."""
    if not (path / GOING).exists():
        return
    for child in list(path.iterdir()):
        with suppress(FileNotFoundError):  # another process removes it, too
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            elif child.name != GOING:
                child.unlink()
    with suppress(FileNotFoundError):
        (path / GOING).unlink()
        path.rmdir()


def _is_whole(path: Path) -> bool:
    """Return whether something is there that is not being removed; a folder loses its mark just before it goes."""
    try:
        return any(path.iterdir()) and not (path / GOING).exists()
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True


def _retired_folders(parent: Path) -> list[tuple[Path, str]]:
    """Return the folders in `parent` that were moved away, each with its own name."""
    try:
        found = [(path, RETIRED.fullmatch(path.name)) for path in parent.iterdir()]
    except OSError:  # there is no such folder, or it may not be read
        return []
    return [(path, match["name"]) for path, match in found if match]


def _moved_at(path: Path) -> float:
    """Return when a folder was renamed, as far as the disk keeps that; 0 where it is gone."""
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return 0.0


def _flush(folder: Path) -> None:
    """Write the files of a folder to disk, so that a power cut after the rename finds them whole."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        with suppress(OSError):  # a disk or a system that cannot; whether a write failed was told when it was made
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@cache
def _exchange_call() -> Callable[[bytes, bytes], int] | None:
    """Return the system's call that exchanges two paths (0 when it did), None where there is none."""
    if sys.platform not in ("linux", "darwin"):
        return None
    library = ctypes.CDLL(None)
    if call := getattr(library, "renameat2", None):
        return lambda one, other: call(AT_CURRENT_FOLDER, one, AT_CURRENT_FOLDER, other, EXCHANGE)
    if call := getattr(library, "renamex_np", None):
        return lambda one, other: call(one, other, SWAP)
    return None
