"""Knobs that move while a file plays: breakpoints in time, straight lines between them.

Shapes: N breakpoints, K columns of the network's input, T samples.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.core.errors import UserError
from models.core.plain_text import plain_text
from models.core.reading import decode_text, read_document_bytes
from models.knobs.schema import AnyKnob, Encoding, Knob, Knobs, Setting, Switch, Value
from models.knobs.text import parse_setting

MAX_CSV_BYTES = 1 << 24


@dataclass(frozen=True)
class Automation:
    """Full settings at rising times `times_N` in seconds; before the first and after the last, the knobs stand still.

    Knobs turn in straight lines on their faceplates, switches jump at the breakpoint. With the encoding "type_level",
    the columns move in straight lines instead.
    """

    knobs: Knobs
    times_N: np.ndarray
    settings: tuple[Setting, ...]

    def levels(self, start: int, length: int, rate_hz: int, encoding: Encoding = "levels") -> np.ndarray:
        """Return columns `(K, T)` of samples `start` to `start + length - 1`."""
        at_T = np.arange(start, start + length) / rate_hz
        if encoding == "type_level":
            columns_NK = np.array([self.knobs.encode(setting, encoding) for setting in self.settings])
            return np.stack([np.interp(at_T, self.times_N, column_N) for column_N in columns_NK.T])
        rows_T = [row_T for knob in self.knobs.knobs for row_T in self._turn(knob, at_T)]
        return np.stack(rows_T) if rows_T else np.zeros((0, length))

    def _turn(self, knob: AnyKnob, at_T: np.ndarray) -> np.ndarray:
        """Return the columns of one knob, `(1, T)`, or of a switch, `(positions, T)`."""
        values_N = [setting[knob.name] for setting in self.settings]
        if isinstance(knob, Knob):
            return knob.level(np.interp(at_T, self.times_N, np.array(values_N, float)))[None]
        passed_T = np.searchsorted(self.times_N, at_T, side="right") - 1
        return np.array([knob.encode(value) for value in values_N]).T[:, np.maximum(passed_T, 0)]

    @property
    def moving(self) -> list[str]:
        """The names of the knobs that move."""
        return [name for name in self.knobs.names if len({setting[name] for setting in self.settings}) > 1]

    @property
    def first(self) -> Setting:
        """The setting at the first breakpoint, which also holds before it."""
        return self.settings[0]


def hold(knobs: Knobs, setting: Mapping[str, Value]) -> Automation:
    """Return knobs that stand still, those left out at default; raises `UserError` as `Knobs.complete` does."""
    return _from_points(knobs, [(0.0, knobs.complete(setting))])


def sweep(knobs: Knobs, setting: Mapping[str, Value], texts: Iterable[str], seconds: float) -> Automation:
    """Return sweeps such as `gain=0:10` over `seconds`, the other knobs as in `setting`.

    Raises `UserError` for what is not `name=from:to`, a switch, an unknown knob, one set twice or a value out of range.
    """
    begin, end = dict(setting), dict(setting)
    for text in texts:
        name, _, range_text = text.partition("=")
        try:
            first, last = (float(part) for part in range_text.split(":"))
        except ValueError:
            first = last = math.nan
        if not name or not math.isfinite(first + last):
            raise UserError(f"'{text}' is not a sweep", "Write name=from:to, for example gain=0:10.")
        if name in begin:
            raise UserError(f"knob '{name}' is set and swept", "Do one of the two.")
        if isinstance(switch := knobs.find(name), Switch):
            raise UserError(f"'{name}' is a switch, which cannot be swept", f"Set it: {name}={switch.default}.")
        begin[name], end[name] = first, last
    return _from_points(knobs, [(0.0, knobs.complete(begin, "sweep")), (seconds, knobs.complete(end, "sweep"))])


def read_automation(path: Path, knobs: Knobs, setting: Mapping[str, Value]) -> Automation:
    """Read breakpoints from a CSV whose header is `seconds` and knob names; the other knobs are as in `setting`.

    Raises `UserError` naming the file, the line and the value at fault.
    """
    lines = _read_lines(path)
    header = [name.strip() for name in lines[0][1]] if lines else []
    if header[:1] != ["seconds"] or len(header) < 2 or len(lines) < 2:
        begins = f"; it begins with '{plain_text(', '.join(header))[:60]}'" if header else ""
        raise UserError(
            f"{path} is not a list of knob moves{begins}",
            "Its first line must be like: seconds,gain with commas between the names, and moves follow.",
        )
    knobs.require(header[1:], f"{path}: line {lines[0][0]}")
    if both := [name for name in header if name in setting]:
        raise UserError(f"{both[0]} moves in {path} and is also set to one value", "Do one of the two.")
    points: list[tuple[float, Setting]] = []
    for number, line in lines[1:]:
        where = f"{path}: line {number}"
        try:
            time = float(line[0]) if line else math.nan
        except ValueError:
            time = math.nan
        if len(line) != len(header) or not math.isfinite(time):
            raise UserError(
                f"{where} is not {len(header)} values that begin with seconds",
                f"Give one value for each of {', '.join(header)}.",
            )
        if time < 0 or (points and time <= points[-1][0]):
            raise UserError(
                f"{where}: seconds is {time:g}, which does not follow the line before", "Let the times rise from 0."
            )
        moved = _parse_cells(header[1:], line[1:], where)
        points.append((time, knobs.complete({**setting, **moved}, where)))
    return _from_points(knobs, points)


def _read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the lines of a CSV that are not blank, each with its number."""
    text = decode_text(read_document_bytes(path, MAX_CSV_BYTES, "CSV file"), str(path))
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error:
        raise UserError(
            f"{path}: line {reader.line_num} is no CSV: a quote is missing or too many, or a cell is too long",
            "Write a CSV with a header, such as: seconds,gain",
        ) from None


def _parse_cells(names: list[str], cells: list[str], where: str) -> Setting:
    try:
        return parse_setting(f"{name}={cell}" for name, cell in zip(names, cells, strict=True))
    except UserError as problem:
        raise UserError(f"{where}: {problem.message}", problem.hint) from None


def _from_points(knobs: Knobs, points: list[tuple[float, Setting]]) -> Automation:
    times, settings = zip(*points, strict=True)
    return Automation(knobs, np.array(times), settings)
