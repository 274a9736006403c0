"""The set-up of a session, on a card that is calculated."""

import numpy as np
import pytest

from models.core.errors import UserError
from models.sessions.setup import describe_noise, measure_return, measure_round_trip, measure_silence
from models.sound_card.simulated import SimulatedCard
from tests.support.makers import RATE, amp, di


def card(**changes) -> SimulatedCard:
    """A card with the amp at gain 8."""
    return SimulatedCard(lambda x_T: amp(x_T, 8, 0.2), RATE, **changes)


@pytest.mark.parametrize("latency", [0, 1, 37, 300, 7000])
@pytest.mark.parametrize("send_db", [0.0, -20.0])
def test_the_round_trip_is_found(latency: int, send_db: float):
    found = measure_round_trip(card(latency=latency, noise=1e-3), send_db)
    assert abs(found.samples - latency) < 1
    assert found.spread < 1


def test_no_round_trip_without_a_cable_or_with_a_delay_that_moves():
    with pytest.raises(UserError, match="no blip came back"):
        measure_round_trip(SimulatedCard(lambda x_T: 0 * x_T, RATE, noise=1e-2))

    def vibrato(x_T: np.ndarray) -> np.ndarray:
        time_T = np.arange(len(x_T))
        return np.interp(time_T - 10 - 6 * np.sin(2 * np.pi * 0.9 * time_T / RATE), time_T, x_T)

    with pytest.raises(UserError, match="samples apart from each other"):
        measure_round_trip(SimulatedCard(vibrato, RATE))


def test_noise_and_hum_are_named():
    level = measure_return(card(), di(6.0))
    assert describe_noise(measure_silence(card(noise=1e-4)), level) == (
        f"-80 dBFS, {level.rms_dbfs + 80:.0f} dB below the signal",
        True,
    )
    text, is_low = describe_noise(measure_silence(card(noise=1e-5, hum=0.02)), level)
    assert "most of it is hum at 50 Hz and its harmonics" in text and not is_low
    text, is_low = describe_noise(measure_silence(card(noise=0.004, hum=0.004)), level)
    assert "; hum at 50 Hz" in text and not is_low
    assert describe_noise(measure_silence(card(noise=0.0)), level) == ("nothing: the input is digitally silent", True)


@pytest.mark.parametrize(("gain", "advice"), [(0.01, "up"), (1.0, ""), (4.0, "down")])
def test_the_return_level_is_judged(gain: float, advice: str):
    shown: list[float] = []
    level = measure_return(card(input_gain=gain), di(6.0), 0.0, lambda meter: shown.append(meter.highest_dbfs))
    assert level.advice.endswith(advice) and bool(level.advice) == bool(advice)
    assert (level.clipped > 0) == (gain == 4.0)
    assert shown == sorted(shown) and shown[-1] == level.peak_dbfs
    stopped = measure_return(card(), di(6.0), 0.0, lambda meter: True)
    assert stopped.rms_dbfs < level.rms_dbfs + 200
