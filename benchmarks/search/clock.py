"""The simulated workers and their clock: every method trains the same rows in the same time.

A worker takes what the method suggests, trains it to the step that the method wants, and reports at every step of the
table. Training that was done before is remembered, as from a checkpoint: it takes no time again. So a method that
suggests a row twice, or goes on with one that it has stopped, loses nothing.
"""

import heapq
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from benchmarks.search.table import Point, Row, Table

MARKS = (0.1, 0.25, 0.5, 1.0)  # shares of the budget at which the front is measured
REPEATS = 500  # tasks in a row that took no time before the method counts as exhausted
MOST_TRIALS = 500  # of one search: one that stops most of its trials early may draw rows that it knows without end


class Task(NamedTuple):
    """What a worker trains: a trial, its point, and how many of the table's steps."""

    trial: str
    point: Point
    steps: int


class Method(Protocol):
    """A search as the workers see it; calls come from one thread."""

    def suggest(self) -> Task | None:
        """Return what a free worker trains next, or None where there is nothing."""
        ...

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        """Take log10 of error and cost after the `step`th of the table's steps (from 1); return whether to train on."""
        ...

    def on_end(self, trial: str) -> None:
        """Take note that a task is over: stopped, or trained as far as it should."""
        ...


@dataclass
class _Running:
    task: Task
    row: Row
    step: int = 0


class Replay:
    """One search on a table.

    Args:
        table: what is trained.
        method: the search.
        workers: how many train at once.
    """

    def __init__(self, table: Table, method: Method, workers: int) -> None:
        self.table, self.method = table, method
        self.now, self.trials = 0.0, 0
        self.finished: dict[int, tuple[float, Row]] = {}  # training -> when it was trained to the end, and its row
        self._reached: dict[int, int] = {}  # training -> steps
        self._heap: list[tuple[float, int, _Running]] = []
        self._order = self._repeats = 0
        self._free = self._workers = workers

    def run(self, budget: float) -> None:
        """Train on until the clock, in worker-seconds, has reached a budget, or nothing is left."""
        while True:
            while self._free and self._start():
                pass
            if not self._heap or self._heap[0][0] * self._workers > budget:
                return
            self.now, _, running = heapq.heappop(self._heap)
            self._report(running)

    def _start(self) -> bool:
        task = self.method.suggest() if self._repeats < REPEATS and self.trials < MOST_TRIALS else None
        if task is None:
            return False
        self.trials += 1
        running = _Running(task, self.table.nearest(task.point))
        self._free -= 1
        self._push(running)
        return True

    def _push(self, running: _Running) -> None:
        """Let a worker train up to the next step."""
        row, steps = running.row, len(self.table.steps)
        took = 0.0
        if running.step >= self._reached.get(row.training, 0):
            before = self.table.steps[running.step - 1] if running.step else 0
            took = row.seconds * (self.table.steps[running.step] - before) / self.table.steps[steps - 1]
        self._repeats = 0 if took else self._repeats
        self._order += 1
        heapq.heappush(self._heap, (self.now + took, self._order, running))

    def _report(self, running: _Running) -> None:
        row, task = running.row, running.task
        running.step += 1
        self._reached[row.training] = max(running.step, self._reached.get(row.training, 0))
        if running.step == len(self.table.steps):
            self.finished.setdefault(row.training, (self.now, row))
        values = math.log10(row.errors[running.step - 1]), math.log10(row.cost)
        if self.method.on_report(task.trial, running.step, values) and running.step < task.steps:
            self._push(running)
            return
        self.method.on_end(task.trial)
        self._repeats += 1
        self._free += 1

    def shares(self, budget: float) -> list[float]:
        """Return the share of the table's hypervolume at each mark of the budget, of models trained to the end."""
        return [
            self.table.share([row for at, row in self.finished.values() if at * self._workers <= mark * budget])
            for mark in MARKS
        ]
