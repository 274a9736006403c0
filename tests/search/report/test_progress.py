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

    def record(self, trial: str, state: str, step: int = 0, seconds: float = 0.0, **facts: Any) -> None:
        """Something happens to a trial; its latest report was of so many seconds."""
        start = TrialRecord.of_start(start_line(trial, steps=facts.pop("steps", STEPS)))
        esr = 0.1 if step else float("inf")
        self.progress.on_record(replace(start, state=state, step=step, esr=esr, seconds=seconds, **facts))

    def finish(self, trial: str, seconds: float, step: int = STEPS, state: str = "finished", **facts: Any) -> None:
        """A trial reports its last step and ends."""
        self.record(trial, "report", step, seconds, **facts)
        self.record(trial, state, step, seconds, **facts)


def test_one_after_the_other():
    search = Search()
    assert (search.progress.share(), search.progress.seconds_left()) == (0.0, None)
    search.record("a", "start")
    assert search.progress.seconds_left() is None, "nothing has been measured"
    search.now_s += 12
    search.record("a", "report", 50, 10.0)
    assert search.progress.share() == 50 / 400
    assert search.progress.seconds_left() == pytest.approx(10 + 3 * 20), "half of this one, and three more"
    search.now_s += 5
    assert search.progress.seconds_left() == pytest.approx(65), "it falls with the clock"
    search.now_s += 100
    assert search.progress.seconds_left() == 0


def test_trials_at_once_share_the_time():
    search = Search()
    for trial in "abc":  # the third waits for a place
        search.record(trial, "start")
    for trial in "ab":
        search.record(trial, "report", 50, 20.0)
    assert search.progress.seconds_left() == pytest.approx((20 + 20 + 40 + 40) / 2)
    for trial in "ab":
        search.finish(trial, 20.0)
    search.record("d", "start")
    search.finish("c", 40.0)
    assert search.progress.seconds_left() == pytest.approx(40), "the last one trains alone"


def test_each_trial_has_its_own_pace():
    search = Search(trials=2)
    search.record("a", "report", 50, 1.0)
    search.record("b", "report", 50, 100.0)
    assert search.progress.seconds_left() == pytest.approx(100), "the slow one decides"


def test_pruned_trials_shorten_the_rest():
    search = Search()
    search.finish("a", 10.0)
    search.finish("b", 2.0, 20, "pruned")
    assert search.progress.share() == 200 / 400, "an ended trial is done"
    assert search.progress.seconds_left() == pytest.approx(0.1 * 2 * 60), "others end after 60 steps in the mean"


def test_finals_count_before_they_start():
    search = Search(final={"steps": 200, "seeds": 2, "top": 1}, trials=1)
    search.finish("a", 10.0)
    assert search.progress.seconds_left() == pytest.approx(0.1 * 400)
    assert search.progress.share() == 100 / 500
    for name in ("a-0", "a-1"):
        search.record(name, "start", steps=200, of="a")
    assert search.progress.seconds_left() == pytest.approx(40), "one after the other, as before"
    search.finish("a-0", 20.0, 200, steps=200, of="a")
    assert search.progress.seconds_left() == pytest.approx(20)
    assert search.progress.share() == 300 / 500


def test_a_search_in_minutes_has_what_is_left_of_them():
    search = Search(minutes=2)
    assert search.progress.seconds_left() == 120
    search.now_s += 30
    assert (search.progress.seconds_left(), search.progress.share()) == (90, 0.25)
    search.now_s += 300
    assert (search.progress.seconds_left(), search.progress.share()) == (0, 1)
    ended = TrialEnd(trial="a", state="finished", at=50.0)
    search.progress.begin([start_line("a"), TrialReport(trial="a", step=5, esr=1, amps={"a": 1}), ended])
    assert search.progress.seconds_left() == 70, "an earlier process took 50 seconds"


def test_a_search_that_goes_on_knows_what_trials_took():
    search = Search()
    report = TrialReport(trial="a", step=60, esr=1, amps={"a": 1}, seconds=30.0)
    search.progress.begin([start_line("a", steps=STEPS), report, start_line("b", steps=STEPS)])
    assert [trial.trial for trial in search.progress.trials] == ["a", "b"]
    search.record("a", "again", 60)
    assert search.progress.seconds_left() == pytest.approx(0.5 * (40 + 100) + 0.5 * 200)
    search.record("a", "report", 80, 20.0)
    assert search.progress.seconds_left() == pytest.approx((50 / 80) * (20 + 100 + 200))
