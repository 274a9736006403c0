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
from tests.support.searches import PLAIN, RAY_WARNINGS, config_of, search_file, start_line
from zoo.cli.watch import _live_watcher

pytestmark = RAY_WARNINGS

MANY = {"learning": {**PLAIN, "steps": 400, "report_every": 20}, "trials": 500, "pruning": None}


def training(text: str) -> bool:
    """Whether the table shows a trial that trains, one that ended, and the front."""
    return bool(re.search(r"^[0-9a-f]{8} .* \d\.\d{4} .* of 400", text, re.MULTILINE)) and "● front" in text


@pytest.mark.ray
@pytest.mark.parametrize(
    ("columns", "words"),
    [(60, ("--local",)), (80, ()), (100, ("--local",))],
    ids=["60 local", "80 ray", "100 local"],
)
def test_a_search_is_one_table_until_ctrl_c(tmp_path: Path, columns: int, words: tuple[str, ...]):
    path = search_file(tmp_path, amps=1, **MANY)
    with Terminal("search", path, "--out", "study", *words, columns=columns, cwd=tmp_path) as run:
        assert run.read_until(lambda: training(run.text))
        before = ["loading libraries", *([] if words else ["starting Ray"])]
        assert [phase for phase in before if f"tiny: {phase}" not in run.seen.decode()] == [], (
            "it says what a person waits for"
        )
        lines = run.text.splitlines()
        assert all(len(line) <= columns for line in lines)
        header = next(number for number, line in enumerate(lines) if line.startswith("TRIAL"))
        assert all(name in lines[header] for name in ("KNOBS AT", "ESR", "COST", "LEFT"))
        assert sum(line.startswith("TRIAL") for line in lines) == 1
        assert re.search(r"^tiny: training; \d+ of 500 trials ended", run.text, re.MULTILINE)
        assert re.search(r"\d+ %  .* gone, about .* left", run.text)
        assert lines[-1] == "hear the best so far: zoo play study"
        run.type(b"\x03")
        assert run.finish() == 130
        assert run.cursor_is_shown and run.screen.cursor.x == 0, "the prompt comes on a line of its own"
        left = run.text
        assert not any(word in left for word in ("gone", "LEFT", "front", "Traceback")), "nothing is left of the table"
        assert re.search(r"^stopped after \d+ of 500 trials$", left, re.MULTILINE)
        assert re.search(r"Go on with:\s+zoo search", left)
        assert not any(line.startswith("trial ") for line in left.splitlines()), "the lines of a log are for logs"


def test_at_the_end_the_board_is_left(tmp_path: Path):
    path = search_file(tmp_path, amps=1)
    with Terminal("search", path, "--out", "study", "--local", columns=60, lines=30, cwd=tmp_path) as run:
        assert run.finish() == 0
        lines = run.text.splitlines()
        assert run.cursor_is_shown and lines[0] == "at most 3 trainings on one amp: 3 trials of 20 steps"
        header = next(number for number, line in enumerate(lines) if line.startswith("TRIAL"))
        assert {line.split()[0].rstrip("*") for line in lines[header + 1 : header + 4]} == {
            record.trial for record in read_ledger(tmp_path / "study")
        }
        assert lines[-1].startswith("study/trials/") and "gone" not in run.text and "LEFT" not in run.text


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
    with Terminal("search", path, "--out", "study", "--local", columns=100, lines=60, cwd=tmp_path) as run:
        assert run.finish() == 0
        assert "training" in run.text.splitlines() and "trial " in run.text
        assert "\x1b" not in run.seen.decode()
