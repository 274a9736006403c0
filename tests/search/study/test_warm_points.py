"""First points from other studies and runs."""

import shutil
from pathlib import Path

import pytest

from models.artifacts.model_config import make_config
from models.core.errors import UserError
from models.core.files import write_json
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData
from search.config.locate import locate
from search.config.shapes import named_points
from search.config.space import Space
from search.config.study import SearchConfig
from search.study.board import read_study
from search.study.ledger import read_ledger, read_lines
from search.study.warm_start import amp_of, read_source, with_warm_start
from tests.support.packages import evaluation, write_run
from tests.support.searches import WIDE, play, sample, scheduler_of


def test_a_point_is_found_again_from_its_model():
    found = 0
    for seed in range(80):
        point = sample(WIDE, seed)
        try:
            model = WIDE.model(point)
        except ValueError:
            continue
        again = locate(WIDE, model, point)
        if again is not None:
            same = all(again[key] == point[key] for key in ("learning_rate", "batch", "segment"))
            assert WIDE.model(again) == model and same
            found += 1
    assert found > 60
    assert locate(Space(channels=(9,)), SPACE_8) is None


SPACE_8 = Space().model({**(Space().complete({"channels": 8}) or {})})


def test_a_search_begins_with_the_best_points_of_a_study(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text(small.model_dump_json())
    scheduler = scheduler_of(small, study, amps)
    play(scheduler)
    new = small.model_copy(
        update={"space": Space(channels=(2, 3, 4, 5, 6), depth=(2, 3, 4), dilations=("pow2",)), "seed": 9}
    )
    warm = with_warm_start(new, [read_source(new, study)])
    assert 1 <= len(warm.warm) <= 8 and with_warm_start(new, []) is new
    ahead = scheduler_of(warm, tmp_path, amps, named_points(2))
    first = ahead.suggest()
    assert first
    assert first.point == warm.warm[0]
    best = min((trial for trial in read_ledger(study) if trial.state == "finished"), key=lambda trial: trial.esr)
    assert any(new.space.model(point) == small.space.model(best.point) for point in warm.warm)
    with pytest.raises(UserError, match="no study, package or run"):
        read_source(new, tmp_path / "nowhere")
    other = new.model_copy(update={"space": Space(channels=(31,))})
    with pytest.raises(UserError, match="holds no point of"):
        with_warm_start(other, [read_source(other, study)])


def test_a_study_goes_on_without_its_source(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    other, whole, cut = tmp_path / "other", tmp_path / "whole", tmp_path / "cut"
    for study in (other, whole, cut):
        study.mkdir()
    write_json(other / "study.json", small.model_dump(mode="json"))
    play(scheduler_of(small, other, amps))
    begun = with_warm_start(small.model_copy(update={"seed": 5, "trials": 24}), [read_source(small, other)])
    shutil.rmtree(other)
    for study in (whole, cut):
        write_json(study / "study.json", begun.model_dump(mode="json"))
    assert read_study(cut) == begun
    play(scheduler_of(begun, whole, amps), workers=1)
    for most in (7, 41, 10**6):
        play(scheduler_of(read_study(cut), cut, amps), workers=1, most=most)
    assert read_lines(cut) == read_lines(whole)


def test_a_study_with_results_of_others_as_earlier_versions_stored_them_is_read(small: SearchConfig, tmp_path: Path):
    prior = [[{"point": {"depth": 3}, "macs": 10, "receptive_field": 10, "esr": 0.5}]]
    write_json(tmp_path / "study.json", {**small.model_dump(mode="json"), "prior": prior})
    assert read_study(tmp_path) == small


def test_the_amp_whose_settings_differ_alike_comes_first(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    signal, error = amps[0].baseline(amps[0].validation[0])
    runs = []
    for name, channels, times in (("unlike", 2, 50.0), ("unknown", 3, 0.0), ("alike", 4, 1.1)):
        point = small.space.complete({"channels": channels})
        assert point
        recipe = small.recipes(point)[0]
        net = WaveNet(recipe.model, 2)
        run = write_run(tmp_path / name, (make_config(name, 48_000, amps[0].knobs, recipe.model), net))
        write_json(run / "recipe.json", recipe.model_dump(mode="json"))
        settings = [{"setting": {}, "esr": 0.1, "baseline_esr": error / signal * times or None}] * 2
        validation = {"mean": 0.1, "median": 0.1, "worst": 0.1, "baseline_mean": None, "settings": settings}
        document = {**evaluation(net).model_dump(mode="json", by_alias=True), "validation": validation}
        write_json(run / "eval.json", document)
        runs.append(run)
    found = [read_source(small, run) for run in runs]
    near = with_warm_start(small, found, amp_of(small)).warm
    assert [point["channels"] for point in near] == [4, 2, 3]
    assert [point["channels"] for point in with_warm_start(small, found).warm] == [2, 3, 4], "in the given order"
