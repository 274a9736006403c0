"""Charts as lines of text, for terminals."""

import math
from collections.abc import Mapping, Sequence

ASCII = str.maketrans("━╌│└─●○·", "#.|+-*o.")  # for terminals that show nothing else

Places = Sequence[tuple[float, float]]


def scatter_lines(marks: Mapping[str, Places], labels: tuple[str, str], width: int, height: int) -> list[str]:
    """Return a chart of points on two logarithmic axes.

    Args:
        marks: a character and the points `(x, y)` that it marks, all above 0; later ones cover earlier ones.
        labels: what the axes show.
        width: of each line, in characters.
        height: lines, with those of the labels; at least 5.

    Without any point there are no lines.
    """
    points = [point for places in marks.values() for point in places]
    if not points:
        return []
    (low_x, high_x), (low_y, high_y) = (_span(values) for values in zip(*points, strict=True))
    names = f"{high_y:.3g}", f"{low_y:.3g}"
    margin = max(map(len, names))
    columns, rows = width - margin - 2, height - 3
    cells = [[" "] * columns for _ in range(rows)]
    for mark, places in marks.items():
        for x, y in places:
            across = round(_axis_share(x, low_x, high_x) * (columns - 1))
            cells[rows - 1 - round(_axis_share(y, low_y, high_y) * (rows - 1))][across] = mark
    sides = [names[0], *[""] * (rows - 2), names[1]]
    lines = [f"{side:>{margin}} │{''.join(row)}".rstrip() for side, row in zip(sides, cells, strict=True)]
    ends = f"{low_x:.3g}", f"{high_x:.3g}"
    middle = labels[0].center(columns - len(ends[0]) - len(ends[1]))
    indent = " " * (margin + 1)
    return [f"{indent}{labels[1]}", *lines, f"{indent}└{'─' * columns}", f"{indent} {ends[0]}{middle}{ends[1]}"]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis; those of a single value are a little apart."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low / 1.5, high * 1.5)


def _axis_share(value: float, low: float, high: float) -> float:
    """Return where a value lies on a logarithmic axis, from 0 to 1."""
    return math.log(value / low) / math.log(high / low)
