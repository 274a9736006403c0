"""The loudest stretch of a signal."""

import numpy as np


def loudest_start(x_T: np.ndarray, samples: int) -> int:
    """Return where the stretch of `samples`, at most `len(x_T)`, with the most energy begins."""
    energy_T = np.concatenate([[0.0], np.square(x_T, dtype=np.float64).cumsum()])
    return int(np.argmax(energy_T[samples:] - energy_T[: len(energy_T) - samples]))
