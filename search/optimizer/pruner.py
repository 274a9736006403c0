"""Pareto-ranked asynchronous successive halving over (log error, log cost)."""

import math
from collections.abc import Sequence

from search.optimizer.calibration import Curve, RungPlan, calibrate
from search.optimizer.pareto import top
from search.optimizer.protocols import Values


class HalvingPruner:
    """Stops a trial at a rung where it is not among the best one in `reduction` of the trials there (see `pareto.top`).

    A trial has one pair of objectives or several, one for each amp with a front of its own; it survives if any of them
    does. The rungs are placed once `trials` trials have trained to the end (see `calibrate`). Where no step can be
    trusted, this is tried again with twice as many trials, and so on.

    Args:
        trials: how many trials train to the end before rungs are placed.
        first: the earliest step of a rung.
        plan: rungs that are known already.
    """

    def __init__(self, trials: int, first: int, plan: RungPlan | None = None) -> None:
        self._trials, self._first, self._plan = trials, first, plan
        self._reports: dict[str, dict[int, Sequence[Values]]] = {}  # trial -> step -> objectives
        self._finished: list[str] = []
        self._rung_records: dict[int, dict[str, Sequence[Values]]] = {}  # rung -> trial -> objectives there

    @property
    def plan(self) -> RungPlan | None:
        """The rungs; None before they were calibrated."""
        return self._plan

    def observe(self, trial: str, step: int, values: Sequence[Values]) -> None:
        """Take note of a report."""
        self._reports.setdefault(trial, {})[step] = values
        self._enter(trial, step, values)

    def should_continue(self, trial: str, step: int, values: Sequence[Values]) -> bool | None:
        """Take note of a report; return whether the trial continues training, None before the rungs are calibrated."""
        if self._plan is None:
            return None
        if not all(math.isfinite(value) for pair in values for value in pair):
            return False
        rung = self._enter(trial, step, values)
        if rung is None:
            return True
        records = self._rung_records[rung]
        room, own = math.ceil(len(records) / self._plan.reduction), len(records) - 1
        return any(own in top(points, room) for points in zip(*records.values(), strict=True))

    def on_finish(self, trial: str) -> None:
        """Take note of a trial that trained to the end; place the rungs when there are enough."""
        self._finished.append(trial)
        rounds, rest = divmod(len(self._finished), self._trials)
        if (self._plan and self._plan.rungs) or rest or rounds.bit_count() != 1:
            return
        self._plan = calibrate([self._mean_curve(finished) for finished in self._finished], self._first)
        for other, reports in self._reports.items():
            for step in sorted(reports):
                self._enter(other, step, reports[step])

    def _enter(self, trial: str, step: int, values: Sequence[Values]) -> int | None:
        """Enter a report at the last rung that its step has reached; return the rung if it is new for the trial."""
        rungs = self._plan.rungs if self._plan else ()
        rung = max((rung for rung in rungs if rung <= step), default=None)
        if rung is None or trial in self._rung_records.setdefault(rung, {}):
            return None
        self._rung_records[rung][trial] = values
        return rung

    def _mean_curve(self, trial: str) -> Curve:
        """Return step -> log10 of the error, the mean over fronts."""
        reports = self._reports[trial].items()
        return {step: sum(error for error, _ in values) / len(values) for step, values in reports}
