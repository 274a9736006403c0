"""Band levels are those of tones, and bands are of equal width."""

import numpy as np
import pytest

from models.audio.bands import band_centers, band_edges, band_levels

RATE = 48000


def test_bands_are_of_equal_width_in_octaves():
    edges_hz = band_edges(40.0, 20480.0, per_octave=3)
    assert len(edges_hz) == 28
    assert edges_hz[-1] == pytest.approx(20480)
    np.testing.assert_allclose(edges_hz[1:] / edges_hz[:-1], 2 ** (1 / 3))
    np.testing.assert_allclose(band_centers(edges_hz) / edges_hz[:-1], 2 ** (1 / 6))


def test_sine_is_found_in_its_band_at_its_rms_level():
    x_T = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    levels = band_levels(x_T, RATE, np.array([500.0, 900.0, 1100.0, 2000.0]))
    assert levels[1] == pytest.approx(20 * np.log10(0.5 / 2**0.5), abs=0.01)
    assert max(levels[0], levels[2]) < -100


def test_silence_is_at_the_lowest_level():
    assert band_levels(np.zeros(RATE), RATE, np.array([100.0, 200.0])).tolist() == [-200.0]
