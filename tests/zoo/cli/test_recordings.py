"""`zoo plan` and `zoo signal` as a user meets them."""

import json
import sys
from pathlib import Path

import pytest
import soundfile as sf

from models.recordings.manifest import read_manifest
from tests.support.captures import capture
from tests.support.makers import RATE, di, entry, write_manifest, write_wav
from tests.support.packages import refused, terminal, write_run, zoo
from zoo.cli.recordings import DESIGNS
from zoo.cli.views.plan import format_time

TEN = {"min": 1, "max": 10, "step": 1}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    plain = [{"name": name, "min": 0, "max": 10, "default": 5} for name in ("gain", "tone", "volume")]
    Path("amp.json").write_text(json.dumps({"$schema": "x", "device": "My amp", "knobs": plain}))
    Path("five.json").write_text(json.dumps({"knobs": [{"name": name, **TEN} for name in "abcde"]}))
    gains = [{"name": name, "gain": True} for name in "ab"]
    Path("gains.json").write_text(json.dumps({"knobs": gains}))
    for name, setting in (("still", {}), ("one", {"gain": 1})):
        Path(f"{name}.json").write_text(json.dumps([entry("d.wav", "w.wav", setting)]))
    one = [entry("d.wav", "w.wav", {"gain": 1})]
    Path("fast.json").write_text(json.dumps({"sample_rate": 48000, "entries": one}))
    write_wav(Path("di.wav"), di(1.0))
    return tmp_path


def test_designs_are_those_of_the_plan():
    from models.capture.plan import DESIGNS as PLANNED

    assert PLANNED == DESIGNS


def test_designs_are_compared_before_anything_is_written(here: Path):
    before = set(here.iterdir())
    ran = zoo("plan", "five.json")
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert ran.code == 0 and rows[0][:5] == ["DESIGN", "TAKES", "TIME", "HOLE", "APART"]
    assert [row[:3] for row in rows[1:]] == [
        ["isolated", "21", "1 h 28 min"],
        ["hybrid", "243", "13 h 29 min"],
        ["combinatorial", "100,000", "226 days"],
        ["space-filling", "50", "3 h 02 min"],
    ]
    assert rows[1][4] == "10" and {row[4] for row in rows[2:]} == {"0"}
    assert "recommended: space-filling" in ran.err and "next: zoo plan five.json --signal DI.wav" in ran.err
    assert set(here.iterdir()) == before
    document = json.loads(zoo("plan", "five.json", "--json", "--signal", "di.wav").out)
    assert document["recommended"] == "space-filling"
    assert [p["seconds"] for p in document["plans"]] == [pytest.approx(n * 16) for n in (27, 249, 100_000, 56)]


def test_settings_of_a_design_are_listed(here: Path):
    ran = zoo("plan", "amp.json", "--design", "hybrid", "--positions", 2, "--held", 1)
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert rows[0] == ["#", "FOR", "GAIN", "TONE", "VOLUME"] and [row[1] for row in rows[1:]] == ["train"] * 8 + [
        "held"
    ]
    assert {tuple(row[2:]) for row in rows[1:9]} == {
        (a, b, c) for a in ("0", "10") for b in ("0", "10") for c in ("0", "10")
    }
    assert "8 takes and 1 held back" in ran.err
    listed = json.loads(zoo("plan", "amp.json", "--design", "isolated", "--held", 0, "--json").out)
    assert (len(listed["train"]), listed["held"]) == (13, [])
    assert "never moved together: gain and tone" in zoo("plan", "amp.json", "--design", "isolated").err


def test_session_is_written_and_extended(here: Path):
    ran = zoo("plan", "amp.json", "--signal", "di.wav", "--out", "rec")
    assert (ran.code, ran.out) == (0, "rec/train.json\n") and "rec/sheet.html" in ran.err
    train, held = (read_manifest(Path("rec", f"{part}.json")) for part in ("train", "held"))
    assert (train.device, len(train.takes), len(held.takes)) == ("My amp", 30, 6)
    ran = zoo("plan", "--extend", "rec/train.json", "--extend", "rec/held.json", "--count", 4)
    rows = [line.split("\t") for line in ran.out.splitlines()][1:]
    taken = {tuple(map(float, take.setting.values())) for take in train.takes + held.takes}
    assert len(rows) == 4 and taken.isdisjoint(tuple(map(float, row[2:])) for row in rows)
    ran = zoo("plan", "--extend", "rec/train.json", "--count", 4, "--signal", "di.wav", "--out", "more")
    assert ran.out == "more/train.json\n" and len(read_manifest(Path("more/train.json")).takes) == 34


def test_captures_become_takes(here: Path):
    for gain in (2, 4):
        capture(here / "caps", f"amp G{gain}.nam", gain)
    ran = zoo("plan", "--from-nam", "caps", "--pattern", "G{gain}")
    assert ran.out == "FILE\tSETTING\namp G2.nam\tgain=2\namp G4.nam\tgain=4\n"
    assert "2 captures; to render takes of them" in ran.err
    ran = zoo("plan", "--from-nam", "caps", "--pattern", "G{gain}", "--signal", "di.wav", "--out", "takes")
    assert "rendered a take of each of 2 captures" in ran.err
    assert ran.out == "takes/train.json\n" and zoo("check", "takes/train.json").code == 0
    ran = zoo("plan", "amp.json", "--from-nam", "caps", "--pattern", "G{gain}", "--signal", "di.wav", "--out", "named")
    read = read_manifest(Path("named/train.json"))
    assert (read.device, read.knobs.names, read.takes[0].setting["tone"]) == ("My amp", ("gain", "tone", "volume"), 5)


def test_signal_is_audio_of_that_length_and_rate(here: Path):
    ran = zoo("signal", "out.wav", "--seconds", 21.5, "--rate", 8000)
    refused(zoo("signal", "out.wav", "--seconds", 20), 1, "out.wav is there already", "another name")
    assert (ran.code, ran.out) == (0, "out.wav\n") and "the last 4.3 s are for judging" in ran.err
    info = sf.info("out.wav")
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (172_000, 8000, 1, "PCM_24")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan",), ["say one of KNOBS.json"]),
        (("plan", "amp.json", "--extend", "rec/train.json"), ["say one of KNOBS.json"]),
        (("plan", "none.json"), ["none.json does not exist"]),
        (("plan", "di.wav"), ["di.wav", "not UTF-8"]),
        (("plan", "amp.json", "--out", "rec"), ["--out needs --signal"]),
        (("plan", "amp.json", "--out", "rec", "--signal", "none.wav"), ["none.wav does not exist"]),
        (("plan", "amp.json", "--out", ".", "--signal", "di.wav"), [". is in the way"]),
        (("plan", "five.json", "--design", "combinatorial"), ["100,000 takes, 226 days"]),
        (("plan", "five.json", "--count", "3"), ["3 takes are fewer than the 17"]),
        (("plan", "amp.json", "--positions", "1"), ["positions is 1"]),
        (("plan", "amp.json", "--held", "-1"), ["held is -1"]),
        (("plan", "amp.json", "--count", "1000000000"), ["count is 1000000000", "1 to 5,000"]),
        (("plan", "amp.json", "--positions", "1000000"), ["positions is 1000000"]),
        (("plan", "gains.json"), ["gains.json", "more than one knob is the gain: a, b"]),
        (("plan", "--extend", "still.json"), ["there is no knob to plan for"]),
        (("plan", "--extend", "one.json", "--count", "0"), ["count is 0"]),
        (
            ("plan", "--extend", "fast.json", "--count", "2", "--signal", "di.wav", "--out", "rec"),
            ["di.wav is at 8000 Hz, fast.json at 48000 Hz"],
        ),
        (("plan", "--from-nam", "."), ["--from-nam needs --pattern"]),
        (("plan", "--from-nam", ".", "--pattern", "G{gain}"), ["has no .nam file"]),
        (("signal", "out.wav", "--seconds", "5"), ["5 s cannot be made", "20 to 3600"]),
        (("signal", "out.mp3"), ["out.mp3", ".wav or .flac"]),
    ],
)
def test_mistake_is_one_sentence_and_makes_nothing(here: Path, words: tuple[str, ...], said: list[str]):
    before = set(here.iterdir())
    refused(zoo(*words), 1, *said)
    assert set(here.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")
def test_comparison_fits_a_narrow_terminal(here: Path):
    code, screen = terminal("plan", "five.json", columns=60)
    table = [
        line.rstrip()
        for line in screen.splitlines()
        if line.startswith(("DESIGN", "isolated", "hybrid", "comb", "space"))
    ]
    assert code == 0 and len(table) == 5 and all(len(line) <= 60 for line in table)
    assert "combinatorial  100,000  226 days" in screen


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")
def test_findings_are_folded_between_words(here: Path):
    write_wav(here / "w.wav", 0.5 * di(1.0, seed=8))
    write_manifest(here / "takes.json", [entry("di.wav", "w.wav", {"gain": 1})])
    _, screen = terminal("check", "takes.json", columns=60)
    lines = screen[screen.rindex("fault:") :].splitlines()
    assert lines[0].startswith("fault: w.wav has little to do with") and lines[1].startswith("  ")
    assert all(len(line) <= 60 for line in lines)


def test_render_resamples_when_told(here: Path):
    write_run(here / "tiny")
    write_wav(here / "fast.wav", di(0.2, 11025), 11025)
    refused(zoo("render", "./tiny", "fast.wav", "out.wav"), 1, "fast.wav is at 11025 Hz", "--resample")
    assert zoo("render", "./tiny", "fast.wav", "out.wav", "--resample").code == 0
    assert sf.info("out.wav").samplerate == 11025 != RATE and sf.info("out.wav").frames == 2205


def test_time_is_told_as_one_says_it():
    assert [format_time(s) for s in (1, 150, 3540, 3570, 7500, 200_000)] == [
        "1 min",
        "2 min",
        "59 min",
        "1 h 00 min",
        "2 h 05 min",
        "2 days",
    ]
