"""The search's sampler: random candidates and candidates near the best, ranked by expected gain per work."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Generic

from search.config.space import Point
from search.optimizer.candidates import CandidatePool
from search.optimizer.pareto import is_feasible
from search.optimizer.protocols import AnyCandidate, Candidate, SearchSpace, Values
from search.optimizer.surrogate import Encoded, Forecast

AT_RANDOM, NEAR_BEST = 512, 192  # points drawn for every suggestion

VARIANTS = 8  # points drawn with the same model: few, so that the best of them differ among themselves

DESIGN = 3, 4  # trials of the first design: a third of all, at least and at most

NEAR_END = 20  # trials: with so few left, the number of trials is the limit, not their time

END_MARGIN = 0.3  # decades of cost beyond the dearest candidate to the reference point, near the end

OUTLOOK_POINTS = 256  # random ones, and as many near the best, among which the next trials are expected

FAR_WEIGHT = 1e6  # what a decade of distance from its place costs a candidate of a design

LONGER_POWER = 0.25  # power of the receptive field that a design prefers: at equal cost a longer one errs less

DRAW_ATTEMPTS = 4  # times that points are drawn before the space counts as exhausted


class SurrogateSampler(Generic[AnyCandidate]):
    """Suggests a first design spread over cost, then the candidate with the largest acquisition (see `Forecast`).

    The cost of a candidate is known before training, its errors and what its training takes are predicted by
    surrogates. While many trials are left, the acquisition is the expected hypervolume gain per work. Of the last
    `NEAR_END` trials, one in two is the one that is expected to lower the lowest error most, the others enlarge the
    hypervolume most, whatever they take. The sampler depends on the calls of `on_start` and `on_end`, and on how
    many trials are left. Every suggestion draws again, from the seed and the number of trials: a sampler
    that gets the same ledger suggests the same.

    Args:
        pool: makes candidates and decides which are new.
        seed: the seed of the search.
    """

    def __init__(self, pool: CandidatePool[AnyCandidate], seed: int) -> None:
        self._pool, self._seed = pool, seed
        self._left: int | None = None
        self.forecast = Forecast()

    def suggest(self, left: int | None = None) -> AnyCandidate | None:
        """Return the most promising candidate that is new, or None where none is found (see `Sampler.suggest`)."""
        self._left = left
        for attempt in range(DRAW_ATTEMPTS):
            random = Random(json.dumps([self._seed, len(self._pool.trained), attempt]))
            for candidate in self._ranked(self._pool.candidates(self._points(random))):
                if self._pool.is_new(candidate):
                    return candidate
        return None

    def vary_learning(self, candidate: AnyCandidate, fits: Callable[[AnyCandidate], bool]) -> AnyCandidate | None:
        """Return the most promising new candidate of a few with the same model and other learning settings, or None."""
        random = Random(json.dumps([self._seed, len(self._pool.trained), "vary"]))
        points = [self._pool.space.vary_learning(random, candidate.point) for _ in range(VARIANTS)]
        variants = filter(fits, self._pool.candidates(points))
        return next(filter(self._pool.is_new, self._ranked(list(variants))), None)

    def on_start(self, trial: str, candidate: AnyCandidate) -> None:
        """Take note that a trial of a candidate starts."""
        self.forecast.start(trial, _encoded(candidate))

    def on_end(
        self,
        trial: str,
        values: Mapping[str, Values],
        limits: Mapping[str, Mapping[str, float]],
        work: float | None = None,
    ) -> None:
        """Take note of what a trial reached (see `Sampler.on_end`)."""
        known = all(math.isfinite(value) for pair in values.values() for value in pair)
        errors = {front: error for front, (error, _) in values.items()} if known else {}
        self.forecast.end(trial, errors, [front for front, found in limits.items() if not is_feasible(found)], work)

    @property
    def _design(self) -> int:
        """The number of trials of the first design."""
        low, high = DESIGN
        if self._left is None:
            return high
        trials = len(self._pool.trained) + self._left
        return min(trials, max(low, min(round(trials / 3), high)))

    @property
    def _designs(self) -> bool:
        """Whether the next trial belongs to the first design: nothing is known of errors, or too little."""
        return len(self._pool.trained) < self._design or not self.forecast.fronts

    def _points(self, random: Random) -> list[Point]:
        """Draw the points of one suggestion; before the first trial has ended, random ones alone."""
        space, trained = self._pool.space, self._pool.trained
        drawn = [space.draw(random) for _ in range(AT_RANDOM)]
        best = [] if self._designs else self.forecast.best()
        near = NEAR_BEST if best else 0
        return [*drawn, *(space.draw(random, trained[random.choice(best)].point) for _ in range(near))]

    def _ranked(self, candidates: Sequence[AnyCandidate]) -> list[AnyCandidate]:
        """Sort candidates, the most promising first."""
        if not candidates:
            return []
        values = self._design_values(candidates) if self._designs else self._acquisitions(candidates)
        order = sorted(range(len(candidates)), key=values.__getitem__, reverse=True)
        return [candidates[index] for index in order]

    def _acquisitions(self, candidates: Sequence[AnyCandidate]) -> list[float]:
        """Return the acquisition of each candidate; how much cost counts depends on the trials that are left."""
        encoded, began = [_encoded(candidate) for candidate in candidates], len(self._pool.trained)
        if self._left is None or self._left > NEAR_END or not self.forecast.fronts:
            return self.forecast.acquisition(encoded)
        if (began - self._design) % 2 == 0:
            return self.forecast.improvement(encoded)
        return self.forecast.acquisition(encoded, per_work=False, margin=END_MARGIN)

    def _design_values(self, candidates: Sequence[AnyCandidate]) -> list[float]:
        """Return how well each candidate continues the first design.

        The range of log costs has a place for each trial of the design, taken in an order that spreads every beginning
        of it, a dear one first. The best candidate at the next place is the one that tells most about all others, and
        the longer its receptive field, the better; where there is none, the nearest in cost.
        """
        costs, began = [candidate.log_cost for candidate in candidates], len(self._pool.trained)
        size = max(self._design, began + 1)
        low, span = min(costs), max(costs) - min(costs)
        wanted, half = low + span * (1 - design_place(began, size)), span / size / 2 + 1e-9
        information = self.forecast.information([_encoded(candidate) for candidate in candidates])
        most = max(information) * 2 ** (LONGER_POWER * max(c.features.get("receptive_field", 0.0) for c in candidates))
        return [
            value * 2 ** (LONGER_POWER * candidate.features.get("receptive_field", 0.0)) / most
            - FAR_WEIGHT * max(0.0, abs(cost - wanted) - half)
            for value, cost, candidate in zip(information, costs, candidates, strict=True)
        ]


def _encoded(candidate: Candidate) -> Encoded:
    """Return a candidate as the forecast takes it."""
    return dict(candidate.features), candidate.log_cost


def outlook_points(space: SearchSpace, random: Random, best: Sequence[Point]) -> list[Point]:
    """Return points that a search may try next: random ones, and ones near the best."""
    drawn = [space.draw(random) for _ in range(OUTLOOK_POINTS)]
    return [*drawn, *(space.draw(random, random.choice(best)) for _ in range(OUTLOOK_POINTS if best else 0))]


def design_place(number: int, size: int) -> float:
    """Return the place in [0, 1] of a member of a design that divides the range into `size` equal parts.

    Members take the parts in the order of van der Corput's sequence: 0, 1/2, 1/4, 3/4, ...
    """
    order = sorted(range(size), key=van_der_corput)
    return (order.index(number) + 0.5) / size


def van_der_corput(number: int) -> float:
    """Return the `number`th member, from 0, of van der Corput's sequence in [0, 1): 0, 1/2, 1/4, 3/4, ..."""
    return int(f"{number:b}"[::-1], 2) / 2 ** number.bit_length()
