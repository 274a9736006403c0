"""Compilation by numba, cached on disk for later processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.core.cache import cache_folder, source_digest

NUMBA_OPTIONS: Any = {"nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False}  # of every kernel

ENGINES = Path(__file__).parent

CACHE_LINE = 16  # float32 numbers in one line of a CPU's cache


def cached_njit(function: Callable, sources: Path = ENGINES) -> Any:
    """Return the function, compiled at its first call, once per machine: later processes load it.

    numba renews its cache only when the file of the function itself changes, so the cache folder is named by a digest
    of all code in the folder `sources`. Where no folder can be written, each process compiles again.
    """
    import numba

    folder = cache_folder() / "kernels" / source_digest(sources)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return numba.njit(**NUMBA_OPTIONS)(function)
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(folder)  # read while the function is wrapped
    try:
        return numba.njit(cache=True, **NUMBA_OPTIONS)(function)
    finally:
        settings.CACHE_DIR = before


def inlined(function: Callable) -> Any:
    """Return the function compiled so that its callers have its code in theirs."""
    import numba

    return numba.njit(forceinline=True, **NUMBA_OPTIONS)(function)


def aligned_zeros(size: int) -> np.ndarray:
    """Return float32 zeros whose first number begins a line of the CPU's cache."""
    numbers = np.zeros(size + CACHE_LINE, np.float32)
    first = -(numbers.ctypes.data // 4) % CACHE_LINE
    return numbers[first : first + size]
