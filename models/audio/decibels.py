"""models/audio/decibels.py."""

import math

import numpy as np


def decibels(value: float) -> float:
    """A level in dBFS, to a hundredth; -200 is silence."""
    return round(20 * float(np.log10(max(value, 1e-10))), 2)


def _db(value: float) -> float:
    return round(20 * math.log10(min(max(value, 1e-10), 1e10)), 2)
