"""Cross-validation: every setting that can leave training is judged once, by a model that was not trained on it."""

from pathlib import Path

import pytest
import torch

from models.artifacts.evaluation import Score
from models.artifacts.names import FOLD_SCORES, WEIGHTS
from models.core.errors import UserError
from models.recordings.config import DataConfig
from models.recordings.loading import load_data
from models.training.fit import fit
from models.training.folds import cross_validate, for_all_takes, split_folds
from tests.support.makers import data_config, di, recipe, record

FOLD_COUNT = 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    return data_config(record(tmp_path_factory.mktemp("takes"), "train", di(1.5)))


def test_each_setting_is_judged_once_and_not_trained_on(data: DataConfig):
    whole = load_data(for_all_takes(data))
    parts = split_folds(whole, FOLD_COUNT)
    held = {piece.key for piece in whole.held}
    judged = [piece.key for part in parts for piece in part.validation]
    assert len(judged) == len(set(judged)) > FOLD_COUNT and not held & set(judged)
    for part in parts:
        out = {piece.key for piece in part.validation}
        assert {piece.key for piece in part.train} == {piece.key for piece in whole.train} - out
        for side in (torch.amin, torch.amax):
            left, every = (side(torch.stack([piece.levels_K for piece in some.train]), 0) for some in (part, whole))
            assert torch.equal(left, every)
    assert max(p.stop for p in parts[0].train) <= min(p.start for p in parts[0].validation)


def test_too_many_folds_are_refused(data: DataConfig):
    with pytest.raises(UserError, match="folds are wanted, but only"):
        split_folds(load_data(for_all_takes(data)), 100)


def test_folds_are_scored_once_and_the_model_trains_on_all(data: DataConfig, tmp_path: Path):
    out, seen = tmp_path / "run", list[int]()
    asked = recipe(data)

    def stop_after_first(number: int, found: Score) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(asked, out, FOLD_COUNT, stop_after_first)
    steps: list[int] = []
    found = cross_validate(asked, out, FOLD_COUNT, on_step=steps.append)
    assert len(steps) == asked.learning.steps  # of the second fold alone
    assert len(found.folds) == FOLD_COUNT
    assert found.whole.worst == max(fold.worst for fold in found.folds)
    assert found.spread == pytest.approx(abs(found.folds[0].mean - found.folds[1].mean) / 2**0.5)
    again = cross_validate(asked, out, FOLD_COUNT, on_step=lambda step: pytest.fail("trained again"))
    assert again == found
    fit(asked.model_copy(update={"data": for_all_takes(asked.data)}), out)
    assert (out / FOLD_SCORES).exists() and (out / WEIGHTS).exists()


def test_folds_of_another_recipe_are_scored_anew(data: DataConfig, tmp_path: Path):
    first = cross_validate(recipe(data), tmp_path / "run", FOLD_COUNT)
    other = recipe(data).model_copy(update={"learning": recipe(data).learning.model_copy(update={"seed": 1})})
    assert cross_validate(other, tmp_path / "run", FOLD_COUNT).folds != first.folds
