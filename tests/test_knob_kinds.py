"""An amp with a switch, an audio-taper pot and a `type_level` knob is recorded, trained, played and exported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.artifacts.folder import load_model
from models.core.errors import UserError
from models.formats.nam.reader import read_nam
from models.formats.nam.writer import write_nam
from models.knobs.automation import read_automation, sweep
from models.knobs.schema import Knobs
from models.network.baking import bake
from models.playback.render import render
from models.playback.stream import Stream, play
from models.recordings.config import DataConfig
from models.recordings.loading import load_data
from models.training.config import Recipe
from models.training.fit import fit
from tests.support.makers import RATE, amp, di, entry, esr, read_wav, write_manifest, write_wav

KNOBS = Knobs.model_validate(
    {
        "knobs": [
            {"name": "volume", "max": 10, "taper": "log"},
            {"name": "voice", "positions": ["dark", "bright", "flat"], "default": "bright"},
        ]
    }
)
TONES = {"dark": 0.0, "bright": 1.0, "flat": 0.5}
SETTINGS = [{"volume": v, "voice": name} for v in (0, 2.5, 5, 7.5, 10) for name in TONES]
DI = di()


def play_amp(x_T: np.ndarray, volume: Any, voice: Any) -> np.ndarray:
    """The tiny amp behind a pot and a switch."""
    knob = KNOBS.knobs[0]
    (level,) = knob.encode(volume)
    return (0.1 + 0.45 * (level + 1)) * amp(x_T, 5.0, TONES[voice])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("switched")
    dry = write_wav(folder / "dry.wav", DI)
    entries = []
    for number, setting in enumerate(SETTINGS):
        write_wav(folder / f"{number}.wav", play_amp(DI, **setting))
        entries.append(entry(dry.name, f"{number}.wav", setting))
    return write_manifest(folder / "train.json", entries, knobs=[knob.model_dump() for knob in KNOBS.knobs])


def recipe(train: Path, inject: dict, **learning: int) -> Recipe:
    data = {
        "name": "switched",
        "train": train,
        "held_settings": ({"volume": 2.5, "voice": "flat"}, {"volume": 7.5, "voice": "dark"}),
        "held_seconds": 0.25,
        "validation_settings": 1,
        "validation_seconds": 0.25,
    }
    model = {"arrays": [{"channels": 4, "dilations": [1, 2]}], "inject": inject}
    plain = {"steps": 400, "batch": 8, "segment": 256, "learning_rate": 0.02}
    return Recipe.model_validate(
        {"data": DataConfig.model_validate(data), "model": model, "learning": {**plain, **learning}}
    )


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "switched"
    fit(recipe(manifest, {"mixin": True, "film": ["activation_pre"]}), out)
    return out


def test_switch_and_taper_are_learned(run: Path):
    config, net = load_model(run)
    assert config.knobs == KNOBS and net.knobs == config.columns == 4
    for setting in ({"volume": 2.5, "voice": "flat"}, {"volume": 7.5, "voice": "dark"}):
        wet_T = play_amp(di(seed=1), **setting)
        assert esr(play(net, di(seed=1), config.encode(setting))[50:], wet_T[50:]) < 0.05


def test_model_leaves_and_comes_back_with_its_schema(run: Path, tmp_path: Path):
    config, net = load_model(run)
    write_nam(tmp_path / "live.nam", config, net)
    again, twin = read_nam(tmp_path / "live.nam")
    assert again.knobs == KNOBS
    here = config.encode({"volume": 3, "voice": "dark"})
    assert esr(play(twin, DI, here), play(net, DI, here)) < 1e-10
    write_nam(tmp_path / "dark.nam", config, bake(net, here), {"volume": 3, "voice": "dark"})
    assert esr(play(read_nam(tmp_path / "dark.nam")[1], DI, []), play(net, DI, here)) < 1e-10


def test_switch_jumps_and_pot_turns_while_a_file_plays(run: Path, tmp_path: Path):
    model = load_model(run)
    source = write_wav(tmp_path / "in.wav", DI)
    moves = tmp_path / "moves.csv"
    moves.write_text("seconds,volume,voice\n0,0,dark\n0.5,10,bright\n1,10,flat\n")
    render(model, source, tmp_path / "out.wav", read_automation(moves, KNOBS, {}))
    half, seconds = RATE // 2, np.arange(len(DI)) / RATE
    knob = KNOBS.knobs[0]
    volume_T = np.array([knob.encode(value)[0] for value in np.interp(seconds, [0, 0.5], [0, 10])])
    voice_T = np.array([[0, 1, 2][int(np.searchsorted([0.5, 1], t, side="right"))] for t in seconds])
    levels_KT = np.stack([volume_T, *(voice_T == position for position in range(3))])
    expected_T = Stream(model[1], list(levels_KT[:, 0])).process(DI, levels_KT)
    assert len(read_wav(tmp_path / "out.wav")) == len(DI) > 2 * half
    assert esr(read_wav(tmp_path / "out.wav"), expected_T) < 1e-9
    with pytest.raises(UserError, match="'voice' is a switch"):
        sweep(KNOBS, {}, ["voice=0:1"], 1.0)


def test_type_and_level_learn_isolated_takes(tmp_path: Path):
    settings = [{}, *({"gain": gain} for gain in (0, 2, 4, 6, 8, 10)), *({"tone": tone} for tone in (0, 0.25, 0.75, 1))]
    dry = write_wav(tmp_path / "dry.wav", DI)
    entries = []
    for number, setting in enumerate(settings):
        write_wav(tmp_path / f"{number}.wav", amp(DI, **{"gain": 5, "tone": 0.5, **setting}))
        entries.append(entry(dry.name, f"{number}.wav", setting))
    train = write_manifest(tmp_path / "train.json", entries)
    plain = recipe(train, {"mixin": True, "encoding": "type_level"}, steps=200)
    stated = {"held_settings": ({"gain": 4}, {"tone": 0.75}), "validation_settings": ({"gain": 8},)}
    evaluation = fit(plain.model_copy(update={"data": plain.data.model_copy(update=stated)}), tmp_path / "run")
    assert evaluation.held.mean < 0.1
    config, net = load_model(tmp_path / "run")
    assert net.knobs == config.columns == 3
    write_nam(tmp_path / "live.nam", config, net)
    assert read_nam(tmp_path / "live.nam")[0].architecture == config.architecture


def test_switch_has_no_type_and_level(manifest: Path):
    plan = recipe(manifest, {"mixin": True, "encoding": "type_level"})
    assert load_data(plan.data).knobs == KNOBS
    with pytest.raises(UserError, match="'voice' is a switch"):
        fit(plan, manifest.parent / "never")
    assert not (manifest.parent / "never").exists()
