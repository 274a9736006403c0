"""Tables and charts as lines of text."""

import pytest

from models.reporting.text_plots import scatter_lines
from models.reporting.text_tables import fit_table

HEADER = ("TRIAL", "HELD ESR", "COST", "STATE")
ROWS = [("a", "0.0100", "3", "finished"), ("bcd", "", "1,200", "pruned"), ("e", "0.5000", "1e-05", "-")]


def test_numbers_end_and_words_begin_at_one_place():
    lines, left_out = fit_table(HEADER, ROWS, 2, 80)
    assert lines == [
        "         HELD",
        "TRIAL     ESR   COST  STATE",
        "a      0.0100      3  finished",
        "bcd            1,200  pruned",
        "e      0.5000  1e-05  -",
    ]
    assert not left_out


def test_headings_stay_in_one_line_where_asked():
    lines, _ = fit_table(HEADER, ROWS, 2, 80, break_headings=False)
    assert lines[0] == "TRIAL  HELD ESR   COST  STATE"
    assert lines[1] == "a        0.0100      3  finished"


@pytest.mark.parametrize("room", range(12, 40))
def test_a_table_fits(room: int):
    lines, left_out = fit_table(HEADER, ROWS, 2, room)
    shown = lines[1].split()
    assert max(map(len, lines)) <= room or shown == ["TRIAL", "ESR"]
    names = [name for name in HEADER if name.split()[-1] not in shown]
    assert left_out == (f"(narrow terminal: {', '.join(names)} left out)" if names else "")


def test_a_table_without_rows_has_its_heading():
    assert fit_table(HEADER, [], 2, 80)[0][-1].split() == ["TRIAL", "ESR", "COST", "STATE"]


def test_a_chart_has_logarithmic_axes():
    lines = scatter_lines({"o": [(1, 100), (10, 10), (100, 1)], "x": [(10, 10)]}, ("cost", "ESR"), 27, 8)
    assert len(lines) == 8 and max(map(len, lines)) <= 27
    assert lines[0].strip() == "ESR"
    rows = [line.partition("│")[2] for line in lines[1:6]]
    width = 27 - len("100 │")
    assert rows == ["o", "", " " * round((width - 1) / 2) + "x", "", " " * (width - 1) + "o"]
    assert lines[1].startswith("100 │") and lines[5].startswith("  1 │")
    assert lines[7].split() == ["1", "cost", "100"]


def test_a_chart_of_one_point_and_of_none():
    assert scatter_lines({"o": []}, ("x", "y"), 30, 8) == []
    assert sum(line.count("o") for line in scatter_lines({"o": [(3, 3)]}, ("x", "y"), 30, 8)) == 1
