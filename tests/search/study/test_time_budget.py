"""A search whose budget is stated in minutes: how many trials and finals fit, and where it stops."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.core.errors import UserError
from models.recordings.dataset import AmpData
from search.config.study import MAX_TRIALS, SearchConfig
from search.run_options import Interrupted
from search.study.build import fitting_recipes, make_time_budget
from search.study.ledger import read_lines
from search.study.lines import TrialEnd
from search.study.scheduler import TrialScheduler
from search.study.tasks import Task
from search.study.time_budget import TimeBudget
from tests.support.searches import SMALL, STEPS, config_of, report, scheduler_of

WORK = 1000.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


def budget(clock: Clock, *, earlier_s: float = 0.0, **changes: Any) -> TimeBudget:
    document: dict[str, Any] = {"minutes": 10, "final": None, "learning": {"steps": 100}, **changes}
    return TimeBudget(config_of(**document), earlier_s, clock)


def test_nothing_is_known_before_the_first_report():
    clock = Clock()
    time = budget(clock)
    assert time.trials_left(WORK, 2) is None
    clock.now += 601
    assert time.trials_left(WORK, 2) == 0


def test_trials_fit_by_the_time_that_their_work_takes():
    clock = Clock()
    time = budget(clock)
    clock.now += 60
    time.on_report(30.0, 50 * WORK)  # half of a trial: one takes 60 s
    assert time.trials_left(WORK, 1) == 9
    assert time.trials_left(WORK, 2) == 18
    assert time.trials_left(2 * WORK, 1) == 4
    clock.now += 490
    assert time.trials_left(WORK, 4) == 0, "50 s are left, a trial takes 60"


def test_time_is_kept_for_the_final():
    clock = Clock()
    final = {"steps": 200, "seeds": 1, "top": 1}  # of 2 minutes
    time = budget(clock, final=final)
    time.on_report(60.0, 100 * WORK)
    assert time.trials_left(WORK, 1) == 8
    many = budget(clock, final={**final, "seeds": 3, "top": 3})
    many.on_report(60.0, 100 * WORK)
    assert many.trials_left(WORK, 1) == 6, "a third of the time at most"
    assert many.trials_left(WORK, 9) == 72, "nine finals at once need two minutes"
    long = budget(clock, final={**final, "steps": 700})
    long.on_report(60.0, 100 * WORK)
    assert long.trials_left(WORK, 1) == 5, "half of the time at most"


def test_finals_fit_by_the_time_that_is_left():
    clock = Clock()
    time = budget(clock, final={"steps": 200, "seeds": 3, "top": 3})
    assert time.finals_left(WORK, 1) == 1
    time.on_report(60.0, 100 * WORK)
    assert time.finals_left(WORK, 1) == 5
    assert time.finals_left(WORK, 2) == 10
    clock.now += 10_000
    assert time.finals_left(WORK, 1) == 1, "a search has a result"


def test_what_trains_is_waited_for():
    clock = Clock()
    time = budget(clock)
    time.on_report(60.0, 100 * WORK)
    assert time.trials_left(WORK, 2) == 20
    assert time.trials_left(WORK, 2, wait=50 * WORK) == 19
    clock.now += 500
    assert time.trials_left(WORK, 2) == 3
    assert time.trials_left(WORK, 2, wait=80 * WORK) == 0, "52 s are left, a trial takes 60"


def test_a_trial_that_waits_is_no_worker(minutes: dict[str, Any], amps: list[AmpData], tmp_path: Path):
    """Ray asks for one trial more than it trains: with two cores three have started."""
    clock = Clock()
    scheduler = timed(config_of(**minutes), tmp_path, amps, clock)
    asked: list[tuple[int, float]] = []
    ask = TimeBudget.trials_left

    def trials_left(time: TimeBudget, work: float, workers: int, wait: float = 0.0) -> int | None:
        asked.append((workers, wait / work / STEPS))
        return ask(time, work, workers, wait)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimeBudget, "trials_left", trials_left)
        first, second, third = (scheduler.suggest() for _ in range(3))
        assert first and second and third
        clock.now += 20
        for task in (first, second):
            scheduler.on_report(replace(report(task.trial, STEPS // 2, 0.5), seconds=10.0))
        assert scheduler.suggest()
    workers, wait = asked[-1]
    assert workers == 2
    assert 0 < wait < 1, "the one that waits takes a place when the first has ended, the next one when the second has"


def test_seconds_of_earlier_processes_count(tmp_path: Path):
    assert budget(Clock(), earlier_s=590).left_s == pytest.approx(10)
    config = config_of(minutes=10)
    ends = [TrialEnd(trial="a", state="finished", at=at) for at in (30.0, 200.0, None)]
    time = make_time_budget(config, ends)
    assert time and time.spent_s == pytest.approx(200, abs=5)
    assert make_time_budget(config_of(), ends) is None


def timed(config: SearchConfig, study: Path, amps: list[AmpData], clock: Clock) -> TrialScheduler:
    scheduler = scheduler_of(config, study, amps)
    earlier = max((line.at or 0 for line in read_lines(study) if isinstance(line, TrialEnd)), default=0.0)
    scheduler._time = TimeBudget(config, earlier, clock)
    return scheduler


def train(scheduler: TrialScheduler, clock: Clock, task: Task, per_step: float) -> None:
    """Train a trial to its end; each step takes so many seconds."""
    for step in range(task.steps // 10, task.steps + 1, task.steps // 10):
        clock.now += per_step * task.steps // 10
        error = 0.1 / (1 + task.point["channels"]) + 1 / step
        result = replace(report(task.trial, step, error), seconds=per_step * task.steps // 10)
        if not scheduler.on_report(result):
            break
    scheduler.on_complete(task.trial)


@pytest.fixture
def minutes() -> dict[str, Any]:
    return {**SMALL, "trials": 1000, "pruning": None, "minutes": 10, "final": None}


def test_a_search_stops_in_time_with_its_final(minutes: dict[str, Any], amps: list[AmpData], tmp_path: Path):
    clock = Clock()
    minutes["final"] = {"steps": 2 * STEPS, "seeds": 3, "top": 2}
    config = config_of(**minutes)
    scheduler = timed(config, tmp_path, amps, clock)
    while task := scheduler.suggest():
        train(scheduler, clock, task, 0.2)
    assert not scheduler.open
    assert 10 < scheduler.ended < 25
    assert 350 < clock.now - 5000 <= 450, "a third is left for the final"
    best = [line.trial for line in read_lines(tmp_path) if isinstance(line, TrialEnd)][:2]
    scheduler.begin_finals(best)
    names = []
    while task := scheduler.suggest():
        names.append(task.trial)
        train(scheduler, clock, task, 0.2)
    assert names[:2] == [f"{trial}-0" for trial in best], "each has its first seed before any has its second"
    assert 2 <= len(names) < 6
    assert clock.now - 5000 <= 620
    ends = [line.at for line in read_lines(tmp_path) if isinstance(line, TrialEnd)]
    assert ends == sorted(at for at in ends if at is not None), "the ledger tells the time at each end"


def test_a_resumed_search_has_what_is_left(minutes: dict[str, Any], amps: list[AmpData], tmp_path: Path):
    clock = Clock()
    config = config_of(**minutes)
    first = timed(config, tmp_path, amps, clock)
    for _ in range(5):
        task = first.suggest()
        assert task
        train(first, clock, task, 0.5)
    again_clock = Clock()
    again = timed(config, tmp_path, amps, again_clock)
    while task := again.suggest():
        train(again, again_clock, task, 0.5)
    assert (clock.now - 5000) + (again_clock.now - 5000) <= 620
    assert again.ended > 7
    more = timed(config.model_copy(update={"minutes": 20}), tmp_path, amps, Clock())
    assert more.suggest(), "with more minutes it goes on"


def test_one_trial_is_trained_in_any_time(minutes: dict[str, Any], amps: list[AmpData], tmp_path: Path):
    clock = Clock()
    minutes["minutes"] = 0.01
    scheduler = timed(config_of(**minutes), tmp_path, amps, clock)
    clock.now += 30
    task = scheduler.suggest()
    assert task
    train(scheduler, clock, task, 1.0)
    assert scheduler.suggest() is None


def test_recipes_begin_spread_over_cost_where_the_time_is_limited():
    stock = [{"shape": str(number)} for number in range(10)]
    config = config_of(minutes=5, trials=1000)
    order = [int(point["shape"]) for point in fitting_recipes(config, stock)]
    assert sorted(order) == list(range(10))
    assert order[:3] == [0, 3, 1]
    assert order[6:] == [6, 7, 8, 9], "other projects' recipes come last"


@pytest.mark.parametrize(
    ("text", "trials", "minutes"),
    [("24", 24, None), (24, 24, None), ("90s", MAX_TRIALS, 1.5), ("30m", MAX_TRIALS, 30), ("1.5h", MAX_TRIALS, 90)],
)
def test_a_budget_in_words(text: str | int, trials: int, minutes: float | None):
    config = config_of().with_budget(text)
    assert (config.trials, config.minutes) == (trials, minutes)


def test_stated_trials_are_the_most_that_a_time_gets():
    config = config_of(trials=40)
    assert config.with_budget("2h").trials == 40
    assert config.with_budget("2h").with_budget("7").minutes is None
    assert (config.known_trials, config.with_budget("2h").known_trials) == (40, None)
    assert [str(Interrupted(6, known)) for known in (40, None)] == [
        "stopped after 6 of 40 trials",
        "stopped after 6 trials",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        0,
        True,
        None,
        2.5,
        ["24"],
        "\u0663",
        "0",
        "0m",
        "-3",
        "2.5",
        "30 m",
        "30min",
        "1d",
        "100001",
        "nan",
        "1e9h",
        "99999999h",
    ],
)
def test_what_is_no_budget_is_refused(text: Any):
    with pytest.raises(UserError, match="neither a number of trials nor a time"):
        config_of().with_budget(text)
