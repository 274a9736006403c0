"""A stream of one net, played by compiled kernels.

Shapes: T time (one block), K knobs.
"""

import numpy as np

from models.engines.cpu_stream import kernels
from models.engines.cpu_stream.lowering import Program
from models.engines.jit import aligned


class Compiled:
    """Plays a lowered net with compiled kernels."""

    def __init__(self, program: Program) -> None:
        self._knobs = int(program.net[0]["knobs"])
        self._fixed = (
            program.weights,
            aligned(program.state_size),
            program.operations,
            program.buffers.copy(),
            program.net,
        )

    def play(self, x_T: np.ndarray, levels: list[float] | np.ndarray, out_T: np.ndarray | None = None) -> np.ndarray:
        """The next block, written to `out_T` if there is one; the kernels hold no lock, make no object and grow no state."""
        x_T, levels_KT = _plain(x_T), _plain(levels)
        if levels_KT.ndim == 1:
            levels_KT = levels_KT[:, None]
        knobs, columns = levels_KT.shape
        assert knobs == self._knobs and (columns == 1 or columns == len(x_T)), (levels_KT.shape, len(x_T))
        y_T = np.empty(len(x_T), np.float32) if out_T is None else out_T
        assert y_T.dtype == np.float32 and y_T.shape == x_T.shape and y_T.flags.carray, "out_T is no block of float32"
        kernels.play(*self._fixed, x_T, levels_KT, y_T)
        return y_T


def _plain(numbers: list[float] | np.ndarray) -> np.ndarray:
    """As the kernels are compiled for: contiguous float32 that may be written, copied only if it is not so."""
    if isinstance(numbers, np.ndarray) and numbers.dtype == np.float32 and numbers.flags.carray:
        return numbers
    return np.array(numbers, np.float32, order="C")
