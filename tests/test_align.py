"""How late a take is and which way up is found whatever the amp did to the sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from models.align import CAUSAL_MARGIN, estimate_lag
from tests.makers import RATE, di, examples

DI = di(1.5, seed=3)
DARK, DARKER = butter(2, 1500, fs=RATE, output="sos"), butter(1, 800, fs=RATE, output="sos")
AMPS = {
    "wire": lambda x_T: x_T,
    "crunch": lambda x_T: np.tanh(3 * x_T),
    "dark crunch": lambda x_T: sosfilt(DARK, np.tanh(3 * x_T)),
    "asymmetric, dark": lambda x_T: sosfilt(DARKER, np.tanh(2 * x_T) + 0.2 * np.tanh(4 * x_T) ** 2),
}


def take(amp: str, delay: int, polarity: int, noise: float = 0.001) -> np.ndarray:
    """A recording of DI that starts `delay` samples late (or, below zero, had its start cut)."""
    wet_T = AMPS[amp](np.concatenate([np.zeros(3000, np.float32), DI]))[3000 - delay :]
    hiss_T = noise * np.random.default_rng(7).standard_normal(len(wet_T))
    return (polarity * (wet_T + hiss_T)).astype(np.float32)


@pytest.mark.parametrize("amp", AMPS)
@given(delay=st.integers(-1500, 1500), polarity=st.sampled_from([1, -1]))
@examples(12)
def test_delay_and_polarity_are_found(amp: str, delay: int, polarity: int):
    plain, late = estimate_lag(DI, take(amp, 0, 1), RATE), estimate_lag(DI, take(amp, delay, polarity), RATE)
    assert abs(late.delay_samples - plain.delay_samples - delay) <= 1
    assert late.polarity == plain.polarity * polarity and plain.polarity == 1


@pytest.mark.parametrize("delay", [-1500, -1, 0, 1, 1500])
def test_ends_of_the_range_are_found_exactly_on_a_wire(delay: int):
    assert estimate_lag(DI, take("wire", delay, -1), RATE).delay_samples == delay - CAUSAL_MARGIN


@pytest.mark.parametrize("lead", range(0, CAUSAL_MARGIN + 1, 4))
def test_margin_keeps_a_take_from_leading_its_input(lead: int):
    """A cabinet's strongest arrival comes after its first; the aligned take must hear nothing before it is played."""
    first = 200
    cabinet_T = np.zeros(first + lead + 1)
    cabinet_T[first] = 0.4
    cabinet_T[first + lead] = 1.0
    lag = estimate_lag(DI, np.convolve(DI, cabinet_T).astype(np.float32), RATE)
    assert lag.polarity == 1 and first - CAUSAL_MARGIN <= lag.delay_samples <= first
