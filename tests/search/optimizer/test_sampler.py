"""What the search's sampler suggests."""

import json
import math
import random
from itertools import pairwise, product
from statistics import fmean

import pytest

from search.config.space import Space
from search.optimizer.sampler import SurrogateSampler, design_place
from search.study.constraints import ModelCandidate
from tests.support.searches import WIDE, config_of, pool_of


def test_no_recipe_is_suggested_twice_and_first_candidates_come_first():
    space = Space(
        shapes=("a1-nano",),
        depth=(2,),
        channels=(2, 3),
        dilations=("pow2",),
        inject=("mixin", "film"),
        learning_rate=(0.01, 0.01),
    )
    first = space.complete({"channels": 3})
    assert first
    pool = pool_of(space, (first, first))
    sampler = SurrogateSampler(pool, 7)
    seen = []
    while (candidate := pool.next_first() or sampler.suggest()) is not None:
        seen.append(json.dumps(candidate.point))
        trial = config_of().model_copy(update={"space": space}).identity(candidate.point)
        sampler.on_start(trial, pool.start(trial, candidate.point))
    assert seen[0] == json.dumps(first)
    assert len(seen) == len(set(seen)) == 6, "one shape or two widths, two injections"
    assert pool.refused["it was trained already"] > 1


def test_the_same_calls_give_the_same_sampler():
    one_pool, two_pool = pool_of(WIDE), pool_of(WIDE)
    one, two = (SurrogateSampler(pool, 7) for pool in (one_pool, two_pool))
    calls: list[tuple] = []
    draw = random.Random(1)
    for number in range(40):
        candidate = one.suggest()
        assert candidate
        name = candidate.identity
        one.on_start(name, one_pool.start(name, candidate.point))
        calls.append(("start", name, candidate.point))
        if number > 2:
            other = list(one_pool.trained)[number - 3]
            first = (math.nan if number % 10 == 0 else draw.random(), draw.random())
            values = {} if number % 9 == 0 else {"one": first, "other": (draw.random(), first[1])}
            limits = {front: {"runaway": draw.uniform(-1, 1)} for front in ("one", "other")}
            one.on_end(other, values, limits)
            calls.append(("end", other, values, limits))
    for what, trial, *rest in calls:
        two.on_start(trial, two_pool.start(trial, *rest)) if what == "start" else two.on_end(trial, *rest)
    assert one.suggest() == two.suggest()
    assert len(two.forecast.running) == 3, "trials without a result do not run for ever"


def test_variants_train_the_same_model_in_another_way():
    space = WIDE.model_copy(update={"learning": {"batch": (2, 4, 8)}})
    pool = pool_of(space)
    sampler = SurrogateSampler(pool, 7)
    base = sampler.suggest()
    assert base
    sampler.on_start(base.identity, pool.start(base.identity, base.point))
    variant = sampler.vary_learning(base, lambda other: other.learning.batch == 8)
    assert variant
    assert variant.model == base.model
    assert variant.identity != base.identity
    assert variant.learning.batch == 8
    assert sampler.vary_learning(base, lambda other: False) is None


def suggest_all(space: Space, seed: int, trials: int, workers: int, limit: int | None = None) -> list[ModelCandidate]:
    """Suggest trials whose error falls with width, `workers` of them at once."""
    pool = pool_of(space)
    sampler, found = SurrogateSampler(pool, seed), list[ModelCandidate]()
    for number in range(trials):
        candidate = sampler.suggest(limit - number if limit else None)
        assert candidate
        found.append(candidate)
        sampler.on_start(candidate.identity, pool.start(candidate.identity, candidate.point))
        if number >= workers - 1:
            ended = found[number - workers + 1]
            error = -math.log10(ended.point["channels"])
            sampler.on_end(ended.identity, {"all": (error, ended.log_cost)}, {"all": {}})
    return found


WIDTHS = Space(shapes=(), depth=(6, 7, 8), dilations=("pow2",), channels=(4, 6, 8, 12, 16))


@pytest.mark.parametrize("seed", range(5))
def test_the_first_trials_spread_over_cost(seed: int):
    """One of the dearest, one of the cheapest, one between; and so on where more trials start before any has ended."""
    low, high = (f(WIDTHS, 2) for f in (lowest_macs, highest_macs))
    for trials in (6, 20, None):
        first = suggest_all(WIDTHS, seed, 3, 1, trials)
        places = [(candidate.log_cost - low) / (high - low) for candidate in first]
        assert places[0] > 0.6 and places[1] < 0.4 and 0.2 < places[2] < 0.8
        at_once = sorted(candidate.log_cost for candidate in suggest_all(WIDTHS, seed, 8, 9, trials))
        gaps = [b - a for a, b in pairwise([low, *at_once, high])]
        assert max(gaps) < (high - low) / 3, "no third of the range is left out"


def lowest_macs(space: Space, knobs: int) -> float:
    return min(_log_macs(space, knobs))


def highest_macs(space: Space, knobs: int) -> float:
    return max(_log_macs(space, knobs))


def _log_macs(space: Space, knobs: int) -> list[float]:
    axes = product(space.depth, space.channels, space.inject)
    points = [{"depth": depth, "channels": channels, "inject": inject} for depth, channels, inject in axes]
    models = [space.model(point) for point in map(space.complete, points) if point]
    return [math.log10(model.macs_per_sample(knobs)) for model in models]


def test_cost_counts_less_where_few_trials_are_left():
    """A search of ten trials seeks the lowest error, one of a thousand what is cheap for its error."""
    few, many = (
        fmean(c.log_cost for seed in range(4) for c in suggest_all(WIDTHS, seed, 10, 2, limit)[4:])
        for limit in (10, 1000)
    )
    assert few > many + 0.05


def test_every_second_of_the_last_trials_seeks_the_lowest_error():
    """Errors fall with width: these trials are as wide as the space allows."""
    widths = [candidate.point["channels"] for candidate in suggest_all(WIDTHS, 1, 12, 1, 12)]
    assert set(widths[4::2]) <= {12, 16} and 16 in widths[4::2]


def test_a_design_divides_its_range():
    assert [design_place(number, 4) for number in range(4)] == [0.125, 0.625, 0.375, 0.875]
    assert sorted(design_place(number, 7) for number in range(7)) == pytest.approx([(n + 0.5) / 7 for n in range(7)])
