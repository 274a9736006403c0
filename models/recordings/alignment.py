"""How late a take is against its dry signal, to a fraction of a sample; which way up; and how far its clock runs off.

The delay is where the impulse response from dry to wet peaks, its polarity the sign of that peak. The response is estimated by
cross-correlation with a whitened spectrum (Knapp and Carter, "The generalized correlation method for estimation of time delay", 1976):
the dry signal's colour is divided out, most of the amp's, and what lies above a guitar speaker's range is left out, because there a high-gain take
holds only distortion. That peak stays where it is, within hundredths of a sample, from a clean take to a saturated one. What
the amp does before its peak (a speaker begins to move a third of a millisecond earlier) is kept by `causal_margin`.

A clock that drifts smears the peak. So windows all over the take are lined up each by itself with the response of the others, and a robust line
through their lags is taken out before the next round (Theil and Sen's slope). As a saturated amp's lag also changes with how hard
it is played, a line that is found is only a suspicion, which `models/drift.py` settles.

Shapes: T time, W windows, F frequency.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal.windows import tukey
from scipy.stats import theilslopes

from models.audio.interpolation import read_between, recorded_span
from models.recordings.clock_drift import fit_step, has_enough_windows

MAX_LAG_SECONDS = 0.5

CAUSAL_MARGIN_SECONDS = 0.0005

DRY_FLOOR = 0.003  # of the mean power: bins of the dry signal below it have little to say

WHITENING = 0.5  # 0 keeps the amp's colour, 1 takes all of it out

SPEAKER_HZ, GONE_HZ = 4000.0, 5600.0

WINDOW_SECONDS, BLOCK_SECONDS, MAX_BLOCKS = 3.0, 6.0, 16

FAR_SECONDS = (0.01, 0.05)

MIN_WINDOW, SHORTEST = 2048, 64  # samples

FADE = 0.2  # of a window: where it cuts a note, the rest of the note would be noise

WORST_DRIFT = 2e-4

REACHES = (4096, 128, 32, 32)  # samples a window may be off in each round, or what the worst drift makes of the take

QUIET = 1e-4  # windows with less than this share of the loudest one's energy are not asked

NEAR, NEAR_SIZE = 256, 1024  # samples of a response that takes are compared by

SWING = 6  # samples between neighbouring swings of a response, at least

MIN_DRIFT = 0.5  # samples over the whole take

SURE, SUSPECT = 0.999, 0.7  # of the sign of a slope, to believe it or to look closer


@dataclass(frozen=True)
class Lag:
    """`wet[n * (1 + drift_ppm / 1e6) + delay_samples]` answers `dry[n]`; `polarity` is -1 where the take is upside down.

    So with drift the delay is that of the first sample of the dry signal, counted in samples of the take. A take whose start was cut
    has a negative delay. `confidence`, 0 to 1, is by how much the peak stands above what lies 10 to 50 ms behind it: above 0.8 for the
    most saturated takes, below 0.3 where the take does not belong to the dry signal.
    """

    delay_samples: float
    polarity: int
    drift_ppm: float = 0.0
    confidence: float = 1.0

    @property
    def step(self) -> float:
        """Samples of the take to one of the dry signal."""
        return 1 + self.drift_ppm * 1e-6


def causal_margin(rate_hz: int) -> int:
    """Samples that an aligned take stays late, so that nothing the amp does is before its input.

    The same for every take at a rate: a knob must not move the sound in time.
    """
    return ceil(CAUSAL_MARGIN_SECONDS * rate_hz)


def align(wet_T: np.ndarray, lag: Lag, length: int, margin: int) -> tuple[np.ndarray, int, int]:
    """A take on the time line of its dry signal, upright and `margin` samples late: `(wet_T of length, start, stop)`.

    Outside `start <= t < stop` nothing was recorded and the result is silent.
    """
    position = lag.delay_samples - margin
    start, stop = recorded_span(len(wet_T), position, lag.step, length)
    aligned_T = np.zeros(length, np.float32)
    aligned_T[start:stop] = lag.polarity * read_between(wet_T, position + start * lag.step, lag.step, stop - start)
    return aligned_T, start, stop


def estimate_lag(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int) -> Lag:
    """Line a take up with its dry signal; delays up to `MAX_LAG_SECONDS` either way are found."""
    lag = Lag(_coarse(dry_T, wet_T, rate_hz), 1, confidence=0.0)
    span = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    closer = has_enough_windows(span[1] - span[0] - 2 * REACHES[1], rate_hz)
    for number, most in enumerate(REACHES):
        reach = min(most, 32 + int(WORST_DRIFT * len(dry_T)))
        starts, length = _windows(dry_T, wet_T, lag, reach, rate_hz)
        if not starts:
            return lag
        response_WF, size = _responses(dry_T, wet_T, lag, starts, length, reach, rate_hz)
        drift_ppm = lag.drift_ppm
        sure = SUSPECT if number and closer else SURE
        lag = _refine(response_WF, size, lag, np.array(starts) + length / 2, len(dry_T), reach, sure, alone=number == 0)
        if number and lag.drift_ppm == drift_ppm:
            break
    if lag.drift_ppm and closer:
        lag = _settle(dry_T, wet_T, lag, rate_hz)
    starts, length = _windows(dry_T, wet_T, lag, REACHES[-1], rate_hz, parts=1)
    if not starts:
        return lag
    reach = int(FAR_SECONDS[1] * rate_hz)
    response_WF, size = _responses(dry_T, wet_T, lag, starts, length, reach, rate_hz)
    total_F = response_WF.sum(0)
    shift, height = _peak(total_F, size, REACHES[-1])
    far_T = irfft(total_F, size)[int(FAR_SECONDS[0] * rate_hz) : reach]
    confidence = 1 - float(np.abs(far_T).max(initial=0)) / max(abs(height), 1e-30)
    polarity = 1 if height > 0 else -1
    return Lag(lag.delay_samples + shift, polarity, lag.drift_ppm, min(max(confidence, 0.0), 1.0))


@dataclass(frozen=True)
class TakeResponse:
    """A take lined up by itself: its lag, and the spectrum of its response there."""

    lag: Lag
    near_F: np.ndarray


def measure_response(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int) -> TakeResponse:
    """Line a take up by itself, to be brought `reconcile_lags` with others of its dry signal."""
    lag = estimate_lag(dry_T, wet_T, rate_hz)
    return TakeResponse(lag, _near(dry_T, wet_T, lag, rate_hz))


def estimate_lags(dry_T: np.ndarray, wets: Iterable[np.ndarray], rate_hz: int) -> list[Lag]:
    """The lags of several takes of one dry signal, each by itself and then in step with the others."""
    return reconcile_lags([measure_response(dry_T, wet_T, rate_hz) for wet_T in wets])


def reconcile_lags(takes: Sequence[TakeResponse]) -> list[Lag]:
    """The lags of takes of one dry signal, mended where they are a swing off.

    A distorted take of a few seconds has swings of nearly equal height in its response, and by itself may be lined up at the wrong one. So,
    the surest first, each response is compared with the sum of those before it.
    """
    lags = [take.lag for take in takes]
    total_F = np.zeros(NEAR_SIZE // 2 + 1, complex)
    for index in sorted(range(len(lags)), key=lambda i: -lags[i].confidence):
        lag, row_F = lags[index], takes[index].near_F
        slip = _peak(row_F * np.conj(total_F), NEAR_SIZE, REACHES[-1])[0] if total_F.any() else 0.0
        if abs(slip) >= SWING:
            row_F = row_F * np.exp(2j * np.pi * slip * np.arange(len(row_F)) / NEAR_SIZE)
            own, height = _peak(row_F, NEAR_SIZE, SWING // 2)
            lags[index] = replace(lag, delay_samples=lag.delay_samples + slip + own, polarity=1 if height > 0 else -1)
            row_F = row_F * np.exp(2j * np.pi * own * np.arange(len(row_F)) / NEAR_SIZE)
        total_F += lags[index].confidence ** 2 * lags[index].polarity * row_F
    return lags


def _near(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> np.ndarray:
    """The spectrum of the response within `NEAR` samples of a lag, of unit energy, `(NEAR_SIZE / 2 + 1,)`; zero where there is none."""
    starts, length = _windows(dry_T, wet_T, lag, NEAR, rate_hz, parts=1)
    if not starts:
        return np.zeros(NEAR_SIZE // 2 + 1, complex)
    response_WF, size = _responses(dry_T, wet_T, lag, starts, length, NEAR, rate_hz)
    near_T = np.roll(irfft(response_WF.sum(0), size), NEAR)[: 2 * NEAR + 1] * np.hanning(2 * NEAR + 1)
    near_T /= np.sqrt(np.square(near_T).sum()) + 1e-30
    return rfft(np.roll(np.pad(near_T, (0, NEAR_SIZE - len(near_T))), -NEAR))


def _coarse(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int) -> float:
    """A whole-sample delay from blocks all over the take: the highest peak in the sum of their responses."""
    reach = int(MAX_LAG_SECONDS * rate_hz)
    block = min(int(BLOCK_SECONDS * rate_hz), len(dry_T))
    size = next_fast_len(block + 2 * reach, real=True)
    total_T = np.zeros(size)
    for start in _spread(0, max(len(dry_T) - block, 0), min(max(len(dry_T) // block, 1), MAX_BLOCKS)):
        near_T = read_between(wet_T, start - reach, 1.0, block + 2 * reach)
        total_T += irfft(_response(dry_T[start : start + block], near_T, size, rate_hz), size)
    return float(np.argmax(np.abs(total_T[: 2 * reach + 1])) - reach)


def _windows(
    dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, reach: int, rate_hz: int, parts: int = 8
) -> tuple[list[int], int]:
    """Where windows begin on the dry signal's time line, inside what was recorded and not quiet; and their length.

    Each is one of `parts` of the take, or a few seconds where that is less, and half of it is the next one's too.
    """
    first, last = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    first, last = min(first + reach, last), max(last - reach, first)
    longest = int((WINDOW_SECONDS if parts > 1 else BLOCK_SECONDS) * rate_hz)
    length = min(max((last - first) // parts, MIN_WINDOW), longest, last - first)
    if length < SHORTEST:
        return [], length
    starts = _spread(first, last - length, min(2 * (last - first) // length - 1, MAX_BLOCKS))
    energy_W = np.array([float(np.square(dry_T[s : s + length], dtype=np.float64).sum()) for s in starts])
    return [s for s, e in zip(starts, energy_W, strict=True) if e > QUIET * energy_W.max()], length


def _responses(
    dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, starts: list[int], length: int, reach: int, rate_hz: int
) -> tuple[np.ndarray, int]:
    """The whitened response of each window at lags counted from `lag`, `(W, F)`, and the length of the transform it is from."""
    size = next_fast_len(length + 2 * reach, real=True)
    rows, fade_T = [], tukey(length, FADE)
    for start in starts:
        position = lag.delay_samples + lag.step * (start - reach)
        near_T = read_between(wet_T, position, lag.step, length + 2 * reach)
        row_F = _response(fade_T * dry_T[start : start + length], near_T, size, rate_hz)
        rows.append((row_F * np.exp(2j * np.pi * reach * np.arange(len(row_F)) / size)).astype(np.complex64))
    return np.stack(rows), size


def _refine(
    response_WF: np.ndarray,
    size: int,
    lag: Lag,
    middle_W: np.ndarray,
    samples: int,
    reach: int,
    sure: float,
    alone: bool,
) -> Lag:
    """Take out a line through the lags of the windows, then what is left of the delay of all together.

    A window's lag is that to the response of the others, or, `alone`, where its own response peaks: others far off say nothing.
    """
    total_F, drift, slip = response_WF.sum(0), 0.0, 0.0
    if len(middle_W) > 3:
        other_WF = np.ones_like(response_WF) if alone else total_F - response_WF
        lag_W = np.array([_peak(row_F, size, reach)[0] for row_F in response_WF * np.conj(other_WF)])
        slope, _, low, high = theilslopes(lag_W, middle_W, sure)
        if lag.drift_ppm or (low * high > 0 and abs(slope) * samples > MIN_DRIFT):
            drift, slip = slope, slope * float(np.average(middle_W))
    rotation_WF = np.exp(2j * np.pi * np.outer(drift * middle_W - slip, np.arange(response_WF.shape[1])) / size)
    shift, height = _peak((response_WF * rotation_WF).sum(0), size, reach)
    step = lag.step + drift
    return Lag(lag.delay_samples + shift - slip, 1 if height > 0 else -1, (step - 1) * 1e6, 0.0)


def _settle(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> Lag:
    """The suspected drift as it is, or none; the middle of the take stays where it was."""
    first, last = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    step = fit_step(dry_T, wet_T, lag.delay_samples, lag.step, (first, last), rate_hz)
    step = step if abs(step - 1) * len(dry_T) > MIN_DRIFT else 1.0
    return replace(
        lag, delay_samples=lag.delay_samples + (lag.step - step) * (first + last) / 2, drift_ppm=(step - 1) * 1e6
    )


def _response(dry_T: np.ndarray, wet_T: np.ndarray, size: int, rate_hz: int) -> np.ndarray:
    """The whitened spectrum of the impulse response up to `GONE_HZ`, `(F,)`; above it is nothing."""
    top = int(GONE_HZ / rate_hz * size) + 1
    dry_F, wet_F = (rfft(x_T.astype(np.float32), size)[:top].astype(np.complex128) for x_T in (dry_T, wet_T))
    power_F = np.abs(dry_F) ** 2
    cross_F = wet_F * np.conj(dry_F) / (power_F + DRY_FLOOR * power_F.mean() + 1e-30)
    octaves_F = np.log2(GONE_HZ / np.maximum(np.arange(len(cross_F)) * rate_hz / size, 1.0)) / np.log2(
        GONE_HZ / SPEAKER_HZ
    )
    band_F = np.sin(np.pi / 2 * np.clip(octaves_F, 0, 1)) ** 2
    colour_F = np.abs(cross_F)
    return band_F * cross_F / np.maximum(colour_F, 1e-9 * colour_F.max() + 1e-30) ** WHITENING


def _peak(spectrum_F: np.ndarray, size: int, reach: int) -> tuple[float, float]:
    """Lag and height (with its sign) of the largest swing within `reach`, between samples: by parabolas on the exact spectrum."""
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


def _spread(first: int, last: int, count: int) -> list[int]:
    return [int(at) for at in np.linspace(first, max(last, first), max(count, 1))]
