"""Random search: rows drawn evenly, none twice."""

from random import Random

from benchmarks.search.clock import Task
from benchmarks.search.table import Table


class RandomSearch:
    """Every row once, in an order drawn by the seed."""

    def __init__(self, table: Table, seed: int) -> None:
        self._steps = len(table.steps)
        self._rows = Random(seed).sample(table.rows, len(table.rows))
        self._started = 0

    def suggest(self) -> Task | None:
        """Return the next row."""
        if self._started == len(self._rows):
            return None
        row = self._rows[self._started]
        self._started += 1
        return Task(str(self._started), row.point, self._steps)

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        """Train on."""
        return True

    def on_end(self, trial: str) -> None:
        """Learn nothing."""
