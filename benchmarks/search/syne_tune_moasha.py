"""Syne Tune's MO-ASHA as a method: random points, stopped at rungs by their Pareto rank."""

from datetime import datetime

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

from benchmarks.search.clock import Task
from benchmarks.search.table import Table


class MultiObjectiveASHA:
    """MO-ASHA (Schmucker et al. 2021) with Syne Tune's defaults; the first rung is at a ninth of the steps.

    On a table of ends it has nothing to stop: it is random search.

    Args:
        table: what is searched.
        seed: of the points.
    """

    def __init__(self, table: Table, seed: int) -> None:
        np.random.seed(seed)  # Syne Tune's spaces draw from the global generator
        space = {axis: choice(list(values)) for axis, values in table.axes.items()}
        self._steps = len(table.steps)
        self._scheduler = MOASHA(
            space,
            ["error", "cost"],
            time_attr="step",
            max_t=self._steps,
            grace_period=max(1, self._steps // 9),
            random_seed=seed,
        )
        self._trials: list[Trial] = []
        self._stopped: set[int] = set()
        self._last: dict[str, dict[str, float]] = {}

    def suggest(self) -> Task:
        """Ask the scheduler."""
        config = self._scheduler.suggest().config
        trial = Trial(len(self._trials), config, datetime.now())
        self._trials.append(trial)
        self._scheduler.on_trial_add(trial)
        return Task(str(trial.trial_id), config, self._steps)

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        """Ask whether to train on."""
        self._last[trial] = {"error": values[0], "cost": values[1], "step": step}
        if step == self._steps:
            return False
        decision = self._scheduler.on_trial_result(self._trials[int(trial)], self._last[trial])
        if decision == SchedulerDecision.STOP:
            self._stopped.add(int(trial))
        return decision == SchedulerDecision.CONTINUE

    def on_end(self, trial: str) -> None:
        """Tell the scheduler."""
        if int(trial) in self._stopped:
            self._scheduler.on_trial_remove(self._trials[int(trial)])
        else:
            self._scheduler.on_trial_complete(self._trials[int(trial)], self._last[trial])
