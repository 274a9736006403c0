"""Knobs that move while a file plays: breakpoints in time, straight lines between them.

Shapes: N breakpoints, K knobs, T samples.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import UserError
from models.knobs import Knobs, Setting


@dataclass(frozen=True)
class Automation:
    """Levels in [-1, 1] `(N, K)` at `times_N` seconds, rising; before the first and after the last they stand still."""

    times_N: np.ndarray
    levels_NK: np.ndarray

    def levels(self, start: int, length: int, rate_hz: int) -> np.ndarray:
        """Levels `(K, T)` of samples `start .. start + length - 1`, each interpolated on its own."""
        at_T = np.arange(start, start + length) / rate_hz
        return np.stack([np.interp(at_T, self.times_N, column_N) for column_N in self.levels_NK.T])

    @property
    def first(self) -> list[float]:
        """Levels at the first breakpoint: where the knobs stand in the silence before."""
        return [float(level) for level in self.levels_NK[0]]


def hold(knobs: Knobs, setting: Mapping[str, float]) -> Automation:
    """Knobs that stand still; knobs left out rest at their default. Raises `UserError` for a knob or value out of range."""
    return _between(knobs, [(0.0, knobs.complete(setting))])


def sweep(knobs: Knobs, setting: Mapping[str, float], texts: Iterable[str], seconds: float) -> Automation:
    """Sweeps such as `gain=0:10` over the whole file, the other knobs as in `setting`.

    Raises `UserError` for what is not `name=from:to`, an unknown knob or a value out of range.
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
        begin[name], end[name] = first, last
    return _between(knobs, [(0.0, knobs.complete(begin, "sweep")), (seconds, knobs.complete(end, "sweep"))])


def read_automation(path: Path, knobs: Knobs, setting: Mapping[str, float]) -> Automation:
    """Breakpoints from a CSV whose header is `seconds` and knob names; the other knobs as in `setting`.

    Raises `UserError` naming the file, the line and the value at fault.
    """
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise UserError(
            f"{path} cannot be read: {problem}", "Write a CSV with a header, such as: seconds,gain"
        ) from None
    header = [name.strip() for name in lines[0]] if lines else []
    if header[:1] != ["seconds"] or len(header) < 2 or len(lines) < 2:
        raise UserError(
            f"{path} is not a list of knob moves", "Its first line must be like: seconds,gain and moves follow."
        )
    points: list[tuple[float, Setting]] = []
    for number, line in enumerate(lines[1:], 2):
        where = f"{path}: line {number}"
        try:
            time, *values = (float(cell) for cell in line)
        except ValueError:
            time, values = math.nan, []
        if len(values) != len(header) - 1 or not math.isfinite(time + sum(values)):
            raise UserError(
                f"{where} is not {len(header)} numbers", f"Give one number for each of {', '.join(header)}."
            )
        if time < 0 or (points and time <= points[-1][0]):
            raise UserError(
                f"{where}: seconds is {time:g}, which does not follow the line before", "Let the times rise from 0."
            )
        moved = dict(zip(header[1:], values, strict=True))
        points.append((time, knobs.complete({**setting, **moved}, where)))
    return _between(knobs, points)


def _between(knobs: Knobs, points: list[tuple[float, Setting]]) -> Automation:
    times, settings = zip(*points, strict=True)
    return Automation(
        np.array(times), np.array([knobs.encode(setting) for setting in settings]).reshape(len(points), -1)
    )
