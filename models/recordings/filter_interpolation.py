"""Filters between those of recorded positions of a knob.

Two ways, at every frequency: PCHIP of log magnitude and unwrapped phase, which holds for any filter; and rational
functions of the position, `(a + b p) / (1 + c p)`, which are what a potentiometer in a circuit of resistors and
capacitors makes of a signal, and follow the steep ends of its turn.

Shapes: P positions, W wanted positions, N taps, F frequency bins.
"""

from collections.abc import Sequence

import numpy as np
from scipy.fft import irfft, rfft

TAPS = 1024  # of a filter: 21 ms at 48 kHz
LEAD = 64  # of these taps, those before time zero: a take may be a little early against another
BINS = 8192  # length of the transform in which filters are interpolated

EXCESS = 2.0  # times the largest magnitude at the positions around, that a rational function may reach between them


def interpolate_filters(
    levels: Sequence[float], taps_PN: np.ndarray, wanted: Sequence[float], rational: bool
) -> np.ndarray:
    """Return the filters `(W, N)` at the levels `wanted`, clipped to the range of `levels`, which rise."""
    inside = np.clip(wanted, min(levels), max(levels))
    response_PF = rfft(np.roll(np.pad(taps_PN, ((0, 0), (0, BINS - TAPS))), -LEAD, axis=1), axis=1)
    response_WF = _pchip(levels, response_PF, inside)
    if rational and len(levels) > 2:
        response_WF = np.stack(
            [
                _rational(levels, response_PF, float(level), fallback_F)
                for level, fallback_F in zip(inside, response_WF, strict=True)
            ]
        )
    taps_WT = irfft(response_WF, BINS, axis=1)
    return np.concatenate([taps_WT[:, -LEAD:], taps_WT[:, : TAPS - LEAD]], 1)


def _pchip(levels: Sequence[float], response_PF: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Interpolate log magnitude and unwrapped phase (Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980)."""
    logarithm_PF = np.log(np.abs(response_PF) + 1e-9) + 1j * np.unwrap(np.angle(response_PF), axis=1)
    from scipy.interpolate import PchipInterpolator  # a quarter of a second, which most commands need not wait for

    curve = PchipInterpolator(levels, np.stack([logarithm_PF.real, logarithm_PF.imag], 1))
    real_WF, imaginary_WF = curve(wanted).swapaxes(0, 1)
    return np.exp(real_WF + 1j * imaginary_WF)


def _rational(levels: Sequence[float], response_PF: np.ndarray, level: float, fallback_F: np.ndarray) -> np.ndarray:
    """Return the response `(F,)` at a level: of the function through three positions, two of them around it.

    There are two such functions but at the ends; the nearer one counts more. Where one has a pole nearby, the fallback
    is returned.
    """
    low = min(int(np.searchsorted(levels, level, side="right")) - 1, len(levels) - 2)
    share = (level - levels[low]) / (levels[low + 1] - levels[low])
    triples = [
        (first, weight) for first, weight in ((low - 1, 1 - share), (low, share)) if 0 <= first < len(levels) - 2
    ]
    parts = [_through_three(levels[i : i + 3], response_PF[i : i + 3], level) for i, _ in triples]
    total = sum(weight for _, weight in triples)
    weights = [weight / total if total > 0 else 1 / len(triples) for _, weight in triples]
    found_F = sum((weight * part for weight, part in zip(weights, parts, strict=True)), np.zeros_like(fallback_F))
    around = np.abs(response_PF[low : low + 2]).max(0)
    sound = np.all([np.abs(part) <= EXCESS * around for part in parts], axis=0)
    return np.where(sound, found_F, fallback_F)


def _through_three(levels: Sequence[float], response_3F: np.ndarray, level: float) -> np.ndarray:
    """Return at a level the function `(a + b p) / (1 + c p)` that has these values at three levels.

    It keeps the cross-ratio. Infinite or NaN at a pole.
    """
    p0, p1, p2 = levels
    h0, h1, h2 = response_3F
    left, right = (h1 - h2) * (level - p2) * (p1 - p0), (h1 - h0) * (level - p0) * (p1 - p2)
    with np.errstate(all="ignore"):
        found_F = (h0 * left - h2 * right) / (left - right)
    return np.where((h0 == h1) & (h1 == h2), h1, found_F)
