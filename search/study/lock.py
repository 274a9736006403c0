"""A lock on a study folder: one process drives a study; the kernel frees the lock when the process dies."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from models.core.errors import UserError
from search.study.files import STUDY

try:
    import fcntl
except ImportError:  # Windows: nothing prevents a second process
    fcntl = None


WITHOUT_LOCKS = (
    errno.ENOLCK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
)  # of file systems; nothing prevents a second process there


@contextmanager
def study_lock(study: Path) -> Iterator[None]:
    """Hold the lock of a study; raises `UserError` naming the process that holds it already.

    The lock is the file `.NAME.lock` beside the study folder, since that folder is created, and restored from a
    URI, as a whole. It is removed afterwards; a file that a killed process left there locks nothing.
    """
    path = study.with_name(f".{study.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None or not os.access(path.parent, os.W_OK):  # not writable where the study is a mount of its own
        yield
        return
    with _open_locked(path, study) as file:
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield
        finally:
            path.unlink(missing_ok=True)


def is_starting(study: Path) -> bool:
    """Return whether a process drives a study that is not on disk yet: it still reads the recordings."""
    return not (study / STUDY).exists() and _is_held(study) is True


def is_driven(study: Path) -> bool:
    """Return whether a process drives a study; true where that cannot be known, for want of locks."""
    return _is_held(study) is not False


def _is_held(study: Path) -> bool | None:
    """Return whether a process holds the lock of a study; None where that cannot be known."""
    path = study.resolve().with_name(f".{study.resolve().name}.lock")
    if fcntl is None:
        return None
    if not path.exists():
        return False if os.access(path.parent, os.W_OK) else None
    with suppress(FileNotFoundError), open(path, encoding="utf-8", opener=_open_no_link) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as problem:
            if problem.errno not in WITHOUT_LOCKS:
                raise
            return None
    return False


def _open_no_link(path: str, flags: int) -> int:
    """Open a file, but not what a link leads to: its content would be lost. A pipe is not waited for.

    Raises `UserError` for both.
    """
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as problem:
        if problem.errno != errno.ELOOP:
            raise
        raise UserError(f"{path}, the lock of a search, is a link to another file", "Remove it.") from None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise UserError(f"{path}, the lock of a search, is no file", "Remove it.")


def _open_locked(path: Path, study: Path) -> TextIO:
    """Open and lock the lock file; try again where the process before has removed it meanwhile."""
    assert fcntl
    while True:
        file = open(path, "a+", encoding="utf-8", opener=_open_no_link)  # noqa: SIM115 (its user closes it)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            file.close()
            raise UserError(
                f"{study} is being searched by {holder}",
                "zoo board shows its progress. Let it run, or end it before --resume; "
                f"if its machine is gone, delete {path}.",
            ) from None
        except OSError as problem:
            if problem.errno not in WITHOUT_LOCKS:
                raise
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
