"""Levels in decibels."""

import math


def decibels(amplitude: float) -> float:
    """Return the level of an amplitude in dBFS (full scale 1), to a hundredth, between -200 (silence) and 200."""
    return round(20 * math.log10(min(max(amplitude, 1e-10), 1e10)), 2)


def power_decibels(power: float, floor: float = 1e-20) -> float:
    """Return the level of a mean square in dB; `floor` is added to it, so that -200 is silence."""
    return 10 * math.log10(power + floor)
