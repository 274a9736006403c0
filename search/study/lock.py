"""One driver for each study: a lock that the kernel lets go of when the driver dies, however it dies."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from models.core.errors import UserError

try:
    import fcntl
except ImportError:  # on Windows nothing keeps a second driver away
    fcntl = None


LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of file systems without locks, where nothing does either


@contextmanager
def sole_driver(study: Path) -> Iterator[None]:
    """Hold a study; raises `UserError` naming the process that does where it is held already.

    The lock is the file `.NAME.lock` beside the study, whose own folder comes into being, and comes back from a URI, as a whole. It is taken
    away afterwards; one that a killed driver left there holds nothing.
    """
    path = study.with_name(f".{study.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None or not os.access(path.parent, os.W_OK):  # where the study is a mount of its own
        yield
        return
    with _locked(path, study) as file:
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, study: Path) -> TextIO:
    """The lock file, opened and locked; never one that the driver before took away meanwhile."""
    assert fcntl
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            file.close()
            raise UserError(
                f"{study} is being searched by {holder}",
                f"zoo board shows how it stands. Let it go on, or end it before --resume; if its machine is gone, delete {path}.",
            ) from None
        except OSError as problem:
            if problem.errno not in LOCKLESS:
                raise
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
