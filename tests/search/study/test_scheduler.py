"""Decisions of the trial scheduler, without a backend."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from models.core.files import write_json
from models.core.schema import check_document
from models.recordings.dataset import AmpData
from search.config.study import Final, SearchConfig
from search.optimizer.calibration import RungPlan, calibrate
from search.study.build import make_pruner
from search.study.cost import TIERS, Costs
from search.study.files import COSTS
from search.study.ledger import ledger_path, read_ledger, read_lines
from search.study.lines import FINISHED, TrialRecord, TrialReport, TrialStart, curves, latest
from search.study.results import TrialFault
from search.study.summary import choose
from tests.support.searches import STEPS, config_of, play, report, scheduler_of


def test_the_best_are_trained_again_with_several_seeds(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    assert small.final and small.trainings == [(30, STEPS), (9, 2 * STEPS)]
    scheduler = scheduler_of(small, tmp_path, amps)
    play(scheduler)
    scheduler.begin_finals(choose(small, tmp_path, small.finals))
    finals = [record for record in latest(read_lines(tmp_path)) if record.is_final]
    assert len(finals) == 3 * len({record.of for record in finals})
    assert {record.steps for record in finals} == {2 * STEPS}
    assert {record.seed for record in finals} == {0, 1, 2}
    names = [{**small.datasets[0].model_dump(), "name": name} for name in "abcde"]
    for mode, count in (("universal", 3), ("per_amp", 5)):
        several = check_document({"name": "s", "datasets": names, "mode": mode}, SearchConfig, "test")
        assert several.finals == count, "the best of every front is among them"
    assert config_of(final=None).trainings == [(16, config_of().learning.steps)]


def test_started_finals_stay_chosen_when_tiers_change(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    final = Final(steps=2 * STEPS, seeds=2, top=2)
    config = small.model_copy(update={"final": final, "seed": 5})
    scheduler = scheduler_of(config, tmp_path, amps)
    play(scheduler)
    chosen = choose(config, tmp_path, final.top)
    scheduler.begin_finals(chosen)
    cheapest = min(record.cost for record in read_ledger(tmp_path) if record.state == FINISHED)
    small_tiers = Costs(cpus=("another",), reference_s=1.0, tiers=dict.fromkeys(TIERS, cheapest))
    write_json(tmp_path / COSTS, small_tiers.model_dump(mode="json"))
    assert choose(config, tmp_path, final.top) == chosen
    searched = [line for line in read_lines(tmp_path) if not (isinstance(line, TrialStart) and line.of)]
    monkeypatch.setattr("search.study.summary.read_lines", lambda *_: searched)
    assert choose(config, tmp_path, final.top) != chosen, "tiers this small choose others"


def test_rungs_are_placed_by_the_first_trials(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    pruner = make_pruner(small)
    scheduler = scheduler_of(small, tmp_path, amps, pruner=pruner)
    play(scheduler)
    ended = read_ledger(tmp_path)
    states = [record.state for record in ended]
    assert len(ended) == 30
    assert not scheduler.open
    assert scheduler.running == []
    assert states[:4] == ["finished"] * 4
    assert states.count("pruned") > 5
    assert pruner and pruner.plan
    assert pruner.plan.rungs[0] >= 20
    controls = [record for record in ended if record.control]
    assert len(controls) == 4 + 5
    assert all(record.state == "finished" for record in controls)
    assert len({json.dumps(record.point) for record in ended}) == 30


def test_stock_points_place_no_rungs(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """Rungs are placed by the first `calibrate` other trials that trained to the end; stock points are no controls."""
    chance = random.Random(0)
    stock = [small.space.draw(chance) for _ in range(6)]
    placed: list[tuple[int, RungPlan]] = []  # how many trials had ended, and the rungs, since these were placed
    pruner = make_pruner(small)
    assert pruner

    def listener(record: TrialRecord) -> None:
        if pruner.plan:
            placed.append((scheduler.ended, pruner.plan))

    scheduler = scheduler_of(small, tmp_path, amps, stock, pruner=pruner, listener=listener)
    play(scheduler, workers=1)
    finished = [record for record in read_ledger(tmp_path) if record.state == "finished"]
    reported = curves(read_lines(tmp_path))
    free = [{step: math.log10(esr) for step, esr in reported[record.trial].items()} for record in finished[6:10]]
    assert placed[0] == (6 + 4, calibrate(free, 20))
    assert pruner.plan and pruner.plan.rungs
    controls = [record.number for record in read_ledger(tmp_path) if record.control]
    assert controls == [*range(6), *range(6, 10), 14, 19, 24, 29]


@pytest.mark.parametrize("most", [1, 17, 60, 120])
def test_a_search_goes_on_where_it_was_cut(small: SearchConfig, amps: list[AmpData], tmp_path: Path, most: int):
    play(scheduler_of(small, tmp_path, amps), most=most)
    before = ledger_path(tmp_path).read_bytes()
    known = {record.trial: record for record in read_ledger(tmp_path)}
    again = scheduler_of(small, tmp_path, amps)
    started = again.running
    tasks = [again.suggest() for _ in started]
    assert [task.trial for task in tasks if task] == started, "what had started comes first"
    play(scheduler_of(small, tmp_path, amps))
    assert ledger_path(tmp_path).read_bytes().startswith(before)
    ended = {record.trial: record for record in read_ledger(tmp_path)}
    assert len(ended) == 30
    assert known.items() <= ended.items()


def test_one_worker_finds_the_same_with_and_without_cuts(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for study in (whole, cut):
        study.mkdir()
    play(scheduler_of(small, whole, amps), workers=1)
    for most in (7, 41, 3, 80):
        play(scheduler_of(small, cut, amps), workers=1, most=most)
    play(scheduler_of(small, cut, amps), workers=1)
    assert read_lines(cut) == read_lines(whole)


def test_a_recorded_trace_gives_the_same_decisions(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """The same reports in the same order lead to the same decisions, whoever trains."""
    whole, again = tmp_path / "whole", tmp_path / "again"
    for study in (whole, again):
        study.mkdir()
    play(scheduler_of(small, whole, amps), workers=5)
    scheduler = scheduler_of(small, again, amps)
    for line in read_lines(whole):
        if isinstance(line, TrialStart):
            task = scheduler.suggest()
            assert task
            assert (task.trial, task.point) == (line.trial, line.point)
        elif isinstance(line, TrialReport):
            scheduler.on_report(replace(line, survives=None))
        elif line.state == FINISHED:
            scheduler.on_complete(line.trial)
    assert read_lines(again) == read_lines(whole)


def test_faults_of_trials_are_recorded_and_stop_nothing(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    records: list[TrialRecord] = []
    scheduler = scheduler_of(small, tmp_path, amps, listener=records.append)
    wild, dead, cut = (scheduler.suggest() for _ in range(3))
    assert wild
    assert dead
    assert cut
    assert not scheduler.on_report(TrialFault(wild.trial, "diverged", "the loss is nan at step 3", 0))
    scheduler.on_complete(dead.trial, "out of memory")
    assert not scheduler.on_complete(cut.trial), "neither failed nor finished: interrupted"
    states = {record.trial: (record.state, record.reason) for record in read_ledger(tmp_path)}
    assert states == {wild.trial: ("diverged", "the loss is nan at step 3"), dead.trial: ("failed", "out of memory")}
    assert not scheduler.on_report(report(dead.trial, 10, 0.1)), "an ended trial cannot report"
    assert [record.state for record in records] == ["start"] * 3 + ["diverged", "failed"]
    assert scheduler.running == [cut.trial]


def test_an_error_that_is_not_a_number_ends_a_trial(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    scheduler = scheduler_of(small, tmp_path, amps)
    task = scheduler.suggest()
    assert task
    assert not scheduler.on_report(report(task.trial, 10, math.nan))
    (record,) = read_ledger(tmp_path)
    assert (record.state, record.step, record.reason) == ("diverged", 10, "its error is not a number")


def test_a_fault_of_the_machine_is_no_fault_of_a_trial(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    scheduler = scheduler_of(small, tmp_path, amps)
    task = scheduler.suggest()
    assert task
    assert not scheduler.on_report(TrialFault(task.trial, "stopped", "train.json does not exist"))
    assert not scheduler.on_complete(task.trial, "gone")
    assert scheduler.suggest() is None
    assert read_ledger(tmp_path) == []
    assert scheduler_of(small, tmp_path, amps).running == [task.trial]
