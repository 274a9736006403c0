"""Files that people, other systems or strangers wrote: read whole, within a limit, and decoded as text."""

import codecs
from pathlib import Path

from models.core.document_kinds import is_sound
from models.core.errors import NotFound, UserError
from models.core.files import open_regular

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_document_bytes(path: Path, max_bytes: int, kind: str, *, follow: bool = True) -> bytes:
    """Return the bytes of a file that a person named; `kind` says what it should be, as `JSON file`.

    Raises `NotFound` when it is missing, `UserError` when it is a folder, a device or a pipe (which might never end),
    a sound file, a link that is not to be followed, or larger than `max_bytes`.
    """
    try:
        with open_regular(path, kind, follow=follow) as file:
            data = file.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
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
    if is_sound(data):
        raise UserError(
            f"{path} is a sound file, not a {kind}",
            f"Name the {kind}: sound files are listed in a manifest of takes, and that is named in configs.",
        )
    if len(data) > max_bytes:
        raise UserError(f"{path} is larger than {max_bytes:,} bytes", f"Is it really a {kind}?")
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
