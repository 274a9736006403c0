"""Simulated workers that "train" by replaying a table of real learning curves; for the replays of searches."""

import heapq
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from benchmarks.search_curves import EVERY, STEPS, Row, row_key
from search.config.space import Point
from search.study.lines import TrialReport
from search.study.scheduler import TrialScheduler


class Method(Protocol):
    """A search as the simulated workers see it."""

    def suggest(self) -> tuple[str, Point] | None:
        """Return a trial's name and point."""
        ...

    def on_report(self, trial: str, step: int, esr: float, macs: int) -> bool:
        """Return whether the trial trains on."""
        ...

    def on_complete(self, trial: str) -> None:
        """The trial is over."""
        ...


class ScheduledSearch:
    """The project's own scheduler as a method."""

    def __init__(self, scheduler: TrialScheduler) -> None:
        self.scheduler = scheduler

    def suggest(self) -> tuple[str, Point] | None:
        task = self.scheduler.suggest()
        return (task.trial, task.point) if task else None

    def on_report(self, trial: str, step: int, esr: float, macs: int) -> bool:
        report = TrialReport(trial=trial, step=step, esr=esr, amps={"a": esr})
        return self.scheduler.on_report(report) and step < STEPS

    def on_complete(self, trial: str) -> None:
        self.scheduler.on_complete(trial)


class ReplayedReport(NamedTuple):
    """A report: when, of which trial, and its `(log10 ESR, log10 MACs)`."""

    seconds: float
    trial: str
    values: tuple[float, float]


def replay(method: Method, table: Mapping[Row, Any], workers: int) -> Iterator[ReplayedReport]:
    """Train what a method suggests on simulated workers; yield each report before the method hears of it."""
    heap: list[tuple[float, int, str, Any, int]] = []
    order, now = 0, 0.0

    def start() -> None:
        nonlocal order
        if suggested := method.suggest():
            row, order = table[row_of(suggested[1], table)], order + 1
            heapq.heappush(heap, (now + row["seconds"], order, suggested[0], row, 1))

    for _ in range(workers):
        start()
    while heap:
        now, _, trial, row, reports = heapq.heappop(heap)
        esr = row["curve"][reports - 1]
        yield ReplayedReport(now, trial, (math.log10(esr), math.log10(row["macs"])))
        if method.on_report(trial, reports * EVERY, esr, row["macs"]):
            order += 1
            heapq.heappush(heap, (now + row["seconds"], order, trial, row, reports + 1))
        else:
            method.on_complete(trial)
            start()


def row_of(point: Point, table: Mapping[Row, Any]) -> Row:
    """The row that stands for a point: while the table is not whole, the one with the fewest differences."""
    wanted = row_key(point)
    return min(table, key=lambda row: sum(a != b for a, b in zip(row, wanted, strict=True)))
