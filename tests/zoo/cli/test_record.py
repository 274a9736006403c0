"""`zoo record` and `zoo session import`, with the virtual amp behind a calculated card."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from models.audio.guitar import guitar
from models.audio.io import read_audio, write_audio
from models.capture.session import write_session
from models.capture.virtual_amp import SCHEMA, VirtualAmp
from models.knobs.schema import Knob, Knobs, Setting
from tests.support.makers import di, write_wav
from tests.support.packages import Ran, refused, terminal, zoo

RATE = 24000  # Hz
TRAIN: list[Setting] = [{"gain": 5.0, "tone": 5.0, "volume": 5.0}, {"gain": 5.0, "tone": 8.0, "volume": 5.0}]
HELD: list[Setting] = [{"gain": 8.0, "tone": 8.0, "volume": 5.0}]
NAMES = ("001_gain5_tone5_volume5.wav", "002_gain5_tone8_volume5.wav", "held_001_gain8_tone8_volume5.wav")


@pytest.fixture
def session(here: Path) -> Path:
    """A planned session of three takes."""
    x_T = np.concatenate([np.zeros(RATE // 2, np.float32), guitar(3.0, RATE, 0)])
    write_session(Path("session"), SCHEMA, TRAIN, HELD, write_wav(Path("di.wav"), x_T, RATE))
    return Path("session")


def record(keys: str, monkeypatch: pytest.MonkeyPatch, *words: object) -> Ran:
    """Record with these keys, one for each line."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{key}\n" for key in keys.split(" "))))
    return zoo("record", "session", "--device", "virtual", *words)


def virtual(x_T: np.ndarray, setting: Setting) -> np.ndarray:
    """The virtual amp at a setting."""
    return VirtualAmp(RATE).process(x_T, **{name: float(value) for name, value in setting.items()})


def takes(session: Path) -> set[str]:
    """The recordings of a session."""
    return {path.name for path in session.glob("*.wav")} - {"di.wav"}


def test_hands_free_from_nothing_to_a_checked_session(session: Path):
    ran = zoo("record", session, "--device", "virtual", "--pause", 0)
    assert ran.code == 0, ran.err
    assert "round trip: 2" in ran.err and "noise: -90 dBFS" in ran.err
    assert "3 of 3 takes are kept in session\nnext: zoo check session/train.json" in ran.err
    assert takes(session) == set(NAMES)
    for manifest in ("train.json", "held.json"):
        assert zoo("check", session / manifest).code == 0
    again = zoo("record", session)  # needs no card
    assert again.code == 0 and "take 1" not in again.err and "3 of 3 takes are kept" in again.err
    redone = zoo("record", session, "--take", 2, "--pause", 0)
    assert redone.code == 0 and "take 2 of 3 (recorded already)" in redone.err
    assert [path.name for path in (session / "replaced").iterdir()] == ["002_gain5_tone8_volume5-1.wav"]
    refused(zoo("record", session, "--take", 4, "--pause", 0), 1, "there is no take 4")


def test_a_person_keeps_skips_goes_back_and_quits(session: Path, monkeypatch: pytest.MonkeyPatch):
    ran = record("- + +   k s b q", monkeypatch)  # softer, louder, go on; record, keep; skip; back; quit
    assert ran.code == 0, ran.err
    assert ran.err.count("the signal is sent at full level already") == 1
    assert "send -1 dB" in ran.err and "send 0 dB" in ran.err
    assert "1 of 3 takes are kept" in ran.err and "next: zoo record session goes on there" in ran.err
    unfinished = zoo("check", session / "train.json")
    assert unfinished.code == 1 and "1 take not recorded yet: zoo record session goes on there" in unfinished.err
    assert json.loads((session / "record.json").read_text())["skipped"] == [NAMES[1]]
    ran = record("    ", monkeypatch, "--no-setup")
    assert "return" not in ran.err and "take 3 of 3 (held, not trained on)" in ran.err
    assert "turn gain 8\n  turn tone 8\n  turn volume 5" in ran.err
    ran = record("l", monkeypatch, "--no-setup")
    assert "1 skipped: r record them · l leave them out · q quit" in ran.err
    assert len(json.loads((session / "train.json").read_text())["entries"]) == 1


def test_the_end_of_the_input_keeps_nothing_more(session: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n"))
    ran = zoo("record", session, "--device", "virtual")
    assert ran.code == 0 and "0 of 3 takes are kept" in ran.err
    assert takes(session) == set() and not (session / ".unkept").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")
def test_knobs_are_shown_large_on_a_terminal(session: Path):
    code, screen = terminal("record", "session", "--device", "virtual", columns=100, answer="\nq")
    assert code == 0
    assert "|___/" in screen  # the g of gain
    assert "Enter record · s skip · b back · q quit" in screen


def test_what_cannot_be_recorded_is_said(session: Path, monkeypatch: pytest.MonkeyPatch):
    refused(zoo("record"), 1, "no session is named", "zoo plan")
    refused(zoo("record", "none"), 3, "none is no session")
    knobs = Knobs(knobs=(Knob(name="drive", default=0.5),))
    write_session(Path("other"), knobs, [{"drive": 0.0}], [], write_wav(Path("dry.wav"), di(1.0)))
    refused(zoo("record", "other", "--device", "virtual"), 1, "the virtual amp has no knob 'drive', 0 to 1")
    (session / "record.json").write_text('{"send_db": 3}')
    refused(zoo("record", session, "--device", "virtual"), 1, "record.json", "send_db")

    class NoLibrary:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    refused(zoo("record", "--list"), 1, "the library PortAudio is not installed", "apt-get install libportaudio2")


def test_reamping_shows_the_takes_and_the_way_back(session: Path):
    ran = zoo("record", session, "--reamp")
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert [row[1:3] for row in rows[1:]] == [
        ["gain=5 tone=5 volume=5", NAMES[0]],
        ["tone=8", NAMES[1]],
        ["gain=8", NAMES[2]],
    ]
    assert "zoo session import EXPORTS session" in ran.err


def test_the_files_of_one_pass_are_nothing_to_turn(session: Path):
    knobs = [{"name": "gain", "min": 0, "max": 10}, {"name": "output", "positions": ["di", "57"], "files": True}]
    Path("knobs.json").write_text(json.dumps({"$schema": "urn:ampzoo:knobs:1", "device": "amp", "knobs": knobs}))
    signal = ("--signal", session / "di.wav")
    assert zoo("plan", "knobs.json", *signal, "--out", "mics", "--design", "isolated").code == 0
    rows = [line.split("\t") for line in zoo("record", "mics", "--reamp").out.splitlines()[1:]]
    turns = [row[1] for row in rows]
    assert turns[1::2] == ["the same pass"] * (len(rows) // 2) and all("gain=" in turn for turn in turns[::2])
    assert len({row[2] for row in rows}) == len(rows)


def test_exported_files_are_imported_checked_and_asked_for_again(session: Path):
    dry_T = read_audio(session / "di.wav")[0]
    late_T = np.concatenate([np.zeros(40, np.float32), dry_T])
    Path("out").mkdir()
    for number, setting in enumerate([*TRAIN, *HELD], 1):
        wet_T = virtual(late_T, setting)
        wet_T = np.minimum(wet_T, 0.5 * wet_T.max()) if number == 1 else wet_T  # clipped
        write_audio(Path(f"out/amp {number}.wav"), wet_T if number != 2 else wet_T[: len(wet_T) // 2], RATE)
    ran = zoo("session", "import", "out", session)
    assert ran.code == 1, ran.err
    assert "3 files of out, by the numbers of the takes" in ran.err
    assert "fault: 002_gain5_tone8_volume5.wav has no end" in ran.err
    assert f"record again: take 2 ({NAMES[1]})" in ran.err and "next: export the missing takes" in ran.err
    assert f"kept, but better recorded again: take 1 ({NAMES[0]})" in ran.err
    assert takes(session) == {NAMES[0], NAMES[2]}
    assert "against its dry" not in ran.err  # what is longer than its signal has all of it
    write_audio(Path("out/amp G5 T8.wav"), virtual(late_T, TRAIN[1]), RATE)
    ran = zoo("session", "import", "out", session, "--pattern", "G{gain} T{tone}")
    assert ran.code == 0 and "3 files left out" in ran.err and "3 of 3 takes are kept" in ran.err
    assert zoo("check", session / "train.json").code == 0
    refused(zoo("session", "import", "none", session), 3, "none is no folder")
