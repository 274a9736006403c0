"""What the report says about another hour: more trials, and the error that they would probably reach."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.recordings.dataset import AmpData
from search.config.study import SearchConfig
from search.optimizer.surrogate import FrontResults
from search.report.outlook import outlook_sentences
from search.study.ledger import read_lines
from search.study.lines import LedgerLine, TrialReport
from tests.support.searches import SMALL, config_of, play, scheduler_of


def results_of(errors: Sequence[float]) -> FrontResults:
    """Trials along one axis, with these log errors."""
    found = FrontResults()
    for place, error in enumerate(errors):
        found.ended[str(place)] = ({"x": float(place)}, 1.0), error
    return found


QUERIES = [({"x": place / 2}, 1.0) for place in range(-10, 30)]


def test_the_outlook_is_never_worse_than_what_was_found():
    for errors in ((-1.0,) * 10, (0.0, -1.0, -2.0, -1.0, 0.0, -1.0, -2.0, -1.0)):
        low, middle, high = results_of(errors).outlook(QUERIES, 10)
        assert low <= middle <= high <= min(errors) + 1e-9


def test_more_trials_find_lower_errors():
    errors = [-0.1 * place for place in range(10)]  # falls on and on
    few, many = (results_of(errors).outlook(QUERIES, count) for count in (1, 30))
    assert all(more <= less for less, more in zip(few, many, strict=True))
    assert many[1] < min(errors) - 0.1


def test_nothing_is_expected_where_all_is_known():
    errors = [(place - 5) ** 2 / 10 for place in range(11)]
    between = [({"x": place + 0.5}, 1.0) for place in range(10)]
    low, _, _ = results_of(errors).outlook(between, 10)
    assert low > min(errors) - 0.25


def test_points_alike_are_one_chance():
    found = results_of([-1.0, -1.2, -0.9, -1.1, -1.05, -0.95])
    twins = [({"x": 8 + number / 1e6}, 1.0) for number in range(40)]
    one, many = found.outlook(twins[:1], 40), found.outlook(twins, 40)
    assert many == pytest.approx(one, abs=0.03)


def test_draws_have_the_means_and_deviations_that_are_predicted():
    _, surrogate = results_of([-1.0, -1.2, -0.9, -1.1, -1.05, -0.95])._surrogate([point for point, _ in QUERIES])
    points = [point for point, _ in QUERIES]
    mean_M, deviation_M = surrogate.predict(points)
    draws_KM = surrogate.draw(points, 20_000)
    assert np.allclose(draws_KM.mean(0), mean_M, atol=0.02)
    assert np.allclose(draws_KM.std(0), deviation_M, rtol=0.05)


@pytest.fixture
def study(amps: list[AmpData], tmp_path: Path) -> tuple[SearchConfig, list[LedgerLine]]:
    """A search of 12 trials, three at once, each ten minutes long."""
    changes: dict[str, Any] = {**SMALL, "trials": 12, "pruning": None}
    config = config_of(**changes)
    play(scheduler_of(config, tmp_path, amps), workers=3)
    lines = [replace(line, seconds=60.0) if isinstance(line, TrialReport) else line for line in read_lines(tmp_path)]
    return config, lines


def test_a_report_says_what_another_hour_would_bring(study: tuple[SearchConfig, list[LedgerLine]], amps: list[AmpData]):
    config, lines = study
    first, second = outlook_sentences(config, lines, amps)
    assert first == "Another hour would train about 18 more trials like these."
    best = min(line.esr for line in lines if isinstance(line, TrialReport) and line.step == 100)
    assert f"{best:.4f}" in second
    assert second.startswith("Predicted from their errors, ")
    assert outlook_sentences(config, lines, amps) == [first, second], "the same ledger gives the same sentences"


def test_with_few_trials_nothing_is_said(study: tuple[SearchConfig, list[LedgerLine]], amps: list[AmpData]):
    config, lines = study
    started = list(dict.fromkeys(line.trial for line in lines))[:7]
    assert outlook_sentences(config, [line for line in lines if line.trial in started], amps) == []
    untimed = [replace(line, seconds=None) if isinstance(line, TrialReport) else line for line in lines]
    assert outlook_sentences(config, untimed, amps) == []


def test_a_used_up_space_brings_nothing(amps: list[AmpData], tmp_path: Path):
    space = {
        **SMALL["space"],
        "depth": [2],
        "inject": ["film"],
        "learning_rate": [0.01, 0.01],
        "channels": [*range(2, 11)],
    }
    changes: dict[str, Any] = {**SMALL, "space": space, "trials": 12, "pruning": None}
    config = config_of(**changes)
    scheduler = scheduler_of(config, tmp_path, amps)
    play(scheduler)
    lines = [replace(line, seconds=60.0) if isinstance(line, TrialReport) else line for line in read_lines(tmp_path)]
    assert math.isclose(scheduler.ended, 9)
    (sentence,) = outlook_sentences(config, lines, amps)
    assert sentence.startswith("Another hour would bring nothing")
