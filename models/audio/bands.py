"""Levels of a signal in frequency bands of equal width in octaves.

Shapes: T time, F bands.
"""

from itertools import pairwise

import numpy as np

from models.audio.decibels import decibels


def band_edges(low_hz: float, high_hz: float, per_octave: int) -> np.ndarray:
    """Return the edges in Hz, `(F + 1,)`, of as many whole bands of `1 / per_octave` octave as fit from low to high."""
    count = int(np.log2(high_hz / low_hz) * per_octave + 1e-9)
    return low_hz * 2 ** (np.arange(count + 1) / per_octave)


def band_centers(edges_hz: np.ndarray) -> np.ndarray:
    """Return the geometric centers in Hz, `(F,)`, of the bands between edges `(F + 1,)`."""
    return np.sqrt(edges_hz[1:] * edges_hz[:-1])


def band_levels(x_T: np.ndarray, rate_hz: int, edges_hz: np.ndarray) -> np.ndarray:
    """Return the RMS level in dBFS, `(F,)`, of a signal between neighboring edges; -200 is silence."""
    power_F = np.abs(np.fft.rfft(x_T)) ** 2 * 2 / len(x_T) ** 2
    hz_F = np.fft.rfftfreq(len(x_T), 1 / rate_hz)
    return np.array(
        [decibels(float(power_F[(hz_F >= low) & (hz_F < high)].sum()) ** 0.5) for low, high in pairwise(edges_hz)]
    )
