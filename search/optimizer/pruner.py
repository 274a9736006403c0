"""Which trials train on: Pareto-ranked asynchronous halving over (log error, log cost), and how far its rungs can be trusted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from search.optimizer.pareto import top

TRUST = ((0.9, 3.0), (0.7, 2.0))  # rank correlation with the end, at the least, and the reduction it allows

SMALLEST = 1e-12  # an error below this is this

Curve = Mapping[int, float]  # step -> log10 of the error


@dataclass(frozen=True)
class Plan:
    """The rungs in steps, what share (one in `reduction`) survives each, and the rank correlation with the end of every rung considered."""

    rungs: tuple[int, ...]
    reduction: float
    correlations: dict[int, float]


@dataclass
class Rungs:
    """What every trial had reached at each rung; a trial survives a rung while it is among the best one in `reduction` there.

    A trial has one vector (log error, log cost) or several, one per amp that has a front of its own: it survives if any does.
    """

    plan: Plan
    books: dict[int, dict[str, Sequence[tuple[float, float]]]] = field(default_factory=dict)

    def rung(self, step: int) -> int | None:
        """The last rung that a step has reached."""
        return max((rung for rung in self.plan.rungs if rung <= step), default=None)

    def enter(self, trial: str, step: int, vectors: Sequence[tuple[float, float]]) -> int | None:
        """Enter a trial's report at the rung it has reached and return that, or None where it reached no new one."""
        rung = self.rung(step)
        if rung is None or trial in self.books.setdefault(rung, {}):
            return None
        self.books[rung][trial] = vectors
        return rung

    def survives(self, trial: str, step: int, vectors: Sequence[tuple[float, float]]) -> bool:
        """Enter a trial's report and say whether it may go on."""
        if not all(math.isfinite(value) for vector in vectors for value in vector):
            return False
        rung = self.enter(trial, step, vectors)
        if rung is None:
            return True
        book = self.books[rung]
        room, mine = math.ceil(len(book) / self.plan.reduction), len(book) - 1
        return any(mine in top(points, room) for points in zip(*book.values(), strict=True))


def log_error(error: float) -> float:
    """log10 of an error, of none too."""
    return math.log10(max(error, SMALLEST))


def calibrate(curves: Sequence[Curve], first: int) -> Plan:
    """Rungs and reduction from trials that trained to the end.

    The first rung is the earliest reported step, `first` or later and at most half the way, from which on the errors' ranks correlate
    (Spearman) with those at the end, at least 0.7 after two standard errors are taken off (Fisher's z, 1 / sqrt(n - 3)): with few trials
    chance alone shows high ones. The better they correlate the more is cut. Where none does nothing is cut.
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
                return Plan(_ladder(step, reduction, last), reduction, correlations)
    return Plan((), 1.0, correlations)


def _at_least(correlation: float, count: int) -> float:
    """A rank correlation less two standard errors."""
    return math.tanh(math.atanh(max(-0.999, min(correlation, 0.999))) - 2 / math.sqrt(max(1, count - 3)))


def _ladder(first: int, reduction: float, last: int) -> tuple[int, ...]:
    """`first`, then `reduction` times as far each, while there is a good part of the way left."""
    rungs = [float(first)]
    while rungs[-1] * reduction <= last / 1.5:
        rungs.append(rungs[-1] * reduction)
    return tuple(round(rung) for rung in rungs)


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Rank correlation in [-1, 1]; 0 where one side has a single value. Ties share the mean of their ranks."""
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
    """What training from `step` to the end takes off log10 of the error: the median over trials that went there, 0 without any.

    A trial stopped early is told to the sampler as where it would have ended.
    """
    gains = []
    for curve in curves:
        reached = [at for at in curve if at <= step]
        if reached:
            gains.append(curve[max(reached)] - curve[max(curve)])
    return median(gains) if gains else 0.0
