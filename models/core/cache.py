"""The cache folder: measurements and compiled kernels, which can be deleted at any time."""

import hashlib
import json
import os
import tempfile
import warnings
from functools import cache
from pathlib import Path

from models.core.errors import Notice, UserError
from models.core.files import open_regular, staged_file, write_json
from models.core.schema import read_json
from models.core.user_folders import Homeless, user_folder

MAX_FOUND = 1e18  # a larger number in a file was not measured


def cache_folder() -> Path:
    """Return `$AMPZOO_CACHE`, or `ampzoo` in this platform's cache folder of the user.

    A user without a home folder gets one beside the temporary files.
    """
    try:
        return user_folder(
            "AMPZOO_CACHE", ("LOCALAPPDATA", "AppData/Local"), "Library/Caches", ("XDG_CACHE_HOME", ".cache")
        )
    except Homeless:
        return Path(tempfile.gettempdir()) / f"ampzoo-cache-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def read_measurement(kind: str, what: dict) -> float | None:
    """Return the number that `write_measurement` stored for the same `kind` and `what`, or None."""
    try:
        found = read_json(measurement_path(kind, what))["found"]
    except (UserError, KeyError, TypeError):  # not measured yet, or not such a file
        return None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and 0 < found <= MAX_FOUND else None


def write_measurement(kind: str, what: dict, found: float) -> None:
    """Store a positive number; `what` names everything it depends on, in JSON types.

    Warns where it cannot be stored: then it is measured again next time.
    """
    path = measurement_path(kind, what)
    try:
        write_json(path, {**what, "found": found})
    except OSError as problem:
        warn_not_kept(path.parent, "measurements", problem)


def write_checked(path: Path, content: bytes) -> None:
    """Write a file of the cache that `read_checked` reads; raises `OSError` where it cannot be written."""
    with staged_file(path) as staged:
        staged.write_bytes(hashlib.sha256(content).digest() + content)


def read_checked(path: Path, max_bytes: int, *, own: bool = False) -> bytes | None:
    """Return the content of a file of the cache; None where it is missing, damaged, or no file but a link or a pipe.

    With `own` it counts only if this user or root wrote it: so must be what is run.
    """
    try:
        with open_regular(path, follow=False) as file:
            if own and hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid not in (0, os.getuid()):
                return None
            data = file.read(max_bytes)
    except (OSError, UserError):
        return None
    size = hashlib.sha256().digest_size
    return data[size:] if hashlib.sha256(data[size:]).digest() == data[:size] else None


def warn_not_kept(folder: Path, what: str, problem: OSError) -> None:
    """Warn that the cache cannot keep something."""
    reason = (problem.strerror or "it cannot be written").lower()
    warnings.warn(f"{folder} cannot keep {what} for the next time: {reason}", Notice, stacklevel=3)


def measurement_path(kind: str, what: dict) -> Path:
    """Return the file of a measurement."""
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / kind / f"{name}.json"


@cache
def source_digest(*folders: Path) -> str:
    """Return a short hash of all Python files below the folders: a cache key for results of that code."""
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
