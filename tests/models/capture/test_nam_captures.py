"""Takes rendered from NAM captures are the captures played, and their manifest has the settings of their names."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audio.calibration import AnalogLevels
from models.audio.io import read_audio
from models.capture.nam_captures import read_capture_names, render_captures
from models.core.errors import Notice, UserError
from models.formats.nam.writer import write_nam
from models.knobs.schema import Knobs
from models.playback.render import render
from models.playback.stream import play
from models.recordings.manifest import read_manifest
from tests.support.captures import CONFIG, NET, capture
from tests.support.makers import KNOBS, RATE, di, examples, model, write_wav

DI = di(0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for gain in (4, 6, 10):
        capture(tmp_path / "JCM900", f"JCM900 G{gain}.nam", gain)
    return tmp_path / "JCM900"


@pytest.fixture
def signal(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "x.wav", DI)


def test_takes_are_the_captures_played(tmp_path: Path, folder: Path, signal: Path):
    seen = []
    path = render_captures(
        folder, "G{gain}", signal, tmp_path / "out", on_take=lambda done, total: seen.append((done, total))
    )
    manifest = read_manifest(path)
    assert (manifest.device, manifest.sample_rate) == ("JCM900", RATE)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [knob.scale[:3] for knob in manifest.knobs.knobs] == [("gain", 4, 10)]
    assert {take.setting["gain"] for take in manifest.takes} == {4, 6, 10}
    for take in manifest.takes:
        truth_T = play(NET, DI, KNOBS.encode({"gain": take.setting["gain"]}))
        assert np.abs(read_audio(take.wet)[0] - truth_T).max() < 1e-5
        assert np.array_equal(read_audio(take.dry)[0], DI)


def test_loud_captures_are_not_clipped(tmp_path: Path, signal: Path):
    for gain in (1, 2):
        capture(tmp_path / "hot", f"hot-{gain}.nam", gain, loud=100)
    manifest = read_manifest(render_captures(tmp_path / "hot", "hot-{gain}", signal, tmp_path / "out"))
    assert all(np.abs(read_audio(take.wet)[0]).max() > 5 for take in manifest.takes)


def at_levels(folder: Path, name: str, gain: float, **levels: float) -> Path:
    """A capture that states its levels, or a container of one that states them."""
    path = capture(folder, name, gain)
    document = json.loads(path.read_text())
    document["metadata"].update(levels)
    if levels.pop("container", 0):
        inner = {**document, "metadata": {}, "sample_rate": None}
        submodels = [{"max_value": 1.0, "model": inner}]
        document |= {"architecture": "SlimmableContainer", "config": {"submodels": submodels}, "weights": []}
    path.write_text(json.dumps(document))
    return path


def test_captures_at_other_levels_are_played_at_the_same_voltage(tmp_path: Path, signal: Path):
    """The second was made 6 dB hotter: full scale is half the voltage at its input, and its output is twice as much."""
    at_levels(tmp_path / "caps", "G2.nam", 2, input_level_dbu=18.0, output_level_dbu=12.0)
    at_levels(tmp_path / "caps", "G7.nam", 7, input_level_dbu=12.0, output_level_dbu=18.0, container=1)
    manifest = read_manifest(render_captures(tmp_path / "caps", "G{gain}", signal, tmp_path / "out"))
    assert manifest.levels == AnalogLevels(input_level_dbu=18, output_level_dbu=12)
    double = 10 ** (6 / 20)
    for take, factor in zip(manifest.takes, (1.0, double), strict=True):
        truth_T = factor * play(NET, factor * DI, KNOBS.encode({"gain": take.setting["gain"]}))
        assert np.abs(read_audio(take.wet)[0] - truth_T).max() < 1e-5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "001_gain2.wav", "002_gain7.wav", "di.wav", "train.json",
    ]  # fmt: skip


def test_levels_that_only_some_captures_state_are_told(tmp_path: Path, signal: Path):
    at_levels(tmp_path / "caps", "G2.nam", 2, input_level_dbu=18.0)
    at_levels(tmp_path / "caps", "G7.nam", 7)
    with pytest.warns(Notice, match="G7.nam states no input_level_dbu"):
        manifest = read_manifest(render_captures(tmp_path / "caps", "G{gain}", signal, tmp_path / "out"))
    assert manifest.levels == AnalogLevels()
    truth_T = play(NET, DI, KNOBS.encode({"gain": 2}))
    assert np.abs(read_audio(manifest.takes[0].wet)[0] - truth_T).max() < 1e-5


def test_several_knobs_and_a_switch(tmp_path: Path):
    schema = Knobs.model_validate(
        {"knobs": [{"name": "gain", "max": 10}, {"name": "channel", "positions": ["lead", "clean"]}, {"name": "tone"}]}
    )
    for name in ("Gold lead G0,5 T1", "Gold clean G7 T0", "Gold clean G7.5 T0.25"):
        (tmp_path / f"{name}.nam").touch()
    knobs, found = read_capture_names(tmp_path, "{channel} G{gain} T{tone}", schema)
    assert knobs == schema
    assert {path.stem: setting for path, setting in found.items()} == {
        "Gold lead G0,5 T1": {"gain": 0.5, "channel": "lead", "tone": 1},
        "Gold clean G7 T0": {"gain": 7, "channel": "clean", "tone": 0},
        "Gold clean G7.5 T0.25": {"gain": 7.5, "channel": "clean", "tone": 0.25},
    }


@pytest.mark.parametrize(
    ("names", "pattern", "words"),
    [
        ([], "G{gain}", ["has no .nam file"]),
        (["amp G4", "amp"], "G{gain}", ["amp.nam does not hold the pattern 'G{gain}'"]),
        (["amp G4x"], "G{gain}", ["does not hold"]),
        (["BIG4"], "G{gain}", ["does not hold"]),
        (["G4 G5"], "G{gain}", ["holds more than once"]),
        (["amp G4", "old G4.0", "new G5"], "G{gain}", ["amp G4.nam and old G4.0.nam are both at gain=4"]),
        (["amp G4"], "G{gain}", ["'gain' is 4 in every name"]),
        (["amp G4"], "G", ["'G' is not a pattern"]),
        (["amp G4"], "{gain}{gain}", ["is not a pattern"]),
        (["amp G4"], "{Gain}", ["is not a pattern"]),
        (["amp G4"], "G{gain", ["is not a pattern"]),
    ],
)
def test_names_that_do_not_match_are_refused(tmp_path: Path, names: list[str], pattern: str, words: list[str]):
    for name in names:
        (tmp_path / f"{name}.nam").touch()
    with pytest.raises(UserError) as caught:
        read_capture_names(tmp_path, pattern)
    assert all(word in caught.value.message for word in words) and caught.value.hint, caught.value.message


def test_pattern_with_an_unknown_knob_is_refused(tmp_path: Path):
    (tmp_path / "G4.nam").touch()
    with pytest.raises(UserError, match="no knob is called 'drive'"):
        read_capture_names(tmp_path, "G{drive}", KNOBS)
    with pytest.raises(UserError, match=r"G4.nam: knob 'gain' is 4, outside its range 0 to 1"):
        read_capture_names(tmp_path, "G{gain}", Knobs.model_validate({"knobs": [{"name": "gain"}]}))


def test_capture_with_knobs_or_another_rate_is_refused(tmp_path: Path, folder: Path, signal: Path):
    fast = write_wav(tmp_path / "fast.wav", DI, 2 * RATE)
    with pytest.raises(UserError, match="plays at 8000 Hz, .*fast.wav is at 16000 Hz"):
        render_captures(folder, "G{gain}", fast, tmp_path / "out")
    write_nam(folder / "live G7.nam", CONFIG, NET)
    with pytest.raises(UserError, match="live G7.nam has knobs of its own: gain, tone"):
        render_captures(folder, "G{gain}", signal, tmp_path / "out")
    (folder / "live G7.nam").write_text("{}")
    with pytest.raises(UserError, match=r"live G7.nam"):
        render_captures(folder, "G{gain}", signal, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "take.wav").touch()
    with pytest.raises(UserError, match="out is in the way"):
        render_captures(folder, "G{gain}", signal, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["take.wav"]


@pytest.fixture(scope="module")
def names_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("names")


WORDS = st.text(alphabet="G{}gain.[]()*+?\\|^$ 0479-,", max_size=12)


@given(
    pattern=WORDS | st.sampled_from(["G{gain}", "{gain}"]),
    name=st.text(alphabet="G gain.[]()*+?|^$0479-,", max_size=10),
)
@examples(150)
def test_any_pattern_gives_settings_or_a_user_error(names_folder: Path, pattern: str, name: str):
    for old in names_folder.iterdir():
        old.unlink()
    for stem in (f"x{name}", "G7"):
        (names_folder / f"{stem}.nam").touch()
    try:
        knobs, found = read_capture_names(names_folder, pattern)
    except UserError as problem:
        assert problem.hint
        return
    assert all(knobs.complete(setting) == setting for setting in found.values())


def test_render_writes_24_bit_by_default(tmp_path: Path, signal: Path):
    render(model(), signal, tmp_path / "out.wav", {})
    assert np.abs(np.mod(read_audio(tmp_path / "out.wav")[0] * 2**23 + 0.5, 1) - 0.5).max() < 1e-9


def test_what_other_systems_put_beside_captures_is_no_capture(tmp_path: Path):
    for name in ("JCM G2.nam", "JCM G7.NAM", "._JCM G2.nam", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).touch()
    (tmp_path / "G9.nam").mkdir()
    _, found = read_capture_names(tmp_path, "G{gain}")
    assert {path.name: setting for path, setting in found.items()} == {
        "JCM G2.nam": {"gain": 2},
        "JCM G7.NAM": {"gain": 7},
    }


def test_position_in_a_name_is_the_longest_that_fits(tmp_path: Path):
    for name in ("mode 1.nam", "mode 1.5.nam"):
        (tmp_path / name).touch()
    schema = Knobs.model_validate({"knobs": [{"name": "mode", "positions": ["1", "1.5"]}]})
    _, found = read_capture_names(tmp_path, "mode {mode}", schema)
    assert [setting["mode"] for setting in found.values()] == ["1.5", "1"]
