"""The fronts of a search: each amp for itself, or one of all. What stands on them, and what the sampler is told of them."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from search.config.study import SearchConfig
from search.report.optuna_export import study_of
from search.study.board import choose, summarise
from search.study.ledger import Line, append, read_lines
from search.study.scheduler import Conductor
from tests.search.test_search_core import SMALL, STEPS, config_of
from tests.support.makers import di, record
from zoo.cli.views import board as board_view

KEPT, BROKEN = {"runaway": -5.0}, {"runaway": 7.0}
MODES = ("universal", "per_amp")


@pytest.fixture(scope="module")
def amps(tmp_path_factory: pytest.TempPathFactory) -> list[AmpData]:
    folder = tmp_path_factory.mktemp("amp")
    record(folder, "train", di())
    return [load_data(config_of(folder, **SMALL).datasets[0])] * 2


def config(mode: str, **changes: Any) -> SearchConfig:
    split = {"held_settings": 1, "held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}
    datasets = [{"name": name, "train": "train.json", **split} for name in "ab"]
    return config_of(Path(), **{**SMALL, "datasets": datasets, "mode": mode, **changes})


def ended(trial: str, a: float, b: float, cost: float = 1.0, on_a: Any = KEPT, on_b: Any = KEPT, **more: Any) -> Line:
    """A finished trial; `t-0` is `t` trained again."""
    again = {"of": trial.partition("-")[0]} if "-" in trial else {}
    point = SMALL_SPACE.complete({})
    told = {
        "esr": math.sqrt(a * b),
        "amps": {"a": a, "b": b},
        "worst": {"a": a, "b": b},
        "limits": {"a": on_a, "b": on_b},
    }
    facts = {
        "cost": cost,
        "columns": 3,
        "rate_hz": 48_000,
        "step": 10,
        "steps": 10,
        "point": point,
        "label": "x",
        "form": "film",
    }
    return {"trial": trial, "state": "finished", "number": 0, **facts, **told, **again, **more}


SMALL_SPACE = config("universal").space


def fronts(mode: str, *lines: Line) -> dict[str, list[str]]:
    return summarise(config(mode), list(lines))["fronts"]


def test_of_a_finals_seeds_those_that_keep_the_limits_come_first():
    searched = ended("t", 0.1, 0.1), ended("u", 0.2, 0.2, 0.5)
    seeds = ended("t-0", 0.05, 0.05, on_a=BROKEN), ended("t-1", 0.06, 0.06), ended("t-2", 0.07, 0.07)
    assert fronts("universal", *searched, *seeds, ended("u-0", 0.15, 0.15, 0.5)) == {"all": ["t-1", "u-0"]}


def test_where_no_seed_keeps_the_limits_the_trial_itself_stands():
    t, u, v = ended("t", 0.1, 0.1), ended("u", 0.2, 0.2, 0.5), ended("v", 0.09, 0.3)
    bad = ended("t-0", 0.05, 0.05, on_b=BROKEN), ended("t-1", 0.04, 0.04, on_b=BROKEN)
    assert fronts("universal", t, u, *bad, ended("u-0", 0.15, 0.15, 0.5)) == {"all": ["t", "u-0"]}
    t_bad = {**t, "limits": {"a": BROKEN, "b": KEPT}}
    assert fronts("universal", t_bad, u, v, *bad) == {"all": ["v", "u"]}, (
        "no trained again trial, but others, keep them"
    )
    assert fronts("universal", t_bad, *bad) == {"all": ["t-1"]}, "something must be shown"


def test_what_breaks_a_limit_on_one_amp_stands_on_the_front_of_another():
    x, y = ended("x", 0.01, 0.04, on_b=BROKEN), ended("y", 0.5, 0.5)
    assert fronts("per_amp", x, y) == {"a": ["x"], "b": ["y"]}
    assert fronts("universal", x, y) == {"all": ["y"]}, "but is no model of all amps"
    board = {mode: summarise(config(mode), [x, y]) for mode in MODES}
    assert {mode: [trial["feasible"] for trial in found["trials"]] for mode, found in board.items()} == {
        "universal": [False, True],
        "per_amp": [True, True],
    }
    assert "breaks runaway on b" in board_view.trial_sentence(x) and "breaks" not in board_view.trial_sentence(y)
    assert "finished, breaks runaway on b" in board_view.board_table(board["per_amp"])[1][0]
    alone = {**x, "limits": {"b": BROKEN}}
    assert "breaks runaway)" in board_view.trial_sentence(alone), "which amp need not be said of one"
    told = study_of(config("per_amp"), [x]).trials[0].constraints
    assert told == {"runaway on a": -5.0, "runaway on b": 7.0}


def test_each_amp_has_its_own_best_seed():
    seeds = ended("t-0", 0.2, 0.05), ended("t-1", 0.01, 1.2)
    assert fronts("per_amp", ended("t", 0.3, 0.3), *seeds) == {"a": ["t-1"], "b": ["t-0"]}
    assert fronts("universal", ended("t", 0.3, 0.3), *seeds) == {"all": ["t-0"]}


def test_the_best_of_every_amp_is_trained_again(tmp_path: Path):
    for line in (ended("s", 0.02, 0.02), ended("t", 0.01, 1.0), ended("u", 1.0, 0.01)):
        append(tmp_path, line)
    assert choose(config("per_amp"), tmp_path, 1) == ["t", "u"]
    assert choose(config("universal"), tmp_path, 1) == ["s"]


def played(mode: str, amps: list[AmpData], study: Path, apart: bool) -> list[Line]:
    """A search in which trials end with errors that lie apart on the two amps, or with the same mean on both."""
    study.mkdir()
    conductor = Conductor(config(mode, trials=12), study, amps)
    while task := conductor.propose():
        chance = random.Random(task.trial)
        mean, factor = chance.uniform(0.01, 0.1), 10 ** chance.uniform(-1, 1) if apart else 1.0
        told = {"step": task.steps, "esr": mean, "amps": {"a": mean * factor, "b": mean / factor}}
        conductor.report(task.trial, told)
        conductor.end(task.trial)
    return [line for line in read_lines(study) if line["state"] == "start"]


def test_the_sampler_hears_the_error_of_each_amp(amps: list[AmpData], tmp_path: Path):
    found = {
        (mode, apart): played(mode, amps, tmp_path / f"{mode}{apart}", apart)
        for mode in MODES
        for apart in (True, False)
    }
    assert found["universal", True] == found["universal", False], "the mean is all that counts"
    assert found["per_amp", True] != found["per_amp", False]


def test_the_sampler_hears_of_a_limit_on_the_fronts_that_it_concerns(amps: list[AmpData], tmp_path: Path):
    for mode, broken in (("universal", {"all"}), ("per_amp", {"b"})):
        (tmp_path / mode).mkdir()
        conductor = Conductor(config(mode), tmp_path / mode, amps)
        task = conductor.propose()
        assert task
        told = {"esr": 0.1, "amps": {"a": 0.1, "b": 0.1}, "limits": {"a": KEPT, "b": BROKEN}}
        conductor.report(task.trial, {"step": task.steps, **told})
        assert conductor.end(task.trial)
        proposer = conductor.proposer
        assert {name for name, outcomes in proposer.forecast.fronts.items() if outcomes.broken} == broken
        constraints = {name: study.optuna.trials[0].constraints for name, study in proposer.studies.items()}
        assert {name for name, found in constraints.items() if found["runaway"] > 0} == broken


def test_a_pruned_trial_counts_on_each_amp_as_what_such_trials_come_to_there(amps: list[AmpData], tmp_path: Path):
    """Errors on `a` fall a hundredfold on the way, those on `b` do not."""
    conductor = Conductor(config("per_amp"), tmp_path, amps)
    number, pruned = 0, None
    while pruned is None and (task := conductor.propose()):
        number += 1
        error = 0.1 * 1.1**number
        for step in range(10, STEPS + 1, 10):
            a, b = error * 10 ** (-2 * step / STEPS), error
            if not conductor.report(task.trial, {"step": step, "esr": math.sqrt(a * b), "amps": {"a": a, "b": b}}):
                pruned = task.trial, step, error
                break
        conductor.end(task.trial)
    assert pruned, "each is worse than those before it"
    trial, step, error = pruned
    assert step < STEPS
    heard = {front: outcomes.ended[trial][1] for front, outcomes in conductor.proposer.forecast.fronts.items()}
    assert heard == pytest.approx({"a": math.log10(error) - 2, "b": math.log10(error)})
