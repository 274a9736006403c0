"""How long takes play on, and what receptive field they need."""

import numpy as np
import pytest
from scipy.fft import rfft

from models.audio.guitar import guitar
from models.recordings.alignment import Lag
from models.recordings.response_length import ResponseLength, measure_length, needed_field

RATE = 16000
DRY = guitar(12.0, RATE, 3)


def cabinet(decay_s: float, hz: float = 95.0) -> np.ndarray:
    """A bright start, and a resonance that rings on."""
    t_N = np.arange(RATE // 4) / RATE
    ringing_N = 0.3 * np.exp(-t_N / decay_s) * np.sin(2 * np.pi * hz * t_N)
    ringing_N[0] += 2.0
    return ringing_N


def true_length(response_N: np.ndarray, esr: float) -> float:
    """The seconds after which the tail, played by the dry signal, has this share of the energy."""
    size = len(DRY) + len(response_N)
    power_N = np.abs(rfft(DRY, size)) ** 2
    whole = float((power_N * np.abs(rfft(response_N, size)) ** 2).sum())
    low, high = 0, len(response_N)
    while high - low > 1:
        middle = (low + high) // 2
        tail_N = np.where(np.arange(len(response_N)) >= middle, response_N, 0.0)
        left = float((power_N * np.abs(rfft(tail_N, size)) ** 2).sum()) / whole
        low, high = (low, middle) if left <= esr else (middle, high)
    return high / RATE


@pytest.mark.parametrize("decay_s", [0.01, 0.04])
@pytest.mark.parametrize("gain", [0.5, 8.0])
def test_ringing_of_a_cabinet_is_measured(decay_s: float, gain: float):
    response_N = cabinet(decay_s)
    wet_T = np.convolve(np.tanh(gain * DRY.astype(np.float64)), response_N)[: len(DRY)].astype(np.float32)
    found = measure_length(DRY, wet_T, Lag(0, 1), RATE)
    assert found
    for esr in (0.1, 0.03):
        assert found.needed(esr) == pytest.approx(true_length(response_N, esr), rel=0.35, abs=0.002)
    assert found.needed(1e-3) == pytest.approx(true_length(response_N, 1e-3), rel=0.6)
    assert found.needed(1e-3) > found.needed(0.03)


def test_distortion_alone_needs_next_to_nothing():
    wet_T = np.tanh(8 * DRY)
    found = measure_length(DRY, wet_T, Lag(0, 1), RATE)
    assert found and needed_field([found], 0.03, RATE) < 30


def test_short_or_silent_takes_are_not_measured():
    assert measure_length(DRY[:1000], DRY[:1000], Lag(0, 1), RATE) is None
    assert measure_length(DRY, np.zeros_like(DRY), Lag(0, 1), RATE) is None


def test_field_is_that_of_the_take_that_needs_most():
    short = ResponseLength((0.001, 0.002, 0.004), (0.5, 0.01, 1e-4), 0.001, 0.3)
    long = ResponseLength((0.001, 0.002, 0.004), (0.9, 0.5, 0.2), 0.01, 0.3)
    assert short.needed(0.03) == 0.002
    assert short.needed(0.6) == 0.0
    assert long.needed(0.03) == pytest.approx(0.004 + 0.01 * np.log(0.2 / 0.03))
    assert long.needed(1e-30) == 0.3
    assert needed_field([short, long], 0.03, 1000) == 1 + round(1000 * long.needed(0.03))
    assert needed_field([], 0.03, 1000) == 1
