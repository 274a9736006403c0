"""What other studies, packages and runs tell a new search."""

import json
import shutil
from pathlib import Path

import pytest

from models.artifacts.model_config import make_config
from models.core.errors import UserError
from models.core.files import write_json
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData
from search.config.shapes import named_points
from search.config.space import Space
from search.config.study import SearchConfig
from search.study.board import read_study
from search.study.ledger import read_ledger, read_lines
from search.study.scheduler import TrialScheduler
from search.study.warm_start import amp_of, locate, read_source, with_warm_start
from tests.support.packages import evaluation, write_run
from tests.support.searches import WIDE, play, sample


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


def test_a_search_begins_with_what_was_best_elsewhere(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text(small.model_dump_json())
    conductor = TrialScheduler(small, study, amps)
    play(conductor)
    new = small.model_copy(
        update={"space": Space(channels=(2, 3, 4, 5, 6), depth=(2, 3, 4), dilations=("pow2",)), "seed": 9}
    )
    warm = with_warm_start(new, [read_source(new, study)])
    assert 1 <= len(warm.warm) <= 8 and with_warm_start(new, []) is new
    ahead = TrialScheduler(warm, tmp_path, amps, named_points(2))
    first = ahead.propose()
    assert first and first.point == warm.warm[0]
    best = min((line for line in read_ledger(study) if line["state"] == "finished"), key=lambda line: line["esr"])
    assert any(new.space.model(point) == small.space.model(best["point"]) for point in warm.warm)
    with pytest.raises(UserError, match="no study, package or run"):
        read_source(new, tmp_path / "nowhere")
    other = new.model_copy(update={"space": Space(channels=(31,))})
    alone = with_warm_start(other, [read_source(other, study)])
    assert (alone.warm, alone.prior) == ((), warm.prior), "what the space does not hold is a prior all the same"


def test_the_trials_of_another_study_are_a_prior_that_the_study_keeps(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path
):
    other, whole, cut = tmp_path / "other", tmp_path / "whole", tmp_path / "cut"
    for study in (other, whole, cut):
        study.mkdir()
    write_json(other / "study.json", small.model_dump(mode="json"))
    play(TrialScheduler(small, other, amps))
    begun = with_warm_start(small.model_copy(update={"seed": 5, "trials": 24}), [read_source(small, other)])
    (heard,) = begun.prior
    ended = {json.dumps(line["point"]): line for line in read_ledger(other)}
    assert len(heard) == len(ended) == 30, "also those that were stopped early"
    for trial in heard:
        line = ended[json.dumps(trial.point)]
        same = trial.esr == pytest.approx(line["esr"], rel=1e-4)
        assert same if line["state"] == "finished" else trial.esr < line["esr"], "as where it would have come to"
    shutil.rmtree(other)
    for study in (whole, cut):
        write_json(study / "study.json", begun.model_dump(mode="json"))
    assert read_study(cut) == begun
    play(TrialScheduler(begun, whole, amps), workers=1)
    for most in (7, 41, 10**6):
        play(TrialScheduler(read_study(cut), cut, amps), workers=1, most=most)
    assert read_lines(cut) == read_lines(whole), "to go on needs no source"


def test_of_other_amps_the_one_whose_settings_lie_alike_comes_first(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path
):
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
    assert [point["channels"] for point in with_warm_start(small, found).warm] == [2, 3, 4], "as they came"
