"""Filters between recorded positions: exact for a potentiometer, finite for any filters, exact where recorded."""

import numpy as np
import pytest
from scipy.signal import lfilter

from models.knobs.schema import Setting
from models.recordings.filter_interpolation import LEAD, TAPS, interpolate_filters
from models.recordings.linear_knobs import find_linear_knobs
from tests.support.pedal import CENTER, KNOBS, recordings

LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def divider(share: float) -> np.ndarray:
    """A potentiometer between a signal and its low-pass, loaded by a resistor; steep at one end."""
    impulse_N = np.zeros(TAPS)
    impulse_N[LEAD] = 1
    low_N = lfilter([0.1], [1, -0.9], impulse_N)
    return ((1 - share) * np.asarray(low_N) + share * impulse_N) / (1.1 - share)


def error(found_N: np.ndarray, wanted_N: np.ndarray) -> float:
    return float(np.square(found_N - wanted_N).sum() / np.square(wanted_N).sum())


def test_rational_interpolation_is_exact_for_a_potentiometer():
    taps_PN = np.stack([divider((level + 1) / 2) for level in LEVELS])
    wanted = (-0.9, -0.3, 0.8, 0.95)
    rational, pchip = (interpolate_filters(LEVELS, taps_PN, wanted, is_rational) for is_rational in (True, False))
    for number, level in enumerate(wanted):
        true_N = divider((level + 1) / 2)
        assert error(rational[number], true_N) < 1e-9
    assert error(pchip[-1], divider(0.975)) > 1e-3


@pytest.mark.parametrize("is_rational", [True, False])
def test_recorded_positions_come_out_as_they_are(is_rational: bool):
    taps_PN = np.stack([divider((level + 1) / 2) for level in LEVELS])
    found_PN = interpolate_filters(LEVELS, taps_PN, LEVELS, is_rational)
    assert all(error(found, wanted) < 1e-12 for found, wanted in zip(found_PN, taps_PN, strict=True))
    outside = interpolate_filters(LEVELS, taps_PN, [-2.0, 3.0], is_rational)
    assert error(outside[0], taps_PN[0]) < 1e-12 and error(outside[1], taps_PN[-1]) < 1e-12


def test_a_pole_between_positions_is_avoided():
    """Filters of no circuit: gains of changing sign, for which the rational function is infinite in between."""
    gains = (1.0, 1.2, -1.5, 1.4, 1.0)
    taps_PN = np.stack([gain * divider(0.5) for gain in gains])
    found_WN = interpolate_filters(LEVELS, taps_PN, np.linspace(-1, 1, 41).tolist(), True)
    assert np.isfinite(found_WN).all()
    assert np.abs(found_WN).max() <= 2.5 * np.abs(taps_PN).max()


def test_a_knob_that_turns_by_decibels_is_not_interpolated_as_a_potentiometer():
    """Its gain is a straight line in decibels, which PCHIP of the logarithm meets."""

    def steps(x_T: np.ndarray, setting: Setting) -> np.ndarray:
        return 10 ** (2 * float(setting["level"])) * np.tanh(5 * x_T)

    settings: list[Setting] = [{**CENTER, "level": level} for level in (0.0, 0.25, 0.5, 0.75, 1.0)]
    (level,) = find_linear_knobs(KNOBS, recordings(steps, settings).train)
    assert level.knob.name == "level" and not level.rational
    assert level.describe().interpolation == "pchip"
    assert max(level.between.values()) < 1e-3
