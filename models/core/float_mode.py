"""Numbers near zero as zero, without numba and torch: the mode of this thread's floating-point unit, through libc.

`fegetenv` stores the mode in a structure whose layout glibc, musl and macOS fix; see their `fenv.h`. Elsewhere the mode
stays as it is.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

ENVIRONMENT_BYTES = 64  # more than any `fenv_t`

LAYOUTS = {  # system, machine -> offset of the control word, its type, and the bits that take denormals as zero
    ("linux", "x86_64"): (28, ctypes.c_uint32, 0x8040),  # MXCSR: FTZ and DAZ
    ("linux", "aarch64"): (0, ctypes.c_uint32, 1 << 24),  # FPCR: FZ
    ("darwin", "x86_64"): (4 + 4, ctypes.c_uint32, 0x8040),
    ("darwin", "arm64"): (8, ctypes.c_uint64, 1 << 24),
}


@contextmanager
def numbers_near_zero_as_zero() -> Iterator[None]:
    """Let this thread take denormals as zero, where the system is known; numpy may use other threads besides."""
    library, layout = _math_library(), LAYOUTS.get((sys.platform, platform.machine()))
    if library is None or layout is None:
        yield
        return
    offset, word, bits = layout
    before, changed = (ctypes.create_string_buffer(ENVIRONMENT_BYTES) for _ in range(2))
    library.fegetenv(before)
    changed.raw = before.raw
    word.from_buffer(changed, offset).value |= bits
    library.fesetenv(changed)
    try:
        yield
    finally:
        library.fesetenv(before)


@cache
def _math_library() -> Any:
    """Return the library that has `fegetenv`, None where there is none."""
    for name in (None, "libm.so.6"):
        try:
            library = ctypes.CDLL(name)
            library.fegetenv.argtypes = library.fesetenv.argtypes = [ctypes.c_void_p]
        except (OSError, AttributeError, TypeError):
            continue
        return library
    return None
