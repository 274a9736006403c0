"""The surrogate predicts errors of recipes, and the acquisition follows from them."""

import math
import random
from statistics import NormalDist
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.config.space import Space
from search.optimizer.pareto import hypervolume
from search.optimizer.surrogate import MARGIN, MAX_POINTS, Forecast, Surrogate, expected_gains, features

SPACE = Space(
    shapes=(),
    channels=(2, 4, 8, 16),
    depth=(4, 6, 8, 10),
    inject=("mixin", "film", "mixin+film"),
    learning_rate=(0.003, 0.015),
)
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


def encoded(point: dict) -> tuple[dict[str, float], float]:
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


def test_errors_of_untrained_recipes_are_predicted():
    known, asked = drawn(40), drawn(100, seed=1)
    surrogate = Surrogate([encoded(point)[0] for point in known], [error(point) for point in known])
    mean_M, deviation_M = surrogate.predict([encoded(point)[0] for point in asked])
    true_M = np.array([error(point) for point in asked])
    off_M = np.abs(mean_M - true_M)
    assert np.sqrt((off_M**2).mean()) < 0.25 * true_M.std(), "far better than their mean"
    assert (off_M < 3 * deviation_M).mean() > 0.95, "and the deviations are right"


def test_the_deviation_is_small_near_trained_points():
    known = drawn(12)
    surrogate = Surrogate([encoded(point)[0] for point in known], [error(point) for point in known])
    near = surrogate.predict([encoded(known[0])[0]])[1][0]
    far = surrogate.predict([encoded({**known[0], "depth": 40, "channels": 64})[0]])[1][0]
    assert near < far


@pytest.mark.parametrize("errors", [[0.5], [0.5] * 7, [1e-9, 3.0]])
def test_few_or_equal_errors_can_be_fitted(errors: list[float]):
    surrogate = Surrogate([encoded(point)[0] for point in drawn(len(errors))], errors)
    mean_M, deviation_M = surrogate.predict([encoded(point)[0] for point in drawn(5, seed=2)])
    assert np.isfinite(mean_M).all() and (deviation_M > 0).all()


def test_a_fit_uses_a_limited_number_of_points():
    known = drawn(MAX_POINTS + 50)
    surrogate = Surrogate([encoded(point)[0] for point in known], [error(point) for point in known])
    assert len(surrogate.z_ND) == MAX_POINTS


@given(
    st.lists(st.tuples(st.floats(-3, 0), st.floats(2, 5)), min_size=1, max_size=12), st.floats(-4, 1), st.floats(1, 6)
)
@settings(max_examples=60)
def test_gains_are_zero_when_beaten_and_grow_with_quality(known: list[tuple[float, float]], middle: float, cost: float):
    means = np.array([middle, middle - 0.5])
    gains = expected_gains(known, [cost, cost], means, np.full(2, 1e-9))
    assert min(gains) >= -1e-9 and gains[1] >= gains[0] - 1e-9
    if any(e <= middle - 1e-6 and c <= cost for e, c in known):
        assert gains[0] == pytest.approx(0, abs=1e-9)


def test_acquisition_prefers_cheap_points_and_counts_running_ones():
    known = drawn(20)
    forecast = Forecast()
    for number, point in enumerate(known):
        forecast.start(str(number), encoded(point))
        forecast.end(str(number), {"all": error(point)})
    found, cost = encoded({**known[0], "inject": "film"})
    cheap, dear = forecast.acquisition([(found, cost - 0.3), (found, cost + 0.3)])
    assert cheap > dear
    forecast.start("running", (found, cost - 0.3))
    assert forecast.acquisition([(found, cost - 0.3)])[0] < cheap


def test_believed_points_keep_their_prediction_and_lower_the_deviation_near_them():
    known, believed, asked = (
        [encoded(point)[0] for point in drawn(count, seed)] for seed, count in enumerate((20, 3, 50))
    )
    surrogate = Surrogate(known, [error(point) for point in drawn(20)], [*believed, *asked])
    points = [*believed, *asked]
    mean_M, before_M = surrogate.predict(points)
    surrogate.believe(believed)
    after, after_M = surrogate.predict(points)
    assert after == pytest.approx(mean_M)
    assert (after_M <= before_M + 1e-12).all()
    assert (after_M[:3] < 0.8 * before_M[:3]).all()


def test_features_that_matter_get_larger_weights():
    chance = np.random.default_rng(0)
    values_ND = chance.normal(size=(60, 6))
    rows = [{f"f{axis}": float(value) for axis, value in enumerate(values_D)} for values_D in values_ND]
    errors = [float(np.sin(2 * values_D[0]) + 0.5 * values_D[1] ** 2) for values_D in values_ND]
    known, asked = rows[:40], rows[40:]
    surrogate = Surrogate(known, errors[:40], asked)
    weight_D = surrogate.table.weight_D
    assert (weight_D**2).mean() == pytest.approx(1)
    assert weight_D[:2].min() >= 2 * weight_D[2:].max()
    mean_M, _ = surrogate.predict(asked)
    off = np.abs(mean_M - errors[40:]).mean()
    with mock.patch("search.optimizer.surrogate.RELEVANCE_POINTS", 1000):
        alike_M, _ = Surrogate(known, errors[:40], asked).predict(asked)
    assert off < 0.8 * np.abs(alike_M - errors[40:]).mean()


def test_without_a_reason_all_features_have_the_same_weight():
    chance = np.random.default_rng(1)
    rows = [{f"f{axis}": float(value) for axis, value in enumerate(row)} for row in chance.normal(size=(30, 5))]
    assert Surrogate(rows, chance.normal(size=30).tolist()).table.weight_D.tolist() == [1.0] * 5


def test_the_next_of_several_workers_does_not_train_what_another_trains():
    known, pool = drawn(6), [encoded(point) for point in drawn(200, seed=1)]
    forecast = Forecast()
    for number, point in enumerate(known):
        forecast.start(str(number), encoded(point))
        forecast.end(str(number), {"all": error(point)})
    gains = forecast.acquisition(pool, per_work=False)
    chosen = int(np.argmax(gains))
    forecast.start("running", pool[chosen])
    again = forecast.acquisition(pool, per_work=False)
    assert again[chosen] < 0.5 * gains[chosen]
    assert pool[int(np.argmax(again))] != pool[chosen]


def test_a_trial_that_breaks_a_limit_counts_as_the_worst():
    forecast = Forecast()
    for number, (point, feasible) in enumerate(zip(drawn(3), (True, False, True), strict=True)):
        forecast.start(str(number), encoded(point))
        forecast.end(str(number), {"all": float(number)}, [] if feasible else ["all"])
    assert forecast.fronts["all"].ranked()["1"][0] == 2.0
    forecast.start("lost", encoded(drawn(4)[3]))
    forecast.end("lost", {})
    assert "lost" not in forecast.fronts["all"].ranked() and not forecast.running


def test_the_acquisition_is_the_sum_over_fronts():
    """A point with a large gain for one of two amps is chosen, whatever its gain for the other."""
    trials, asked = drawn(16), [encoded(point) for point in drawn(60, seed=1)]
    one, other, both = Forecast(), Forecast(), Forecast()
    for trial, point in enumerate(trials):
        disliked = {"film": "mixin", "mixin": "film"}.get(point["inject"], point["inject"])
        errors = {"one": error(point), "other": error({**point, "inject": disliked})}
        broken = ["other"] if trial == 3 else []
        for forecast, fronts in ((one, ["one"]), (other, ["other"]), (both, ["one", "other"])):
            forecast.start(str(trial), encoded(point))
            forecast.end(str(trial), {front: errors[front] for front in fronts}, broken)
    both.start("running", asked[0])
    one.start("running", asked[0])
    other.start("running", asked[0])
    values = both.acquisition(asked)
    assert values == pytest.approx(
        [a + b for a, b in zip(one.acquisition(asked), other.acquisition(asked), strict=True)]
    )
    assert both.best() == list(dict.fromkeys([*one.best(), *other.best()])) and len(both.best()) > len(one.best())
    ranked = both.fronts["other"].ranked()
    assert ranked["3"][0] == max(error for error, _ in ranked.values()), "as bad as the worst where it breaks a limit"
    assert both.fronts["one"].ranked()["3"][0] == error(trials[3]), "and only there"


def test_the_surrogate_finds_a_better_front_than_chance():
    def search(predicted: bool, seed: int) -> float:
        forecast, chance, found = Forecast(), random.Random(seed), []
        for trial in map(str, range(20)):
            points = [SPACE.draw(chance) for _ in range(60)]
            values = forecast.acquisition([encoded(p) for p in points]) if predicted and len(found) > 4 else [0.0] * 60
            point = points[values.index(max(values))]
            forecast.start(trial, encoded(point))
            forecast.end(trial, {"all": error(point)})
            found.append((error(point), encoded(point)[1]))
        return hypervolume(found, REFERENCE)

    assert sum(search(True, seed) > search(False, seed) for seed in range(5)) >= 4


def test_first_trials_differ_and_cheap_ones_come_first():
    points = drawn(64)
    forecast, chosen = Forecast(), []
    for trial in map(str, range(6)):
        values = forecast.acquisition([encoded(point) for point in points])
        chosen.append(points[values.index(max(values))])
        forecast.start(trial, encoded(chosen[-1]))
    costs = sorted(encoded(point)[1] for point in points)
    assert all(encoded(point)[1] < costs[32] for point in chosen[:3])
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
