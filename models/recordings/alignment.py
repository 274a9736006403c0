"""Estimates how late a take is against its dry signal, to a fraction of a sample, its polarity and its clock drift.

The delay is where the impulse response from dry to wet peaks, and the polarity is the sign of that peak. The response
is estimated by generalized cross-correlation (GCC) with partial phase-transform weighting (Knapp and Carter, "The
generalized correlation method for estimation of time delay", 1976). It divides out the spectrum of the dry signal and
most of the amp's. Frequencies above a guitar speaker's range are left out, because a high-gain take has only distortion
there. From a clean take to a saturated one the peak moves by hundredths of a sample. `causal_margin` keeps what the amp
does before the peak: a speaker begins to move a third of a millisecond earlier.

Clock drift smears the peak. So windows all over the take are aligned one by one with the response of the others, and a
robust line through their lags (Theil and Sen's slope) is removed before the next round. The lag of a saturated amp also
changes with its input level, so a line is only a hint of drift; `models/recordings/clock_drift.py` confirms or rejects
it.

Shapes: T time, W windows, F frequency bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from models.audio.interpolation import read_between, recorded_span
from models.recordings.clock_drift import fit_step, has_enough_windows
from models.recordings.excess_delay import WideResponse, measure_wide
from models.recordings.session_delays import SessionDelays, settle_delays
from models.recordings.whitened_correlation import CUTOFF_HZ, evenly_spaced, find_peak, whitened_spectrum

LAG_SECONDS = 2.0  # searched first, at either side; a bar of music may answer another one

STATED_SECONDS = 0.5  # at either side of a delay that is stated: which bar it is, is known

MAX_FAR_SECONDS = 600.0  # of a take that is searched as a whole

CAUSAL_MARGIN_SECONDS = 0.0005

WINDOW_SECONDS, BLOCK_SECONDS, MAX_BLOCKS = 3.0, 6.0, 16

FAR_SECONDS = (0.01, 0.05)  # behind the peak, where the response should be small

MIN_WINDOW, SHORTEST = 2048, 64  # samples

FADE_SHARE = 0.2  # of a window; where its edge cuts a note, the rest of the note would act as noise

MAX_DRIFT = 2e-4  # samples per sample

REACHES = (4096, 128, 32, 32)  # samples a window may be off in each round, at most

QUIET = 1e-4  # windows with a smaller share of the loudest one's energy are left out

SILENT_WINDOW = 1e-6  # the same of a take, which answers soft notes, too, unless it is silent

LOCAL_REACH, LOCAL_SIZE = 256, 1024  # samples of a response that takes are compared by, and its transform

SWING = 6  # samples between neighboring extrema of a response, at least

MIN_DRIFT = 0.5  # samples over the whole take

UNRELATED = 0.5  # confidence of a lag; lower where the take does not belong to the dry signal

SURE, BETTER = 0.95, 0.03  # confidence that ends a search, and by how much a far delay must be better than a near one

HOPELESS = 0.2  # confidence below which a drift is not worth its examination

CERTAIN, SUSPECT = 0.999, 0.7  # confidence in the sign of a slope, to accept it or to examine it


@dataclass(frozen=True)
class Lag:
    """`wet[n * (1 + drift_ppm / 1e6) + delay_samples]` answers `dry[n]`; `polarity` is -1 for an inverted take.

    With drift, the delay is that of the first sample of the dry signal, counted in samples of the take. A take whose
    start was cut has a negative delay. `confidence`, 0 to 1, is 1 minus the ratio of the response 10 to 50 ms behind
    the peak to the peak: above 0.8 for the most saturated takes, below 0.3 where the take does not belong to the dry
    signal.
    """

    delay_samples: float
    polarity: int
    drift_ppm: float = 0.0
    confidence: float = 1.0

    @property
    def step(self) -> float:
        """Samples of the take per sample of the dry signal."""
        return 1 + self.drift_ppm * 1e-6


def causal_margin(rate_hz: int) -> int:
    """Samples that an aligned take stays late, so that the amp never acts before its input.

    It depends on the rate alone, because a knob must not move the sound in time.
    """
    return ceil(CAUSAL_MARGIN_SECONDS * rate_hz)


def align_wet(wet_T: np.ndarray, lag: Lag, length: int, margin: int) -> tuple[np.ndarray, int, int]:
    """Put a take on the time line of its dry signal, `margin` samples late and with its polarity corrected.

    Returns `(wet_T, start, stop)`, where `wet_T` has `length` samples. Outside `start <= t < stop` nothing was recorded
    and it is zero.
    """
    position = lag.delay_samples - margin
    start, stop = recorded_span(len(wet_T), position, lag.step, length)
    aligned_T = np.zeros(length, np.float32)
    aligned_T[start:stop] = lag.polarity * read_between(wet_T, position + start * lag.step, lag.step, stop - start)
    return aligned_T, start, stop


def estimate_lag(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int, stated: float | None = None) -> Lag:
    """Estimate the lag of one take by itself.

    It is searched within `STATED_SECONDS` of the delay that is `stated` in samples, or within `LAG_SECONDS` of none.
    Where the take does not answer its dry signal there, it is searched within the whole length of both.
    """
    reach_s = STATED_SECONDS if stated else LAG_SECONDS
    lag = _estimate_from(dry_T, wet_T, _coarse_delay(dry_T, wet_T, rate_hz, round(stated or 0), reach_s), rate_hz)
    if lag.confidence >= SURE:
        return lag
    others = [_estimate_from(dry_T, wet_T, _far_delay(dry_T, wet_T, rate_hz), rate_hz)]
    if stated:
        others.append(_estimate_from(dry_T, wet_T, _coarse_delay(dry_T, wet_T, rate_hz, 0, LAG_SECONDS), rate_hz))
    best = max(others, key=lambda found: found.confidence)
    return best if best.confidence > lag.confidence + BETTER else lag


def _estimate_from(dry_T: np.ndarray, wet_T: np.ndarray, delay: float, rate_hz: int) -> Lag:
    """Estimate the lag of a take whose delay is nearly known."""
    lag = Lag(delay, 1, confidence=0.0)
    span = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    long = has_enough_windows(span[1] - span[0] - 2 * REACHES[1], rate_hz)
    for number, most in enumerate(REACHES):
        reach = min(most, 32 + int(MAX_DRIFT * len(dry_T)))
        starts, length = _windows(dry_T, wet_T, lag, reach, rate_hz)
        if not starts:
            return lag
        response_WF, size = _whitened_spectra(dry_T, wet_T, lag, starts, length, reach, rate_hz)
        drift_ppm = lag.drift_ppm
        certainty = SUSPECT if number and long else CERTAIN
        lag = _remove_drift_and_delay(
            response_WF, size, lag, np.array(starts) + length / 2, len(dry_T), reach, certainty, alone=number == 0
        )
        if number and lag.drift_ppm == drift_ppm:
            break
    if lag.drift_ppm and long and _judge(dry_T, wet_T, lag, rate_hz).confidence > HOPELESS:
        lag = _confirm_drift(dry_T, wet_T, lag, rate_hz)
    return _judge(dry_T, wet_T, lag, rate_hz)


def _judge(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> Lag:
    """Return a lag with the last fraction of its delay, its polarity and its confidence."""
    starts, length = _windows(dry_T, wet_T, lag, REACHES[-1], rate_hz, parts=1)
    if not starts:
        return lag
    reach = int(FAR_SECONDS[1] * rate_hz)
    response_WF, size = _whitened_spectra(dry_T, wet_T, lag, starts, length, reach, rate_hz)
    sum_F = response_WF.sum(0)
    shift, height = find_peak(sum_F, size, REACHES[-1])
    far_T = irfft(sum_F, size)[int(FAR_SECONDS[0] * rate_hz) : reach]
    confidence = 1 - float(np.abs(far_T).max(initial=0)) / max(abs(height), 1e-30)
    polarity = 1 if height > 0 else -1
    return Lag(lag.delay_samples + shift, polarity, lag.drift_ppm, min(max(confidence, 0.0), 1.0))


@dataclass(frozen=True)
class TakeResponse:
    """Lag of a take by itself, and its response: around that lag, `(LOCAL_SIZE / 2 + 1,)`, and at all frequencies."""

    lag: Lag
    local_F: np.ndarray
    rate_hz: int
    wide: WideResponse | None


def measure_response(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int, stated: float | None = None) -> TakeResponse:
    """Estimate the lag of a take by itself, with what `reconcile_lags` needs to compare it with others."""
    lag = estimate_lag(dry_T, wet_T, rate_hz, stated)
    wide = measure_wide(dry_T, wet_T, lag.delay_samples, lag.step, rate_hz)
    return TakeResponse(lag, _local_spectrum(dry_T, wet_T, lag, rate_hz), rate_hz, wide)


def reconcile_lags(takes: Sequence[TakeResponse], delays: SessionDelays | None = None) -> list[Lag]:
    """Return the lags of takes of one dry signal, corrected by each other.

    `delays` is what the manifest states about them; by default it is found (`settle_delays`).
    """
    if not takes:
        return []
    lags = _correct_extrema(takes)
    reference = max(range(len(lags)), key=lambda number: lags[number].confidence)
    if lags[reference].confidence < UNRELATED:
        return lags
    belonging = [number for number, lag in enumerate(lags) if lag.confidence >= UNRELATED]
    peak_N = np.array([lags[number].delay_samples for number in belonging])
    wides = [takes[number].wide for number in belonging]
    settled_N = settle_delays(peak_N, wides, belonging.index(reference), delays, takes[0].rate_hz)
    for number, delay in zip(belonging, settled_N, strict=True):
        lags[number] = replace(lags[number], delay_samples=float(delay))
    return lags


def _correct_extrema(takes: Sequence[TakeResponse]) -> list[Lag]:
    """Return the lags, corrected where an estimate chose the wrong extremum of the response.

    The response of a distorted take of a few seconds has several extrema of nearly equal height. So, in the order of
    confidence, each response is cross-correlated with the weighted sum of those before it, and moved to where they
    agree.
    """
    lags = [take.lag for take in takes]
    sum_F = np.zeros(LOCAL_SIZE // 2 + 1, complex)
    for index in sorted(range(len(lags)), key=lambda i: -lags[i].confidence):
        lag, row_F = lags[index], takes[index].local_F
        slip = find_peak(row_F * np.conj(sum_F), LOCAL_SIZE, REACHES[-1])[0] if sum_F.any() else 0.0
        if abs(slip) >= SWING:
            row_F = row_F * np.exp(2j * np.pi * slip * np.arange(len(row_F)) / LOCAL_SIZE)
            own, height = find_peak(row_F, LOCAL_SIZE, SWING // 2)
            lags[index] = replace(lag, delay_samples=lag.delay_samples + slip + own, polarity=1 if height > 0 else -1)
            row_F = row_F * np.exp(2j * np.pi * own * np.arange(len(row_F)) / LOCAL_SIZE)
        sum_F += lags[index].confidence ** 2 * lags[index].polarity * row_F
    return lags


def _local_spectrum(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> np.ndarray:
    """Spectrum of the response within `LOCAL_REACH` samples of a lag, of unit energy; zero for a short take."""
    starts, length = _windows(dry_T, wet_T, lag, LOCAL_REACH, rate_hz, parts=1)
    if not starts:
        return np.zeros(LOCAL_SIZE // 2 + 1, complex)
    response_WF, size = _whitened_spectra(dry_T, wet_T, lag, starts, length, LOCAL_REACH, rate_hz)
    near_T = np.roll(irfft(response_WF.sum(0), size), LOCAL_REACH)[: 2 * LOCAL_REACH + 1] * np.hanning(
        2 * LOCAL_REACH + 1
    )
    near_T /= np.sqrt(np.square(near_T).sum()) + 1e-30
    return rfft(np.roll(np.pad(near_T, (0, LOCAL_SIZE - len(near_T))), -LOCAL_REACH))


def _coarse_delay(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int, around: int, reach_s: float) -> float:
    """Estimate a whole-sample delay near `around`: the highest peak in the sum of responses of blocks of the take."""
    reach = int(reach_s * rate_hz)
    block = min(int(BLOCK_SECONDS * rate_hz), len(dry_T))
    size = next_fast_len(block + 2 * reach, real=True)
    total_T = np.zeros(size)
    for start in evenly_spaced(0, max(len(dry_T) - block, 0), min(max(len(dry_T) // block, 1), MAX_BLOCKS)):
        near_T = read_between(wet_T, start + around - reach, 1.0, block + 2 * reach)
        total_T += irfft(whitened_spectrum(dry_T[start : start + block], near_T, size, rate_hz), size)
    return float(np.argmax(np.abs(total_T[: 2 * reach + 1])) - reach + around)


def _far_delay(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int) -> float:
    """Estimate a delay of any length to within some samples: the highest peak in the response of the whole take.

    No more than `MAX_FAR_SECONDS` of both are used, which bounds the memory.
    """
    dry_T, wet_T = (x_T[: int(MAX_FAR_SECONDS * rate_hz)] for x_T in (dry_T, wet_T))
    every = max(int(rate_hz / (2.2 * CUTOFF_HZ)), 1)  # the response has nothing above `CUTOFF_HZ`
    count = next_fast_len(-(-(len(dry_T) + len(wet_T)) // every), real=True)
    spectrum_F = whitened_spectrum(dry_T, wet_T, every * count, rate_hz)
    at = int(np.argmax(np.abs(irfft(spectrum_F, count))))
    return float(every * (at if at * every < len(wet_T) else at - count))


def _windows(
    dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, reach: int, rate_hz: int, parts: int = 8
) -> tuple[list[int], int]:
    """Place half-overlapping windows on the dry signal's time line, inside what was recorded and not silent.

    Returns their starts and their length, which is one of `parts` of the take, or a few seconds if that is less.
    """
    first, last = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    first, last = min(first + reach, last), max(last - reach, first)
    longest = int((WINDOW_SECONDS if parts > 1 else BLOCK_SECONDS) * rate_hz)
    length = min(max((last - first) // parts, MIN_WINDOW), longest, last - first)
    if length < SHORTEST:
        return [], length
    starts = evenly_spaced(first, last - length, min(2 * (last - first) // length - 1, MAX_BLOCKS))
    dry_W = np.array([float(np.square(dry_T[s : s + length], dtype=np.float64).sum()) for s in starts])
    answers = [round(lag.delay_samples + lag.step * s) for s in starts]
    wet_W = np.array([float(np.square(wet_T[max(a, 0) :][:length], dtype=np.float64).sum()) for a in answers])
    kept_W = (dry_W > QUIET * dry_W.max()) & (wet_W > SILENT_WINDOW * wet_W.max())
    return [s for s, kept in zip(starts, kept_W, strict=True) if kept], length


def _whitened_spectra(
    dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, starts: list[int], length: int, reach: int, rate_hz: int
) -> tuple[np.ndarray, int]:
    """Whitened response of each window at lags counted from `lag`, `(W, F)`, and the length of its transform."""
    from scipy.signal.windows import tukey  # half a second, which takes that are in time do not need

    size = next_fast_len(length + 2 * reach, real=True)
    rows, fade_T = [], tukey(length, FADE_SHARE)
    for start in starts:
        position = lag.delay_samples + lag.step * (start - reach)
        near_T = read_between(wet_T, position, lag.step, length + 2 * reach)
        row_F = whitened_spectrum(fade_T * dry_T[start : start + length], near_T, size, rate_hz)
        rows.append((row_F * np.exp(2j * np.pi * reach * np.arange(len(row_F)) / size)).astype(np.complex64))
    return np.stack(rows), size


def _remove_drift_and_delay(
    response_WF: np.ndarray,
    size: int,
    lag: Lag,
    middle_W: np.ndarray,
    samples: int,
    reach: int,
    certainty: float,
    alone: bool,
) -> Lag:
    """Remove a line through the lags of the windows, then the delay that is left in their sum.

    The lag of a window is against the response of the others or, if `alone`, where its own response peaks: in the first
    round the others may be too far off. `certainty` is the confidence that the slope's sign needs; `middle_W` are the
    middles of the windows, and `samples` is the length of the dry signal.
    """
    from scipy.stats import theilslopes

    sum_F, drift, slip = response_WF.sum(0), 0.0, 0.0
    if len(middle_W) > 3:
        other_WF = np.ones_like(response_WF) if alone else sum_F - response_WF
        lag_W = np.array([find_peak(row_F, size, reach)[0] for row_F in response_WF * np.conj(other_WF)])
        slope, _, low, high = theilslopes(lag_W, middle_W, certainty)
        if lag.drift_ppm or (low * high > 0 and abs(slope) * samples > MIN_DRIFT):
            drift, slip = slope, slope * float(np.average(middle_W))
    rotation_WF = np.exp(2j * np.pi * np.outer(drift * middle_W - slip, np.arange(response_WF.shape[1])) / size)
    shift, height = find_peak((response_WF * rotation_WF).sum(0), size, reach)
    step = lag.step + drift
    return Lag(lag.delay_samples + shift - slip, 1 if height > 0 else -1, (step - 1) * 1e6, 0.0)


def _confirm_drift(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> Lag:
    """Fit the suspected drift, or reject it; the middle of the take stays where it was."""
    first, last = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    step = fit_step(dry_T, wet_T, lag.delay_samples, lag.step, (first, last), rate_hz)
    step = step if abs(step - 1) * len(dry_T) > MIN_DRIFT else 1.0
    return replace(
        lag, delay_samples=lag.delay_samples + (lag.step - step) * (first + last) / 2, drift_ppm=(step - 1) * 1e6
    )
