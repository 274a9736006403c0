"""A search in a notebook: one output of the cell, written again in place."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import zoo
from search.report.live_view import LiveView
from search.report.notebook import EVERY_S, NotebookView, notebook_display
from search.study.lines import TrialRecord
from tests.support.searches import config_of, counted_costs, search_file, start_line


class Output:
    """An output of a cell, as IPython's `display` makes it: what it showed, one after the other."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def __call__(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> "Output":
        assert raw and display_id and not self.shown, "one output is made"
        self.update(bundle, raw=raw)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    """The output of a notebook that this process seems to be."""
    output = Output()
    shell: Any = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()), version_info=(9, 0))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=output))
    return output


def test_it_is_drawn_when_time_has_passed(tmp_path: Path):
    now, output = [0.0], Output()
    shown = NotebookView(LiveView(config_of(), tmp_path, clock=lambda: now[0]), output, lambda: now[0])
    record = TrialRecord.of_start(start_line("<b>"))
    for step in range(1, 10):
        now[0] += EVERY_S / 4
        shown.on_record(replace(record, state="report", step=step, esr=0.5, amps={"a": 0.5}))
    assert len(output.shown) == 1 + 2
    shown.on_notice("begins with 3 of 6 recipes")
    text, html = output.shown[-1]["text/plain"], output.shown[-1]["text/html"]
    assert text.startswith("begins with 3 of 6 recipes\ns: ") and "<b>" in text
    assert "&lt;b&gt;" in html and "<b>" not in html
    shown.on_phase("done")
    assert output.shown[-1]["text/plain"].splitlines()[1].startswith("s: done")


def test_text_of_a_ledger_is_plain(tmp_path: Path):
    """A study may have come from anybody."""
    output = Output()
    shown = NotebookView(LiveView(config_of(), tmp_path), output)
    record = TrialRecord.of_start(start_line("a", label="\u202elabel\x1b[2J\u3164", form="<b>"))
    shown.on_record(replace(record, step=5, esr=0.5, amps={"a": 0.5}))
    for text in output.shown[-1].values():
        assert "?label?[2J?" in text and not set(text) & set("\u202e\x1b\u3164")


def test_a_search_in_a_notebook_shows_itself(output: Output, tmp_path: Path):
    with counted_costs():
        board = zoo.search(search_file(tmp_path, amps=1), tmp_path / "study", local=True)
    assert board.complete and len(output.shown) > 3
    assert output.shown[0]["text/plain"].startswith("tiny: starting")
    last = output.shown[-1]["text/plain"]
    assert "tiny: done; 3 of 3 trials ended" in last
    assert all(trial.trial in last for trial in board.trials)


def test_elsewhere_nothing_is_shown(monkeypatch: pytest.MonkeyPatch):
    assert notebook_display() is None
    shell: Any = SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert notebook_display() is None, "IPython on a terminal is no notebook"


def test_progress_can_be_switched_off(output: Output, tmp_path: Path):
    with counted_costs():
        zoo.search(search_file(tmp_path, amps=1), tmp_path / "study", local=True, progress=False)
    assert not output.shown
