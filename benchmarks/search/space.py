"""A table as a space of our own sampler: its points are the table's rows."""

import math
from dataclasses import dataclass
from functools import cached_property
from random import Random

from benchmarks.search.table import Point, Row, Table
from search.optimizer.surrogate import Features, features

KEEP = 2 / 3  # of the axes of a point nearby, as in `search.config.space`
ATTEMPTS = 20  # draws near a point before a random row is taken, where the table is not a whole grid


@dataclass(frozen=True)
class TableSpace:
    """Draws rows of a table; see `search.optimizer.protocols.SearchSpace`."""

    table: Table

    def draw(self, random: Random, near: Point | None = None) -> Point:
        """Return the point of a random row; with `near`, two axes in three keep that point's value."""
        for _ in range(ATTEMPTS):
            if near is None:
                break
            point = random.choice(self.table.rows).point
            mixed = {axis: near[axis] if random.random() < KEEP else value for axis, value in point.items()}
            if self.table.find(mixed):
                return mixed
        return random.choice(self.table.rows).point

    def vary_learning(self, random: Random, point: Point) -> Point:
        """Return the point: a table does not say which axes change the training alone."""
        return point


@dataclass(frozen=True)
class RowCandidate:
    """A row as our sampler sees it before training: its point and its cost."""

    row: Row

    @property
    def point(self) -> Point:
        """The point."""
        return self.row.point

    @cached_property
    def features(self) -> Features:
        """The point and the cost as numbers."""
        return features(self.row.point, cost=self.row.cost)

    @property
    def log_cost(self) -> float:
        """log10 of the cost."""
        return math.log10(self.row.cost)

    @property
    def identity(self) -> str:
        """Equal for rows that train the same model."""
        return str(self.row.training)
