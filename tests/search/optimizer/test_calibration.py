"""Calibration: where rungs are placed, and how much training further lowers the error."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.optimizer.calibration import calibrate, expected_gain, spearman
from tests.support.makers import examples


@examples(50)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=12))
def test_rank_correlation(values: list[int]):
    expected = 1.0 if len(set(values)) > 1 else 0.0
    assert spearman(values, [v * 3 + 1 for v in values]) == pytest.approx(expected)
    assert spearman(values, [-v for v in values]) == pytest.approx(-expected)


def test_calibration_waits_for_ranks_that_stay():
    draw = random.Random(0)
    ends = [-0.1 * number for number in range(10)]
    curves = [{20: draw.random(), 40: end + draw.random() / 50, 80: end, 200: end} for end in ends]
    plan = calibrate(curves, 10)
    assert plan.rungs[0] == 40
    assert plan.reduction == 3.0
    assert set(plan.correlations) == {20, 40, 80}
    assert calibrate(curves, 60).rungs[0] == 80, "no earlier than grace"
    swapped = [{80: at, 200: end} for at, end in zip((0.0, -0.2, -0.1, -0.3), ends, strict=False)]
    assert calibrate(swapped, 60).correlations == {80: 0.8}
    assert calibrate(swapped, 60).rungs == (), "with four trials it may be chance"
    lucky = [{20: end, 40: -end, 80: end, 200: end} for end in ends]
    assert calibrate(lucky, 10).rungs[0] == 80, "a step whose order the next one undoes is not trusted"
    crossing = [{20: end, 40: end, 200: -end} for end in ends]
    assert calibrate(crossing, 10).rungs == (), "trials that become best late are not pruned"
    assert expected_gain(curves, 80) == 0
    assert expected_gain([], 80) == 0
    assert expected_gain([{10: 0.0, 20: -1.0}, {10: 0.0, 20: -2.0}, {20: -9.0}], 10) == 1.5
