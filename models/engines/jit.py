"""Compilation by numba, cached on disk for later processes."""

import hashlib
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np

from models.core.cache import cache_folder, read_checked, source_digest, warn_not_kept, write_checked

try:
    import fcntl
except ImportError:  # Windows: processes that begin together compile the same kernels
    fcntl = None

NUMBA_OPTIONS: Any = {"nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False}  # of every kernel

ENGINES = Path(__file__).parent

CACHE_LINE = 16  # float32 numbers in one line of a CPU's cache

MAX_KERNEL_BYTES = 1 << 28

LONGEST_COMPILE_S = 120.0  # how long a process waits for another one that compiles the same


def can_compile() -> bool:
    """Return whether numba is installed, fits the other libraries, and is not switched off (`NUMBA_DISABLE_JIT=1`)."""
    try:
        import numba
    except ImportError:
        return False
    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]


def cached_njit(function: Callable, sources: Path = ENGINES) -> Any:
    """Return the function, compiled at its first call, once per machine: later processes load it.

    The cache folder is named by a digest of all code in the folder `sources`. A file in it that is cut, empty,
    damaged, of another user or cannot be written costs the time to compile again, and no more.
    """
    import numba

    dispatcher: Any = numba.njit(**NUMBA_OPTIONS)(function)  # the function itself where numba is switched off
    if can_compile():
        dispatcher._cache = _kernel_cache(dispatcher.py_func, cache_folder() / "kernels" / source_digest(sources))
    return dispatcher


def _kernel_cache(function: Callable, folder: Path) -> Any:
    """Return what numba asks for compiled code, in place of its own cache, whose files must be whole."""
    from numba.core.caching import FunctionCache
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps, loads

    class KernelCache(FunctionCache):
        """One file per signature: a SHA-256 of the rest, then what numba compiled, pickled."""

        def __init__(self) -> None:
            self._py_func = function
            self._claims: dict[Path, IO[bytes]] = {}

        @property
        def cache_path(self) -> str:
            return str(folder)

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            """Return the compiled code for a signature, or None where it has to be compiled."""
            target_context.refresh()
            path = self._path(sig, target_context.codegen())
            data = read_checked(path, MAX_KERNEL_BYTES, own=True)  # what is loaded is run
            if data is None and (claim := _claim(path)):  # perhaps after another process has compiled it
                self._claims[path] = claim
                data = read_checked(path, MAX_KERNEL_BYTES, own=True)
            if data is None:
                return None
            self._release(path)
            try:
                return CompileResult._rebuild(target_context, *loads(data))  # written by this user or root
            except Exception:  # noqa: BLE001 (of another version of a library: it is compiled and written again)
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            """Write the compiled code for a signature; warns where that fails."""
            path = self._path(sig, data.codegen)
            try:
                if data.lifted or data.library.has_dynamic_globals:  # such code is of use in this process alone
                    return
                write_checked(path, dumps(data._reduce()))
            except OSError as problem:
                warn_not_kept(folder, "compiled kernels", problem)
            finally:
                self._release(path)

        def _release(self, path: Path) -> None:
            if claim := self._claims.pop(path, None):
                _lock_of(path).unlink(missing_ok=True)  # who waits for it still gets its lock
                claim.close()

        def _path(self, sig: Any, codegen: Any) -> Path:
            key = repr((version("numba"), np.__version__, self._index_key(sig, codegen)))
            return folder / f"{function.__name__.strip('_')}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.kernel"

    return KernelCache()


def _lock_of(kernel: Path) -> Path:
    return kernel.with_suffix(".lock")


def _claim(path: Path) -> IO[bytes] | None:
    """Return a locked file that says that this process compiles a kernel, once no other process does.

    Return None, so that it is compiled here without a claim, where files cannot be locked, and for a process that takes
    too long. Kernels that call others claim them in the order of the calls, so no two processes wait for each other.
    """
    if fcntl is None:
        return None
    end = time.monotonic() + LONGEST_COMPILE_S
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(_lock_of(path), "wb", opener=_open_claim)  # noqa: SIM115 (open while the kernel is compiled)
    except OSError:
        return None
    while time.monotonic() < end:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            time.sleep(0.05)
        except OSError:  # a file system without locks
            break
    file.close()
    return None


def _open_claim(path: str, flags: int) -> int:
    """Open a file, but not what a link leads to, which would be emptied; a pipe is not waited for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def inlined(function: Callable) -> Any:
    """Return the function compiled so that its callers have its code in theirs."""
    import numba

    return numba.njit(forceinline=True, **NUMBA_OPTIONS)(function)


def aligned_zeros(size: int) -> np.ndarray:
    """Return float32 zeros whose first number begins a line of the CPU's cache."""
    numbers = np.zeros(size + CACHE_LINE, np.float32)
    first = -(numbers.ctypes.data // 4) % CACHE_LINE
    return numbers[first : first + size]
