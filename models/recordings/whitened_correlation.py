"""Cross-correlation of a dry signal and a take, with partial phase-transform weighting; see `alignment`.

Shapes: T time, F frequency bins.
"""

import numpy as np
from scipy.fft import irfft, rfft

DRY_FLOOR = 0.003  # of the mean power; weaker bins of the dry signal have little information

WHITENING = 0.5  # exponent of the phase transform: 0 keeps the amp's spectrum, 1 divides all of it out

SPEAKER_HZ, CUTOFF_HZ = 4000.0, 5600.0  # the weight falls from 1 to 0 between them


def whitened_spectrum(dry_T: np.ndarray, wet_T: np.ndarray, size: int, rate_hz: int) -> np.ndarray:
    """Partly whitened spectrum of the impulse response up to `CUTOFF_HZ`, `(F,)`; GCC of Knapp and Carter."""
    top = int(CUTOFF_HZ / rate_hz * size) + 1
    dry_F, wet_F = (rfft(x_T.astype(np.float32), size)[:top].astype(np.complex128) for x_T in (dry_T, wet_T))
    power_F = np.abs(dry_F) ** 2
    cross_F = wet_F * np.conj(dry_F) / (power_F + DRY_FLOOR * power_F.mean() + 1e-30)
    octaves_F = np.log2(CUTOFF_HZ / np.maximum(np.arange(len(cross_F)) * rate_hz / size, 1.0)) / np.log2(
        CUTOFF_HZ / SPEAKER_HZ
    )
    band_F = np.sin(np.pi / 2 * np.clip(octaves_F, 0, 1)) ** 2
    magnitude_F = np.abs(cross_F)
    return band_F * cross_F / np.maximum(magnitude_F, 1e-9 * magnitude_F.max() + 1e-30) ** WHITENING


def find_peak(spectrum_F: np.ndarray, size: int, reach: int) -> tuple[float, float]:
    """Lag and signed height of the largest extremum within `reach`, interpolated by parabolas on the exact response."""
    near_T = np.roll(irfft(spectrum_F, size), reach)[: 2 * reach + 1]
    best = float(np.argmax(np.abs(near_T)) - reach)
    sign = np.sign(near_T[int(best) + reach]) or 1.0
    omega_F = 2j * np.pi * np.arange(len(spectrum_F)) / size
    width = 0.5
    for _ in range(3):
        at_N = best + width * np.array([-1.0, 0.0, 1.0])
        low, middle, high = sign * (np.exp(np.outer(at_N, omega_F)) @ spectrum_F).real
        bend = low - 2 * middle + high
        best += width * float(np.clip((low - high) / (2 * bend), -1, 1)) if bend < 0 else 0.0
        width /= 8
    return best, float(sign * middle * 2 / size)


def evenly_spaced(first: int, last: int, count: int) -> list[int]:
    return [int(at) for at in np.linspace(first, max(last, first), max(count, 1))]
