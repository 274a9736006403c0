"""The set-up of a session: round trip, noise and hum, and the level that comes back.

Shapes: T time in samples, B blips, D delays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.audio.decibels import decibels
from models.audio.loudest import loudest_start
from models.core.errors import UserError
from models.recordings.checks.measurements import NoiseFloor, measure_noise_floor
from models.recordings.checks.rules import HUM_DB, NOISE_DB
from models.sound_card.card import SoundCard
from models.sound_card.meter import Meter

TEST_BLIPS_S = (0.3, 0.52, 0.81, 1.0, 1.27, 1.43)  # at distances that no delay of all of them repeats

BLIP_PEAK = 0.9

LONGEST_TRIP_S = 1.0  # of a round trip

CLEAR = 8.0  # a blip above the median of what came back

NEAR_SAMPLES = 24  # by which an amp moves the peak of a blip

MOST_SPREAD_SAMPLES = 2.0  # between blips of one recording

NOISE_SECONDS = 2.0

MOSTLY_DB, NAMED_DB = 3.0, 10.0  # of hum below all noise: it is most of it; it is told

LEVEL_SECONDS = 4.0

LOW_PEAK_DBFS, HIGH_PEAK_DBFS = -24.0, -1.0  # what comes back at the loudest setting should peak between


@dataclass(frozen=True)
class RoundTrip:
    """How late the answer to a blip is, in samples; the spread of the blips; its peak over the noise."""

    samples: float
    spread: float
    above_noise_db: float


def measure_round_trip(card: SoundCard, send_db: float = 0.0) -> RoundTrip:
    """Play blips and find when they come back.

    Raises `UserError` where nothing comes back, and where the blips disagree: the card loses audio then.
    """
    rate_hz = card.rate_hz
    at_B, reach = np.array([round(second * rate_hz) for second in TEST_BLIPS_S]), int(LONGEST_TRIP_S * rate_hz)
    send_T = np.zeros(at_B[-1] + reach + NEAR_SAMPLES + 1, np.float32)
    send_T[at_B] = BLIP_PEAK * 10 ** (send_db / 20)
    back_T = card.play_and_record(send_T).x_T.astype(np.float64)
    back_T -= np.median(back_T)
    answer_BD = np.stack([back_T[at : at + reach + NEAR_SAMPLES] for at in at_B])
    sharpness_D = np.median(np.abs(answer_BD), axis=0)
    delay = int(np.argmax(sharpness_D[:reach]))
    floor = float(np.median(np.abs(back_T))) + 1e-7
    if sharpness_D[delay] < CLEAR * floor:
        raise UserError(
            "no blip came back",
            "Check the cables from the output through the device to the input, the numbers of both channels, that the "
            "device is not muted, and the level of the input.",
        )
    near_BD = answer_BD[:, max(delay - NEAR_SAMPLES, 0) : delay + NEAR_SAMPLES + 1]
    first = max(delay - NEAR_SAMPLES, 0)
    peaks_B = np.array([first + _peak(near_D) for near_D in near_BD])
    spread = float(np.ptp(peaks_B))
    if spread > MOST_SPREAD_SAMPLES:
        raise UserError(
            f"the blips come back {spread:.1f} samples apart from each other",
            "The card loses audio, or the device has a delay that moves (chorus, vibrato). Close other programs, "
            "choose a larger buffer, and switch such effects off.",
        )
    mean_D = near_BD.mean(axis=0)
    return RoundTrip(first + _peak(mean_D), spread, decibels(float(sharpness_D[delay] / floor)))


def _peak(x_D: np.ndarray) -> float:
    """Return where the absolute value peaks, by a parabola through three samples."""
    size_D = np.abs(x_D)
    at = int(np.argmax(size_D))
    if not 0 < at < len(size_D) - 1:
        return float(at)
    before, here, after = size_D[at - 1 : at + 2]
    bend = before - 2 * here + after
    return at + (float(0.5 * (before - after) / bend) if bend else 0.0)


def measure_silence(card: SoundCard) -> NoiseFloor | None:
    """Record while nothing is played; None for a card that is digitally silent."""
    back_T = card.play_and_record(np.zeros(int(NOISE_SECONDS * card.rate_hz), np.float32)).x_T
    skipped = len(back_T) // 8  # what was played before still rings
    return measure_noise_floor(back_T, [(skipped, len(back_T))], 0, card.rate_hz)


@dataclass(frozen=True)
class ReturnLevel:
    """What came back of the loudest part of the signal."""

    peak_dbfs: float
    rms_dbfs: float
    clipped: int

    @property
    def advice(self) -> str:
        """What to do about it; empty where nothing is."""
        if self.clipped or self.peak_dbfs > HIGH_PEAK_DBFS:
            return "turn the input gain of the interface down"
        if self.peak_dbfs < LOW_PEAK_DBFS:
            return "turn the input gain of the interface up"
        return ""


def measure_return(
    card: SoundCard, signal_T: np.ndarray, send_db: float = 0.0, on_level: Callable[[Meter], bool | None] | None = None
) -> ReturnLevel:
    """Play the loudest part of the signal and measure what comes back; `on_level` sees the meter and may stop it."""
    length = min(int(LEVEL_SECONDS * card.rate_hz), len(signal_T))
    start = loudest_start(signal_T, length)
    meter = Meter(card.rate_hz)

    def listen(x_T: np.ndarray) -> bool | None:
        meter.add(x_T)
        return on_level(meter) if on_level else None

    back_T = card.play_and_record(10 ** (send_db / 20) * signal_T[start : start + length], listen).x_T
    rms = float(np.sqrt(np.square(back_T, dtype=np.float64).mean())) if len(back_T) else 0.0
    return ReturnLevel(meter.highest_dbfs, decibels(rms), meter.clipped)


def describe_noise(noise: NoiseFloor | None, level: ReturnLevel) -> tuple[str, bool]:
    """Return noise and hum in words, and whether they are low enough beside what comes back."""
    if noise is None:
        return "nothing: the input is digitally silent", True
    below = level.rms_dbfs - noise.noise_dbfs
    hum_below = level.rms_dbfs - noise.hum_dbfs
    text = f"{noise.noise_dbfs:.0f} dBFS, {below:.0f} dB below the signal"
    if noise.noise_dbfs - noise.hum_dbfs < MOSTLY_DB:
        text += f"; most of it is hum at {noise.mains_hz:.0f} Hz and its harmonics"
    elif noise.noise_dbfs - noise.hum_dbfs < NAMED_DB:
        text += f"; hum at {noise.mains_hz:.0f} Hz, {hum_below:.0f} dB below the signal"
    return text, below >= NOISE_DB and hum_below >= HUM_DB
