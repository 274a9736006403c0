"""Files that are never half written, and JSON that is checked when read."""

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

from models.core.errors import UserError

STAGED = ".staged-"


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed onto `path`, else removed."""
    with _named_after(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=STAGED, suffix=path.suffix)
    os.close(handle)
    staged = Path(name)
    try:
        with _named_after(path, staged):
            yield staged
            with staged.open("rb") as written:
                os.fsync(written.fileno())
            staged.chmod(0o644)
            staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path` whole, else it is removed."""
    path = path.resolve()
    with _named_after(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(dir=path.parent, prefix=STAGED))
    retired = staged.with_name(staged.name + "-old")
    try:
        with _named_after(path, staged):
            yield staged
            staged.chmod(0o755)
            _put_in_place(staged, path, retired)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        if retired.exists() and not path.exists():
            retired.replace(path)
        shutil.rmtree(retired, ignore_errors=True)


def _put_in_place(staged: Path, path: Path, retired: Path) -> None:
    """Rename a finished folder onto `path`, whose earlier content is set aside; of two processes that do so the last one wins."""
    for _ in range(100):
        with suppress(FileNotFoundError):  # another process set it aside
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
def _named_after(path: Path, staged: Path | None = None) -> Iterator[None]:
    """Errors name what a person asked for, never the temporary beside it; a full disk does not say whose file it was."""
    try:
        yield
    except OSError as problem:
        if problem.errno is not None:  # others are OSErrors in name only
            named = problem.filename2 or problem.filename
            problem.filename = str(named).replace(str(staged), str(path)) if staged and named else str(path)
            problem.filename2 = None
        raise
    except UserError as problem:
        if staged is None:
            raise
        raise type(problem)(problem.message.replace(str(staged), str(path)), problem.hint) from problem


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with staged_file(path) as staged:
        staged.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON (two-space indent, final newline) whole or not at all; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def is_staged(path: PurePath) -> bool:
    """Whether a path below a folder that is written to is a file half written, or in a folder half made."""
    return any(part.startswith(STAGED) for part in path.parts)


def user_folder(own: str, windows: tuple[str, str], mac: str, other: tuple[str, str]) -> Path:
    """The folder that the variable `own` names, or `ampzoo` where this platform keeps such things of a user.

    `windows` and `other` are each a variable and the place below the home folder that stands for it, `mac` such a place.
    """
    if stated := os.environ.get(own):
        return Path(stated)
    if sys.platform == "darwin":
        return Path.home() / mac / "ampzoo"
    variable, below = windows if sys.platform == "win32" else other
    return Path(os.environ.get(variable, Path.home() / below)) / "ampzoo"
