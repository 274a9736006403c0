"""Files and folders written atomically: they appear complete or not at all."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

from models.core.errors import UserError

STAGED = ".staged-"  # begins the name of a file or folder that is being written


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it to `path`, else remove it.

    Errors name `path`, not the temporary file.
    """
    with _errors_name(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=STAGED, suffix=path.suffix)
    os.close(handle)
    staged = Path(name)
    try:
        with _errors_name(path, staged):
            yield staged
            with staged.open("rb") as written:
                os.fsync(written.fileno())
            staged.chmod(0o644)
            staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path`, else it is removed."""
    path = path.resolve()
    with _errors_name(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(dir=path.parent, prefix=STAGED))
    retired = staged.with_name(staged.name + "-old")
    try:
        with _errors_name(path, staged):
            yield staged
            staged.chmod(0o755)
            _replace_folder(staged, path, retired)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        if retired.exists() and not path.exists():
            retired.replace(path)
        shutil.rmtree(retired, ignore_errors=True)


def _replace_folder(staged: Path, path: Path, retired: Path) -> None:
    """Move the folder at `path` to `retired`, then `staged` to `path`; of two processes the last one wins."""
    for _ in range(100):
        with suppress(FileNotFoundError):  # another process moved it away
            path.replace(retired)
        try:
            staged.replace(path)
            return
        except OSError as problem:
            if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(retired, ignore_errors=True)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))


@contextmanager
def _errors_name(path: Path, staged: Path | None = None) -> Iterator[None]:
    """Make errors name `path` instead of the temporary file or folder `staged`.

    The system's error for a full disk names no file; it gets `path`.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno is not None:  # without one, a library raised it for something else
            named = problem.filename2 or problem.filename
            problem.filename = str(named).replace(str(staged), str(path)) if staged and named else str(path)
            problem.filename2 = None
        raise
    except UserError as problem:
        if staged is None:
            raise
        raise type(problem)(problem.message.replace(str(staged), str(path)), problem.hint) from problem


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with staged_file(path) as staged:
        staged.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON (two-space indent, final newline), whole or not at all; raises `ValueError` for NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def is_staged(path: PurePath) -> bool:
    """Return whether a path is a temporary file of this module, or lies in a temporary folder of it."""
    return any(part.startswith(STAGED) for part in path.parts)
