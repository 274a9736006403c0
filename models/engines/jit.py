"""Compilation of kernels by numba, kept on disk for later processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.core.cache import cache_folder, source_digest

FAST: Any = {"nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False}  # how kernels are compiled


ENGINES = Path(__file__).parent


def compiled(function: Callable, sources: Path = ENGINES) -> Any:
    """Return the function compiled at its first call, once per machine: later processes load it.

    numba itself renews its cache only when the function's own file changes, so the cache is keyed by all code in the folder `sources`.
    Without a folder that can be written, each process compiles anew.
    """
    import numba

    folder = cache_folder() / "kernels" / source_digest(sources)
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


LINE = 16  # numbers in a line of the CPU's cache


def aligned(size: int) -> np.ndarray:
    """Zeros whose first number begins a line of the CPU's cache."""
    numbers = np.zeros(size + LINE, np.float32)
    first = -(numbers.ctypes.data // 4) % LINE
    return numbers[first : first + size]
