"""What recipes promise: the surrogate foretells errors, and what is worth trying follows from them."""

import math
import random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.config.space import Space
from search.optimizer.pareto import hypervolume
from search.optimizer.surrogate import MARGIN, MOST, Forecast, Surrogate, expected_gains, features

SPACE = Space(shapes=(), channels=(2, 4, 8, 16), depth=(4, 6, 8, 10), inject=("mixin", "film", "mixin+film"))
REFERENCE = (1.0, 6.0)


def error(point: dict) -> float:
    """An amp that likes FiLM, width and powers of 3."""
    liked = 0.4 * ("film" in point["inject"]) + 0.2 * (point["dilations"] == "pow3")
    return (
        -liked
        - 0.25 * math.log2(point["channels"])
        - 0.05 * point["depth"]
        + math.log10(point["learning_rate"] / 0.006) ** 2
    )


def weighed(point: dict) -> tuple[dict[str, float], float]:
    macs = SPACE.model(point).macs_per_sample(3)
    return features(point, macs=macs), math.log10(macs)


def drawn(count: int, seed: int = 0) -> list[dict]:
    chance = random.Random(seed)
    return [SPACE.draw(chance) for _ in range(count)]


def test_words_and_numbers_of_a_point_are_features():
    found = features(
        {"inject": "mixin+film", "depth": 1, "encoder": None, "film_shift": True, "learning_rate": 0.5}, macs=8
    )
    assert found == {"inject=mixin": 1, "inject=film": 1, "depth": 1, "film_shift": 1, "learning_rate": -1, "macs": 3}


def test_errors_of_recipes_never_trained_are_foretold():
    known, asked = drawn(40), drawn(100, seed=1)
    surrogate = Surrogate([weighed(point)[0] for point in known], [error(point) for point in known])
    mean_M, deviation_M = surrogate.predict([weighed(point)[0] for point in asked])
    true_M = np.array([error(point) for point in asked])
    off_M = np.abs(mean_M - true_M)
    assert np.sqrt((off_M**2).mean()) < 0.25 * true_M.std(), "far better than their mean"
    assert (off_M < 3 * deviation_M).mean() > 0.95, "and it knows how well"


def test_what_was_trained_is_known_and_what_is_far_is_not():
    known = drawn(12)
    surrogate = Surrogate([weighed(point)[0] for point in known], [error(point) for point in known])
    near = surrogate.predict([weighed(known[0])[0]])[1][0]
    far = surrogate.predict([weighed({**known[0], "depth": 40, "channels": 64})[0]])[1][0]
    assert near < far


@pytest.mark.parametrize("errors", [[0.5], [0.5] * 7, [1e-9, 3.0]])
def test_few_or_equal_errors_are_no_trouble(errors: list[float]):
    surrogate = Surrogate([weighed(point)[0] for point in drawn(len(errors))], errors)
    mean_M, deviation_M = surrogate.predict([weighed(point)[0] for point in drawn(5, seed=2)])
    assert np.isfinite(mean_M).all() and (deviation_M > 0).all()


def test_a_fit_hears_no_more_than_it_can():
    known = drawn(MOST + 50)
    surrogate = Surrogate([weighed(point)[0] for point in known], [error(point) for point in known])
    assert len(surrogate.z_ND) == MOST


@given(
    st.lists(st.tuples(st.floats(-3, 0), st.floats(2, 5)), min_size=1, max_size=12), st.floats(-4, 1), st.floats(1, 6)
)
@settings(max_examples=60)
def test_nothing_beaten_gains_and_gains_grow_with_quality(known: list[tuple[float, float]], middle: float, cost: float):
    means = np.array([middle, middle - 0.5])
    gains = expected_gains(known, [cost, cost], means, np.full(2, 1e-9))
    assert min(gains) >= -1e-9 and gains[1] >= gains[0] - 1e-9
    if any(e <= middle - 1e-6 and c <= cost for e, c in known):
        assert gains[0] == pytest.approx(0, abs=1e-9)


def test_of_two_equals_the_cheap_one_is_worth_more_and_what_runs_is_counted():
    known = drawn(20)
    forecast = Forecast()
    for number, point in enumerate(known):
        forecast.begin(str(number), weighed(point))
        forecast.end(str(number), {"all": error(point)})
    found, cost = weighed({**known[0], "inject": "film"})
    cheap, dear = forecast.worths([(found, cost - 0.3), (found, cost + 0.3)])
    assert cheap > dear
    forecast.begin("running", (found, cost - 0.3))
    assert forecast.worths([(found, cost - 0.3)])[0] < cheap


def test_a_trial_that_breaks_a_limit_counts_as_the_worst():
    forecast = Forecast()
    for number, (point, feasible) in enumerate(zip(drawn(3), (True, False, True), strict=True)):
        forecast.begin(str(number), weighed(point))
        forecast.end(str(number), {"all": float(number)}, [] if feasible else ["all"])
    assert forecast.fronts["all"].ranked()["1"][0] == 2.0
    forecast.begin("lost", weighed(drawn(4)[3]))
    forecast.end("lost", {})
    assert "lost" not in forecast.fronts["all"].ranked() and not forecast.running


def test_a_point_is_worth_what_it_may_gain_on_all_fronts_together():
    """A point that promises much for one of two amps is worth it, whatever it does for the other."""
    trials, asked = drawn(16), [weighed(point) for point in drawn(60, seed=1)]
    one, other, both = Forecast(), Forecast(), Forecast()
    for trial, point in enumerate(trials):
        disliked = {"film": "mixin", "mixin": "film"}.get(point["inject"], point["inject"])
        told = {"one": error(point), "other": error({**point, "inject": disliked})}
        broken = ["other"] if trial == 3 else []
        for forecast, fronts in ((one, ["one"]), (other, ["other"]), (both, ["one", "other"])):
            forecast.begin(str(trial), weighed(point))
            forecast.end(str(trial), {front: told[front] for front in fronts}, broken)
    both.begin("running", asked[0])
    one.begin("running", asked[0])
    other.begin("running", asked[0])
    worths = both.worths(asked)
    assert worths == pytest.approx([a + b for a, b in zip(one.worths(asked), other.worths(asked), strict=True)])
    assert both.best() == list(dict.fromkeys([*one.best(), *other.best()])) and len(both.best()) > len(one.best())
    ranked = both.fronts["other"].ranked()
    assert ranked["3"][0] == max(error for error, _ in ranked.values()), "as bad as the worst where it breaks a limit"
    assert both.fronts["one"].ranked()["3"][0] == error(trials[3]), "and only there"


def test_what_is_foretold_finds_a_better_front_than_chance():
    def search(foretold: bool, seed: int) -> float:
        forecast, chance, found = Forecast(), random.Random(seed), []
        for trial in map(str, range(20)):
            points = [SPACE.draw(chance) for _ in range(60)]
            worths = forecast.worths([weighed(p) for p in points]) if foretold and len(found) > 4 else [0.0] * 60
            point = points[worths.index(max(worths))]
            forecast.begin(trial, weighed(point))
            forecast.end(trial, {"all": error(point)})
            found.append((error(point), weighed(point)[1]))
        return hypervolume(found, REFERENCE)

    assert sum(search(True, seed) > search(False, seed) for seed in range(5)) >= 4


def other_search(errors: list[float], seed: int = 3) -> tuple[list[dict[str, float]], list[float]]:
    return [weighed(point)[0] for point in drawn(len(errors), seed)], errors


def test_a_prior_foretells_what_few_trials_cannot_and_one_that_misleads_is_not_heard():
    earlier = drawn(40, seed=3)
    like = Surrogate(*other_search([error(point) + 0.7 for point in earlier]))
    unlike = Surrogate(*other_search([-error(point) for point in earlier]))
    known, asked = drawn(10), drawn(100, seed=1)
    points, errors = [weighed(point)[0] for point in known], [error(point) for point in known]
    wanted = [weighed(point)[0] for point in asked]
    true_M = np.array([error(point) for point in asked])

    def off(*priors: Surrogate) -> float:
        mean_M, _ = Surrogate(points, errors, wanted, priors).predict(wanted)
        return float(np.sqrt(((mean_M - true_M) ** 2).mean()))

    assert off(like) < 0.7 * off(), "a search of an amp like this one, at another level"
    assert off(unlike) == pytest.approx(off()), "one of an amp that likes the opposite"
    assert off(unlike, like) == pytest.approx(off(like)), "each is judged by itself"


def test_a_search_with_a_misleading_prior_finds_as_much():
    def search(priors: list, seed: int) -> float:
        forecast, chance, found = Forecast(priors), random.Random(seed), []
        for trial in map(str, range(14)):
            points = [SPACE.draw(chance) for _ in range(60)]
            worths = forecast.worths([weighed(p) for p in points])
            point = points[worths.index(max(worths))]
            forecast.begin(trial, weighed(point))
            forecast.end(trial, {"all": error(point)})
            found.append((error(point), weighed(point)[1]))
        return hypervolume(found, REFERENCE)

    earlier = drawn(40, seed=3)
    misleading = [other_search([-error(point) for point in earlier])]
    helpful = [other_search([error(point) for point in earlier])]
    alone, misled, helped = (sum(search(priors, seed) for seed in range(2)) / 2 for priors in ([], misleading, helpful))
    assert misled > 0.97 * alone and helped > 0.99 * alone


def test_before_any_error_is_known_the_trials_differ_and_the_cheap_come_first():
    points = drawn(64)
    forecast, chosen = Forecast(), []
    for trial in map(str, range(6)):
        told = forecast.worths([weighed(point) for point in points])
        chosen.append(points[told.index(max(told))])
        forecast.begin(trial, weighed(chosen[-1]))
    costs = sorted(weighed(point)[1] for point in points)
    assert all(weighed(point)[1] < costs[32] for point in chosen[:3])
    assert {word for point in chosen for word in point["inject"].split("+")} == {"mixin", "film"}
    assert len({point["dilations"] for point in chosen}) > 1 and len({point["depth"] for point in chosen}) > 1


@given(
    st.lists(st.tuples(st.floats(-3, 0), st.floats(2, 5)), min_size=1, max_size=8),
    st.floats(-4, 1),
    st.floats(0.01, 1),
    st.floats(1, 6),
)
@settings(max_examples=30)
def test_expected_gains_are_what_many_draws_gain(known: list, middle: float, spread: float, cost: float):
    (gain,) = expected_gains(known, [cost], np.array([middle]), np.array([spread]))
    worst = max(*(e for e, _ in known), middle) + MARGIN
    dearest = max(*(c for _, c in known), cost) + MARGIN
    base = hypervolume(known, (worst, dearest))
    drawn_errors = middle + spread * np.array([NormalDist().inv_cdf((n + 0.5) / 2000) for n in range(2000)])
    gains = [hypervolume([*known, (e, cost)], (worst, dearest)) - base for e in drawn_errors.tolist()]
    assert gain == pytest.approx(sum(gains) / len(gains), rel=0.02, abs=0.002)


def test_a_weight_that_is_off_differs_from_one():
    off, on = (features({"mrstft": weight}) for weight in (0.0, 1.0))
    assert [point.get(name, 0.0) for point in (off, on) for name in ("mrstft", "mrstft=0")] == [0.0, 1.0, 0.0, 0.0]
