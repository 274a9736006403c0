"""The cache folder: measurements and compiled kernels, which can be deleted at any time."""

import hashlib
import json
import math
from functools import cache
from pathlib import Path

from models.core.errors import UserError
from models.core.files import write_json
from models.core.schema import read_json
from models.core.user_folders import user_folder


def cache_folder() -> Path:
    """Return `$AMPZOO_CACHE`, or `ampzoo` in this platform's cache folder of the user."""
    return user_folder(
        "AMPZOO_CACHE", ("LOCALAPPDATA", "AppData/Local"), "Library/Caches", ("XDG_CACHE_HOME", ".cache")
    )


def read_measurement(kind: str, what: dict) -> float | None:
    """Return the number that `write_measurement` stored for the same `kind` and `what`, or None."""
    try:
        found = float(read_json(_path(kind, what))["found"])
    except (UserError, KeyError, TypeError, ValueError):  # not measured yet, or not such a file
        return None
    return found if 0 < found < math.inf else None


def write_measurement(kind: str, what: dict, found: float) -> None:
    """Store a positive number; `what` names everything it depends on, in JSON types."""
    write_json(_path(kind, what), {**what, "found": found})


def _path(kind: str, what: dict) -> Path:
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / kind / f"{name}.json"


@cache
def source_digest(*folders: Path) -> str:
    """Return a short hash of all Python files below the folders: a cache key for results of that code."""
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
