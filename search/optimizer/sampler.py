"""Which point to try next: the queue of points that are always tried, then what promises most for its cost, never the same recipe twice."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import optuna
from optuna.trial import TrialState

from search.config.space import Space
from search.optimizer.pareto import is_kept
from search.optimizer.surrogate import Features, Forecast, Weighed

DRAWN, NEAR, GUESSED = 128, 48, 4  # candidates: by chance, near the best, by Optuna's TPE

GUESSES_UNTIL = 300  # trials: TPE sorts all of them for every axis, three seconds a guess at 3,000

VARIANTS = 8  # of a point: the best of so few differ among themselves

PATIENCE = 4  # times that so many candidates may hold nothing new


Values = tuple[float, float]  # log error, log cost


class Study:
    """Optuna's study of one front, kept in memory, and its sampler: multi-objective TPE (Ozaki et al. 2022)."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.optuna = optuna.create_study(directions=["minimize", "minimize"])
        self.numbers: dict[str, int] = {}  # trial -> its number there

    def begin(self, trial: str, point: dict[str, Any]) -> None:
        """The sampler keeps away from a point that trains."""
        self.numbers[trial] = len(self.optuna.get_trials(deepcopy=False))
        self.optuna.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=point,
                distributions=self.space.distributions(point),
                user_attrs={"trial": trial},
            )
        )

    def end(self, trial: str, values: Values | None, limits: Mapping[str, float]) -> None:
        """What became of it: its two objectives, or None; a limit above 0 makes it infeasible."""
        number = self.numbers[trial]
        if values is None:
            self.optuna.tell(number, state=TrialState.FAIL)
            return
        running = optuna.trial.Trial(self.optuna, number)
        for name, value in limits.items():
            running.set_constraint(name, value)
        self.optuna.tell(number, list(values))

    def guess(self, seed: int) -> dict[str, Any]:
        """What the sampler would try."""
        self.optuna.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        trial = self.optuna.ask()
        point = self.space.suggest(trial)
        self.optuna.tell(trial, state=TrialState.FAIL)  # only what `begin` enters counts
        return point


class Proposer:
    """A study of Optuna's for every front, and a forecast of what points come to on all of them.

    Candidates come from chance, from changes of the best points and from Optuna's sampler, of one front after the other. What each will cost
    is known before it is trained, what its errors will be is foretold: the one that promises most for its cost is tried, and, before any
    trial has ended and without a prior, the one that tells most. All it knows are its priors and what was told by `begin` and `end`, and it
    draws anew for every proposal, from the search's seed and the number of the trial: telling it a ledger again gives the same proposer.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        fault: Callable[[dict[str, Any]], str | None],
        identity: Callable[[dict[str, Any]], str],
        weigh: Callable[[dict[str, Any]], Weighed | None],
        queue: Sequence[dict[str, Any]] = (),
        priors: Sequence[tuple[Sequence[Features], Sequence[float]]] = (),
        *,
        fronts: Sequence[str],
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.seed, self._fault, self._identity, self._weigh = space, seed, fault, identity, weigh
        self.queue = list(queue)
        whole = space.holding(queue)  # a queue may have what the space has not; then Optuna must know of it
        self.studies = {front: Study(whole) for front in fronts}
        self.points: dict[str, dict[str, Any]] = {}
        self.forecast = Forecast(priors)
        self.refused: Counter[str] = Counter()

    def ask(self) -> dict[str, Any] | None:
        """A point that may be trained and was not yet, or None when none is found; `begin` must follow."""
        while self.queue:
            point = self.queue.pop(0)
            if self._is_new(point):
                return point
        for attempt in range(PATIENCE):
            random = Random(json.dumps([self.seed, len(self.points), attempt]))
            for point in self._ranked(self._candidates(random)):
                if self._is_new(point):
                    return point
        return None

    def vary(self, point: dict[str, Any], fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        """The most promising of a few points that are the same model learnt otherwise, and that fit; None where none is new."""
        random = Random(json.dumps([self.seed, len(self.points), "vary"]))
        variants = [self.space.vary(random, point) for _ in range(VARIANTS)]
        return next(filter(self._is_new, self._ranked(list(filter(fits, variants)))), None)

    def begin(self, trial: str, point: dict[str, Any]) -> None:
        """A trial trains from now on."""
        self.points[trial] = point
        weighed = self._weigh(point)
        assert weighed
        self.forecast.begin(trial, weighed)
        for study in self.studies.values():
            study.begin(trial, point)

    def end(self, trial: str, values: Mapping[str, Values], limits: Mapping[str, Mapping[str, float]]) -> None:
        """What became of a trial: its two objectives on every front, none where it has none; and on every front how far it breaks (above 0)
        or keeps each limit.
        """
        known = all(math.isfinite(value) for both in values.values() for value in both)
        errors = {front: error for front, (error, _) in values.items()} if known else {}
        self.forecast.end(trial, errors, [front for front, found in limits.items() if not is_kept(found)])
        for front, study in self.studies.items():
            study.end(trial, values[front] if errors else None, limits[front])

    def _candidates(self, random: Random) -> list[dict[str, Any]]:
        """Points worth a thought; until a trial has ended, drawn by chance alone."""
        drawn = [self.space.draw(random) for _ in range(DRAWN)]
        if not self.forecast.fronts:
            return drawn
        best = self.forecast.best()
        near = [self.space.draw(random, self.points[random.choice(best)]) for _ in range(NEAR)]
        guesses = GUESSED if len(self.points) < GUESSES_UNTIL else 0
        studies, first = list(self.studies.values()), GUESSED * len(self.points)
        turns = (studies[turn % len(studies)] for turn in range(first, first + guesses))
        guessed = [study.guess(random.getrandbits(32)) for study in turns]
        return [*drawn, *near, *(point for point in guessed if self.space.complete(point))]

    def _ranked(self, candidates: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The candidates, the most promising first. Without those no model can be made of, unless there are no others."""
        weighed = [(point, found) for point in candidates if (found := self._weigh(point))]
        if not weighed:
            return list(candidates)
        worths = self.forecast.worths([found for _, found in weighed])
        return [weighed[i][0] for i in sorted(range(len(weighed)), key=worths.__getitem__, reverse=True)]

    def _is_new(self, point: dict[str, Any]) -> bool:
        reason = self._fault(point)
        if reason is None and self._identity(point) in self.points:
            reason = "it was trained already"
        if reason:
            self.refused[reason] += 1
        return reason is None
