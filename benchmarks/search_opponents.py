"""Opponents of the project's sampler and pruner in `search_replay.py`: Optuna's, plain halving, an earlier one."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from search.config.space import Chooser, Space
from search.optimizer.candidates import CandidatePool
from search.optimizer.protocols import Values
from search.optimizer.sampler import SurrogateSampler
from search.study.constraints import ModelCandidate

ATTEMPTS = 10_000  # suggestions that may be refused before the space counts as exhausted


class OptunaSampler:
    """One of Optuna's samplers on one front; partial results count as they are, as in Ray Tune's own searcher.

    Args:
        pool: makes candidates and says which are new.
        sampler: TPE or random.
        chance: suggests instead of `sampler` after a refused suggestion.
        once: suggest new candidates alone; otherwise they may repeat, which a `TrialScheduler` does not allow.
        rates: the learning rates to choose from; None for the range of the space.
    """

    def __init__(
        self,
        pool: CandidatePool,
        sampler: optuna.samplers.BaseSampler,
        chance: optuna.samplers.BaseSampler,
        *,
        once: bool = True,
        rates: Sequence[float] | None = None,
    ) -> None:
        assert isinstance(pool.space, Space), "Optuna chooses the values"
        self._space = pool.space
        self._pool, self._sampler, self._chance, self._once, self._rates = pool, sampler, chance, once, rates
        self._study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self._trials: dict[str, optuna.Trial] = {}
        self._suggested: optuna.Trial | None = None

    def suggest(self, left: int | None = None) -> ModelCandidate | None:
        """Return what Optuna's sampler suggests; after a refusal, what chance suggests."""
        sampler = self._sampler
        for _ in range(ATTEMPTS):
            self._study.sampler = sampler
            trial = self._study.ask()
            point = self._space.suggest(_OnGrid(trial, self._rates) if self._rates else trial)
            for candidate in self._pool.candidates([point]):
                if not self._once or self._pool.is_new(candidate):
                    self._suggested = trial
                    return candidate
            self._study.tell(trial, state=TrialState.FAIL)
            sampler = self._chance
        return None

    def vary_learning(self, candidate: ModelCandidate, fits: Callable[[ModelCandidate], bool]) -> ModelCandidate | None:
        """Return None: Optuna's samplers do not vary a part of a point."""
        return None

    def on_start(self, trial: str, candidate: ModelCandidate) -> None:
        """Give the last suggestion its name."""
        assert self._suggested, "what starts was suggested"
        self._trials[trial], self._suggested = self._suggested, None

    def on_end(
        self,
        trial: str,
        values: Mapping[str, Values],
        limits: Mapping[str, Mapping[str, float]],
        work: float | None = None,
    ) -> None:
        """Tell Optuna the result on the first front; a trial without a result has failed."""
        known = next(iter(values.values()), None)
        if known is None or not all(map(math.isfinite, known)):
            self._study.tell(self._trials[trial], state=TrialState.FAIL)
        else:
            self._study.tell(self._trials[trial], list(known))


class _OnGrid:
    """A trial of Optuna that chooses among given learning rates."""

    def __init__(self, trial: Chooser, rates: Sequence[float]) -> None:
        self._trial, self._rates = trial, rates
        self.suggest_categorical = trial.suggest_categorical

    @property
    def params(self) -> dict[str, Any]:
        return self._trial.params

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        return self._trial.suggest_categorical(name, list(self._rates))


class CheapFirst(SurrogateSampler[ModelCandidate]):
    """The project's sampler of 2026-11-23: no design, information per cost, then gain per root of cost to the end."""

    @property
    def _designs(self) -> bool:
        return False

    def _acquisitions(self, candidates: Sequence[ModelCandidate]) -> list[float]:
        encoded = [(candidate.features, candidate.log_cost) for candidate in candidates]
        if not self.forecast.fronts:
            return self.forecast.acquisition(encoded)
        gains = self.forecast.acquisition(encoded, per_work=False)
        return [gain / 10 ** (candidate.log_cost / 2) for gain, candidate in zip(gains, candidates, strict=True)]


class ErrorHalving:
    """Asynchronous successive halving by error alone: at each rung the best one in `reduction` trains on.

    Rungs are at `first` steps and at each `reduction` times as many, before `last`.
    """

    def __init__(self, first: int, last: int, reduction: int) -> None:
        self._reduction = reduction
        self._errors: dict[int, list[float]] = {}
        step = first
        while step < last:
            self._errors[step] = []
            step *= reduction

    def observe(self, trial: str, step: int, values: Sequence[Values]) -> None:
        """Do nothing: `should_continue` has taken note."""

    def should_continue(self, trial: str, step: int, values: Sequence[Values]) -> bool | None:
        """Return whether a trial is among the best at a rung; None between rungs."""
        error = values[0][0]
        if not math.isfinite(error):
            return False
        if step not in self._errors:
            return None
        errors = self._errors[step]
        errors.append(error)
        return sorted(errors).index(error) < max(1, len(errors) // self._reduction)

    def on_finish(self, trial: str) -> None:
        """Do nothing: the rungs are fixed."""
