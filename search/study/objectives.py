"""The fronts of a search, one for each amp or one for all of them: what a trial's lines say on each."""

from search.config.study import ALL, SearchConfig
from search.study.ledger import Line


def front_names(config: SearchConfig) -> list[str]:
    """`all`, or the names of the amps."""
    return [ALL] if config.mode == "universal" else [data.name for data in config.datasets]


def error_of(line: Line, front: str) -> float:
    """The error that a report tells on a front: that of its amp, or the geometric mean of all."""
    return line["esr"] if front == ALL else line["amps"][front]


def errors_of(config: SearchConfig, line: Line) -> dict[str, float]:
    """Front -> the error that a report tells."""
    return {name: error_of(line, name) for name in front_names(config)}


def limits_on(line: Line, front: str) -> dict[str, float]:
    """Limit -> by how much it is broken (above 0) or kept on a front: on its amp, or on the one that fares worst; nothing before a trial's end.

    A line holds `limits` by amp.
    """
    by_amp = line.get("limits", {})
    if front != ALL:
        return by_amp.get(front, {})
    worst: dict[str, float] = {}
    for found in by_amp.values():
        worst |= {name: max(value, worst.get(name, value)) for name, value in found.items()}
    return worst


def limits_of(config: SearchConfig, line: Line) -> dict[str, dict[str, float]]:
    """Front -> limit -> by how much it is broken (above 0) or kept."""
    return {name: limits_on(line, name) for name in front_names(config)}
