"""Locks on files and folders that are in use, so that others can tell them from what killed processes left.

The kernel frees a lock when its process dies, however that happens. Where a disk or a system has no locks, age decides.
"""

import os
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def hold_path(path: Path) -> int | None:
    """Lock a new file or folder until `release_path` or the end of this process; return a handle.

    Returns None where there are no locks, or where the umask forbids even its owner to read. Raises
    `FileNotFoundError` where another process took the path for a leftover and removed it.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except PermissionError:
        return None
    try:
        with suppress(OSError):  # a disk without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        raise FileNotFoundError(path)
    except BaseException:
        os.close(handle)
        raise


def release_path(handle: int | None) -> None:
    """End a lock."""
    if handle is not None:
        os.close(handle)


def remove_left_behind(path: Path, age_s: float, lockless_age_s: float) -> None:
    """Remove a file or folder of this user that nobody holds and that has not changed for `age_s`.

    Where nothing can be locked it must not have changed for `lockless_age_s`. What cannot be looked at stays.
    """
    with suppress(OSError):
        stated = path.lstat()
        if stat.S_ISLNK(stated.st_mode) or (hasattr(os, "getuid") and stated.st_uid != os.getuid()):
            return
        handle = None if fcntl is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if abs(time.time() - stated.st_mtime) >= (age_s if _try_lock(handle) else lockless_age_s):
                shutil.rmtree(path, ignore_errors=True) if stat.S_ISDIR(stated.st_mode) else path.unlink()
        finally:
            release_path(handle)


def _try_lock(handle: int | None) -> bool:
    """Lock and return True; return False where there are no locks. Raises `BlockingIOError` where another holds it."""
    if handle is None or fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
