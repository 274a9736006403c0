"""Which point to try next: the queue of points that are always tried, then Optuna's sampler, never the same recipe twice."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import optuna
from optuna.trial import TrialState

from search.space import Space

GUESSES, DRAWS = 50, 200  # how often the sampler, then chance, may propose what cannot be trained
STARTUP = 16

Values = tuple[float, float]


class Proposer:
    """Optuna's study, kept in memory; all it knows was told by `begin` and `end`, so telling it a ledger again gives the same proposer.

    The sampler (multi-objective TPE, Ozaki et al. 2022) is seeded anew for every proposal, from the search's seed and the number of the
    trial: it has no state of its own that a resumed search would lack.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        fault: Callable[[dict[str, Any]], str | None],
        identity: Callable[[dict[str, Any]], str],
        queue: Sequence[dict[str, Any]] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.seed, self._fault, self._identity = space, seed, fault, identity
        self.queue = list(queue)
        self.study = optuna.create_study(directions=["minimize", "minimize"])
        self.numbers: dict[str, int] = {}  # trial -> its number in the study
        self.refused: Counter[str] = Counter()

    def ask(self) -> dict[str, Any] | None:
        """A point that may be trained and was not yet, or None when none is found; `begin` must follow."""
        while self.queue:
            point = self.queue.pop(0)
            if self._is_new(point):
                return point
        for attempt in range(GUESSES + DRAWS):
            self.study.sampler = self._sampler(attempt)
            trial = self.study.ask()
            point = self.space.suggest(trial)
            self.study.tell(trial, state=TrialState.FAIL)  # only what `begin` enters counts
            if self._is_new(point):
                return point
        return None

    def begin(self, trial: str, point: dict[str, Any]) -> None:
        """A trial trains from now on: the sampler keeps away from its point."""
        self.numbers[trial] = len(self.study.get_trials(deepcopy=False))
        self.study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=point,
                distributions=self.space.distributions(point),
                user_attrs={"trial": trial},
            )
        )

    def end(self, trial: str, values: Values | None, constraints: dict[str, float] | None = None) -> None:
        """What became of a trial: its two objectives, or None where it has none. A constraint above 0 makes it infeasible."""
        number = self.numbers[trial]
        if values is None or not all(map(math.isfinite, values)):
            self.study.tell(number, state=TrialState.FAIL)
            return
        running = optuna.trial.Trial(self.study, number)
        for name, value in (constraints or {}).items():
            running.set_constraint(name, value)
        self.study.tell(number, list(values))

    def _sampler(self, attempt: int) -> optuna.samplers.BaseSampler:
        seed = crc32(json.dumps([self.seed, len(self.numbers), attempt]).encode())
        if attempt >= GUESSES:
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)

    def _is_new(self, point: dict[str, Any]) -> bool:
        reason = self._fault(point)
        if reason is None and self._identity(point) in self.numbers:
            reason = "it was trained already"
        if reason:
            self.refused[reason] += 1
        return reason is None
