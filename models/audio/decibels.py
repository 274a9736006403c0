"""Levels in decibels."""

import numpy as np


def decibels(value: float) -> float:
    """Return `20 log10(value)` to 0.01 dB, from -200 (silence) to 200: dBFS for an amplitude of full scale 1."""
    return round(20 * float(np.log10(min(max(value, 1e-10), 1e10))), 2)
