"""A table of trained models as a file: every point of a space, what it costs, how long it trains, how good it gets.

The format is CSV; README.md of this folder documents it. No imports but the standard library's, also of what is
imported from the project: the peers run in environments of their own.
"""

import csv
import gzip
import io
import math
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from models.core.errors import UserError
from models.core.reading import decode_text, read_document_bytes
from search.optimizer.pareto import hypervolume

Point = dict[str, Any]  # axis -> its value there; None where the axis has no meaning
COST, SECONDS, ERROR = "cost", "seconds", "error"
LOST = 10.0  # an error that is no number counts as so many times the worst of the table
LEAST, MOST = 1e-100, 1e100  # between them lie costs, times and errors: their logarithms and volumes are numbers
MAX_TABLE_BYTES = 64 << 20  # of the text
MAX_DIGITS = 100  # of a number of an axis
MAX_SHOWN = 80  # characters of a name in a message
STEP = re.compile(r"[0-9]{1,9}")
FORMAT = "benchmarks/search/README.md says what a table is."


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


def read_tables(paths: Iterable[Path]) -> list[Table]:
    """Read tables; exits with a sentence for a file that is none."""
    try:
        return [read_table(path) for path in paths]
    except UserError as problem:
        sys.exit(f"error: {problem.message}\n\nhint: {problem.hint}")


def read_table(path: Path) -> Table:
    """Read a table; raises `UserError` naming the file, and the row where there is one, for a file that is none."""
    header, lines = _read_cells(path)
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise UserError(f"{path} has two columns '{twice[0][:MAX_SHOWN]}'", FORMAT)
    steps = _steps(path, header)
    if missing := [name for name in (COST, SECONDS) if name not in header]:
        shown = ", ".join(header)[:MAX_SHOWN]
        raise UserError(f"{path} has no column '{missing[0]}'; its columns are {shown}", FORMAT)
    names = [name for name in header if name not in (COST, SECONDS) and name.split("@")[0] != ERROR]
    columns = {name: header.index(name) for name in header}
    errors = [columns[name] for _, name in sorted(steps.items())]
    if not names or not lines:
        raise UserError(f"{path} has no {'axis' if lines else 'row'}", FORMAT)
    if short := next((number for number, line in lines.items() if len(line) != len(header)), None):
        raise UserError(f"{path}, row {short}: {len(lines[short])} cells for {len(header)} columns", FORMAT)
    axes = {name: _axis([line[columns[name]] for line in lines.values()]) for name in names}
    rows = tuple(_rows(path, lines, columns, axes, errors))
    values = {name: tuple(dict.fromkeys(axis.values())) for name, axis in axes.items()}
    return Table(path.name.split(".")[0], values, tuple(sorted(steps)), rows)


def _read_cells(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """Return the header, and row number -> cells of the rows that are not empty."""
    data = read_document_bytes(path, MAX_TABLE_BYTES, "CSV file")
    if path.suffix == ".gz":
        data = _unpacked(path, data)
    reader = csv.reader(io.StringIO(decode_text(data, str(path)), newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        return header, {number: line for number, line in enumerate(reader, 2) if line}
    except csv.Error:
        raise UserError(f"{path}, line {reader.line_num} is no CSV, or a cell of it is too long", FORMAT) from None


def _unpacked(path: Path, data: bytes) -> bytes:
    """Return what is packed in the bytes of a `.gz` file, within `MAX_TABLE_BYTES`."""
    try:
        with gzip.open(io.BytesIO(data)) as file:
            found = file.read(MAX_TABLE_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{path} is no gzip file, or is damaged", "Pack it anew: gzip TABLE.csv.") from None
    if len(found) > MAX_TABLE_BYTES:
        raise UserError(f"{path} holds more than {MAX_TABLE_BYTES:,} bytes", "Is it really a table?")
    return found


def _steps(path: Path, header: list[str]) -> dict[int, str]:
    """Return step -> the column with the errors there; one step for a table of ends."""
    found: dict[int, str] = {}
    for name in header:
        word, mark, step = name.partition("@")
        if word != ERROR:
            continue
        if mark and not STEP.fullmatch(step):
            raise UserError(f"{path}: the column '{name[:MAX_SHOWN]}' names no step", f"{ERROR}@60 is an error at 60.")
        if int(step or 1) in found:
            raise UserError(f"{path} has two columns of the errors at step {int(step or 1)}", FORMAT)
        found[int(step or 1)] = name
    if not found or (len(found) > 1 and ERROR in header):
        raise UserError(
            f"{path} needs a column '{ERROR}', or columns '{ERROR}@STEP' for the steps of the curves", FORMAT
        )
    return found


def _axis(cells: list[str]) -> dict[str, Any]:
    """Return cell -> value, in order: numbers ascending, words as they come; an empty cell is None, and comes first."""
    words = list(dict.fromkeys(cells))
    empty: dict[str, Any] = {"": None} if "" in words else {}
    words = [word for word in words if word]
    if not all(len(word) <= MAX_DIGITS and abs(_number(word)) < MOST for word in words):  # NaN is not below it
        return {**empty, **{word: word for word in words}}
    numbers = {word: float(word) if any(c in word for c in ".eE") else int(word) for word in words}
    return {**empty, **dict(sorted(numbers.items(), key=lambda item: item[1]))}


def _rows(
    path: Path, lines: dict[int, list[str]], columns: dict[str, int], axes: dict[str, dict[str, Any]], errors: list[int]
) -> Iterator[Row]:
    """Yield the rows; raises `UserError` where a cost, a time or an error is not positive."""
    trainings: dict[tuple[Any, ...], int] = {}
    known = (value for line in lines.values() for i in errors if math.isfinite(value := _number(line[i])))
    worst = max(known, default=1.0)
    for number, line in lines.items():
        point = {name: axis[line[columns[name]]] for name, axis in axes.items()}
        cost, seconds = _number(line[columns[COST]]), _number(line[columns[SECONDS]])
        found = [_number(line[index]) for index in errors]
        curve = tuple(value if math.isfinite(value) else LOST * worst for value in found)
        if not all(LEAST < value < MOST for value in (cost, seconds, *curve)):
            raise UserError(
                f"{path}, row {number}: cost, seconds and errors are positive numbers",
                f"They are between {LEAST:g} and {MOST:g}; an error may also be empty or nan.",
            )
        training = trainings.setdefault((cost, seconds, curve), len(trainings))
        yield Row(point, cost, seconds, curve, training)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
