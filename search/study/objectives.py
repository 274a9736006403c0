"""The fronts of a search, one for each amp or one for all, and what a trial reached on each."""

from search.config.study import ALL, SearchConfig
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
