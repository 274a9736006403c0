"""SMAC with ParEGO as a method: with Hyperband where a table has curves, otherwise every trial to the end."""

import logging
import tempfile
from pathlib import Path

from ConfigSpace import Categorical, ConfigurationSpace, Integer
from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.multi_objective.parego import ParEGO as ParEGOAlgorithm
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from benchmarks.search.clock import Task
from benchmarks.search.table import Table

TRIALS = 1000  # the budget is time, which SMAC is not told
DESIGN = 10  # configurations of the first design: SMAC's own share of `TRIALS` would be the whole budget


class ParEGO:
    """SMAC's facade, asked and told.

    Args:
        table: what is searched.
        seed: of SMAC.
    """

    def __init__(self, table: Table, seed: int) -> None:
        logging.disable(logging.CRITICAL)
        self._table, self._steps = table, len(table.steps)
        self._trials: dict[str, TrialInfo] = {}
        self._last: dict[str, tuple[float, float]] = {}
        space = ConfigurationSpace(seed=seed)
        for axis, values in table.axes.items():
            numbers = axis in table.numbers and len(values) > 1
            space.add(Integer(axis, (0, len(values) - 1)) if numbers else Categorical(axis, list(map(str, values))))
        facade = MultiFidelityFacade if self._steps > 1 else HyperparameterOptimizationFacade
        budgets = {"min_budget": max(1, self._steps // 9), "max_budget": self._steps} if self._steps > 1 else {}
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            space,
            objectives=["error", "cost"],
            deterministic=True,
            n_trials=TRIALS,
            seed=seed,
            output_directory=Path(self._folder.name),
            **budgets,
        )
        self._smac = facade(
            scenario,
            lambda config, seed=0, budget=0: 0.0,
            initial_design=facade.get_initial_design(scenario, n_configs=DESIGN),
            intensifier=facade.get_intensifier(
                scenario, **({"incumbent_selection": "highest_budget"} if budgets else {})
            ),
            multi_objective_algorithm=ParEGOAlgorithm(scenario),
            logging_level=False,
            overwrite=True,
        )

    def suggest(self) -> Task:
        """Ask SMAC for a configuration and its budget."""
        info = self._smac.ask()
        trial = str(len(self._trials))
        self._trials[trial] = info
        words = {axis: {str(value): value for value in values} for axis, values in self._table.axes.items()}
        point = {
            axis: words[axis][value] if isinstance(value, str) else self._table.axes[axis][int(value)]
            for axis, value in dict(info.config).items()
        }
        return Task(trial, point, round(info.budget) if info.budget else self._steps)

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        """Train on to the budget."""
        self._last[trial] = values
        return True

    def on_end(self, trial: str) -> None:
        """Tell SMAC."""
        self._smac.tell(self._trials[trial], TrialValue(cost=list(self._last[trial])), save=False)
