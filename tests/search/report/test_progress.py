"""How far a search is, and the time that it probably still takes."""

from dataclasses import replace
from typing import Any

import pytest

from models.core.schema import check_document
from search.config.study import SearchConfig
from search.report.progress import SearchProgress
from search.study.lines import TrialEnd, TrialRecord, TrialReport
from tests.support.searches import start_line

STEPS = 100


class Search:
    """A progress whose clock is turned by hand."""

    def __init__(self, **changes: Any) -> None:
        document = {"name": "s", "datasets": [{"name": "a", "train": "t.json", "held": "h.json"}], "trials": 4}
        learning = {"steps": STEPS}
        self.config = check_document({**document, "learning": learning, "final": None, **changes}, SearchConfig, "test")
        self.now_s = 50.0
        self.progress = SearchProgress(self.config, lambda: self.now_s)
        self.progress.begin()

    def record(self, trial: str, state: str, step: int = 0, **facts: Any) -> None:
        start = TrialRecord.of_start(start_line(trial, steps=facts.pop("steps", STEPS)))
        esr = 0.1 if step else float("inf")
        self.progress.on_record(replace(start, state=state, step=step, esr=esr, **facts))


def test_one_after_the_other():
    search = Search()
    assert (search.progress.share(), search.progress.seconds_left()) == (0.0, None)
    search.record("a", "start")
    assert search.progress.seconds_left() is None, "nothing has been measured"
    search.now_s += 10
    search.record("a", "report", 50)
    assert search.progress.share() == 50 / 400
    assert search.progress.seconds_left() == pytest.approx(10 + 3 * 20), "half of this one, and three more"
    search.now_s += 5
    assert search.progress.seconds_left() == pytest.approx(65), "it falls with the clock"
    search.now_s += 100
    assert search.progress.seconds_left() == 0


def test_trials_at_once_share_the_time():
    search = Search()
    for trial in "ab":
        search.record(trial, "start")
    search.now_s += 20
    search.record("a", "report", 50)
    search.record("b", "report", 50)
    assert search.progress.seconds_left() == pytest.approx((20 + 20 + 2 * 40) / 2)
    search.now_s += 20
    for trial in "ab":
        search.record(trial, "finished", 100)
    search.record("c", "start")
    search.record("d", "start")
    search.now_s += 40
    search.record("c", "finished", 100)
    assert search.progress.seconds_left() == pytest.approx(40), "the last one trains alone"


def test_pruned_trials_shorten_the_rest():
    search = Search()
    search.record("a", "start")
    search.now_s += 10
    search.record("a", "finished", 100)
    search.record("b", "start")
    search.now_s += 2
    search.record("b", "pruned", 20)
    assert search.progress.share() == 200 / 400, "an ended trial is done"
    assert search.progress.seconds_left() == pytest.approx(0.1 * 2 * 60), "others end after 60 steps in the mean"


def test_finals_count_before_they_start():
    search = Search(final={"steps": 200, "seeds": 2, "top": 1}, trials=1)
    search.record("a", "start")
    search.now_s += 10
    search.record("a", "finished", 100)
    assert search.progress.seconds_left() == pytest.approx(0.1 * 400)
    assert search.progress.share() == 100 / 500
    for name in ("a-0", "a-1"):
        search.record(name, "start", steps=200, of="a")
    assert search.progress.seconds_left() == pytest.approx(40), "one after the other, as before"
    search.now_s += 20
    search.record("a-0", "finished", 200, steps=200, of="a")
    assert search.progress.seconds_left() == pytest.approx(20)


def test_a_search_in_minutes_has_what_is_left_of_them():
    search = Search(minutes=2)
    assert search.progress.seconds_left() == 120
    search.now_s += 30
    assert (search.progress.seconds_left(), search.progress.share()) == (90, 0.25)
    search.now_s += 300
    assert (search.progress.seconds_left(), search.progress.share()) == (0, 1)
    search.progress.begin([start_line("a"), TrialReport(trial="a", step=5, esr=1, amps={"a": 1}),
                           TrialEnd(trial="a", state="finished", at=50.0)])  # fmt: skip
    assert search.progress.seconds_left() == 70, "an earlier process took 50 seconds"


def test_earlier_trials_are_not_of_this_pace():
    search = Search()
    search.progress.begin([start_line("a", steps=STEPS), start_line("b", steps=STEPS)])
    assert [trial.trial for trial in search.progress.trials] == ["a", "b"]
    search.record("a", "report", 60)
    assert search.progress.seconds_left() is None, "when it began is not known"
    search.now_s += 10
    search.record("a", "report", 80)
    assert search.progress.seconds_left() == pytest.approx(0.5 * (20 + 100 + 200))
