"""Measurements of one recording: levels, clipping, dropouts, DC, noise, hum, repeated passages.

Shapes: T time in samples.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from scipy.signal import welch

from models.audio.decibels import decibels

FLAT_RUN, FLAT_TOPS = (
    4,
    5,
)  # samples, runs; the top of a sine at 80 Hz is flat for three samples, and one run may be chance

DROPOUT_RUN = 32  # equal samples

JUMP = 0.05  # of the RMS; an amp fades out, a lost buffer jumps

QUIET_DBFS, QUIET_SECONDS = -90.0, 0.4  # level of a silent dry signal, and for how long

DECAY_SECONDS = 0.2  # the amp still rings after the dry signal stopped

EARLY_SAMPLES = 64  # left out before the dry signal starts again

MAINS_HZ, HARMONICS = (50.0, 60.0), 6

KEY_TAPS, REPEAT_STEP, REPEAT_SECONDS = 8, 997, 0.25


@dataclass(frozen=True)
class Sound:
    """Measurements of one audio file: levels in dBFS, the number of flat tops, and the samples where dropouts begin."""

    frames: int
    rate_hz: int
    peak_dbfs: float
    rms_dbfs: float
    dc_dbfs: float
    flat_tops: int
    dropouts: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class NoiseFloor:
    """Level of a take in dBFS while its dry signal is silent; hum is the part at harmonics of the mains."""

    noise_dbfs: float
    hum_dbfs: float
    mains_hz: float


def measure_sound(x_T: np.ndarray, rate_hz: int) -> Sound:
    """Measure a whole file, `(T,)` float32.

    A flat top is `FLAT_RUN` equal samples or more at the signal's maximum or minimum. A dropout is `DROPOUT_RUN` or
    more elsewhere, with a jump before it and movement on both sides.
    """
    mean = float(x_T.mean(dtype=np.float64))
    rms = float(np.sqrt(np.square(x_T, dtype=np.float64).mean()))
    low, high = float(x_T.min()), float(x_T.max())
    start_N, length_N = _still_runs(x_T)
    value_N = x_T[start_N]
    edge_N = (value_N >= high * (1 - 1e-6)) & (high > 0) | (value_N <= low * (1 - 1e-6)) & (low < 0)
    before_N = np.abs(x_T[np.maximum(start_N - 1, 0)] - value_N)
    lost_N = ~edge_N & (length_N >= DROPOUT_RUN) & (before_N > JUMP * rms) & _moving_around(x_T, start_N, length_N)
    return Sound(
        len(x_T),
        rate_hz,
        decibels(max(high, -low)),
        decibels(rms),
        decibels(abs(mean)),
        int((edge_N & (length_N >= FLAT_RUN)).sum()),
        tuple(int(at) for at in start_N[lost_N]),
        sha256(x_T.tobytes()).hexdigest(),
    )


def silent_spans(dry_T: np.ndarray, rate_hz: int) -> list[tuple[int, int]]:
    """Find `(start, stop)` where the dry signal is silent long enough to measure an amp's own noise."""
    loud_N = np.flatnonzero(np.abs(dry_T) > 10 ** (QUIET_DBFS / 20))
    edges = [-1, *loud_N[np.flatnonzero(np.diff(loud_N) > QUIET_SECONDS * rate_hz)], *loud_N[-1:]]
    ends = [*loud_N[:1], *loud_N[np.flatnonzero(np.diff(loud_N) > QUIET_SECONDS * rate_hz) + 1], len(dry_T)]
    spans = [(int(a) + 1 + int(DECAY_SECONDS * rate_hz), int(b)) for a, b in zip(edges, ends, strict=False)]
    return [(a, b) for a, b in spans if b - a >= (QUIET_SECONDS - DECAY_SECONDS) * rate_hz]


def measure_noise_floor(wet_T: np.ndarray, spans: list[tuple[int, int]], delay: int, rate_hz: int) -> NoiseFloor | None:
    """Measure noise and hum of a take in the longest silent span of its dry signal.

    None without a span of 0.1 s, or where the take is digitally silent there. `delay` of the take in samples.
    """
    parts = [wet_T[max(a + delay, 0) : max(b + delay - EARLY_SAMPLES, 0)] for a, b in spans]
    part_T = max(parts, key=len, default=wet_T[:0]).astype(np.float64)
    if len(part_T) < 0.1 * rate_hz or not part_T.any():
        return None
    power = float(np.mean((part_T - part_T.mean()) ** 2))
    hum = {mains: _hum_power(part_T, mains, rate_hz) for mains in MAINS_HZ}
    mains = max(hum, key=lambda hz: hum[hz])
    return NoiseFloor(decibels(power**0.5), decibels(max(hum[mains], 0.0) ** 0.5), mains)


def find_repeat(dry_T: np.ndarray, rate_hz: int) -> tuple[int, int, int] | None:
    """Find a passage of the first half that the second half repeats bit for bit: `(first, again, length)` in samples.

    Every sample gets a key, a random projection of the `KEY_TAPS` samples from it on. Equal keys are candidates, looked
    up by bisection.
    """
    half = len(dry_T) // 2
    weights = np.random.default_rng(0).standard_normal(KEY_TAPS)
    count = len(dry_T) - KEY_TAPS + 1
    if half <= KEY_TAPS:
        return None
    key_T = np.zeros(count)
    for tap, weight in enumerate(weights):
        key_T += weight * dry_T[tap : tap + count]
    order_N = np.argsort(key_T[:half], kind="stable")
    for again in range(half, count, REPEAT_STEP):
        near = np.searchsorted(key_T[:half], key_T[again], sorter=order_N)
        if abs(dry_T[again]) < 1e-4 or near == half or key_T[order_N[near]] != key_T[again]:
            continue
        first = int(order_N[near])
        length = _equal_length(dry_T, first, again)
        if length >= REPEAT_SECONDS * rate_hz:
            return first, again, length
    return None


def _equal_length(x_T: np.ndarray, first: int, again: int) -> int:
    """For how many samples the signal is the same from two positions on."""
    length = min(len(x_T) - again, again - first)
    differs_N = np.flatnonzero(x_T[first : first + length] != x_T[again : again + length])
    return int(differs_N[0]) if len(differs_N) else length


def _still_runs(x_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find runs of `FLAT_RUN` equal samples or more: `(starts, lengths)`."""
    still_T = np.concatenate([[False], x_T[1:] == x_T[:-1], [False]])
    change_N = np.flatnonzero(still_T[1:] != still_T[:-1])
    start_N, length_N = change_N[::2], change_N[1::2] - change_N[::2] + 1
    long_N = length_N >= FLAT_RUN
    return start_N[long_N], length_N[long_N]


def _moving_around(x_T: np.ndarray, start_N: np.ndarray, length_N: np.ndarray) -> np.ndarray:
    """Whether the signal moved until a run began and moves again after it."""
    return np.array(
        [
            start >= 8 and np.diff(x_T[start - 8 : start]).all() and bool(np.diff(x_T[start + length :][:8]).any())
            for start, length in zip(start_N, length_N, strict=True)
        ],
        dtype=bool,
    )


def _hum_power(x_T: np.ndarray, mains_hz: float, rate_hz: int) -> float:
    """Power at the harmonics of the mains frequency, less five times the median beside each (Welch's periodogram)."""
    f_F, density_F = welch(x_T - x_T.mean(), rate_hz, window="hann", nperseg=min(len(x_T), rate_hz))
    wide = f_F[1]
    total = 0.0
    for harmonic in range(1, HARMONICS + 1):
        away_F = np.abs(f_F - harmonic * mains_hz)
        beside = float(np.median(density_F[(away_F > 3 * wide) & (away_F < max(0.45 * mains_hz, 6 * wide))]))
        total += max(float(density_F[away_F <= 2 * wide].sum()) - 5 * beside, 0.0) * wide
    return total
