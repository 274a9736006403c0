"""The parts of the search that decide: the space, the front, the ledger, what Optuna is told."""

import json
import math
import pickle
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.searcher import FiniteOptunaSearch, Suggest

from models.errors import UserError
from models.files import check_document
from search.ledger import append, ledger_path, read_ledger
from search.pareto import front
from search.space import CYCLES, SearchConfig, Space, dilations

points = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30)


@given(points)
def test_front_is_what_nothing_beats(found: list[tuple[float, float]]):
    kept = front(found)
    for index, point in enumerate(found):
        beaten = any(all(a <= b for a, b in zip(found[k], point, strict=True)) and found[k] != point for k in kept)
        equal = any(found[k] == point for k in kept)
        assert beaten != equal
        if index in kept:
            assert not beaten
    esrs = [found[k][0] for k in kept]
    assert esrs == sorted(esrs) and len(set(esrs)) == len(esrs)


@given(st.sampled_from(sorted(CYCLES)), st.integers(1, 32))
def test_dilation_families(family: str, depth: int):
    base, cycle = CYCLES[family]
    found = dilations(family, depth)
    assert len(found) == depth
    assert all(found[i] == found[i - cycle] for i in range(cycle, depth))
    assert all(found[i] == base * found[i - 1] for i in range(1, min(depth, cycle)))


def test_every_sample_is_in_bounds_and_gives_a_recipe():
    space = Space(arrays=(1, 2), kernel_size=(2, 3), activation=("Tanh", "ReLU"))
    data = {"name": "a", "train": "train.json", "held": "held.json"}
    config = check_document({"name": "s", "datasets": [data, {**data, "name": "b"}]}, SearchConfig, "test")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(60):
        trial = study.ask()
        space.suggest(trial)
        point = trial.params
        for axis in Space.model_fields:
            if axis == "learning_rate":
                assert space.learning_rate[0] <= point[axis] <= space.learning_rate[1]
            else:
                assert point[axis] in getattr(space, axis)
        first, second = config.recipes(point)
        assert first.model == second.model and first.data != second.data
        assert first.learning.learning_rate == point["learning_rate"]
        assert len(first.model.arrays) == point["arrays"] and len(first.model.arrays[0].dilations) == point["depth"]
        seen.add(first.model.inject.label)
    assert seen == {"mixin", "film", "mixin+film"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"channels": []}, "channels"),
        ({"inject": ["nowhere"]}, "inject"),
        ({"learning_rate": [0.1, 0.01]}, "lower end"),
        ({"dilations": ["pow2"], "depth": [32], "kernel_size": [6], "arrays": [2], "width": 3}, "width"),
    ],
)
def test_a_bad_space_is_named(change: dict, word: str):
    document = {"name": "s", "datasets": [{"name": "a", "train": "t", "held": "h"}], "space": change}
    with pytest.raises(UserError, match=word):
        check_document(document, SearchConfig, "search.json")


def test_two_datasets_of_one_name_are_refused():
    data = {"name": "a", "train": "t", "held": "h"}
    with pytest.raises(UserError, match="share a name"):
        check_document({"name": "s", "datasets": [data, data]}, SearchConfig, "search.json")


def test_optuna_is_told_the_truth_about_trials_without_a_result():
    search = FiniteOptunaSearch(Suggest(Space()), metric=["esr", "cost"], mode=["min", "min"], seed=0)
    for name, esr in (("good", 0.1), ("nan", math.nan), ("inf", math.inf)):
        assert search.suggest(name)
        search.on_trial_complete(name, {"esr": esr, "cost": 10.0})
    search.suggest("dead")
    search.on_trial_complete("dead", None, error=True)
    study = search._ot_study
    assert study is not None
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
    again = pickle.loads(pickle.dumps(search))
    assert again.suggest("next") == search.suggest("next")


def test_the_ledger_keeps_the_last_word_of_each_trial_and_survives_a_cut(tmp_path: Path):
    append(tmp_path, {"trial": "a", "state": "failed"})
    append(tmp_path, {"trial": "b", "state": "finished", "esr": 0.5})
    append(tmp_path, {"trial": "a", "state": "finished", "esr": 0.25})
    with ledger_path(tmp_path).open("a") as file:
        file.write(json.dumps({"trial": "c", "state": "finished"})[:-5])
    assert [(line["trial"], line["state"]) for line in read_ledger(tmp_path)] == [("a", "finished"), ("b", "finished")]
    append(tmp_path, {"trial": "d", "state": "failed"})
    assert [line["trial"] for line in read_ledger(tmp_path)] == ["a", "b", "d"]
    assert read_ledger(tmp_path / "nowhere") == []
