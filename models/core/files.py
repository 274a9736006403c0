"""Files and folders written atomically: they appear complete or not at all; and files read without surprises."""

import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from models.core.errors import UserError
from models.core.holding import hold_path, release_path, remove_left_behind
from models.core.renames import STAGED, replace_folder, restore_folder, staged_path

LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # begins what Git has in place of a large file

STAGED_NAME = re.compile(rf"{re.escape(STAGED)}[0-9a-f]{{16}}(\.[A-Za-z0-9]+)?")  # not the only copy of anything

STALE_SECONDS = 3600.0  # what is staged is left behind when it has not changed for so long and nobody holds it

LOCKLESS_SECONDS = 86_400.0  # the same where nothing can be locked

HALF_CHARACTER = "\\ud"  # begins half of a surrogate pair in JSON

HALF_SHOWN = 20  # characters before and behind it

HINT_LFS = "Fetch the file itself: 'git lfs pull' where the folder was cloned, else get it again from its publisher."


@contextmanager
def staged_file(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it to `path`, else remove it.

    Its mode is what the umask leaves of `mode`. Errors name `path`, not the temporary file. What killed processes left
    in that folder is removed first.
    """
    staged = staged_path(path, path.suffix)
    with _errors_name(path, staged):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_staged(path.parent.absolute())
        os.close(os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    handle = None
    try:
        with _errors_name(path, staged):
            handle = hold_path(staged)
            yield staged
            with staged.open("rb") as written:
                os.fsync(written.fileno())
            staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
        release_path(handle)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path`, else it is removed.

    Its mode is what the umask leaves of 0777. A folder that a killed process moved away is put back first; see
    `models.core.renames`.
    """
    path = path.resolve()
    staged = staged_path(path)
    with _errors_name(path, staged):
        path.parent.mkdir(parents=True, exist_ok=True)
        restore_folder(path)
        if path.exists() and not path.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        _sweep_staged(path.parent)
        staged.mkdir()
    handle = None
    try:
        with _errors_name(path, staged):
            handle = hold_path(staged)
            yield staged
            replace_folder(staged, path)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        release_path(handle)


@cache  # once per folder and process
def _sweep_staged(folder: Path) -> None:
    """Remove the temporary files and folders of this module that killed processes left in a folder."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if STAGED_NAME.fullmatch(entry.name):
                remove_left_behind(Path(entry.path), STALE_SECONDS, LOCKLESS_SECONDS)


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


def read_regular(path: Path, max_bytes: int, *, follow: bool = True) -> bytes:
    """Return the bytes of a file that may be hostile.

    Raises `UserError` as `open_regular` does, and for a file of more than `max_bytes`; `OSError` where it cannot be
    read.
    """
    with open_regular(path, follow=follow) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UserError(f"{path} is larger than {max_bytes:,} bytes", "Is it really the file that you mean?")
    return content


def open_regular(path: Path, kind: str = "file", *, follow: bool = True) -> BinaryIO:
    """Open a file for reading; a pipe or a device is not waited for.

    Raises `UserError` for a pipe or a device, and for a link unless links are to be followed; `OSError` where the file
    cannot be opened.
    """
    if not follow:
        refuse_link(path)
    flags = (getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))
    handle = os.open(path, os.O_RDONLY | sum(flags))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise UserError(f"{path} is a device or a pipe, not a {kind}", "Write it to a file first, and name that file.")


def refuse_link(path: Path) -> None:
    """Raise `UserError` for a link to another file.

    The records of a study or a run may have come from anybody: through a link they would be read from, or written
    into, a file of somebody else. The folders that they are in may be links.
    """
    if path.is_symlink():
        raise UserError(
            f"{path} is a link to another file; the records of a study are files themselves",
            "Put the file itself there, or remove the link. The whole folder may be a link.",
        )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with staged_file(path) as staged:
        staged.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON (two-space indent, final newline), whole or not at all.

    Raises `ValueError` for NaN and infinity, and `UserError` for the name of a file that is no text: nobody could read
    it again.
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    if HALF_CHARACTER in text:
        _refuse_halves(path, json.dumps(value, ensure_ascii=False))
    write_text(path, text + "\n")


def _refuse_halves(path: Path, text: str) -> None:
    """Raise `UserError` for half of a surrogate pair, which stands for a byte that is no UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        around = text[max(problem.start - HALF_SHOWN, 0) : problem.end + HALF_SHOWN]
        raise UserError(
            f"{path} cannot hold a name that is no UTF-8 text: ...{around}...",
            "Rename that file or folder in plain letters.",
        ) from None


def is_staged(path: PurePath) -> bool:
    """Return whether a path is a temporary file of this module, or lies in a temporary folder of it."""
    return any(part.startswith(STAGED) for part in path.parts)
