"""Dilation families and shapes with a name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.core.schema import read_document
from models.network.architecture import WaveNetConfig
from models.recordings.dataset import AmpData
from search.config.shapes import FAMILIES, SHAPES, STOCK, dilations
from search.report.optuna_export import to_optuna
from search.study.ledger import read_lines
from tests.support.makers import examples
from tests.support.searches import CONFIGS, config_of, report, scheduler_of


@examples(50)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(1, 32))
def test_dilation_families(family: str, depth: int):
    cycle = FAMILIES[family]
    found = dilations(cycle, depth)
    assert len(found) == depth and found[: len(cycle)] == cycle[:depth]
    assert all(found[i] == found[i - len(cycle)] for i in range(len(cycle), depth))


@pytest.mark.parametrize("name", [*STOCK, "a2-wide-10", "a2-wide-16"])
def test_named_shapes_are_those_of_the_presets(name: str):
    file = {"a2-wide-10": "peer-a2-concat-2-knobs", "a2-wide-16": "peer-a2-concat-5-knobs"}.get(name, name)
    assert read_document(CONFIGS / f"{file}.json", WaveNetConfig).arrays == SHAPES[name]


def test_only_stock_recipes_may_be_outside_the_space(amps: list[AmpData], folder: Path, tmp_path: Path):
    space = {
        "shapes": ["a1-nano"],
        "inject": ["mixin"],
        "depth": [2, 3, 4],
        "channels": [2, 3, 4],
        "dilations": ["pow2"],
    }
    config = config_of(folder, space=space, trials=20)
    stock = [{"shape": "a1-feather", "inject": "input+mixin"}, {"shape": "a1-nano", "inject": "film"}]
    scheduler = scheduler_of(config, tmp_path, amps, stock)
    points = []
    while task := scheduler.suggest():
        points.append(task.point)
        scheduler.on_report(report(task.trial, task.steps, 0.1 / len(points), seconds=1.0))
        scheduler.on_complete(task.trial)
    assert [(point["shape"], point["inject"]) for point in points[:2]] == [
        ("a1-feather", "input+mixin"),
        ("a1-nano", "film"),
    ]
    assert len(points) > 8 and all(config.space.complete(point) for point in points[2:])
    study = to_optuna(config, read_lines(tmp_path))
    assert len(study.trials) == len(points)
