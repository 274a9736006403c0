"""Power of a signal in frequency bands.

Shapes: T time in samples, F bins of a discrete Fourier transform, or bands.
"""

from collections.abc import Iterable, Iterator
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


def band_bins(samples: int, rate_hz: int, edges_hz: np.ndarray) -> list[slice]:
    """The bins of a real transform of `samples` from each edge to below the next, which may be none."""
    bins = np.searchsorted(np.fft.rfftfreq(samples, 1 / rate_hz), edges_hz)
    return [slice(int(low), int(high)) for low, high in pairwise(bins)]


def power_spectrum(x_T: np.ndarray, window_T: np.ndarray | float = 1.0) -> np.ndarray:
    """`|DFT|^2` of the windowed last axis, `(..., F)`, not normalized."""
    return np.abs(np.fft.rfft(x_T * window_T)) ** 2


def band_power(power_F: np.ndarray, bins: Iterable[slice]) -> Iterator[np.ndarray]:
    """Sum of the last axis over each band's bins."""
    return (power_F[..., band].sum(-1) for band in bins)


def band_levels(x_T: np.ndarray, rate_hz: int, edges_hz: np.ndarray) -> np.ndarray:
    """Level between neighboring edges in dBFS, one number per band; -200 where a band has no bin."""
    power_F = power_spectrum(x_T) * 2 / len(x_T) ** 2
    bins = band_bins(len(x_T), rate_hz, edges_hz)
    return np.array([decibels(float(power) ** 0.5) for power in band_power(power_F, bins)])
