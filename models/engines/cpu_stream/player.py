"""One stream of a lowered net, played by compiled kernels.

Shapes: T time (one block), K knob columns.
"""

import numpy as np

from models.engines.cpu_stream import kernels
from models.engines.cpu_stream.program import PlayerProgram
from models.engines.jit import aligned_zeros
from models.engines.simd import WIDTH


class CompiledPlayer:
    """Plays a program; the state of the stream is its own, the program may be shared by players in several threads."""

    def __init__(self, program: PlayerProgram) -> None:
        assert program.width == WIDTH, f"the program is for vectors of {program.width} numbers, this CPU has {WIDTH}"
        self._knobs = int(program.net[0]["knobs"])
        self._arguments = (
            program.weights,
            aligned_zeros(program.state_size),
            program.operations,
            program.buffers.copy(),
            program.net,
        )

    def play(self, x_T: np.ndarray, levels: list[float] | np.ndarray, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play the next block and return it, in `out_T` if one is given.

        `levels` are K numbers in [-1, 1], or an array `(K, T)` for knobs that move. The kernels hold no lock, create no
        object and allocate nothing. Raises `AssertionError` where shapes do not fit.
        """
        x_T, levels_KT = _as_float32(x_T), _as_float32(levels)
        if levels_KT.ndim == 1:
            levels_KT = levels_KT[:, None]
        knobs, columns = levels_KT.shape
        assert knobs == self._knobs and (columns == 1 or columns == len(x_T)), (levels_KT.shape, len(x_T))
        y_T = np.empty(len(x_T), np.float32) if out_T is None else out_T
        assert y_T.dtype == np.float32 and y_T.shape == x_T.shape and y_T.flags.carray, "out_T is no block of float32"
        kernels.play_program(*self._arguments, x_T, levels_KT, y_T)
        return y_T


def _as_float32(numbers: list[float] | np.ndarray) -> np.ndarray:
    """Return contiguous, writable float32, the one type that the kernels are compiled for; a copy only where needed."""
    if isinstance(numbers, np.ndarray) and numbers.dtype == np.float32 and numbers.flags.carray:
        return numbers
    return np.array(numbers, np.float32, order="C")
