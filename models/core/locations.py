"""Locations in config files: a path, or a URI such as `s3://BUCKET/PATH`."""

import unicodedata
from pathlib import Path
from typing import Annotated, Any, TypeGuard

from pydantic import PlainValidator

from models.core.errors import UserError
from models.core.user_folders import expand_home
from models.core.userinfo import has_userinfo

CREDENTIALS = "Credentials come from the environment (AWS_ACCESS_KEY_ID and such) or from the machine's role."


def is_uri(location: object) -> TypeGuard[str]:
    """Return whether a location is a URI (`s3://`, `gs://`, `file://` ...)."""
    return isinstance(location, str) and "://" in location


def refuse_userinfo(place: str, what: str, hint: str = CREDENTIALS) -> None:
    """Raise `UserError` for a place that may hold a user name or a password; `what` names it, since it is not shown."""
    if has_userinfo(place):
        raise UserError(
            f"{what} must not hold a user name or a password, which others could read; an '@' of a path is '%40'", hint
        )


def _parse(value: Any) -> Path | str:
    if not isinstance(value, str | Path):
        raise ValueError("name a file, or a URI such as s3://BUCKET/PATH")  # noqa: TRY004 (for pydantic)
    if "\0" in str(value):
        raise ValueError("no name of a file may hold a NUL character")
    if is_uri(value):
        if has_userinfo(value):
            raise ValueError("a URI must not hold a user name or a password; an '@' of a path is '%40'")
        return value
    return expand_home(str(value))


def find_written(folder: Path, name: Path | str) -> Path:
    """Return the file that a document in `folder` names, also with backslashes between folders or `~` for home.

    The name as it stands comes first: systems allow a backslash and `~` in a file's name. An accent may be part of its
    letter in one name and follow it in the other: macOS, and what unpacks its archives, writes names so.
    """
    path, turned = folder / name, folder / expand_home(str(name).replace("\\", "/"))
    others = (turned, *(Path(unicodedata.normalize(form, str(turned))) for form in ("NFC", "NFD")))
    return path if is_there(path) else next((other for other in others if other != path and is_there(other)), path)


def is_there(path: Path) -> bool:
    """Return whether a file or a folder exists; a name that no system has does not."""
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


Location = Annotated[Path | str, PlainValidator(_parse, json_schema_input_type=str)]
