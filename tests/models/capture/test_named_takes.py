"""A manifest from file names has the settings of the names, ranges of a faceplate, and says what it leaves out."""

from pathlib import Path

import pytest

from models.capture.named_takes import parse_range, parse_ranges, read_take_names
from models.capture.take_names import compile_pattern, guess_pattern
from models.core.errors import NotFound, UserError
from models.recordings.manifest import interpret_manifest
from tests.support.makers import RATE, di, write_wav

PATTERN = "DS1 drive{drive} tone{tone}.wav"


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = touch(tmp_path / "DS1", "DS1 drive2 tone7,5.wav", "DS1 drive8 tone7.5.WAV", "DS1 drive8 tone0.wav")
    write_wav(made / "di.wav", di(0.1))
    return made


def test_names_become_takes(folder: Path):
    touch(folder, "DS1 drive3.wav", "notes.txt", "._DS1 drive2 tone7,5.wav", "DS1 drive2 tone2.flac", "room.wav")
    found = read_take_names(folder, PATTERN)
    assert {path.name: setting for path, setting in found.settings.items()} == {
        "DS1 drive2 tone7,5.wav": {"drive": 2, "tone": 7.5},
        "DS1 drive8 tone7.5.WAV": {"drive": 8, "tone": 7.5},
        "DS1 drive8 tone0.wav": {"drive": 8, "tone": 0},
    }
    assert found.dry.name == "di.wav"
    assert [path.name for path in found.left_out] == ["DS1 drive2 tone2.flac", "DS1 drive3.wav", "room.wav"]
    manifest = interpret_manifest(found.manifest("my DS1"), folder / "takes.json")
    assert (manifest.device, manifest.sample_rate) == ("my DS1", RATE)
    assert {take.dry for take in manifest.takes} == {folder / "di.wav"}
    assert {take.wet: take.setting for take in manifest.takes} == found.settings
    assert [knob.scale[:3] for knob in manifest.knobs.knobs] == [("drive", 0, 10), ("tone", 0, 10)]
    assert manifest.knobs.defaults == {"drive": 8, "tone": 7.5}  # what most takes share


def test_dry_signal_may_lie_elsewhere(folder: Path):
    signal = (folder / "di.wav").rename(folder.parent / "signal.wav")
    found = read_take_names(folder, PATTERN, signal)
    assert found.left_out == []
    manifest = interpret_manifest(found.manifest(""), folder / "takes.json")
    assert manifest.takes[0].dry.resolve() == signal.resolve()
    with pytest.raises(UserError, match="is not clear; every audio file fits"):
        read_take_names(folder, PATTERN)
    touch(folder, "some.wav", "other.wav")
    with pytest.raises(UserError, match="is not clear; it may be one of 2 files"):
        read_take_names(folder, PATTERN)


@pytest.mark.parametrize(
    ("numbers", "low", "high"),
    [
        ((0, 0.5), 0, 1),
        ((2, 8.5), 0, 10),
        ((0, 11), 0, 12),
        ((7, 60), 0, 100),
        ((3, 127), 0, 127),
        ((-6, 3), -10, 10),
        ((-12, 12), -12, 12),
    ],
)
def test_range_is_the_smallest_usual_one(tmp_path: Path, numbers: tuple[float, float], low: float, high: float):
    touch(tmp_path, "di.wav", *(f"G{number}.wav" for number in numbers))
    found = read_take_names(tmp_path, "G{gain}").ranges["gain"]
    assert (found.low, found.high, found.seen, found.assumed) == (low, high, numbers, True)


def test_stated_ranges_and_positions(tmp_path: Path):
    touch(tmp_path, "di.wav", "Gold lead G2.wav", "Gold clean G7.wav")
    stated = parse_ranges(("gain=0:11", "channel=clean, lead"))
    found = read_take_names(tmp_path, "{channel} G{gain}", None, stated)
    assert [found.settings[path] for path in sorted(found.settings)] == [
        {"channel": "clean", "gain": 7},
        {"channel": "lead", "gain": 2},
    ]
    assert (found.ranges["gain"].high, found.ranges["gain"].assumed) == (11, False)
    assert parse_range("tone", "-12:12") == {"min": -12, "max": 12}
    with pytest.raises(UserError, match=r"Gold clean G7.wav: knob 'gain' is 7, outside its range 0 to 5"):
        read_take_names(tmp_path, "{channel} G{gain}", None, {**stated, **parse_ranges(("gain=0:5",))})
    with pytest.raises(UserError, match="no knob is called 'tone'"):
        read_take_names(tmp_path, "G{gain}", None, {"tone": {"min": 0, "max": 1}})


@pytest.mark.parametrize("text", ["gain", "gain=", "gain=7", "gain=7:3", "gain=a:b", "=0:10", "gain=0:nan", "gain=a,"])
def test_text_that_is_no_range_is_refused(text: str):
    with pytest.raises(UserError, match="is no range of a knob"):
        parse_ranges((text,))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("TS9 drive{drive}", "fits 'TS9 drive{drive}'; the first is DS1 drive2 tone7,5.wav"),
        ("DS1", "is not a pattern"),
        ("drive{drive}", "are both at drive=8"),
    ],
)
def test_names_that_do_not_do_are_told(folder: Path, pattern: str, words: str):
    with pytest.raises(UserError, match=words):
        read_take_names(folder, pattern)


def test_folder_that_is_missing_or_a_knob_that_never_turns(tmp_path: Path):
    with pytest.raises(NotFound, match="is no folder"):
        read_take_names(tmp_path / "none", PATTERN)
    touch(tmp_path, "di.wav", "G4 T1.wav", "G4 T2.wav")
    with pytest.raises(UserError, match="'gain' is 4 in every name"):
        read_take_names(tmp_path, "G{gain} T{tone}")


def test_knob_may_have_a_hyphen():
    composed, apart = "Fr\u00e9 G{gain}", "Fre\u0301 G{gain}"  # as keyboards and as macOS write it
    for pattern, name in ((composed, apart), (apart, composed), (apart, apart)):
        assert compile_pattern(pattern, {}).find(Path(f"{name.format(gain=4)}.wav")) == [{"gain": 4}]
    assert compile_pattern("P{pre-gain}-V{vol}", {}).find(Path("P4-V2.wav")) == [{"pre-gain": 4, "vol": 2}]


GUESSED = {
    "DS1 drive{drive} tone{tone}.wav": ("DS1 drive2 tone7,5.wav", "DS1 drive8 tone0.WAV", "di.wav", "room 2.wav"),
    "Drive {drive} Master {master}.flac": ("Drive 10 Master 1.flac", "Drive 2 Master 3.5.flac"),
    "TS808 D{d}_T{t}.wav": ("TS808 D0_T5.wav", "TS808 D10_T5.wav", "TS808 D0_T7.5.wav"),
    "amp gain{gain}.wav": ("01-amp gain2_07.wav", "02-amp gain4_08.wav", "amp gain7.wav"),
    "gain-{gain}.wav": ("gain-1.wav", "gain-2.wav"),
    "bass{bass}dB.wav": ("bass+5dB.wav", "bass-5dB.wav", "bass0dB.wav"),
    "treble={treble} mid3.aif": ("treble=4 mid3.aif", "treble=5 mid3.aif"),
}


@pytest.mark.parametrize("pattern", GUESSED)
def test_a_pattern_is_guessed_from_the_names(pattern: str):
    names = [Path(name) for name in GUESSED[pattern]]
    guessed = guess_pattern(names, "takes")
    assert guessed == pattern
    found = [compile_pattern(guessed, {}).find(path) for path in names]
    assert sum(len(settings) == 1 for settings in found) >= 2


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("di.wav", "take.wav"), "do not say which number is which knob"),
        (("5_7.wav", "3_2.wav"), "do not say which number is which knob"),
        (("5 drive 3 tone.wav", "2 drive 8 tone.wav"), "do not say which number is which knob"),
        (("vol2 vol3.wav", "vol5 vol7.wav"), "do not say which number is which knob"),
        (("01DS1 gain3.wav", "02DS1 gain4.wav"), "do not say which number is which knob"),
        (("clean g1.wav", "clean g2.wav", "lead g1.wav", "lead g2.wav"), r"'clean g\{g\}.wav' and 'lead g\{g\}.wav'"),
        ((), "do not say which number is which knob"),
    ],
)
def test_names_that_leave_the_pattern_open_are_refused(names: tuple[str, ...], words: str):
    with pytest.raises(UserError, match=words) as caught:
        guess_pattern([Path(name) for name in names], "takes")
    assert "State the pattern" in caught.value.hint
