"""A table of trained models as a file: every point of a space, what it costs, how long it trains, how good it gets.

The format is CSV; README.md of this folder documents it. No imports but numpy's and the standard library's: the peers
run in environments of their own.
"""

import csv
import gzip
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from search.optimizer.pareto import hypervolume

Point = dict[str, Any]  # axis -> its value there; None where the axis has no meaning
COST, SECONDS, ERROR = "cost", "seconds", "error"
LOST = 10.0  # an error that is no number counts as so many times the worst of the table


@dataclass(frozen=True)
class Row:
    """One model: its point, cost and training.

    Args:
        point: axis -> value.
        cost: what is paid for each use of the model; known before training.
        seconds: time of the whole training.
        errors: the error at each of the table's steps.
        training: equal for rows that train the same model in the same way.
    """

    point: Point
    cost: float
    seconds: float
    errors: tuple[float, ...]
    training: int

    @property
    def end(self) -> tuple[float, float]:
        """Return log10 of the error at the end and of the cost."""
        return math.log10(self.errors[-1]), math.log10(self.cost)


@dataclass(frozen=True)
class Table:
    """A whole table.

    Args:
        name: of the file.
        axes: axis -> its values, in ascending order where all are numbers, otherwise as they come.
        steps: the steps at which errors are known; the last one is the end of training.
        rows: every model.
    """

    name: str
    axes: Mapping[str, tuple[Any, ...]]
    steps: tuple[int, ...]
    rows: tuple[Row, ...]

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The axes whose values are all numbers."""
        return frozenset(axis for axis, values in self.axes.items() if all(isinstance(v, int | float) for v in values))

    @cached_property
    def _by_point(self) -> dict[tuple[Any, ...], Row]:
        return {tuple(row.point.values()): row for row in self.rows}

    @cached_property
    def _places(self) -> dict[str, dict[Any, float]]:
        return {
            axis: {value: index / max(1, len(values) - 1) for index, value in enumerate(values)}
            for axis, values in self.axes.items()
        }

    def find(self, point: Point) -> Row | None:
        """Return the row of a point, or None where the table has none."""
        return self._by_point.get(tuple(point.get(axis) for axis in self.axes))

    def nearest(self, point: Point) -> Row:
        """Return the row of a point; where the table has none, the one that differs in the fewest axes, then least."""
        return self.find(point) or min(self.rows, key=lambda row: self._distance(row.point, point))

    def _distance(self, one: Point, other: Point) -> tuple[int, float]:
        differing = [axis for axis in self.axes if one[axis] != other.get(axis)]
        far = sum(
            abs(self._places[axis][one[axis]] - self._places[axis][other[axis]]) if axis in self.numbers else 1.0
            for axis in differing
        )
        return len(differing), far

    @cached_property
    def reference(self) -> tuple[float, float]:
        """The reference point of the hypervolume: the median error of all models at the end, and the highest cost.

        In log10. Whatever is worse than half of all models adds nothing.
        """
        return median(row.end[0] for row in self.rows), max(row.end[1] for row in self.rows)

    @cached_property
    def whole(self) -> float:
        """The hypervolume of all models trained to the end."""
        return hypervolume([row.end for row in self.rows], self.reference)

    def share(self, rows: list[Row]) -> float:
        """Return the hypervolume of some models trained to the end, as a share of that of all."""
        return hypervolume([row.end for row in rows], self.reference) / self.whole

    @property
    def mean_seconds(self) -> float:
        """The time of an average training."""
        return sum(row.seconds for row in self.rows) / len(self.rows)


def read_table(path: Path) -> Table:
    """Read a table; exits with a sentence for a file that is none."""
    packed = path.suffix == ".gz"
    with gzip.open(path, "rt", newline="") if packed else path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header, lines = next(reader, []), [line for line in reader if line]
    steps = _steps(path, header)
    if missing := [name for name in (COST, SECONDS) if name not in header]:
        sys.exit(f"{path} has no column '{missing[0]}'; its columns are {', '.join(header)}")
    names = [name for name in header if name not in (COST, SECONDS) and name.split("@")[0] != ERROR]
    columns = {name: header.index(name) for name in header}
    errors = [columns[name] for _, name in sorted(steps.items())]
    if not names or not lines:
        sys.exit(f"{path} has no {'axis' if lines else 'row'}")
    if short := [number for number, line in enumerate(lines, 2) if len(line) != len(header)]:
        sys.exit(f"{path}, row {short[0]}: {len(lines[short[0] - 2])} cells for {len(header)} columns")
    axes = {name: _axis([line[columns[name]] for line in lines]) for name in names}
    rows = tuple(_rows(path, lines, columns, axes, errors))
    values = {name: tuple(dict.fromkeys(axis.values())) for name, axis in axes.items()}
    return Table(path.name.split(".")[0], values, tuple(sorted(steps)), rows)


def _steps(path: Path, header: list[str]) -> dict[int, str]:
    """Return step -> the column with the errors there; one step for a table of ends."""
    found: dict[int, str] = {}
    for name in header:
        word, _, step = name.partition("@")
        if word == ERROR and (step.isdigit() or not step):
            found[int(step or 1)] = name
    if not found or (len(found) > 1 and ERROR in header):
        sys.exit(f"{path} needs a column '{ERROR}', or columns '{ERROR}@STEP' for the steps of the curves")
    return found


def _axis(cells: list[str]) -> dict[str, Any]:
    """Return cell -> value, in order: numbers ascending, words as they come; an empty cell is None, and comes first."""
    words = list(dict.fromkeys(cells))
    empty: dict[str, Any] = {"": None} if "" in words else {}
    words = [word for word in words if word]
    try:
        numbers = {word: float(word) if any(c in word for c in ".eE") else int(word) for word in words}
    except ValueError:
        return {**empty, **{word: word for word in words}}
    return {**empty, **dict(sorted(numbers.items(), key=lambda item: item[1]))}


def _rows(
    path: Path, lines: list[list[str]], columns: dict[str, int], axes: dict[str, dict[str, Any]], errors: list[int]
) -> Iterator[Row]:
    """Yield the rows; exits where a cost, a time or an error is not positive."""
    trainings: dict[tuple[Any, ...], int] = {}
    worst = max((value for line in lines for i in errors if math.isfinite(value := _number(line[i]))), default=1.0)
    for number, line in enumerate(lines, 2):
        point = {name: axis[line[columns[name]]] for name, axis in axes.items()}
        cost, seconds = _number(line[columns[COST]]), _number(line[columns[SECONDS]])
        found = [_number(line[index]) for index in errors]
        curve = tuple(value if math.isfinite(value) else LOST * worst for value in found)
        if not (0 < cost < math.inf and 0 < seconds < math.inf and min(curve) > 0):
            sys.exit(f"{path}, row {number}: cost, seconds and errors are positive numbers")
        training = trainings.setdefault((cost, seconds, curve), len(trainings))
        yield Row(point, cost, seconds, curve, training)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
