"""The error-to-signal ratio."""

import math

import pytest

from models.audio.error_ratio import error_ratio


@pytest.mark.parametrize(
    ("error", "signal", "found"),
    [(1.0, 4.0, 0.25), (0.0, 4.0, 0.0), (0.0, 0.0, 0.0), (1e-9, 0.0, math.inf)],
)
def test_esr_of_energies(error: float, signal: float, found: float):
    assert error_ratio(error, signal) == found
