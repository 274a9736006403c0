"""The error-to-signal ratio (ESR), from energies."""

import math


def error_ratio(error: float, signal: float) -> float:
    """Return the ESR of Wright et al. (2020), the energy of a difference over that of the signal.

    Where the signal is silent (0), it is 0 without any difference, else infinite.
    """
    return error / signal if signal else (math.inf if error else 0.0)
