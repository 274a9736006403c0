"""Fronts, ranks and hypervolume."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from search.optimizer.pareto import front, hypervolume, ranks, top
from tests.support.makers import examples
from tests.support.searches import beats

points = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30)


few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20)  # with ties


@examples(80)
@given(points)
def test_front_is_what_nothing_beats(found: list[tuple[float, float]]):
    kept = front(found)
    for index, point in enumerate(found):
        beaten = any(beats(found[k], point) for k in kept)
        assert beaten != any(found[k] == point for k in kept)
        assert index not in kept or not beaten
    esrs = [found[k][0] for k in kept]
    assert esrs == sorted(esrs) and len(set(esrs)) == len(esrs)


@examples(80)
@given(few)
def test_ranks_count_the_fronts_before(found: list[tuple[int, int]]):
    levels = ranks(found)
    for point, level in zip(found, levels, strict=True):
        below = [other for other, rank in zip(found, levels, strict=True) if beats(other, point)]
        assert level == (max(levels[found.index(other)] for other in below) + 1 if below else 0)


@examples(80)
@given(few, st.integers(1, 20))
def test_the_top_is_taken_rank_by_rank(found: list[tuple[int, int]], count: int):
    kept, levels = top(found, count), ranks(found)
    assert len(kept) == min(count, len(found))
    for inside, outside in product(kept, set(range(len(found))) - kept):
        assert levels[inside] <= levels[outside]


@examples(80)
@given(points, st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)))
def test_hypervolume_grows_only_by_what_is_not_beaten(found: list[tuple[float, float]], new: tuple[float, float]):
    reference = (1e6 + 1, 1e6 + 1)
    before, after = hypervolume(found, reference), hypervolume([*found, new], reference)
    assert after >= before * (1 - 1e-12) and hypervolume([found[i] for i in front(found)], reference) == before
    if any(beats(point, new) for point in found):
        assert after == before


def test_hypervolume_of_a_staircase():
    assert hypervolume([(1, 3), (2, 2), (3, 1), (3, 3)], (4, 4)) == 6
    assert hypervolume([(4, 0), (5, 5)], (4, 4)) == 0
