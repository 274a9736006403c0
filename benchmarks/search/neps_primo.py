"""NePS's PriMO without priors as a method: MO-ASHA for the first design, then Bayesian optimization."""

import logging
from random import Random
from typing import Any

import neps
import numpy as np
import torch

from benchmarks.search.clock import Task
from benchmarks.search.table import Point, Table

FIDELITY = "trained"  # the axis of the table's steps


class PriMO:
    """PriMO (Basu, Hutter, Stoll 2025), asked and told.

    On a table of ends its first design, of as many trainings as there are axes, is random. PriMO is sequential: it does
    not know of running trials, and names a new trial after those that have ended. Here each gets a name of its own.

    Args:
        table: what is searched.
        seed: of all its draws.
    """

    def __init__(self, table: Table, seed: int) -> None:
        logging.disable(logging.CRITICAL)
        torch.set_num_threads(1)
        np.random.seed(seed)
        torch.manual_seed(seed)
        self._table, self._steps, self._random = table, len(table.steps), Random(seed)
        axes = {
            axis: neps.HPOInteger(0, len(values) - 1)
            if axis in table.numbers and len(values) > 1
            else neps.HPOCategorical(list(map(str, values)))
            for axis, values in table.axes.items()
        }
        self._fidelity = max(3, self._steps)
        space = neps.SearchSpace({**axes, FIDELITY: neps.HPOInteger(1, self._fidelity, is_fidelity=True)})
        self._optimizer = neps.AskAndTell(neps.algorithms.primo(space, prior_centers={}))
        self._custom: dict[str, dict[str, object]] = {}  # trial -> configuration of the random design
        self._last: dict[str, tuple[float, float]] = {}

    def suggest(self) -> Task:
        """Ask NePS, or draw the first design of a table of ends."""
        ended = sum(trial.report is not None for trial in self._optimizer.trials.values())
        if self._steps == 1 and ended < len(self._table.axes):
            return self._draw()
        before = dict(self._optimizer.trials)
        trial = self._optimizer.ask()
        name = trial.metadata.id
        if name in before:
            self._optimizer.trials[name] = before[name]
            name = str(1 + max(int(other.split("_")[0]) for other in before))
            self._optimizer.trials[name] = trial
        steps = int(trial.config[FIDELITY])
        return Task(name, self._point(trial.config), self._steps if steps == self._fidelity else steps)

    def _draw(self) -> Task:
        row = self._random.choice(self._table.rows)
        name = str(1 + len(self._custom))
        self._custom[name] = {
            axis: self._table.axes[axis].index(value)
            if axis in self._table.numbers and len(self._table.axes[axis]) > 1
            else str(value)
            for axis, value in row.point.items()
        }
        return Task(name, row.point, self._steps)

    def _point(self, config: dict[str, Any]) -> Point:
        words = {axis: {str(value): value for value in values} for axis, values in self._table.axes.items()}
        return {
            axis: words[axis][value] if isinstance(value, str) else self._table.axes[axis][int(value)]
            for axis, value in config.items()
            if axis != FIDELITY
        }

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        """Train on to the fidelity."""
        self._last[trial] = values
        return True

    def on_end(self, trial: str) -> None:
        """Tell NePS."""
        result = {"objective_to_minimize": list(self._last[trial])}
        if trial in self._custom and trial not in self._optimizer.trials:
            config = {**self._custom[trial], FIDELITY: self._fidelity}
            self._optimizer.tell_custom(config_id=trial, config=config, result=result)
        else:
            self._optimizer.tell(trial, result)
