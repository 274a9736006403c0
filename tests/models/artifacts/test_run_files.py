"""The files that a training leaves, damaged: each is told by its name, in our own words."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.artifacts.history import read_history
from models.artifacts.names import HISTORY, SPLIT
from models.artifacts.split_file import read_split
from models.core.errors import UserError
from models.evaluation.take_scores import score_takes
from tests.support.makers import di, record
from tests.support.packages import pack, write_run

SPLIT_DOCUMENT: dict[str, Any] = {
    "data": {"name": "tiny", "align": False},
    "dry_sha256": ["0" * 64],
    "lags": {},
    "pieces": {"train": [{"dry": 0, "start": 0, "stop": 9, "setting": {"gain": 5, "tone": 0.5}}], "held": []},
}

BROKEN: dict[str, Any] = {
    "a list": [1],
    "text": "x",
    "no pieces": {**SPLIT_DOCUMENT, "pieces": None},
    "a piece that is a number": {**SPLIT_DOCUMENT, "pieces": {"train": [1]}},
    "a piece without a setting": {**SPLIT_DOCUMENT, "pieces": {"train": [{"dry": 0, "start": 0, "stop": 1}]}},
    "a dry signal that is not there": {
        **SPLIT_DOCUMENT,
        "pieces": {"train": [{"dry": 7, "start": 0, "stop": 1, "setting": {}}]},
    },
    "a digest that is a number": {**SPLIT_DOCUMENT, "dry_sha256": [7]},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_damaged_split_is_told(what: str, tmp_path: Path):
    run, manifest = write_run(tmp_path / "run"), record(tmp_path, "train", di(0.5))
    assert read_split(run) is None
    (run / SPLIT).write_text(json.dumps(SPLIT_DOCUMENT))
    assert read_split(run) == SPLIT_DOCUMENT
    (run / SPLIT).write_text(json.dumps(BROKEN[what]))
    with pytest.raises(UserError, match=r"split\.json"):
        score_takes(run, manifest)


NO_REPORTS = (
    "[1]",
    "7",
    '{"step": 1}',
    '{"step": true, "seconds": 1}',
    '{"step": 1, "seconds": "2"}',
    '{"step": -1, "seconds": 0}',
    '{"step": ' + "9" * 6000 + ', "seconds": 1}',
    "{",
    "[" * 100_000,
)


@pytest.mark.parametrize("text", NO_REPORTS, ids=lambda text: text[:20])
def test_a_damaged_history_is_told_with_its_line(text: str, tmp_path: Path):
    (tmp_path / HISTORY).write_text('{"step": 10, "loss": null, "seconds": 0.5}\n' + text + "\n")
    with pytest.raises(UserError, match=r"history\.jsonl, line 2 is no report of a training"):
        read_history(tmp_path)


DAMAGED = {
    "recipe.json": ["[]", "{}", '{"data": 1, "model": {}, "learning": {}}', '"x"'],
    "split.json": ["[]", "{}", json.dumps(BROKEN["a piece that is a number"])],
    "machine.json": ["[]", '"x"', "7"],
    "training.json": ["[]", '"x"', "null"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in DAMAGED.items() for text in texts])
def test_a_run_with_a_damaged_file_is_not_packaged(name: str, text: str, tmp_path: Path):
    run = write_run(tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    data = {"name": "tiny", "train": "t.json", "held_settings": 1, "held_seconds": 1.0}
    recipe = {"data": data, "model": config["architecture"], "learning": {"steps": 30}}
    for sound, document in (("recipe.json", recipe), ("split.json", SPLIT_DOCUMENT), ("machine.json", {"cpu": "x"})):
        (run / sound).write_text(json.dumps(document))
    (run / name).write_text(text)
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        pack(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
