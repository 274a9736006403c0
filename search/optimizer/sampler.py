"""The search's sampler: random candidates, candidates near the best and from TPE, ranked by expected gain per cost."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

from search.config.space import Point
from search.optimizer.candidates import Candidate, CandidatePool
from search.optimizer.pareto import is_feasible
from search.optimizer.protocols import Values
from search.optimizer.surrogate import Features, Forecast
from search.optimizer.tpe_front import TPEFront

AT_RANDOM, NEAR_BEST, BY_TPE = 128, 48, 4  # points drawn for every suggestion

TPE_UNTIL = 300  # trials: TPE sorts all of them for every axis, three seconds a suggestion at 3,000

VARIANTS = 8  # points drawn with the same model: few, so that the best of them differ among themselves

DRAW_ATTEMPTS = 4  # times that points are drawn before the space counts as exhausted


class SurrogateSampler:
    """Suggests the candidate with the largest acquisition: the expected hypervolume gain per cost (see `Forecast`).

    The cost of a candidate is known before training, its errors are predicted by a surrogate. The sampler depends on
    its priors and on the calls of `on_start` and `on_end` alone. Every suggestion draws again, from the seed and the
    number of trials: a sampler that gets the same ledger suggests the same.

    Args:
        pool: makes candidates and decides which are new.
        seed: the seed of the search.
        fronts: names of the fronts.
        priors: other searches, each as features and log10 errors of its trials.
    """

    def __init__(
        self,
        pool: CandidatePool,
        seed: int,
        fronts: Sequence[str],
        priors: Sequence[tuple[Sequence[Features], Sequence[float]]] = (),
    ) -> None:
        self._pool, self._seed = pool, seed
        whole = pool.space.holding([candidate.point for candidate in pool.first])  # may be outside of the space
        self.tpe_fronts = {front: TPEFront(whole) for front in fronts}
        self.forecast = Forecast(priors)

    def suggest(self) -> Candidate | None:
        """Return the most promising candidate that is new, or None where none is found."""
        for attempt in range(DRAW_ATTEMPTS):
            random = Random(json.dumps([self._seed, len(self._pool.trained), attempt]))
            for candidate in self._ranked(self._pool.candidates(self._points(random))):
                if self._pool.is_new(candidate):
                    return candidate
        return None

    def vary_learning(self, candidate: Candidate, fits: Callable[[Candidate], bool]) -> Candidate | None:
        """Return the most promising new candidate of a few with the same model and other learning settings, or None."""
        random = Random(json.dumps([self._seed, len(self._pool.trained), "vary"]))
        points = [self._pool.space.vary_learning(random, candidate.point) for _ in range(VARIANTS)]
        variants = filter(fits, self._pool.candidates(points))
        return next(filter(self._pool.is_new, self._ranked(list(variants))), None)

    def on_start(self, trial: str, candidate: Candidate) -> None:
        """Take note that a trial of a candidate starts."""
        self.forecast.start(trial, candidate.encoded)
        for front in self.tpe_fronts.values():
            front.start(trial, candidate.point)

    def on_end(self, trial: str, values: Mapping[str, Values], limits: Mapping[str, Mapping[str, float]]) -> None:
        """Take note of what a trial reached (see `Sampler.on_end`)."""
        known = all(math.isfinite(value) for pair in values.values() for value in pair)
        errors = {front: error for front, (error, _) in values.items()} if known else {}
        self.forecast.end(trial, errors, [front for front, found in limits.items() if not is_feasible(found)])
        for front, study in self.tpe_fronts.items():
            study.end(trial, values[front] if errors else None, limits[front])

    def _points(self, random: Random) -> list[Point]:
        """Draw the points of one suggestion; before the first trial has ended, random ones alone."""
        space, trained = self._pool.space, self._pool.trained
        drawn = [space.draw(random) for _ in range(AT_RANDOM)]
        if not self.forecast.fronts:
            return drawn
        best = self.forecast.best()
        near = [space.draw(random, trained[random.choice(best)].point) for _ in range(NEAR_BEST)]
        count = BY_TPE if len(trained) < TPE_UNTIL else 0
        fronts, first = list(self.tpe_fronts.values()), BY_TPE * len(trained)
        turns = (fronts[turn % len(fronts)] for turn in range(first, first + count))
        by_tpe = [front.suggest(random.getrandbits(32)) for front in turns]
        return [*drawn, *near, *(point for point in by_tpe if space.complete(point))]

    def _ranked(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Sort candidates by acquisition, the largest first."""
        if not candidates:
            return []
        values = self.forecast.acquisition([candidate.encoded for candidate in candidates])
        order = sorted(range(len(candidates)), key=values.__getitem__, reverse=True)
        return [candidates[index] for index in order]
