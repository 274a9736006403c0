"""The command `zoo plan`."""

import json
import sys
from pathlib import Path

import pytest

from models.artifacts.model_config import make_config
from models.knobs.schema import Knob
from models.recordings.manifest import read_manifest
from tests.support.captures import capture
from tests.support.makers import GRID, KNOBS, RATE, architecture, di, entry, record, wavenet, write_wav
from tests.support.packages import refused, terminal, write_run, zoo
from zoo.cli.plan import DESIGNS
from zoo.cli.views.plan import format_time

MISSING = ("does not exist", "holds no study", "holds no model")

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


def test_designs_are_those_of_the_planner():
    from models.capture.plan import ALL_DESIGNS

    assert ALL_DESIGNS == DESIGNS


def test_designs_are_compared_before_anything_is_written(here: Path):
    before = set(here.iterdir())
    ran = zoo("plan", "five.json")
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert ran.code == 0
    assert rows[0][:5] == ["DESIGN", "TAKES", "TIME", "GAP", "UNPAIRED"]
    assert [row[:3] for row in rows[1:]] == [
        ["isolated", "21", "1 h 28 min"],
        ["hybrid", "243", "13 h 29 min"],
        ["combinatorial", "100,000", "226 days"],
        ["space-filling", "50", "3 h 02 min"],
    ]
    assert rows[1][4] == "10"
    assert {row[4] for row in rows[2:]} == {"0"}
    assert "recommended: space-filling" in ran.err
    assert "next: zoo plan five.json --signal DI.wav --out FOLDER" in ran.err
    assert set(here.iterdir()) == before
    document = json.loads(zoo("plan", "five.json", "--json", "--signal", "di.wav").out)
    assert document["recommended"] == "space-filling"
    assert [p["seconds"] for p in document["plans"]] == [pytest.approx(n * 16) for n in (27, 249, 100_000, 56)]


def test_settings_of_a_design_are_listed(here: Path):
    ran = zoo("plan", "amp.json", "--design", "hybrid", "--positions", 2, "--held", 1)
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert rows[0] == ["#", "FOR", "GAIN", "TONE", "VOLUME"]
    assert [row[1] for row in rows[1:]] == ["train"] * 8 + ["held"]
    assert {tuple(row[2:]) for row in rows[1:9]} == {
        (a, b, c) for a in ("0", "10") for b in ("0", "10") for c in ("0", "10")
    }
    assert "8 takes and 1 held out" in ran.err
    listed = json.loads(zoo("plan", "amp.json", "--design", "isolated", "--held", 0, "--json").out)
    assert (len(listed["train"]), listed["held"]) == (13, [])
    assert "never moved together: gain and tone" in zoo("plan", "amp.json", "--design", "isolated").err


def test_knobs_that_filter_make_the_session_shorter(here: Path):
    ran = zoo("plan", "amp.json", "--after", "tone", "--after", "volume", "--design", "space-filling", "--json")
    assert (ran.code, len(json.loads(ran.out)["train"])) == (0, 18)
    said = "tone, volume: filtering after the distortion, so training composes takes: 18 in place of 30, 1 h 18 min in "
    assert f"{said}place of 1 h 57 min (33 % less)" in ran.err
    assert "filtering after" not in zoo("plan", "amp.json").err
    ran = zoo("plan", "amp.json", "--after", "tone", "--signal", "di.wav", "--out", "rec")
    assert (ran.code, "so training composes takes" in ran.err) == (0, True)
    manifest = read_manifest(Path("rec/train.json"))
    assert [knob.name for knob in manifest.knobs.knobs if isinstance(knob, Knob) and knob.after] == ["tone"]
    refused(
        zoo("plan", "--extend", "rec/train.json", "--after", "tone"), 1, "--after is for KNOBS.json", '"after": true'
    )


def test_session_is_written_and_extended(here: Path):
    ran = zoo("plan", "amp.json", "--signal", "di.wav", "--out", "rec")
    assert (ran.code, ran.out) == (0, "rec/train.json\n")
    assert "rec/sheet.html" in ran.err
    train, held = (read_manifest(Path("rec", f"{part}.json")) for part in ("train", "held"))
    assert (train.device, len(train.takes), len(held.takes)) == ("My amp", 30, 6)
    ran = zoo("plan", "--extend", "rec/train.json", "--extend", "rec/held.json", "--count", 4)
    rows = [line.split("\t") for line in ran.out.splitlines()][1:]
    taken = {tuple(map(float, take.setting.values())) for take in train.takes + held.takes}
    assert len(rows) == 4
    assert taken.isdisjoint(tuple(map(float, row[2:])) for row in rows)
    ran = zoo("plan", "--extend", "rec/train.json", "--count", 4, "--signal", "di.wav", "--out", "more")
    assert ran.out == "more/train.json\n"
    assert len(read_manifest(Path("more/train.json")).takes) == 34


def test_next_command_repeats_what_was_given(here: Path):
    ran = zoo("plan", "amp.json", "--count", "20", "--step", "0.25")
    assert ran.err.splitlines()[-1] == ("next: zoo plan amp.json --count 20 --step 0.25 --signal DI.wav --out FOLDER")


def test_captures_become_takes(here: Path):
    for gain in (2, 4):
        capture(here / "caps", f"amp G{gain}.nam", gain)
    ran = zoo("plan", "--from-nam", "caps", "--pattern", "G{gain}")
    assert ran.out == "FILE\tSETTING\namp G2.nam\tgain=2\namp G4.nam\tgain=4\n"
    assert "2 captures; to render takes from them" in ran.err
    ran = zoo("plan", "--from-nam", "caps", "--pattern", "G{gain}", "--signal", "di.wav", "--out", "takes")
    assert "rendered one take from each of 2 captures" in ran.err
    assert ran.out == "takes/train.json\n"
    assert zoo("check", "takes/train.json").code == 0
    ran = zoo("plan", "amp.json", "--from-nam", "caps", "--pattern", "G{gain}", "--signal", "di.wav", "--out", "named")
    read = read_manifest(Path("named/train.json"))
    assert (read.device, read.knobs.names, read.takes[0].setting["tone"]) == ("My amp", ("gain", "tone", "volume"), 5)


def test_next_takes_are_where_models_disagree(here: Path):
    record(here / "rec", "train", di(1.5), GRID[:4])
    for name, seed in (("a", 0), ("b", 1)):
        write_run(here / name, (make_config(name, RATE, KNOBS, architecture()), wavenet(architecture(), seed=seed)))
    words = ("plan", "--extend", "rec/train.json", "--model", "a", "--model", "b", "--count", 3)
    ran = zoo(*words)
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert (ran.code, rows[0], len(rows)) == (0, ["#", "GAIN", "TONE", "ESR", "BRINGS"], 4)
    assert "models: a, b" in ran.err
    assert "at recorded settings; these takes are expected to bring" in ran.err
    assert "bring less than 5%" in ran.err
    document = json.loads(zoo(*words, "--json").out)
    assert [f"{take['esr']:.4f}" for take in document["expected"]] == [row[3] for row in rows[1:]]
    assert 0 < document["disagreement"]["floor_esr"] < document["disagreement"]["mean_esr"] * 3
    made = zoo(*words, "--signal", "rec/train_dry.wav", "--out", "more")
    assert made.code == 0
    added = read_manifest(Path("more/train.json")).takes[4:]
    assert sorted(take.setting["gain"] for take in added) == sorted(one["gain"] for one in document["train"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("plan",), ["give one of KNOBS.json"]),
        (("plan", "amp.json", "--extend", "rec/train.json"), ["give one of KNOBS.json"]),
        (("plan", "none.json"), ["none.json does not exist"]),
        (("plan", "di.wav"), ["di.wav", "is a sound file"]),
        (("plan", "amp.json", "--out", "rec"), ["--out needs --signal"]),
        (("plan", "amp.json", "--out", "rec", "--signal", "none.wav"), ["none.wav does not exist"]),
        (("plan", "amp.json", "--out", ".", "--signal", "di.wav"), [". is in the way"]),
        (("plan", "five.json", "--design", "combinatorial"), ["100,000 takes, 226 days"]),
        (("plan", "amp.json", "--step", "40"), ["step is 40, but knob"]),
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
        (("plan", "amp.json", "--study", "s"), ["--study or --model tells --extend"]),
        (("plan", "--extend", "one.json", "--study", "s", "--model", "a"), ["give one of the two"]),
        (("plan", "--extend", "one.json", "--study", "."), [". holds no study"]),
        (("plan", "--extend", "one.json", "--model", "."), ["1 model is named; disagreement takes two"]),
        (("plan", "--extend", "one.json", "--model", ".", "--model", "."), [". holds no model"]),
        (("plan", "--from-nam", "."), ["--from-nam needs --pattern"]),
        (("plan", "--from-nam", ".", "--pattern", "G{gain}"), ["has no .nam file"]),
        (("signal", "out.wav", "--seconds", "5"), ["5 s cannot be made", "20 to 3600"]),
        (("signal", "out.mp3"), ["out.mp3", ".wav or .flac"]),
    ],
)
def test_mistake_explains_and_writes_nothing(here: Path, words: tuple[str, ...], expected: list[str]):
    before = set(here.iterdir())
    refused(zoo(*words), 3 if expected[0].endswith(MISSING) else 1, *expected)
    assert set(here.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")
def test_comparison_fits_a_narrow_terminal(here: Path):
    code, screen = terminal("plan", "five.json", columns=60)
    table = [
        line.rstrip()
        for line in screen.splitlines()
        if line.startswith(("DESIGN", "isolated", "hybrid", "comb", "space"))
    ]
    assert code == 0
    assert len(table) == 5
    assert all(len(line) <= 60 for line in table)
    assert "combinatorial  100,000  226 days" in screen


def test_time_has_a_readable_unit():
    assert [format_time(s) for s in (1, 150, 3540, 3570, 7500, 200_000)] == [
        "1 min",
        "2 min",
        "59 min",
        "1 h 00 min",
        "2 h 05 min",
        "2 days",
    ]
