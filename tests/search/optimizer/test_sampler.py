"""What the search's sampler suggests."""

import json
import math
import random

from search.config.space import Space
from search.optimizer.sampler import SurrogateSampler
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
    sampler = SurrogateSampler(pool, 7, ("one", "other"))
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
    one, two = (SurrogateSampler(pool, 7, ("one", "other")) for pool in (one_pool, two_pool))
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
    for name, front in two.tpe_fronts.items():
        states = [trial.state.name for trial in front.optuna.trials]
        assert states.count("RUNNING") == 3
        assert "FAIL" in states, "trials without a result have failed, they do not run for ever"
        for _, trial, values, limits in (call for call in calls if call[0] == "end"):
            known = front.optuna.trials[front.numbers[trial]]
            assert not known.values or (tuple(known.values), known.constraints) == (values[name], limits[name])


def test_variants_train_the_same_model_in_another_way():
    space = WIDE.model_copy(update={"learning": {"batch": (2, 4, 8)}})
    pool = pool_of(space)
    sampler = SurrogateSampler(pool, 7, ("one",))
    base = sampler.suggest()
    assert base
    sampler.on_start(base.identity, pool.start(base.identity, base.point))
    variant = sampler.vary_learning(base, lambda other: other.learning.batch == 8)
    assert variant
    assert variant.model == base.model
    assert variant.identity != base.identity
    assert variant.learning.batch == 8
    assert sampler.vary_learning(base, lambda other: False) is None
