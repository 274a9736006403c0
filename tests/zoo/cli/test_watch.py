"""`zoo search` on a terminal: one live table, with Ray and without; Ctrl-C leaves a clean terminal."""

import re
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

pytest.importorskip("fcntl", reason="needs a pty")

from search.study.ledger import read_ledger
from search.study.lines import TrialRecord
from tests.support.packages import around
from tests.support.screens import Terminal
from tests.support.searches import LOCAL, PLAIN, RAY_WARNINGS, config_of, search_file, start_line
from zoo.cli.watch import _live_watcher

pytestmark = RAY_WARNINGS

LONG = {"steps": 100_000, "report_every": 10}


def first_report(run: Terminal) -> bool:
    """Whether the table shows an error, and a line says how to listen."""
    return bool(re.search(r"of [\d,]+$", run.text, re.MULTILINE)) and "hear the best so far" in run.text


@pytest.mark.ray
@pytest.mark.parametrize(
    ("columns", "words"),
    [(60, ("--local",)), (80, ()), (100, ("--local",))],
    ids=["60 local", "80 ray", "100 local"],
)
def test_a_search_is_one_table(tmp_path: Path, columns: int, words: tuple[str, ...]):
    learning = {**PLAIN, "steps": 600, "report_every": 20}
    path = search_file(tmp_path, amps=1, **{**LOCAL, "learning": learning, "final": None, "trials": 4})
    run = Terminal("search", path, "--out", "study", *words, columns=columns, cwd=tmp_path)
    assert run.read_until(lambda: first_report(run) and "finished" in run.text)
    lines = run.text.splitlines()
    assert all(len(line) <= columns for line in lines)
    header = next(number for number, line in enumerate(lines) if line.startswith("TRIAL"))
    assert all(name in lines[header] for name in ("KNOBS AT", "ESR", "COST", "STEPS LEFT"))
    assert sum(line.startswith("TRIAL") for line in lines) == 1
    assert re.search(r"tiny: training; \d of 4 trials ended", run.text)
    assert re.search(r"\d+ % +.* gone, about .* left", run.text)
    assert "● front" in run.text and "cost" in run.text
    assert lines[-1] == "hear the best so far: zoo play study"
    assert run.finish() == 0
    whole = "\n".join(["".join(cell.data for cell in line.values()) for line in run.screen.history.top] + [run.text])
    assert run.cursor_is_shown and "gone" not in run.text, "nothing is left of the table"
    assert "trial " not in whole.replace("TRIAL", ""), "the lines of a log are for logs"
    assert run.text.splitlines()[-1].startswith("study/trials/")
    assert len(read_ledger(tmp_path / "study")) == 4


@pytest.mark.ray
@pytest.mark.parametrize("words", [("--local",), ()], ids=["local", "ray"])
def test_ctrl_c_leaves_a_clean_terminal(tmp_path: Path, words: tuple[str, ...]):
    path = search_file(tmp_path, amps=1, learning={**PLAIN, **LONG})
    run = Terminal("search", path, "--out", "study", *words, cwd=tmp_path)
    assert run.read_until(lambda: first_report(run))
    run.type(b"\x03")
    assert run.finish() == 130
    assert run.cursor_is_shown and "gone" not in run.text and "STEPS LEFT" not in run.text
    lines = run.text.splitlines()
    assert "stopped after 0 of 3 trials" in lines
    assert "Traceback" not in run.text and "Go on with: zoo search" in run.text
    assert run.screen.cursor.x == 0, "the prompt comes on a line of its own"


def test_a_failed_trial_is_told_above_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shown = StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    record = TrialRecord.of_start(start_line("aa", label="1x2", form="film"))
    with _live_watcher(config_of(), tmp_path) as watcher:
        watcher.on_record(record)
        watcher.on_record(replace(record, state="diverged", reason="its error is not a number"))
        watcher.close()
        text = shown.getvalue()
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "closed at once: the cursor is shown"
    assert "trial aa diverged: its error is not a number (film, 1x2)" in shown.getvalue()


def test_a_dumb_terminal_gets_the_lines_of_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.support.screens.around", lambda **env: {**around(**env), "TERM": "dumb"})
    path = search_file(tmp_path, amps=1)
    run = Terminal("search", path, "--out", "study", "--local", columns=100, lines=60, cwd=tmp_path)
    assert run.finish() == 0
    assert "training" in run.text.splitlines() and "trial " in run.text
    assert "\x1b" not in run.seen.decode()
