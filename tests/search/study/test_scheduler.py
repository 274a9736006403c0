"""Every decision of a search, without an engine."""

import json
import math
import random
from pathlib import Path

import pytest

from models.core.files import write_json
from models.core.schema import check_document
from models.recordings.dataset import AmpData
from search.config.study import Final, SearchConfig
from search.optimizer.pruner import calibrate
from search.study import ledger
from search.study.board import choose
from search.study.cost import TIERS, Costs
from search.study.files import COSTS
from search.study.ledger import curves, ledger_path, read_ledger, read_lines
from search.study.scheduler import TrialScheduler
from tests.support.searches import STEPS, config_of, play


def test_the_best_is_trained_again_unless_it_is_left_out(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    assert small.final and small.trainings == [(30, STEPS), (9, 2 * STEPS)]
    conductor = TrialScheduler(small, tmp_path, amps)
    play(conductor)
    conductor.begin_finals(choose(small, tmp_path, small.finals))
    again = [line for line in conductor.trials.values() if "of" in line]
    assert len(again) == 3 * len({line["of"] for line in again})
    assert {line["steps"] for line in again} == {2 * STEPS} and {line["seed"] for line in again} == {0, 1, 2}
    names = [{**small.datasets[0].model_dump(), "name": name} for name in "abcde"]
    for mode, finals in (("universal", 3), ("per_amp", 5)):
        several = check_document({"name": "s", "datasets": names, "mode": mode}, SearchConfig, "test")
        assert several.finals == finals, "the best of every front is among them"
    assert config_of(final=None).trainings == [(16, config_of().learning.steps)]


def test_finals_that_began_stay_chosen_whatever_the_tiers_are_later(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    final = Final(steps=2 * STEPS, seeds=2, top=2)
    config = small.model_copy(update={"final": final})
    conductor = TrialScheduler(config, tmp_path, amps)
    play(conductor)
    chosen = choose(config, tmp_path, final.top)
    conductor.begin_finals(chosen)
    cheapest = min(line["cost"] for line in read_ledger(tmp_path) if line["state"] == "finished")
    small_tiers = Costs(cpus=("another",), reference_s=1.0, tiers=dict.fromkeys(TIERS, cheapest))
    write_json(tmp_path / COSTS, small_tiers.model_dump(mode="json"))
    assert choose(config, tmp_path, final.top) == chosen
    monkeypatch.setattr(
        "search.study.board.read_lines", lambda _: [line for line in read_lines(tmp_path) if "of" not in line]
    )
    assert choose(config, tmp_path, final.top) != chosen, "tiers this small choose others"


def test_rungs_are_placed_by_the_first_trials_and_stop_others(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    conductor = TrialScheduler(small, tmp_path, amps)
    play(conductor)
    ended = read_ledger(tmp_path)
    states = [line["state"] for line in ended]
    assert len(ended) == 30 and not conductor.open and conductor.running == []
    assert states[:4] == ["finished"] * 4 and states.count("pruned") > 5
    assert conductor.plan and conductor.plan.rungs[0] >= 20
    controls = [line for line in ended if line["control"]]
    assert len(controls) == 4 + 5 and all(line["state"] == "finished" for line in controls)
    assert len({json.dumps(line["point"]) for line in ended}) == 30


def test_what_is_always_tried_places_no_rungs(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """They are placed when as many others have trained to the end as calibrate them, by these, and stock is no control."""
    chance = random.Random(0)
    stock = [small.space.draw(chance) for _ in range(6)]
    placed: list[int] = []  # how many trials had ended when there were rungs
    conductor = TrialScheduler(
        small, tmp_path, amps, stock, lambda _: placed.append(conductor.ended) if conductor.rungs else None
    )
    play(conductor, workers=1)
    assert placed[0] == 6 + 4
    finished = [line for line in read_ledger(tmp_path) if line["state"] == "finished"]
    reported = curves(read_lines(tmp_path))
    free = [{step: math.log10(esr) for step, esr in reported[line["trial"]].items()} for line in finished[6:10]]
    assert conductor.plan and conductor.plan == calibrate(free, 20) and conductor.plan.rungs
    controls = [line["number"] for line in read_ledger(tmp_path) if line["control"]]
    assert controls == [*range(6), *range(6, 10), 14, 19, 24, 29]


@pytest.mark.parametrize("most", [1, 17, 60, 120])
def test_a_search_goes_on_where_it_was_cut(small: SearchConfig, amps: list[AmpData], tmp_path: Path, most: int):
    play(TrialScheduler(small, tmp_path, amps), most=most)
    before = ledger_path(tmp_path).read_bytes()
    known = {line["trial"]: line for line in read_ledger(tmp_path)}
    again = TrialScheduler(small, tmp_path, amps)
    begun = again.running
    assert [task.trial for task in (again.propose() for _ in begun) if task] == begun, "what had begun comes first"
    play(TrialScheduler(small, tmp_path, amps))
    assert ledger_path(tmp_path).read_bytes().startswith(before)
    ended = {line["trial"]: line for line in read_ledger(tmp_path)}
    assert len(ended) == 30 and known.items() <= ended.items()


def test_one_worker_cut_anywhere_finds_what_it_would_have_found(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for study in (whole, cut):
        study.mkdir()
    play(TrialScheduler(small, whole, amps), workers=1)
    for most in (7, 41, 3, 80):
        play(TrialScheduler(small, cut, amps), workers=1, most=most)
    play(TrialScheduler(small, cut, amps), workers=1)
    assert read_lines(cut) == read_lines(whole)


def test_a_recorded_trace_gives_the_same_decisions(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """Whoever trains: the same reports in the same order are judged the same."""
    whole, again = tmp_path / "whole", tmp_path / "again"
    for study in (whole, again):
        study.mkdir()
    play(TrialScheduler(small, whole, amps), workers=5)
    conductor = TrialScheduler(small, again, amps)
    for line in read_lines(whole):
        if line["state"] == ledger.START:
            task = conductor.propose()
            assert task and task.trial == line["trial"] and task.point == line["point"]
        elif line["state"] == ledger.REPORT:
            conductor.report(line["trial"], {key: line[key] for key in ("step", "esr", "amps", "worst")})
        elif line["state"] == ledger.FINISHED:
            conductor.end(line["trial"])
    assert read_lines(again) == read_lines(whole)


def test_what_ends_badly_is_written_down_and_stops_nothing(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    heard: list[dict] = []
    conductor = TrialScheduler(small, tmp_path, amps, listener=heard.append)
    wild, dead, cut = (conductor.propose() for _ in range(3))
    assert wild and dead and cut
    assert not conductor.report(wild.trial, {"step": 0, "esr": math.nan, "reason": "the loss is nan at step 3"})
    conductor.end(dead.trial, "out of memory")
    assert not conductor.end(cut.trial), "neither failed nor finished: interrupted"
    states = {line["trial"]: (line["state"], line.get("reason")) for line in read_ledger(tmp_path)}
    assert states == {wild.trial: ("diverged", "the loss is nan at step 3"), dead.trial: ("failed", "out of memory")}
    assert not conductor.report(dead.trial, {"step": 10, "esr": 0.1, "amps": {"a": 0.1}}), "the dead report nothing"
    assert [line["state"] for line in heard] == ["start"] * 3 + ["diverged", "failed"]
    assert conductor.running == [cut.trial]


def test_a_fault_of_the_machine_is_no_fault_of_a_trial(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    conductor = TrialScheduler(small, tmp_path, amps)
    task = conductor.propose()
    assert task
    assert not conductor.report(task.trial, {"stopped": "train.json does not exist"})
    assert not conductor.end(task.trial, "gone") and conductor.propose() is None
    assert read_ledger(tmp_path) == [] and TrialScheduler(small, tmp_path, amps).running == [task.trial]
