"""What costs mean in a study: seconds of one machine, and the same tiers wherever it goes on or is read."""

from pathlib import Path

import pytest

from models.network.architecture import LayerArray, WaveNetConfig
from models.playback import realtime_cost as measuring
from models.recordings.loading import load_data
from search.study import cost
from search.study.build import make_scheduler
from search.study.constraints import Constraints
from search.study.cost import TIERS, CountedCost, MeasuredCost, read_costs, settle_costs, tier_budgets
from search.study.files import COSTS
from search.study.ledger import read_lines
from search.study.summary import choose, summarize
from tests.support.makers import di, record
from tests.support.searches import SMALL, config_of, play

SECONDS = {"slow": 4e-5, "fast": 1e-5}  # that a block of the reference model takes


def move_to(cpu: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From here on this machine is another: every model takes twice as long as the reference model."""
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / cpu))
    for module in (cost, measuring):
        monkeypatch.setattr(module, "cpu_name", lambda: cpu)
    monkeypatch.setattr(measuring, "measure_cost", lambda *_: (2.0, SECONDS[cpu]))


def test_costs_are_in_seconds_of_the_machine_where_the_study_began(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    model = WaveNetConfig(arrays=(LayerArray(channels=2, dilations=(1, 2)),))
    move_to("slow", monkeypatch, tmp_path)
    settle_costs(tmp_path, 2, 48_000, MeasuredCost())
    begun = read_costs(tmp_path)
    assert begun
    assert begun.cpus == ("slow",)
    assert begun.reference_s == SECONDS["slow"]
    here = MeasuredCost().cost(model, 2, 48_000)
    assert begun.tiers == {**dict.fromkeys(TIERS, here), "hifi": None}
    before = (tmp_path / COSTS).read_bytes()
    settle_costs(tmp_path, 2, 48_000, MeasuredCost())
    assert (tmp_path / COSTS).read_bytes() == before
    move_to("fast", monkeypatch, tmp_path)
    assert MeasuredCost().cost(model, 2, 48_000) == pytest.approx(here / 4)
    assert MeasuredCost().scaled_to(begun.reference_s).cost(model, 2, 48_000) == pytest.approx(here)
    settle_costs(tmp_path, 5, 48_000, MeasuredCost())
    later = read_costs(tmp_path)
    assert later == begun.model_copy(update={"cpus": ("slow", "fast")})


def test_a_study_keeps_its_costs_and_tiers_on_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    record(tmp_path, "train", di())
    config, study = config_of(tmp_path, **{**SMALL, "trials": 5}), tmp_path / "study"
    amps = [load_data(config.datasets[0])]
    study.mkdir()
    move_to("slow", monkeypatch, tmp_path)
    settle_costs(study, 2, 48_000, MeasuredCost())
    play(make_scheduler(config, study, amps), workers=1, most=25)
    move_to("fast", monkeypatch, tmp_path)
    monkeypatch.setattr(cost, "tier_budgets", None)  # nothing is measured to read a board
    play(make_scheduler(config, study, amps), workers=1)
    lines, costs = read_lines(study), read_costs(study)
    board = summarize(config, lines, costs)
    (expected,) = {round(2 * SECONDS["slow"] * amps[0].rate_hz / 64, 9)}
    assert {round(trial.cost, 9) for trial in board.trials} == {expected}, "one front, one machine's seconds"
    assert costs
    assert {tier: found.budget for tier, found in board.tiers["all"].items()} == costs.tiers
    strict = config.model_copy(update={"bounds": config.bounds.model_copy(update={"cost": expected / 2})})
    here, there = (Constraints(strict, amps, model) for model in (MeasuredCost(), MeasuredCost(costs.reference_s)))
    candidate = here.to_candidate(board.trials[0].point)
    assert here.violation(candidate) is None
    assert there.violation(candidate), "bounds are in seconds of that machine too"
    (study / COSTS).unlink()
    old = summarize(config, lines, read_costs(study))
    assert old.fronts == board.fronts
    assert old.tiers == {"all": {}}, "as a study that knows no tiers"
    assert choose(config, study, 1) == board.fronts["all"][:1]


def test_tiers_grow():
    found = [limit for limit in tier_budgets(2, 48_000, CountedCost()).values() if limit is not None]
    assert found == sorted(found)
    assert len(found) == 3
