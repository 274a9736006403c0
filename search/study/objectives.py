"""The fronts of a search, one for each amp or one for all, and what a trial reached on each."""

import math
from collections.abc import Sequence

from search.config.study import ALL, SearchConfig
from search.optimizer import pareto
from search.study.lines import TrialLimits, TrialRecord, TrialReport

Reached = TrialRecord | TrialReport


def front_names(config: SearchConfig) -> list[str]:
    """Return `["all"]`, or the names of the amps."""
    return [ALL] if config.mode == "universal" else [data.name for data in config.datasets]


def error_of(trial: Reached, front: str) -> float:
    """Return the validation ESR of a trial on a front: that of its amp, or the geometric mean of all."""
    return trial.esr if front == ALL else trial.amps[front]


def errors_of(config: SearchConfig, trial: Reached) -> dict[str, float]:
    """Return front -> validation ESR."""
    return {name: error_of(trial, name) for name in front_names(config)}


def limits_on(trial: TrialRecord, front: str) -> dict[str, float]:
    """Return limit -> by how much it is broken (above 0) or respected on a front; empty before the last report.

    On the front of all amps each limit counts as on the amp with the largest excess.
    """
    if front != ALL:
        return trial.limits.get(front, {})
    return largest_excess(trial.limits)


def largest_excess(limits: TrialLimits) -> dict[str, float]:
    """Return limit -> its largest excess over all amps."""
    worst: dict[str, float] = {}
    for found in limits.values():
        worst |= {name: max(value, worst.get(name, value)) for name, value in found.items()}
    return worst


def constraints_of(config: SearchConfig, trial: TrialRecord) -> dict[str, dict[str, float]]:
    """Return front -> limit -> by how much it is broken (above 0) or respected."""
    return {name: limits_on(trial, name) for name in front_names(config)}


def front_of(name: str, finished: Sequence[TrialRecord]) -> list[str]:
    """Return the trials of one front, the best first, by its errors and limits.

    They are feasible trials, or any where none is feasible. Of a trial that was trained again, the best seed stands on
    the front; where no seed is feasible, the trial itself if it is. Where any trial was trained again, others are on
    the front only if they cost less than all of these: nothing as cheap was trained for longer.
    """
    errors = {record.trial: error_of(record, name) for record in finished}
    feasible = {record.trial for record in finished if pareto.is_feasible(limits_on(record, name))}

    def order(record: TrialRecord) -> tuple[bool, bool, float]:
        return record.trial not in feasible, not record.is_final, errors[record.trial]

    again, standing = {record.of for record in finished if record.of}, dict[str, TrialRecord]()
    for record in sorted(finished, key=order):
        if (searched := record.of or record.trial) in again:
            standing.setdefault(searched, record)
    finals = list(standing.values())
    sound = [record for record in finals if record.trial in feasible]
    cheapest = min((record.cost for record in sound), default=math.inf)
    cheaper = [record for record in finished if record.trial in feasible and record.cost < cheapest]
    pool = [*sound, *cheaper] or finals or list(finished)
    return [pool[index].trial for index in pareto.front([(errors[record.trial], record.cost) for record in pool])]
