"""The fronts of a search, one for each amp or one for all of them: what a trial's lines say on each."""

from collections.abc import Mapping

from search.config import SearchConfig
from search.ledger import Line

ALL = "all"  # the name of the one front of all amps


def front_names(config: SearchConfig) -> list[str]:
    """`all`, or the names of the amps."""
    return [ALL] if config.mode == "universal" else [data.name for data in config.datasets]


def errors_of(config: SearchConfig, line: Line) -> dict[str, float]:
    """Front -> the error that a report tells: that of its amp, or the geometric mean of all."""
    if config.mode == "universal":
        return {ALL: line["esr"]}
    return {data.name: line["amps"][data.name] for data in config.datasets}


def limits_of(config: SearchConfig, line: Line) -> dict[str, dict[str, float]]:
    """Front -> limit -> by how much it is broken (above 0) or kept: on its amp, or on the one that fares worst; nothing before a trial's end.

    A line holds `limits` by amp.
    """
    by_amp = line.get("limits", {})
    if config.mode == "per_amp":
        return {data.name: by_amp.get(data.name, {}) for data in config.datasets}
    worst: dict[str, float] = {}
    for found in by_amp.values():
        worst |= {name: max(value, worst.get(name, value)) for name, value in found.items()}
    return {ALL: worst}


def is_kept(limits: Mapping[str, float]) -> bool:
    """Whether no limit is broken."""
    return all(value <= 0 for value in limits.values())
