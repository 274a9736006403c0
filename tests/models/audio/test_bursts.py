"""Bursts of high crest."""

import numpy as np
import pytest

from models.audio.bursts import BURST_LEVELS_DB, bursts


def test_bursts_are_at_every_level_with_a_high_crest():
    slot, count = 1000, 48
    x_NS = bursts(slot * count, slot, 3).reshape(count, slot).astype(np.float64)
    peak_db_N = 20 * np.log10(np.abs(x_NS).max(1))
    low, high = BURST_LEVELS_DB
    assert np.sort(peak_db_N) == pytest.approx(np.linspace(low, high, count), abs=1e-3)
    assert np.abs(np.diff(peak_db_N)).max() > 10  # not from soft to loud
    crest_db_N = peak_db_N - 10 * np.log10(np.square(x_NS).mean(1))
    assert crest_db_N.min() > 10
    assert np.median(crest_db_N) > 14  # a sine has 3


@pytest.mark.parametrize(("samples", "slot"), [(1, 1), (5, 1000), (999, 1000), (2500, 1000), (64, 8)])
def test_any_length_is_filled_and_inside_full_scale(samples: int, slot: int):
    x_T = bursts(samples, slot, 0)
    assert (x_T.shape, x_T.dtype) == ((samples,), np.float32)
    assert 0 < np.abs(x_T).max() <= 10 ** (BURST_LEVELS_DB[1] / 20) + 1e-6
    assert np.array_equal(x_T, bursts(samples, slot, 0))
