"""`zoo bench` prints the leaderboard."""

import json
from pathlib import Path
from unittest import mock

import pytest

from search.bench import BenchPlan, DeviceResult, RecipeResult
from tests.support.packages import refused, zoo

ROWS = [
    RecipeResult("a1-lite-film", 0.02, 6390, 30.0, (DeviceResult("pedal", 0.02, 0.01, 0.05),)),
    RecipeResult("peer-type-level", 0.5, 2128, 10.0, (DeviceResult("pedal", 0.5, 0.4, 0.9),)),
]


def test_the_leaderboard_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plans: list[tuple[BenchPlan, Path]] = []
    words = ("bench", "--steps", 20, "--seeds", 2, "--device", "pedal", "--recipe", "a1-lite-film", "--out", "here")
    with mock.patch("search.bench.run_bench", lambda plan, out, bar: plans.append((plan, out)) or ROWS):
        ran, document = zoo(*words), json.loads(zoo(*words, "--json").out)
    assert plans[0] == (BenchPlan(("pedal",), ("a1-lite-film",), 20, (0, 1)), Path("here"))
    assert [line.split("\t") for line in ran.out.splitlines()] == [
        ["RECIPE", "ESR", "PEDAL", "WORST", "MACS", "SECONDS"],
        ["a1-lite-film", "0.0200", "0.0200", "0.0500", "6,390", "30"],
        ["peer-type-level", "0.5000", "0.5000", "0.9000", "2,128", "10"],
    ]
    assert "held ESR after 20 steps, 2 seeds" in ran.err
    assert [row["esr"] for row in document["recipes"]] == [0.02, 0.5]


def test_an_unknown_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    refused(zoo("bench", "--device", "fuzz"), 1, "'fuzz' is no device", "amp, pedal, preamp")
