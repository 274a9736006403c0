"""A stream of one net, played by compiled kernels.

Shapes: T time (one block), K knobs.
"""

import numpy as np

from models import kernels
from models.lower import Program

LINE = 16  # numbers in a line of the CPU's cache


class Compiled:
    """Plays a lowered net with compiled kernels."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._state, self._buffers = _aligned(program.state_size), program.buffers.copy()

    def play(self, x_T: np.ndarray, levels: list[float] | np.ndarray) -> np.ndarray:
        """The next block; the kernels hold no lock and make no object, and no state of theirs grows."""
        program, x_T, levels_KT = self._program, _plain(x_T), _plain(levels)
        if levels_KT.ndim == 1:
            levels_KT = levels_KT[:, None]
        knobs, columns = levels_KT.shape
        assert knobs == program.net[0]["knobs"] and columns in (1, len(x_T)), (levels_KT.shape, len(x_T))
        y_T = np.empty_like(x_T)
        kernels.play(program.weights, self._state, program.operations, self._buffers, program.net, x_T, levels_KT, y_T)
        return y_T


def _plain(numbers: list[float] | np.ndarray) -> np.ndarray:
    """As the kernels are compiled for: contiguous float32 that may be written, copied only if it is not so."""
    plain = np.ascontiguousarray(numbers, np.float32)
    return plain if plain.flags.writeable else plain.copy()


def _aligned(size: int) -> np.ndarray:
    """Zeros whose first number begins a line of the CPU's cache."""
    numbers = np.zeros(size + LINE, np.float32)
    first = -(numbers.ctypes.data // 4) % LINE
    return numbers[first : first + size]
