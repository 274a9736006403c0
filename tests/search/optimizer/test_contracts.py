"""What every sampler and every pruner promises (see `search.optimizer.protocols`).

A new implementation is added to `SAMPLERS` or `PRUNERS`. On spaces of other kinds: `tests/test_search_tables.py`.
"""

import math
from collections.abc import Callable

import optuna
import pytest

from benchmarks.search_opponents import ErrorHalving, OptunaSampler
from search.config.space import Space
from search.optimizer.calibration import RungPlan
from search.optimizer.candidates import CandidatePool
from search.optimizer.protocols import Pruner, Sampler
from search.optimizer.pruner import HalvingPruner
from search.optimizer.sampler import SurrogateSampler
from search.study.constraints import ModelCandidate
from tests.support.searches import pool_of

ModelPool = CandidatePool[ModelCandidate]
ModelSampler = Sampler[ModelCandidate]


def make_surrogate(pool: ModelPool) -> ModelSampler:
    return SurrogateSampler(pool, 3)


def make_random(pool: ModelPool) -> ModelSampler:
    chance = optuna.samplers.RandomSampler(seed=3)
    return OptunaSampler(pool, chance, chance)


def make_tpe(pool: ModelPool) -> ModelSampler:
    return OptunaSampler(pool, optuna.samplers.TPESampler(seed=3), optuna.samplers.RandomSampler(seed=3))


SAMPLERS = [make_surrogate, make_random, make_tpe]
SPACE = Space(shapes=(), depth=(2, 3, 4), channels=(2, 3, 4, 5), dilations=("pow2",), learning={"batch": (2, 4)})
ONE_POINT = Space(
    shapes=(), depth=(2,), channels=(2,), dilations=("pow2",), inject=("film",), learning_rate=(0.01, 0.01)
)
each_sampler = pytest.mark.parametrize("make", SAMPLERS, ids=lambda make: make.__name__)


def search(
    make: Callable[[ModelPool], ModelSampler], pool: ModelPool, trials: int, ends: bool = True
) -> tuple[ModelSampler, list[ModelCandidate]]:
    """Train so many trials one after another; every fifth has no result, every seventh breaks a limit."""
    sampler, found = make(pool), list[ModelCandidate]()
    for number in range(trials):
        candidate = sampler.suggest()
        if candidate is None:
            break
        found.append(candidate)
        sampler.on_start(candidate.identity, pool.start(candidate.identity, candidate.point))
        values = {"all": (-candidate.log_cost / 4 + number % 3, candidate.log_cost)} if number % 5 else {}
        if ends:
            sampler.on_end(candidate.identity, values, {"all": {"runaway": 1.0 if number % 7 == 0 else -1.0}})
    return sampler, found


@each_sampler
def test_suggestions_lie_in_the_space_and_are_new(make: Callable[[ModelPool], ModelSampler]):
    pool = pool_of(SPACE)
    _, found = search(make, pool, 20)
    assert len(found) == 20
    assert len({candidate.identity for candidate in found}) == 20
    for candidate in found:
        assert SPACE.complete(candidate.point) == candidate.point
        assert candidate.model == SPACE.model(candidate.point)


@each_sampler
def test_suggestions_are_allowed(make: Callable[[ModelPool], ModelSampler]):
    pool = pool_of(SPACE, violation=lambda candidate: "too wide" if candidate.point["channels"] > 3 else None)
    _, found = search(make, pool, 8)
    assert len(found) == 8
    assert {candidate.point["channels"] for candidate in found} <= {2, 3}


@each_sampler
def test_several_trials_may_run_at_once(make: Callable[[ModelPool], ModelSampler]):
    _, found = search(make, pool_of(SPACE), 12, ends=False)
    assert len({candidate.identity for candidate in found}) == 12


@each_sampler
def test_the_same_calls_give_the_same_suggestions(make: Callable[[ModelPool], ModelSampler]):
    (_, one), (_, two) = (search(make, pool_of(SPACE), 12) for _ in range(2))
    assert [candidate.point for candidate in one] == [candidate.point for candidate in two]


@each_sampler
def test_a_used_up_space_gives_no_suggestion(
    make: Callable[[ModelPool], ModelSampler], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("benchmarks.search_opponents.ATTEMPTS", 20)
    sampler, found = search(make, pool_of(ONE_POINT), 3)
    assert len(found) == 1
    assert sampler.suggest() is None


@each_sampler
def test_a_result_that_is_not_finite_is_accepted(make: Callable[[ModelPool], ModelSampler]):
    pool = pool_of(SPACE)
    sampler, found = search(make, pool, 3, ends=False)
    for candidate, error in zip(found, (math.nan, math.inf, 0.0), strict=True):
        sampler.on_end(candidate.identity, {"all": (error, candidate.log_cost)}, {"all": {}})
    assert sampler.suggest()


@each_sampler
def test_a_variant_is_new_and_has_the_same_model(make: Callable[[ModelPool], ModelSampler]):
    pool = pool_of(SPACE)
    sampler, (base, *_) = search(make, pool, 3)
    variant = sampler.vary_learning(base, lambda other: other.learning.batch == base.learning.batch)
    if variant is not None:  # a sampler may have none
        assert variant.model == base.model
        assert variant.learning.batch == base.learning.batch
        assert pool.is_new(variant)


def make_halving() -> Pruner:
    return HalvingPruner(1, 1, RungPlan((10, 30), 3.0, {}))


def make_error_halving() -> Pruner:
    return ErrorHalving(10, 90, 3)


PRUNERS = [make_halving, make_error_halving]
each_pruner = pytest.mark.parametrize("make", PRUNERS, ids=lambda make: make.__name__)


def play(pruner: Pruner, trials: int = 30) -> list[list[int]]:
    """Train trials of equal cost, errors in a fixed order; return the steps that each reached."""
    reached = []
    for number in range(trials):
        error, steps = (number * 7 % trials) / trials, list[int]()
        for step in range(10, 91, 10):
            steps.append(step)
            survives = pruner.should_continue(str(number), step, [(error, 1.0)])
            pruner.observe(str(number), step, [(error, 1.0)])
            if survives is False:
                break
        else:
            pruner.on_finish(str(number))
        reached.append(steps)
    return reached


@each_pruner
def test_the_first_and_the_best_trial_train_to_the_end(make: Callable[[], Pruner]):
    pruner = make()
    reached = play(pruner)
    assert reached[0][-1] == 90
    assert all(pruner.should_continue("best", step, [(-9.0, 1.0)]) is not False for step in range(10, 91, 10))


@each_pruner
def test_poor_trials_are_stopped_early(make: Callable[[], Pruner]):
    reached = play(make())
    assert sum(steps[-1] == 10 for steps in reached) > len(reached) / 3
    assert any(steps[-1] > 10 for steps in reached[10:])


@each_pruner
def test_the_same_reports_give_the_same_answers(make: Callable[[], Pruner]):
    assert play(make()) == play(make())


@each_pruner
def test_errors_that_are_not_finite_stop_a_trial(make: Callable[[], Pruner]):
    assert make().should_continue("lost", 10, [(math.nan, 1.0)]) is False


def test_a_pruner_without_rungs_decides_nothing():
    assert HalvingPruner(8, 1).should_continue("t", 10, [(0.0, 1.0)]) is None
