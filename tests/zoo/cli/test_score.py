"""`zoo score` shows how far a model is from takes, as a table, JSON and a page with sound."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.support.makers import GRID, amp, record, write_wav
from tests.support.packages import AMP, refused, zoo
from tests.zoo.cli.conftest import DI

SOME = GRID[::5]


@pytest.fixture
def manifest(here: Path) -> Path:
    """Takes, and beside them renderings at half the level."""
    for number, setting in enumerate(SOME):
        write_wav(here / "half" / f"takes_{number}.wav", 0.5 * amp(DI, **setting))
    return record(here, "takes", DI, SOME)


def test_renderings_are_shown(manifest: Path):
    ran = zoo("score", "half", manifest)
    head, *rows = (line.split("\t") for line in ran.out.splitlines())
    assert (ran.code, head) == (0, ["TAKE", "SETTING", "ESR", "MATCHED", "MRSTFT", "REGION"])
    assert [(row[0], row[2], row[3]) for row in rows] == [(f"takes_{n}.wav", "0.25000", "0.00000") for n in range(4)]
    assert [row[5] for row in rows] == ["corner", "inside", "inside", "edge"]
    assert "half at 4 takes: ESR mean 0.25000, median 0.25000, worst 0.25000, gain-matched 0.00000" in ran.err


def test_regions_are_shown_from_low_to_high(manifest: Path):
    ran = zoo("score", "half", manifest)
    where = [line.split("\t")[0] for line in ran.err.splitlines() if "\t" in line]
    knobs = ["gain low", "gain middle", "gain high", "tone low", "tone middle", "tone high"]
    assert where == ["WHERE", "inside", "edge", "corner", *knobs]


def test_scores_as_json(manifest: Path):
    ran = zoo("score", "half", manifest, "--json")
    found = json.loads(ran.out)
    assert (ran.code, ran.err, found["schema"], found["model"]) == (0, "", "zoo.score/1", "half")
    assert found["esr"] == pytest.approx({"mean": 0.25, "median": 0.25, "worst": 0.25}, rel=1e-5)
    regions = {(row["region"], row["takes"]) for row in found["by_region"]}
    assert regions == {("inside", 2), ("edge", 1), ("corner", 1)}
    assert [take["setting"] for take in found["takes"]] == list(SOME)
    assert found["lag"] is None


def test_the_page_has_the_sound_beside_the_take(manifest: Path, here: Path):
    ran = zoo("score", "half", manifest, "--html", "score.html")
    assert (ran.code, "Wrote score.html" in ran.err) == (0, True)
    text = (here / "score.html").read_text()
    data = re.findall(r"data:audio/flac;base64,([^\"]+)", text)
    clips = [sf.read(io.BytesIO(base64.b64decode(clip))) for clip in data]
    assert len(clips) == 2 * len(SOME)
    for (take_T, rate_hz), (played_T, _) in zip(clips[::2], clips[1::2], strict=True):
        assert rate_hz == 8000
        assert np.abs(take_T).max() == pytest.approx(0.9, abs=1e-3)
        assert np.allclose(played_T, 0.5 * take_T, atol=1e-4)


def test_an_amp_of_the_shelf_is_scored(manifest: Path):
    ran = zoo("score", AMP, manifest, "--json")
    assert (ran.code, json.loads(ran.out)["model"]) == (0, "tiny")


def test_what_is_no_model_is_refused(manifest: Path):
    refused(zoo("score", "none.nam", manifest), 1, "none.nam does not exist", "Name a package")
    refused(zoo("score", "half", "none.json"), 3, "none.json does not exist", "Check the path")
