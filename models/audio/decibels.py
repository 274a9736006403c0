"""Levels in decibels."""

import math


def decibels(value: float) -> float:
    """Return a level in dBFS, to a hundredth, of an amplitude (full scale 1); between -200 (silence) and 200."""
    return round(20 * math.log10(min(max(value, 1e-10), 1e10)), 2)
