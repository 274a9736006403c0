"""Fronts, one for each amp or one for all: which trials are on them, and what the sampler learns of them."""

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from search.config.study import SearchConfig
from search.optimizer.sampler import SurrogateSampler
from search.report.optuna_export import to_optuna
from search.study.build import make_sampler
from search.study.ledger import append, read_lines
from search.study.lines import LedgerLine, TrialEnd, TrialReport, TrialStart, latest
from search.study.summary import choose, summarize
from tests.support.makers import di, record
from tests.support.searches import SMALL, STEPS, config_of, scheduler_of, start_line
from zoo.cli.views import board as board_view

RESPECTED, BROKEN = {"runaway": -5.0}, {"runaway": 7.0}
MODES = ("universal", "per_amp")


@pytest.fixture(scope="module")
def amps(tmp_path_factory: pytest.TempPathFactory) -> list[AmpData]:
    folder = tmp_path_factory.mktemp("amp")
    record(folder, "train", di())
    return [load_data(config_of(folder, **SMALL).datasets[0])] * 2


@pytest.fixture
def samplers(monkeypatch: pytest.MonkeyPatch) -> list[SurrogateSampler]:
    """The samplers of all schedulers that are made, the latest last."""
    made: list[SurrogateSampler] = []

    def make(*args: Any) -> SurrogateSampler:
        made.append(make_sampler(*args))
        return made[-1]

    monkeypatch.setattr("search.study.build.make_sampler", make)
    return made


def config(mode: str, **changes: Any) -> SearchConfig:
    split = {"held_settings": 1, "held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}
    datasets = [{"name": name, "train": "train.json", **split} for name in "ab"]
    return config_of(Path(), **{**SMALL, "datasets": datasets, "mode": mode, **changes})


def ended(
    trial: str, a: float, b: float, cost: float = 1.0, on_a: Any = RESPECTED, on_b: Any = RESPECTED
) -> list[LedgerLine]:
    """The lines of a finished trial; `t-0` is `t` trained again."""
    of = trial.partition("-")[0] if "-" in trial else None
    facts = {"cost": cost, "columns": 3, "point": SMALL_SPACE.complete({}), "label": "x", "form": "film"}
    errors, limits = {"a": a, "b": b}, {"a": on_a, "b": on_b}
    report = TrialReport(trial=trial, step=10, esr=math.sqrt(a * b), amps=errors, worst=errors, limits=limits)
    return [start_line(trial, of=of, **facts), report, TrialEnd(trial=trial, state="finished")]


SMALL_SPACE = config("universal").space


def fronts(mode: str, *trials: list[LedgerLine]) -> dict[str, list[str]]:
    return summarize(config(mode), [line for lines in trials for line in lines]).fronts


def test_feasible_seeds_of_a_final_come_first():
    searched = ended("t", 0.1, 0.1), ended("u", 0.2, 0.2, 0.5)
    seeds = ended("t-0", 0.05, 0.05, on_a=BROKEN), ended("t-1", 0.06, 0.06), ended("t-2", 0.07, 0.07)
    assert fronts("universal", *searched, *seeds, ended("u-0", 0.15, 0.15, 0.5)) == {"all": ["t-1", "u-0"]}


def test_a_trial_stands_on_the_front_where_no_seed_is_feasible():
    t, u, v = ended("t", 0.1, 0.1), ended("u", 0.2, 0.2, 0.5), ended("v", 0.09, 0.3)
    bad = ended("t-0", 0.05, 0.05, on_b=BROKEN), ended("t-1", 0.04, 0.04, on_b=BROKEN)
    assert fronts("universal", t, u, *bad, ended("u-0", 0.15, 0.15, 0.5)) == {"all": ["t", "u-0"]}
    t_bad = ended("t", 0.1, 0.1, on_a=BROKEN)
    assert fronts("universal", t_bad, u, v, *bad) == {"all": ["v", "u"]}, "no final is feasible, but others are"
    assert fronts("universal", t_bad, *bad) == {"all": ["t-1"]}, "where none is feasible all count"


def test_only_what_is_cheaper_than_all_finals_stays_beside_them():
    t, u, v, w = ended("t", 0.1, 0.1), ended("u", 0.2, 0.2, 0.5), ended("v", 0.3, 0.3, 0.7), ended("w", 0.4, 0.4, 0.2)
    again = ended("t-0", 0.05, 0.05)
    assert fronts("universal", t, u, v, w, again) == {"all": ["t-0", "u", "w"]}, "v is beaten"
    assert fronts("universal", t, u, v, w, again, ended("v-0", 0.25, 0.25, 0.7)) == {"all": ["t-0", "u", "w"]}
    finals = again, ended("u-0", 0.15, 0.15, 0.5)
    assert fronts("universal", t, u, v, w, *finals) == {"all": ["t-0", "u-0", "w"]}
    bad = ended("w", 0.4, 0.4, 0.2, on_a=BROKEN)
    assert fronts("universal", t, u, v, bad, *finals) == {"all": ["t-0", "u-0"]}, "w breaks a limit"
    equal = ended("x", 0.01, 0.01)
    assert fronts("universal", t, u, v, equal, again) == {"all": ["t-0", "u"]}, "x is as dear, so it does not count"


def test_a_limit_broken_on_one_amp_leaves_the_front_of_another():
    x, y = ended("x", 0.01, 0.04, on_b=BROKEN), ended("y", 0.5, 0.5)
    assert fronts("per_amp", x, y) == {"a": ["x"], "b": ["y"]}
    assert fronts("universal", x, y) == {"all": ["y"]}, "but is no model of all amps"
    boards = {mode: summarize(config(mode), [*x, *y]) for mode in MODES}
    feasible = {mode: [trial.feasible for trial in board.trials] for mode, board in boards.items()}
    assert feasible == {"universal": [False, True], "per_amp": [True, True]}
    broken, sound = latest([*x, *y])
    assert "breaks runaway on b" in board_view.trial_sentence(broken)
    assert "breaks" not in board_view.trial_sentence(sound)
    assert "finished, breaks runaway on b" in board_view.board_table(boards["per_amp"])[1][0]
    alone = replace(broken, limits={"b": BROKEN})
    assert "breaks runaway)" in board_view.trial_sentence(alone), "of one amp the name is left out"
    constraints = to_optuna(config("per_amp"), x).trials[0].constraints
    assert constraints == {"runaway on a": -5.0, "runaway on b": 7.0}


def test_each_amp_has_its_own_best_seed():
    seeds = ended("t-0", 0.2, 0.05), ended("t-1", 0.01, 1.2)
    assert fronts("per_amp", ended("t", 0.3, 0.3), *seeds) == {"a": ["t-1"], "b": ["t-0"]}
    assert fronts("universal", ended("t", 0.3, 0.3), *seeds) == {"all": ["t-0"]}


def test_the_best_of_every_amp_is_trained_again(tmp_path: Path):
    for line in (*ended("s", 0.02, 0.02), *ended("t", 0.01, 1.0), *ended("u", 1.0, 0.01)):
        append(tmp_path, line)
    assert choose(config("per_amp"), tmp_path, 1) == ["t", "u"]
    assert choose(config("universal"), tmp_path, 1) == ["s"]


def played(mode: str, amps: list[AmpData], study: Path, apart: bool) -> list[TrialStart]:
    """A search in which errors differ between the two amps (`apart`), or have the same mean on both."""
    study.mkdir()
    scheduler = scheduler_of(config(mode, trials=12), study, amps)
    while task := scheduler.suggest():
        chance = random.Random(task.trial)
        mean, factor = chance.uniform(0.01, 0.1), 10 ** chance.uniform(-1, 1) if apart else 1.0
        errors = {"a": mean * factor, "b": mean / factor}
        scheduler.on_report(TrialReport(trial=task.trial, step=task.steps, esr=mean, amps=errors))
        scheduler.on_complete(task.trial)
    return [line for line in read_lines(study) if isinstance(line, TrialStart)]


def test_the_sampler_learns_the_error_of_each_amp(amps: list[AmpData], tmp_path: Path):
    found = {
        (mode, apart): played(mode, amps, tmp_path / f"{mode}{apart}", apart)
        for mode in MODES
        for apart in (True, False)
    }
    assert found["universal", True] == found["universal", False], "the mean is all that counts"
    assert found["per_amp", True] != found["per_amp", False]


def test_the_sampler_learns_of_a_limit_on_its_fronts(
    amps: list[AmpData], tmp_path: Path, samplers: list[SurrogateSampler]
):
    for mode, broken in (("universal", {"all"}), ("per_amp", {"b"})):
        (tmp_path / mode).mkdir()
        scheduler = scheduler_of(config(mode), tmp_path / mode, amps)
        task = scheduler.suggest()
        assert task
        errors, limits = {"a": 0.1, "b": 0.1}, {"a": RESPECTED, "b": BROKEN}
        scheduler.on_report(TrialReport(trial=task.trial, step=task.steps, esr=0.1, amps=errors, limits=limits))
        assert scheduler.on_complete(task.trial)
        sampler = samplers[-1]
        assert {name for name, results in sampler.forecast.fronts.items() if results.infeasible} == broken


def test_a_pruned_trial_counts_with_the_error_it_would_have_ended_with(
    amps: list[AmpData], tmp_path: Path, samplers: list[SurrogateSampler]
):
    """Errors on `a` fall a hundredfold on the way, those on `b` do not."""
    scheduler = scheduler_of(config("per_amp"), tmp_path, amps)
    number, pruned = 0, None
    while pruned is None and (task := scheduler.suggest()):
        number += 1
        error = 0.1 * 1.1**number
        for step in range(10, STEPS + 1, 10):
            a, b = error * 10 ** (-2 * step / STEPS), error
            report = TrialReport(trial=task.trial, step=step, esr=math.sqrt(a * b), amps={"a": a, "b": b})
            if not scheduler.on_report(report):
                pruned = task.trial, step, error
                break
        scheduler.on_complete(task.trial)
    assert pruned, "each is worse than those before it"
    trial, step, error = pruned
    assert step < STEPS
    known = {front: results.ended[trial][1] for front, results in samplers[-1].forecast.fronts.items()}
    assert known == pytest.approx({"a": math.log10(error) - 2, "b": math.log10(error)})
