"""Finds where a piece of a take is missing, or is there twice: its delay jumps.

Windows all over the take are aligned one by one. A clock that drifts moves their lags along a line, a splice moves them
by one step.

Shapes: T time in samples, W windows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len
from scipy.stats import theilslopes

from models.audio.interpolation import read_between
from models.recordings.whitened_correlation import evenly_spaced, whitened_spectrum

WINDOWS, LONGEST_SECONDS, SHORTEST_SECONDS = 32, 1.5, 0.1

REACH_SECONDS, FARTHEST_SECONDS = 0.25, 4.0

FADE = 0.1  # of a part, at each end

SIDE_SECONDS = 0.004  # around a peak; other peaks are compared with it

SHARP = 1.3  # height of a peak over the next one, that makes a window count

QUIET_WINDOW = 1e-4  # of the loudest one's energy

STEP_SECONDS = 0.0006  # an extremum of the response is mistaken for its neighbor by less

LARGE_STEPS = 4  # times the least step; beside such a one an extremum and its neighbor are the same lag

AGREEING = 0.7  # share of the windows that have one of the two lags

SIDES = 3  # windows on each side of a step that have its lag, and by how many a step explains more than a line


@dataclass(frozen=True)
class Splice:
    """Where a take jumps: seconds of its dry signal, and how many seconds are missing (negative: too many)."""

    at_s: float
    missing_s: float


def find_splice(dry_T: np.ndarray, wet_T: np.ndarray, delay: float, rate_hz: int) -> Splice | None:
    """Find the largest jump in the delay of a take, whose delay is `delay` samples in most places."""
    differ_s = abs(len(wet_T) - len(dry_T)) / rate_hz + 0.05
    reach = int(min(max(REACH_SECONDS, differ_s), FARTHEST_SECONDS) * rate_hz)
    length = int(min(max(len(dry_T) / rate_hz / 10, SHORTEST_SECONDS), LONGEST_SECONDS) * rate_hz)
    if length > len(dry_T):
        return None
    middle_W, lag_W = _window_lags(dry_T, wet_T, round(delay), length, reach, rate_hz)
    step = _find_step(middle_W, lag_W, STEP_SECONDS * rate_hz)
    if step is None:
        return None
    number, before, after = step
    low, high = int(middle_W[number - 1]), int(middle_W[number])
    at = _locate(dry_T, wet_T, round(delay), (before, after), (low - length // 2, high + length // 2), rate_hz)
    return Splice(at / rate_hz, (before - after) / rate_hz)


def _window_lags(
    dry_T: np.ndarray, wet_T: np.ndarray, delay: int, length: int, reach: int, rate_hz: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle and the lag against `delay` of each window whose response has one clear peak, `(W,)`."""
    size, side = next_fast_len(length + 2 * reach, real=True), max(int(SIDE_SECONDS * rate_hz), 1)
    starts = evenly_spaced(0, len(dry_T) - length, WINDOWS)
    energy_W = np.array([float(np.square(dry_T[at : at + length], dtype=np.float64).sum()) for at in starts])
    found = []
    for at, energy in zip(starts, energy_W, strict=True):
        near_T = read_between(wet_T, float(at + delay - reach), 1.0, length + 2 * reach)
        if energy <= QUIET_WINDOW * energy_W.max() or not near_T[reach:-reach].any():
            continue
        spectrum_F = whitened_spectrum(_faded(dry_T[at : at + length]), _faded(near_T), size, rate_hz)
        height_T = np.abs(irfft(spectrum_F, size)[: 2 * reach + 1])
        best = int(np.argmax(height_T))
        others_T = np.concatenate([height_T[: max(best - side, 0)], height_T[best + side + 1 :]])
        if height_T[best] > SHARP * others_T.max(initial=0.0):
            found.append((at + length / 2, best - reach))
    middle_W, lag_W = np.array(found, dtype=float).reshape(-1, 2).T
    return middle_W, lag_W


def _faded(x_T: np.ndarray) -> np.ndarray:
    """Fade a part in and out: two parts that begin abruptly would answer each other where they begin."""
    fade = max(int(FADE * len(x_T)), 1)
    rise_T = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade) ** 2
    faded_T = x_T.astype(np.float64)
    faded_T[:fade] *= rise_T
    faded_T[-fade:] *= rise_T[::-1]
    return faded_T


def _find_step(middle_W: np.ndarray, lag_W: np.ndarray, smallest: float) -> tuple[int, float, float] | None:
    """Return the first window after a step, and the lags before and after it; None where a line fits as well."""
    if len(lag_W) < 2 * SIDES:
        return None

    def tolerance(number: int) -> float:
        is_large = abs(np.median(lag_W[number:]) - np.median(lag_W[:number])) > LARGE_STEPS * smallest
        return smallest if is_large else smallest / 2

    def agreeing(number: int) -> np.ndarray:
        sides = (lag_W[:number], lag_W[number:])
        return np.concatenate([np.abs(side_W - np.median(side_W)) < tolerance(number) for side_W in sides])

    number = max(range(SIDES, len(lag_W) - SIDES + 1), key=lambda number: int(agreeing(number).sum()))
    before, after = float(np.median(lag_W[:number])), float(np.median(lag_W[number:]))
    slope, offset, *_ = theilslopes(lag_W, middle_W)
    agree_W, line_W = agreeing(number), np.abs(lag_W - offset - slope * middle_W) < tolerance(number)
    if abs(after - before) < smallest or min(agree_W[:number].sum(), agree_W[number:].sum()) < SIDES:
        return None
    enough = agree_W.mean() > AGREEING and agree_W.sum() >= line_W.sum() + SIDES
    return (number, before, after) if enough else None


def _locate(
    dry_T: np.ndarray,
    wet_T: np.ndarray,
    delay: int,
    lags: tuple[float, float],
    span: tuple[int, int],
    rate_hz: int,
) -> int:
    """Return the sample of the dry signal, inside `span`, from which on the second lag fits better than the first."""
    length, side = int(SHORTEST_SECONDS * rate_hz), max(int(SIDE_SECONDS * rate_hz), 1)
    size = next_fast_len(length + 2 * side, real=True)
    starts = list(range(max(span[0], 0), max(min(span[1], len(dry_T)) - length, 1), max(length // 5, 1)))
    better = []
    for at in starts:
        heights = []
        for lag in lags:
            near_T = read_between(wet_T, float(at + delay + round(lag) - side), 1.0, length + 2 * side)
            spectrum_F = whitened_spectrum(_faded(dry_T[at : at + length]), _faded(near_T), size, rate_hz)
            heights.append(float(np.abs(irfft(spectrum_F, size)[: 2 * side + 1]).max()))
        better.append((heights[0] - heights[1]) / (sum(heights) + 1e-30))
    return starts[int(np.argmax(np.cumsum(better)))] + length // 2
