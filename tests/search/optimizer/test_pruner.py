"""Rungs: which trials go on, where rungs are placed, what is expected of them."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.optimizer.pruner import HalvingPruner, RungPlan, calibrate, expected_gain, spearman
from tests.support.makers import examples
from tests.support.searches import beats

few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20)  # with ties


@examples(80)
@given(few, st.integers(2, 4))
def test_rungs_are_consistent(found: list[tuple[int, int]], reduction: int):
    rungs = HalvingPruner(RungPlan((10,), reduction, {}))
    for number, point in enumerate(found):
        kept = rungs.survives(str(number), 10, [point])
        if kept:
            rivals = found[: number + 1]
            assert sum(beats(other, point) for other in rivals) < math.ceil(len(rivals) / reduction)
        assert rungs.survives(str(number), 11, [point]), "a rung is entered once"
    assert rungs.survives("early", 9, [(9, 9)]) and len(rungs.books[10]) == len(found)
    assert not rungs.survives("lost", 20, [(math.nan, 1.0)]) and not rungs.survives("lost", 20, [(1.0, math.inf)])


def test_a_trial_survives_if_any_amp_wants_it():
    rungs = HalvingPruner(RungPlan((1,), 4.0, {}))
    for number in range(8):
        rungs.survives(str(number), 1, [(number / 10, 1.0), (1 - number / 10, 1.0)])
    assert rungs.survives("good at the second", 1, [(5.0, 1.0), (-1.0, 1.0)])
    assert not rungs.survives("good at neither", 1, [(5.0, 1.0), (5.0, 1.0)])


def test_the_cheap_end_survives_where_error_alone_would_cut_it():
    rungs = HalvingPruner(RungPlan((1,), 3.0, {}))
    for number in range(12):
        rungs.survives(str(number), 1, [(-2.0 - number / 100, 4.0 + number / 100)])
    assert rungs.survives("small", 1, [(-0.5, 1.0)])


@examples(50)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=12))
def test_rank_correlation(values: list[int]):
    expected = 1.0 if len(set(values)) > 1 else 0.0
    assert spearman(values, [v * 3 + 1 for v in values]) == pytest.approx(expected)
    assert spearman(values, [-v for v in values]) == pytest.approx(-expected)


def test_calibration_waits_for_ranks_that_last():
    draw = random.Random(0)
    ends = [-0.1 * number for number in range(10)]
    curves = [{20: draw.random(), 40: end + draw.random() / 50, 80: end, 200: end} for end in ends]
    plan = calibrate(curves, 10)
    assert plan.rungs[0] == 40 and plan.reduction == 3.0 and set(plan.correlations) == {20, 40, 80}
    assert calibrate(curves, 60).rungs[0] == 80, "grace is kept"
    swapped = [{80: at, 200: end} for at, end in zip((0.0, -0.2, -0.1, -0.3), ends, strict=False)]
    assert calibrate(swapped, 60).correlations == {80: 0.8}
    assert calibrate(swapped, 60).rungs == (), "of four trials that may be chance"
    lucky = [{20: end, 40: -end, 80: end, 200: end} for end in ends]
    assert calibrate(lucky, 10).rungs[0] == 80, "a step whose order the next one undoes is not trusted"
    crossing = [{20: end, 40: end, 200: -end} for end in ends]
    assert calibrate(crossing, 10).rungs == (), "late bests are not cut"
    assert expected_gain(curves, 80) == 0 and expected_gain([], 80) == 0
    assert expected_gain([{10: 0.0, 20: -1.0}, {10: 0.0, 20: -2.0}, {20: -9.0}], 10) == 1.5
