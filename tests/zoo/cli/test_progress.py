"""Progress of long work: a bar on a terminal with speed and score, nothing in a pipe; sentences about a search."""

import io
import sys
from pathlib import Path

import pytest

from models.core.schema import check_document
from models.training.fit import fit
from search.config.study import SearchConfig
from tests.support.makers import data_config, di, recipe, record
from zoo.cli import output
from zoo.cli.views import board as board_view


class Terminal(io.StringIO):
    """A text stream that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("kind", "term"), [(Terminal, "xterm"), (Terminal, "dumb"), (io.StringIO, "xterm")])
def test_bar_is_drawn_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, kind: type[io.StringIO], term: str):
    shown = kind()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "120")
    with output.progress("training", "steps") as bar:
        for step in range(1, 11):
            bar(step, 10, "ESR 0.1234")
    text = shown.getvalue()
    words = ("training", "100%", "0:00:00", " steps/s", "ESR 0.1234")
    assert all(word in text for word in words) if (kind, term) == (Terminal, "xterm") else not text


def test_every_step_of_a_run_is_reported(tmp_path: Path):
    config = data_config(record(tmp_path, "train", di(1.5)))
    steps: list[int] = []
    fit(recipe(config, steps=25), tmp_path / "run", on_step=steps.append)
    assert steps == list(range(1, 26))
    fit(recipe(config, steps=25), tmp_path / "run", on_step=steps.append)
    assert len(steps) == 25


def test_search_sentence_counts_trainings():
    data = {"train": "train.json", "held": "held.json"}
    document = {"name": "s", "datasets": [{"name": name, **data} for name in "ab"], "trials": 20}
    config = check_document({**document, "learning": {"steps": 1500}}, SearchConfig, "test")
    trials, final = "20 trials of 1,500 steps", "then the best 3 again, 3 seeds of 3,000 steps"
    assert board_view.search_sentence(config) == f"at most 29 trainings on each of 2 amps: {trials}, {final}"
    alone = config.model_copy(update={"final": None, "datasets": config.datasets[:1]})
    assert board_view.search_sentence(alone) == "at most 20 trainings on one amp: 20 trials of 1,500 steps"


def test_a_search_in_minutes_shows_time():
    config = check_document(
        {"name": "s", "datasets": [{"name": "a", "train": "t.json", "held": "h.json"}], "minutes": 30},
        SearchConfig,
        "test",
    )
    sentence = "30 min on one amp: as many trials of 2,000 steps as fit, then the best 3 again, 4,000 steps"
    assert board_view.search_sentence(config) == sentence
    assert [board_view.duration(one) for one in (90, 1800, 9000)] == ["90 s", "30 min", "2.5 h"]


def test_a_log_has_a_line_for_each_phase(monkeypatch: pytest.MonkeyPatch):
    shown, now = io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress("searching") as bar:
        tell = output.PhaseLines(bar)
        tell("reading a")
        for take in range(57):
            now[0] += 0.9
            tell("aligning a", take, 57)
        tell("training", 0, 8)
        output.PhaseLines(bar, "packaging a").stage(1, 5, "playing")
    lines = ["reading a", "aligning a", "aligning a 12 of 57", "aligning a 24 of 57", "aligning a 36 of 57"]
    assert shown.getvalue().splitlines() == [*lines, "aligning a 48 of 57", "training", "packaging a: playing"]


def test_a_narrow_live_table_leaves_columns_out(monkeypatch: pytest.MonkeyPatch):
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    header = ("TRIAL", "ESR", "COST", "HELD amp", "KNOBS AT", "STATE", "LAYERS", "RATE")
    row = ("24c19ea2", "0.0547", "0.003117", "0.3801", "mixin+film", "finished", "1x8 pow2 k3, 12 channels", "0.0123")
    with output.live_table() as show:
        show(header, [row], 2, [])
    text = shown.getvalue()
    assert all(word in text for word in ("24c19ea2", "0.0547", "0.003117", "finished"))
    assert "\u2026" not in text and "(narrow terminal: LAYERS, RATE left out)" in text
