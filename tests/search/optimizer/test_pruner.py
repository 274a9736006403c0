"""Asynchronous halving: which trials survive a rung."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from search.optimizer.calibration import RungPlan
from search.optimizer.pruner import HalvingPruner
from tests.support.makers import examples
from tests.support.searches import beats

few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20)  # with ties


def with_rungs(rungs: tuple[int, ...], reduction: float) -> HalvingPruner:
    return HalvingPruner(1, 1, RungPlan(rungs, reduction, {}))


@examples(80)
@given(few, st.integers(2, 4))
def test_rungs_are_consistent(found: list[tuple[int, int]], reduction: int):
    pruner = with_rungs((10,), reduction)
    for number, point in enumerate(found):
        if pruner.should_continue(str(number), 10, [point]):
            rivals = found[: number + 1]
            assert sum(beats(other, point) for other in rivals) < math.ceil(len(rivals) / reduction)
        assert pruner.should_continue(str(number), 11, [point]), "a rung is entered once"
    assert pruner.should_continue("early", 9, [(9, 9)])
    assert len(pruner._rung_records[10]) == len(found)
    assert not pruner.should_continue("lost", 20, [(math.nan, 1.0)])
    assert not pruner.should_continue("lost", 20, [(1.0, math.inf)])


def test_a_trial_survives_if_it_is_among_the_best_on_any_front():
    pruner = with_rungs((1,), 4.0)
    for number in range(8):
        pruner.should_continue(str(number), 1, [(number / 10, 1.0), (1 - number / 10, 1.0)])
    assert pruner.should_continue("good at the second", 1, [(5.0, 1.0), (-1.0, 1.0)])
    assert not pruner.should_continue("good at neither", 1, [(5.0, 1.0), (5.0, 1.0)])


def test_the_cheapest_trial_survives_despite_its_error():
    pruner = with_rungs((1,), 3.0)
    for number in range(12):
        pruner.should_continue(str(number), 1, [(-2.0 - number / 100, 4.0 + number / 100)])
    assert pruner.should_continue("small", 1, [(-0.5, 1.0)])


def test_rungs_are_placed_once_enough_trials_have_finished():
    pruner = HalvingPruner(8, 10)
    for trial in range(8):
        assert pruner.should_continue(str(trial), 20, [(-0.1 * trial, 1.0)]) is None
        for step in (20, 40, 100):
            pruner.observe(str(trial), step, [(-0.1 * trial - step / 100, 1.0)])
        assert pruner.plan is None
        pruner.on_finish(str(trial))
    assert pruner.plan
    assert pruner.plan.rungs[0] == 20
    assert pruner.should_continue("worst", 20, [(1.0, 1.0)]) is False
    assert pruner.should_continue("best", 20, [(-9.0, 1.0)]) is True


def test_calibration_is_repeated_with_twice_as_many_trials():
    pruner = HalvingPruner(3, 10)
    plans = []
    for trial in range(12):
        for step, sign in ((20, 1), (100, -1)):  # the order at the end is the opposite of that on the way
            pruner.observe(str(trial), step, [(sign * trial / 10, 1.0)])
        pruner.on_finish(str(trial))
        plans.append(pruner.plan)
    assert [plan and plan.rungs for plan in plans] == [None, None, *[()] * 10]
    assert [after is not before for before, after in pairwise(plans)].count(True) == 3, "after 3, 6 and 12 trials"
