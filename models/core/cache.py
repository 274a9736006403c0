"""The cache folder: measurements and compiled kernels, which can be deleted at any time."""

import hashlib
import json
from functools import cache
from pathlib import Path

from models.core.errors import UserError
from models.core.files import write_json
from models.core.schema import read_json
from models.core.user_folders import user_folder

MAX_FOUND = 1e18  # a larger number in a file was not measured


def cache_folder() -> Path:
    """Return `$AMPZOO_CACHE`, or `ampzoo` in this platform's cache folder of the user."""
    return user_folder(
        "AMPZOO_CACHE", ("LOCALAPPDATA", "AppData/Local"), "Library/Caches", ("XDG_CACHE_HOME", ".cache")
    )


def read_measurement(kind: str, what: dict) -> float | None:
    """Return the number that `write_measurement` stored for the same `kind` and `what`, or None."""
    try:
        document = read_json(measurement_path(kind, what))
    except UserError:  # not measured yet, or not such a file
        return None
    found = document.get("found") if isinstance(document, dict) else None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and 0 < found <= MAX_FOUND else None


def write_measurement(kind: str, what: dict, found: float) -> None:
    """Store a positive number; `what` names everything it depends on, in JSON types."""
    write_json(measurement_path(kind, what), {**what, "found": found})


def measurement_path(kind: str, what: dict) -> Path:
    """Return the file of a measurement."""
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / kind / f"{name}.json"


@cache
def source_digest(*folders: Path) -> str:
    """Return a short hash of all Python files below the folders: a cache key for results of that code."""
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
