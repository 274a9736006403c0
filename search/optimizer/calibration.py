"""Where to prune: rungs placed by the learning curves of trials that trained to the end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

TRUST = ((0.9, 3.0), (0.7, 2.0))  # (least rank correlation with the end, the reduction that it allows)

SMALLEST = 1e-12  # smaller errors count as this

Curve = Mapping[int, float]  # step -> log10 of the error


@dataclass(frozen=True)
class RungPlan:
    """The rungs in steps, and the `reduction`: one trial in so many survives each.

    `correlations` gives the rank correlation with the errors at the end for every step that was considered.
    """

    rungs: tuple[int, ...]
    reduction: float
    correlations: dict[int, float]


def log_error(error: float) -> float:
    """Return log10 of an error; errors below 1e-12 count as 1e-12."""
    return math.log10(max(error, SMALLEST))


def calibrate(curves: Sequence[Curve], first: int) -> RungPlan:
    """Return rungs and reduction for trials like those that trained to the end; no rungs where no step can be trusted.

    The first rung is the earliest reported step from which on the ranks of the errors agree with those at the end: the
    Spearman correlation, less two standard errors (Fisher's z, 1 / sqrt(n - 3)), is at least 0.7. With few trials high
    correlations occur by chance, hence the two standard errors. A higher correlation allows a larger reduction.

    Args:
        curves: step -> log10 of the error, one curve for each trial, up to its last step.
        first: the earliest step allowed; the latest is half of the way.
    """
    last = max(max(curve) for curve in curves)
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    ends = [curve[max(curve)] for curve in curves]
    correlations = {
        step: round(spearman([curve[step] for curve in curves], ends), 4)
        for step in shared
        if first <= step <= last // 2
    }
    trusted = {step: _at_least(correlation, len(curves)) for step, correlation in correlations.items()}
    for step in trusted:
        least = min(value for later, value in trusted.items() if later >= step)
        for enough, reduction in TRUST:
            if least >= enough:
                return RungPlan(_ladder(step, reduction, last), reduction, correlations)
    return RungPlan((), 1.0, correlations)


def _at_least(correlation: float, count: int) -> float:
    """Return a rank correlation of `count` trials less two standard errors."""
    return math.tanh(math.atanh(max(-0.999, min(correlation, 0.999))) - 2 / math.sqrt(max(1, count - 3)))


def _ladder(first: int, reduction: float, last: int) -> tuple[int, ...]:
    """Return rungs at `first`, then each `reduction` times as far, up to two thirds of the way."""
    rungs = [float(first)]
    while rungs[-1] * reduction <= last / 1.5:
        rungs.append(rungs[-1] * reduction)
    return tuple(round(rung) for rung in rungs)


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the rank correlation in [-1, 1]; 0 where one side is constant. Ties share the mean of their ranks."""
    x, y = _mid_ranks(a), _mid_ranks(b)
    middle = (len(a) - 1) / 2
    products = sum((i - middle) * (j - middle) for i, j in zip(x, y, strict=True))
    squares = sum((i - middle) ** 2 for i in x) * sum((j - middle) ** 2 for j in y)
    return products / math.sqrt(squares) if squares else 0.0


def _mid_ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    places: dict[float, list[int]] = {}
    for place, value in enumerate(ordered):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def expected_gain(curves: Sequence[Curve], step: int) -> float:
    """Return by how much training from `step` to the end lowers log10 of the error: the median over curves, or 0.

    The sampler gets a pruned trial's error less this gain: an estimate of where it would have ended.
    """
    gains = []
    for curve in curves:
        reached = [at for at in curve if at <= step]
        if reached:
            gains.append(curve[max(reached)] - curve[max(curve)])
    return median(gains) if gains else 0.0
