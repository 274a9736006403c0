"""The cache folder: compiled kernels and measurements, which can be made again at any time."""

import hashlib
import json
import math
from functools import cache
from pathlib import Path

from models.core.errors import UserError
from models.core.files import user_folder, write_json
from models.core.schema import read_json


def cache_folder() -> Path:
    """`$AMPZOO_CACHE`, or `ampzoo` in the user's own cache folder of this platform."""
    return user_folder(
        "AMPZOO_CACHE", ("LOCALAPPDATA", "AppData/Local"), "Library/Caches", ("XDG_CACHE_HOME", ".cache")
    )


def measured(kind: str, what: dict) -> float | None:
    """A number that `keep_measured` kept for this kind of thing, or None."""
    try:
        found = float(read_json(_place(kind, what))["found"])
    except (UserError, KeyError, TypeError, ValueError):  # not measured yet, or not by us
        return None
    return found if 0 < found < math.inf else None


def keep_measured(kind: str, what: dict, found: float) -> None:
    """Keep a number under all that it depends on."""
    write_json(_place(kind, what), {**what, "found": found})


def _place(kind: str, what: dict) -> Path:
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / kind / f"{name}.json"


@cache
def source_digest(*folders: Path) -> str:
    """Return a short hash of all Python files in folders and below: the cache key of whatever is made from that code."""
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
