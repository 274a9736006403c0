"""Optuna's multi-objective samplers as methods: TPE, GP (logEHVI) and NSGA-II, each with its defaults."""

import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from benchmarks.search.clock import Task
from benchmarks.search.table import Point, Table

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class OptunaSearch:
    """A study that trains every suggestion to the end.

    An axis of numbers is the index of its value, an axis of words a categorical. Optuna has no pruning with several
    objectives.

    Args:
        table: what is searched.
        sampler: of Optuna.
    """

    def __init__(self, table: Table, sampler: optuna.samplers.BaseSampler) -> None:
        self._table = table
        self._study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self._values: dict[str, tuple[float, float]] = {}
        self._axes: dict[str, BaseDistribution] = {
            axis: IntDistribution(0, len(values) - 1)
            if axis in table.numbers
            else CategoricalDistribution(tuple(map(str, values)))
            for axis, values in table.axes.items()
        }

    def suggest(self) -> Task:
        """Ask Optuna."""
        trial = self._study.ask(self._axes)
        return Task(str(trial.number), self._point(trial.params), len(self._table.steps))

    def _point(self, params: dict[str, Any]) -> Point:
        words = {axis: {str(value): value for value in values} for axis, values in self._table.axes.items()}
        return {
            axis: self._table.axes[axis][value] if isinstance(value, int) else words[axis][value]
            for axis, value in params.items()
        }

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        """Train on."""
        self._values[trial] = values
        return True

    def on_end(self, trial: str) -> None:
        """Tell Optuna."""
        self._study.tell(int(trial), list(self._values[trial]))


class OptunaTPE(OptunaSearch):
    """Multi-objective TPE."""

    def __init__(self, table: Table, seed: int) -> None:
        super().__init__(table, optuna.samplers.TPESampler(seed=seed))


class OptunaGP(OptunaSearch):
    """Gaussian processes with the expected hypervolume improvement."""

    def __init__(self, table: Table, seed: int) -> None:
        super().__init__(table, optuna.samplers.GPSampler(seed=seed))


class OptunaNSGAII(OptunaSearch):
    """NSGA-II with a population that fits a budget of tens of trainings (Optuna's default is 50)."""

    def __init__(self, table: Table, seed: int) -> None:
        super().__init__(table, optuna.samplers.NSGAIISampler(population_size=10, seed=seed))
