"""Files that people, other systems or strangers wrote: read whole, within a limit, and decoded as text."""

import codecs
import os
import stat
from pathlib import Path

from models.core.errors import UserError

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_bounded(path: Path, most_bytes: int, kind: str) -> bytes:
    """Return the bytes of a regular file; `kind` says what it should be, as `JSON file`.

    Raises `UserError` when it is missing, a folder, a device or a pipe (which might never end), or larger than
    `most_bytes`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError
            if not stat.S_ISREG(mode):
                raise UserError(
                    f"{path} is a device or a pipe, not a {kind}", "Write it to a file first, and name that file."
                )
            data = file.read(most_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{path} does not exist", "Check the path; relative paths start at the current folder."
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not a {kind}", f"Name the {kind} inside it.") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: permission is denied", "Check whose file it is.") from None
    except UserError:
        raise
    except OSError as problem:
        raise UserError(f"{path} cannot be read: {(problem.strerror or '').lower()}", "Check the path.") from None
    except ValueError:  # a NUL in the name
        raise UserError(f"{str(path)[:80]!r} cannot be the name of a file", "Check the path.") from None
    if len(data) > most_bytes:
        raise UserError(f"{path} is larger than {most_bytes:,} bytes", f"Is it really a {kind}?")
    return data


def decode_text(data: bytes, where: str) -> str:
    """Return UTF-8 text; the byte-order mark of other systems is removed, and UTF-16 with one is read too.

    Raises `UserError`, which begins with `where`.
    """
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8 text", "Save it as UTF-8.") from None
