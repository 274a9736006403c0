"""The analog levels of the recordings: from any form of manifest to every `.nam` file, and back."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.audio.calibration import AnalogLevels
from models.core.errors import UserError
from models.formats.nam.reader import read_nam
from models.formats.nam.writer import write_nam
from models.network.baking import bake
from models.recordings.align_dataset import align_dataset
from models.recordings.loading import load_data
from models.recordings.manifest import read_manifest
from models.training.trainer import Trainer
from tests.support.makers import data_config, di, entry, model, recipe, record
from tests.support.packages import write_run, zoo

STATED: dict[str, Any] = {"input_level_dbu": 12.5, "output_level_dbu": -3}
LEVELS = AnalogLevels(input_level_dbu=12.5, output_level_dbu=-3.0)
TRAINED = {"x_path": "di.wav", "y_path": "a.wav", "params": {"gain": 1}}
FORMS: dict[str, dict[str, Any]] = {
    "joint": {"knobs": ["gain"], "entries": [entry("di.wav", "a.wav", {"gain": 1})]},
    "isolated": {"entries": [{"input_file": "di.wav", "output_file": "a.wav", "knob_type": "gain", "knob_level": 1}]},
    "parametric": {"type": "parametric", "knobs": ["gain"], "train": [TRAINED]},
}


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_states_levels_at_the_top(tmp_path: Path, form: str):
    assert read_manifest(written(tmp_path / "m.json", {**FORMS[form], **STATED})).levels == LEVELS
    one = read_manifest(written(tmp_path / "m.json", {**FORMS[form], "output_level_dbu": 4})).levels
    assert one == AnalogLevels(output_level_dbu=4.0)
    assert read_manifest(written(tmp_path / "m.json", FORMS[form])).levels == AnalogLevels()


def test_trainers_state_levels_in_common(tmp_path: Path):
    document = {**FORMS["parametric"], "common": {**STATED, "sample_rate": 48000}, "input_level_dbu": 1}
    manifest = read_manifest(written(tmp_path / "m.json", document))
    assert manifest.levels == LEVELS and manifest.sample_rate == 48000


@pytest.mark.parametrize("value", ["12", "12 dBu", 1e6, -61, True, [1]])
def test_odd_level_is_refused_by_name(tmp_path: Path, value: Any):
    path = written(tmp_path / "m.json", {**FORMS["joint"], "input_level_dbu": value})
    with pytest.raises(UserError, match=r"m\.json.*input_level_dbu"):
        read_manifest(path)


def test_levels_go_from_recordings_to_every_file_and_back(tmp_path: Path):
    path = record(tmp_path, "train", di())
    written(path, {**json.loads(path.read_text()), **STATED})
    assert read_manifest(align_dataset(path, tmp_path / "aligned")[0]).levels == LEVELS
    data = data_config(path)
    trainer = Trainer(recipe(data), load_data(data))
    config, net = trainer.config, trainer.net
    assert config.audio.levels == LEVELS
    for name, made in (("live", net), ("baked", bake(net, [0.0, 0.0]))):
        write_nam(tmp_path / f"{name}.nam", config, made)
        metadata = json.loads((tmp_path / f"{name}.nam").read_text())["metadata"]
        assert {key: metadata[key] for key in STATED} == STATED
        assert read_nam(tmp_path / f"{name}.nam")[0].audio.levels == LEVELS


def test_files_that_do_not_state_them_are_as_before(tmp_path: Path):
    config, net = model()
    write_nam(tmp_path / "plain.nam", config, net)
    document = json.loads((tmp_path / "plain.nam").read_text())
    assert not set(STATED) & set(document["metadata"]) and not set(STATED) & set(config.audio.model_dump())
    document["metadata"]["input_level_dbu"] = None  # as the trainer writes what was not stated
    assert read_nam(written(tmp_path / "plain.nam", document))[0].audio.levels == AnalogLevels()
    document["metadata"]["input_level_dbu"] = "loud"
    with pytest.raises(UserError, match="input_level_dbu"):
        read_nam(written(tmp_path / "plain.nam", document))


def test_a_package_shows_levels(tmp_path: Path):
    config, net = model()
    stated = config.model_copy(update={"audio": config.audio.model_copy(update=STATED)})
    run = write_run(tmp_path / "run", (stated, net))
    out = Path(zoo("package", run, "--license", "cc0-1.0", "--out", tmp_path / "packages").out.strip())
    assert "0 dBFS is 12.5 dBu at the input, -3 dBu at the output" in zoo("show", out).out
    assert {key: json.loads(zoo("show", out, "--json").out)["config"]["audio"][key] for key in STATED} == STATED
    for path in (out / "live.nam", *(out / "baked").iterdir()):
        assert {key: json.loads(path.read_text())["metadata"][key] for key in STATED} == STATED
