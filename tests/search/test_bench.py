"""The benchmark trains what it states, ranks by held error, and continues where it stopped."""

from pathlib import Path
from statistics import fmean, geometric_mean

import pytest

from models.artifacts.evaluation import read_evaluation
from models.core.errors import UserError
from models.recordings.config import DataConfig
from search.bench import OURS, PEERS, BenchPlan, bench_recipe, bench_to_json, run_bench

SMALL = BenchPlan(
    devices=("amp", "pedal"),
    recipes=("a1-nano-film", "peer-type-level"),
    steps=4,
    seeds=(0, 1),
    seconds=2.0,
    held_seconds=0.5,
    rate_hz=8000,
    learning={"batch": 1, "segment": 128},
)
DATA = DataConfig.model_validate({"name": "amp", "train": "train.json", "held": "held.json"})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    run_bench(SMALL, folder)
    return folder


def test_rows_are_the_means_of_their_runs(bench: Path):
    calls: list[tuple[int, int, str]] = []
    rows = run_bench(SMALL, bench, lambda *call: calls.append(call))  # type: ignore[arg-type]
    assert (calls[0], calls[-1]) == ((0, 8, "amp/a1-nano-film-4-0"), (8, 8, ""))
    assert sorted(row.recipe for row in rows) == ["a1-nano-film", "peer-type-level"]
    assert rows[0].esr <= rows[1].esr
    for row in rows:
        for device in row.devices:
            runs = [bench / "runs" / device.device / f"{row.recipe}-4-{seed}" for seed in (0, 1)]
            held = [read_evaluation(run).held for run in runs]
            assert device.mean == pytest.approx(fmean(score.mean for score in held))
            assert device.worst == max(score.worst for score in held)
        assert row.esr == pytest.approx(geometric_mean([device.mean for device in row.devices]))
    document = bench_to_json(SMALL, rows)
    assert (document["schema"], document["recipes"][0]["recipe"]) == ("zoo.bench/1", rows[0].recipe)


def test_a_finished_run_is_not_trained_again(bench: Path):
    states = {path: path.stat().st_mtime_ns for path in bench.rglob("state.safetensors")}
    assert len(states) == 8
    run_bench(SMALL, bench)
    assert {path: path.stat().st_mtime_ns for path in bench.rglob("state.safetensors")} == states


def test_other_projects_train_as_they_publish():
    for name in (*OURS, *PEERS):
        learning = bench_recipe(BenchPlan(), DATA, name, 3, 0).learning
        assert (learning.optimizer, learning.composed) == (("soap", 0.5) if name in OURS else ("adam", 0.0)), name
        assert learning.steps == 400
    wide, concat, film = (
        bench_recipe(BenchPlan(), DATA, f"peer-a2-{name}", 4, 0) for name in ("wide", "concat", "film")
    )
    assert [recipe.model.arrays[0].channels for recipe in (wide, concat, film)] == [14, 8, 8]
    assert (wide.model.inject.input, wide.model.inject.mixin, film.model.inject.input) == (True, True, False)


def test_unknown_names_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="'fuzz' is no device of the benchmark"):
        run_bench(BenchPlan(devices=("fuzz",)), tmp_path)
    with pytest.raises(UserError, match="'a3' is no recipe of the benchmark"):
        run_bench(BenchPlan(recipes=("a3",)), tmp_path)
    assert not list(tmp_path.iterdir())
