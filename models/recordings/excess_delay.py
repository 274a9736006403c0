"""Tells a delay from the phase of a tone stack.

A filter delays, too: the peak of its response moves by some samples as a treble knob is turned. A tone stack is
minimum-phase, so its phase follows from its magnitude (Bode's relation; here by the real cepstrum, Oppenheim and
Schafer, "Discrete-Time Signal Processing", ch. 12). What is left of the phase after that is a pure delay.

Shapes: T time, F frequency bins, D delays that are tried.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import fft, ifft, next_fast_len, rfft

from models.audio.interpolation import read_between
from models.recordings.whitened_correlation import evenly_spaced

WIDE_SECONDS, WIDE_WINDOWS = 0.17, 192

SHORT_PARTS, MIN_WINDOWS, SHORTEST_WINDOW = 12, 4, 128  # of a short dry signal; samples

LOW_HZ, HIGH_SHARE = 60.0, 0.42  # of the rate

SMOOTHING = 9  # bins of the magnitude

DELAY_REACH, DELAY_STEP = 12.0, 0.05  # samples; the delay that is left after the peak of the response is removed


@dataclass(frozen=True)
class WideResponse:
    """The response of a take at all frequencies, counted from `delay` samples, and its coherence, both `(F,)`."""

    delay: float
    response_F: np.ndarray
    coherence_F: np.ndarray
    low_bin: int
    high_bin: int


@dataclass(frozen=True)
class ExcessDelay:
    """A delay in samples, and how certain it is.

    `fit`, 0 to 1, is how well the delay explains the phase; `band`, 0 to 1, is the share of frequencies that are known.
    """

    samples: float
    fit: float
    band: float


def measure_wide(dry_T: np.ndarray, wet_T: np.ndarray, delay: float, step: float, rate_hz: int) -> WideResponse | None:
    """Estimate the response and its coherence from windows all over a take (Welch's method); None for a short one.

    Responses of takes of one dry signal can be compared: their windows have one length.
    """
    size = next_fast_len(int(min(WIDE_SECONDS * rate_hz, len(dry_T) / SHORT_PARTS)), real=True) // 2 * 2
    first, last = max(-delay, 0), min(len(dry_T), (len(wet_T) - delay) / step)
    count = min(int(2 * (last - first) / size) - 1, WIDE_WINDOWS)
    if count < MIN_WINDOWS or size < SHORTEST_WINDOW:
        return None
    hann_T, whole = np.hanning(size), float(round(delay))
    cross_F = np.zeros(size // 2 + 1, complex)
    dry_F, wet_F = np.zeros(size // 2 + 1), np.zeros(size // 2 + 1)
    for at in evenly_spaced(int(np.ceil(first)), int(last) - size, count):
        one_F = rfft(hann_T * dry_T[at : at + size])
        other_F = rfft(hann_T * read_between(wet_T, whole + step * at, step, size))
        cross_F += other_F * one_F.conj()
        dry_F += np.abs(one_F) ** 2
        wet_F += np.abs(other_F) ** 2
    response_F = cross_F / (dry_F + 1e-12 * dry_F.max() + 1e-30)
    coherence_F = np.abs(cross_F) ** 2 / (dry_F * wet_F + 1e-30)
    chance = 1 / count  # the coherence of signals that have nothing in common
    coherence_F = np.clip((coherence_F - chance) / (1 - chance), 0, 1)
    low, high = int(LOW_HZ / rate_hz * size) + 1, int(HIGH_SHARE * size)
    return WideResponse(
        whole, response_F.astype(np.complex64), coherence_F.astype(np.float32), min(low, high - 1), high
    )


def excess_delay(take: WideResponse, other: WideResponse | None = None) -> ExcessDelay:
    """Return by how much more a take is delayed than another, or than its dry signal, besides its minimum phase."""
    band = slice(take.low_bin, take.high_bin)
    ratio_F, weight_F, apart = take.response_F.astype(complex), take.coherence_F, take.delay
    if other is not None:
        ratio_F = ratio_F / (other.response_F + 1e-30)
        weight_F, apart = np.minimum(weight_F, other.coherence_F), take.delay - other.delay
    turned_F = ratio_F * np.exp(-1j * _minimum_phase(np.abs(ratio_F)))
    unit_F = weight_F[band] * (turned_F / (np.abs(turned_F) + 1e-30))[band]
    omega_F = np.pi * np.arange(take.low_bin, take.high_bin) / (len(ratio_F) - 1)
    total = float(weight_F[band].sum()) + 1e-30
    tried_D = np.arange(-DELAY_REACH, DELAY_REACH + DELAY_STEP, DELAY_STEP)
    height_D = np.abs((np.exp(1j * np.outer(tried_D, omega_F)) @ unit_F).real)
    best = int(np.clip(np.argmax(height_D), 1, len(tried_D) - 2))
    low, middle, high = height_D[best - 1 : best + 2]
    bend = low - 2 * middle + high
    shift = 0.5 * (low - high) / bend if bend < 0 else 0.0
    samples = apart + float(tried_D[best]) + DELAY_STEP * float(np.clip(shift, -1, 1))
    return ExcessDelay(samples, float(middle) / total, float(weight_F[band].mean()))


def _minimum_phase(magnitude_F: np.ndarray) -> np.ndarray:
    """Return the phase of the minimum-phase filter with this magnitude, after smoothing."""
    log_F = np.log(np.maximum(magnitude_F, 1e-9 * magnitude_F.max() + 1e-30))
    log_F = np.convolve(np.pad(log_F, SMOOTHING // 2, mode="edge"), np.ones(SMOOTHING) / SMOOTHING, "valid")
    cepstrum_T = ifft(np.concatenate([log_F, log_F[-2:0:-1]])).real
    half = len(log_F) - 1
    cepstrum_T[1:half] *= 2
    cepstrum_T[half + 1 :] = 0
    return fft(cepstrum_T)[: half + 1].imag
