"""Tables as lines of text, for terminals."""

import re
from collections.abc import Sequence
from textwrap import wrap

MIN_COLUMN_WIDTH = 8  # columns of a table are not shortened below this many characters

NUMERIC_CELL = re.compile(r"-|[-+]?[\d,]+(\.\d+)?(e[-+]?\d+)?")  # a cell with a number, or with a dash for none


def fit_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], min_columns: int, room: int, *, break_headings: bool = True
) -> tuple[list[str], str]:
    """Return the lines of a table in `room` characters, and a sentence about columns that are left out, if any.

    On a narrow terminal the last columns are left out. The first `min_columns` always stay; all but the first of them
    are shortened as needed. A heading of several words stands in several lines where its column is narrow, unless
    `break_headings` is false; columns of numbers end at the same place.
    """
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    narrowest = [max(map(len, name.split() if break_headings else [name]), default=0) for name in header]
    widths = _fit_columns(narrowest, rows, min_columns, room)
    columns = list(zip(*rows, strict=True))[: len(widths)] if rows else []
    numeric = [any(cells) and all(NUMERIC_CELL.fullmatch(cell) for cell in cells if cell) for cells in columns]
    numeric += [False] * (len(widths) - len(numeric))
    lines = []
    for row in (*_heading_lines(header, widths), *rows):
        cells = [_shorten(cell, width) for cell, width in zip(row, widths, strict=False)]
        aligned = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(cells, widths, numeric, strict=True)
        ]
        lines.append("  ".join(aligned).rstrip())
    missing = header[len(widths) :]
    return lines, f"(narrow terminal: {', '.join(missing)} left out)" if missing else ""


def _heading_lines(header: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """Return the lines of the headings, all ending in the last line."""
    broken = [wrap(name, width, break_long_words=False) or [""] for name, width in zip(header, widths, strict=False)]
    height = max(map(len, broken))
    padded = [[""] * (height - len(lines)) + lines for lines in broken]
    return [list(line) for line in zip(*padded, strict=True)]


def _fit_columns(narrowest: Sequence[int], rows: Sequence[Sequence[str]], min_columns: int, room: int) -> list[int]:
    """Return the widths of the columns that are shown in `room` characters, two of them between columns.

    `narrowest` are the widths that the headings need.
    """
    widths = [max([width, *(len(row[i]) for row in rows)]) for i, width in enumerate(narrowest)]

    def too_wide() -> bool:
        return sum(widths) + 2 * (len(widths) - 1) > room

    while len(widths) > min_columns and too_wide():
        widths.pop()
    while too_wide() and (widest := max(widths[1:], default=0)) > MIN_COLUMN_WIDTH:
        widths[widths.index(widest, 1)] -= 1
    return widths


def _shorten(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 3] + "..."
