"""The cache folder: compiled kernels and measurements, which can be made again at any time."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import UserError
from models.files import read_json, user_folder, write_json

FAST: Any = {"nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False}  # how kernels are compiled


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


def told(*sources: str | None) -> str:
    """A short hash of what files (`__file__`) say: what is made of them is kept under it."""
    return hashlib.sha256(b"".join(Path(source or "").read_bytes() for source in sources)).hexdigest()[:16]


def compiled(function: Callable, *sources: str | None) -> Any:
    """The function compiled at its first call, once per machine: later processes load it.

    numba itself renews what it keeps only when the function's own file changes, so name all files that it is made of.
    Without a folder that can be written, each process compiles anew.
    """
    import numba

    folder = cache_folder() / "kernels" / told(*sources)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return numba.njit(**FAST)(function)
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(folder)  # read when the function is wrapped
    try:
        return numba.njit(cache=True, **FAST)(function)
    finally:
        settings.CACHE_DIR = before
