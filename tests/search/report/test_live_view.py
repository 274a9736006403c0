"""The lines of a running search: they fit any terminal, and show what a person wants to know."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.core.schema import check_document
from models.reporting.text_plots import ASCII
from search.config.study import SearchConfig
from search.report.live_view import FRONT_MARK, LiveView, time_words
from search.study.lines import TrialRecord
from tests.support.searches import start_line

SIZES = [(60, 23), (80, 23), (100, 39), (40, 12), (20, 5)]


def search_of(amps: int = 1, **changes: Any) -> SearchConfig:
    datasets = [{"name": f"amp{number}", "train": "t.json", "held": "h.json"} for number in range(amps)]
    document = {"name": "mine", "datasets": datasets, "trials": 16, "final": None, "learning": {"steps": 2000}}
    return check_document({**document, **changes}, SearchConfig, "test")


def record(number: int, state: str, step: int, esr: float = 0.1, amps: int = 1, **facts: Any) -> TrialRecord:
    """A trial, one of many, in a state."""
    where = {"label": "1x8 pow2 k3, 12 channels", "form": "input+mixin+conv_pre", "cost": 0.001 * (1 + number)}
    start = TrialRecord.of_start(start_line(f"{number:08x}", number=number, steps=2000, **where))
    errors = {f"amp{amp}": esr * (1 + amp) for amp in range(amps)} if step else {}
    return replace(start, state=state, step=step, esr=esr if step else float("inf"), amps=errors, **facts)


@pytest.fixture
def view(tmp_path: Path) -> LiveView:
    """A search in which trials train, wait, ended well, were pruned, and failed."""
    view = LiveView(search_of(), tmp_path, "zoo play studies/mine", lambda: 0.0)
    view.on_phase("training", 0, 16)
    for number in range(6):
        view.on_record(record(number, "finished", 2000, 0.2 / (1 + number)))
    view.on_record(record(6, "pruned", 400, 0.7))
    view.on_record(record(7, "failed", 0, reason="no memory"))
    view.on_record(record(8, "report", 800, 0.0299))
    view.on_record(record(9, "start", 0))
    return view


@pytest.mark.parametrize("size", SIZES)
def test_lines_fit(view: LiveView, size: tuple[int, int]):
    width, height = size
    lines = view.lines(width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("size", SIZES[:3])
def test_all_that_matters_is_shown(view: LiveView, size: tuple[int, int]):
    lines = view.lines(*size)
    text = "\n".join(lines)
    assert lines[0].startswith("mine: training; 8 of 16 trials ended, best ESR 0.0333")
    assert "0 s gone" in lines[1] and " %" in lines[1]
    header = next(line for line in lines if line.startswith("TRIAL"))
    assert [name for name in ("KNOBS AT", "ESR", "COST", "STEPS LEFT") if name in header] == [
        "KNOBS AT", "ESR", "COST", "STEPS LEFT",
    ]  # fmt: skip
    table = lines[lines.index(header) + 1 :]
    assert table[0].startswith("00000008") and "0.0299" in table[0] and "1,200 of 2,000" in table[0]
    assert table[1].startswith("00000009") and " - " in table[1] and "2,000 of 2,000" in table[1]
    assert table[2].startswith("00000005*") and "finished" in table[2]
    assert text.count(FRONT_MARK) == 6 + 1, "each trial is on the front: the dearer the better; and the legend"
    assert lines[-1] == "hear the best so far: zoo play studies/mine"
    assert text.translate(ASCII).isascii()


def test_what_does_not_fit_is_counted(tmp_path: Path):
    view = LiveView(search_of(trials=200), tmp_path, clock=lambda: 0.0)
    view.on_phase("training")
    for number in range(150):
        view.on_record(record(number, "finished", 2000, 0.2 / (1 + number)))
    for number in range(150, 160):
        view.on_record(record(number, "report", 100))
    lines = view.lines(80, 23)
    rows = [line for line in lines if line[:8].isalnum() and line.startswith("000000")]
    hidden = next(line for line in lines if line.startswith("and "))
    assert hidden == f"and {160 - len(rows)} more"
    assert any("finished" in row for row in rows) and any("of 2,000" in row for row in rows)
    for number in range(160, 170):
        view.on_record(replace(record(number, "finished", 2000, 1e-4), form="film"))
    lines = view.lines(80, 23)
    assert len(lines) == 23 and sum(line.startswith("TRIAL") for line in lines) == 1
    assert lines[-1].startswith("and "), "nothing is cut"


def test_phases_before_and_after_training(tmp_path: Path):
    view = LiveView(search_of(), tmp_path, clock=lambda: 0.0)
    assert view.lines(60, 23)[0] == "mine: starting"
    view.on_phase("aligning amp0", 3, 12)
    first, bar, *_ = view.lines(60, 23)
    assert first == "mine: aligning amp0 3 of 12" and "25 %" in bar
    view.on_record(record(0, "finished", 2000))
    view.on_phase("scoring", 1, 2)
    first, bar, *_ = view.lines(60, 23)
    assert first.startswith("mine: scoring 1 of 2; 1 of 16 trials ended") and "50 %" in bar


def test_each_amp_has_a_front_and_a_column(tmp_path: Path):
    view = LiveView(search_of(2, mode="per_amp"), tmp_path, clock=lambda: 0.0)
    for number in range(3):
        view.on_record(record(number, "finished", 2000, 0.2 / (1 + number), amps=2))
    lines = view.lines(100, 39)
    assert sum("● front" in line for line in lines) == 2
    assert any("ESR amp0" in line for line in lines) and any("ESR amp1" in line for line in lines)
    header = next(line for line in lines if line.startswith("TRIAL"))
    row = next(line for line in lines if line.startswith("00000002*"))
    assert "0.0667" in row and "0.1333" in row and "STEPS LEFT" in header


def test_an_infeasible_trial_is_not_on_the_front(tmp_path: Path):
    view = LiveView(search_of(), tmp_path, clock=lambda: 0.0)
    view.on_record(record(0, "finished", 2000, 0.5, limits={"amp0": {"runaway": -1.0}}))
    view.on_record(record(1, "finished", 2000, 0.1, limits={"amp0": {"runaway": 3.0}}))
    text = "\n".join(view.lines(80, 23))
    assert "00000000*" in text and "00000001*" not in text


def test_a_command_is_whole_or_not_there(tmp_path: Path):
    long = f"zoo play {'a' * 40}/{'b' * 8}"
    view = LiveView(search_of(), tmp_path, long, lambda: 0.0)
    view.on_record(record(0, "report", 10))
    assert view.lines(80, 23)[-1] == f"hear the best so far: {long}"
    assert view.lines(60, 23)[-1] == long
    assert "zoo play" not in "\n".join(view.lines(50, 23))


def test_finals_are_counted_by_themselves(tmp_path: Path):
    view = LiveView(search_of(), tmp_path, clock=lambda: 0.0)
    view.on_phase("training the best again")
    view.on_record(record(0, "finished", 2000))
    for number, state in enumerate(("finished", "report", "start")):
        view.on_record(record(1 + number, state, 0 if state == "start" else 2000, 0.05, of="00000000"))
    assert view.lines(59, 23)[0] == "training the best again; 1 of 3 ended, best ESR 0.0500"
    assert view.lines(80, 23)[0] == "mine: training the best again; 1 of 3 ended, best ESR 0.0500"


def test_times_are_said_as_people_say_them():
    assert [time_words(one) for one in (0, 99, 100, 725, 5940, 7800)] == [
        "0 s", "99 s", "2 min", "12 min", "99 min", "2 h 10 min",
    ]  # fmt: skip
