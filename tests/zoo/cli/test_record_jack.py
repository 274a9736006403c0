"""`zoo record` for real: PortAudio on a JACK server without hardware, the virtual amp as what is recorded.

Skipped, saying so, where there is no JACK (Debian: `apt-get install jackd2 libportaudio2`).
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.audio.guitar import guitar
from models.audio.io import read_audio, read_length
from models.capture.session import write_session
from models.capture.virtual_amp import SCHEMA, VirtualAmp
from models.knobs.schema import Setting
from tests.support.jack_rig import Person, Rig, need_jack
from tests.support.makers import esr, write_wav

RATE = 24000  # Hz
TRAIN: list[Setting] = [{"gain": 5.0, "tone": 5.0, "volume": 5.0}, {"gain": 5.0, "tone": 8.0, "volume": 5.0}]
BUSY = 20  # takes that a busy machine may spoil
HELD: list[Setting] = [{"gain": 8.0, "tone": 8.0, "volume": 5.0}]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A server and the amp."""
    need_jack()
    made = Rig(tmp_path_factory.mktemp("jack"), RATE)
    try:
        made.start()
        yield made
    finally:
        made.close()


def session(folder: Path, rate_hz: int = RATE, seconds: float = 3.0) -> Path:
    """A planned session of three takes."""
    folder.mkdir(exist_ok=True)
    x_T = np.concatenate([np.zeros(rate_hz // 2, np.float32), guitar(seconds, rate_hz, 0)])
    write_session(folder / "session", SCHEMA, TRAIN, HELD, write_wav(folder / "di.wav", x_T, rate_hz))
    return folder / "session"


def usual(question: str, person: Person) -> str:
    """The key Enter; a take is recorded again only where the machine was too busy and lost audio."""
    if "Enter record again" in question:
        since = max(n for n, line in enumerate(person.screen) if line.startswith("take ") and "peak" in line)
        assert any("lost audio" in line for line in person.screen[since:]), person.screen
        if len(person.saw("lost audio")) >= BUSY:
            pytest.skip("this machine is too busy to play audio in real time")
    return ""


def test_a_whole_session(rig: Rig, tmp_path: Path):
    folder = session(tmp_path)
    assert "amp\t1\t1\t24000\tJACK" in rig.zoo("record", "--list").stdout

    def one_evening(question: str, person: Person) -> str:
        return "q" if person.saw("take 2 of 3") else usual(question, person)

    first = rig.record(folder, one_evening)
    assert first.code == 0, first.screen
    assert first.saw("1 of 3 takes are kept")
    assert json.loads((folder / "record.json").read_text())["round_trip_samples"] > 0
    kept = (folder / "001_gain5_tone5_volume5.wav").read_bytes()

    second = rig.record(folder, usual, "--no-setup")
    assert second.code == 0, second.screen
    assert not second.saw("round trip") and second.saw("take 2 of 3") and second.saw("3 of 3 takes are kept")
    assert [line for line in second.screen if line.startswith("  turn")] == [
        *("  turn gain 5", "  turn tone 8", "  turn volume 5"),  # another day: all of them
        "  turn gain 8",
    ]
    assert (folder / "001_gain5_tone5_volume5.wav").read_bytes() == kept
    dry_T = read_audio(folder / "di.wav")[0]
    for manifest in ("train.json", "held.json"):
        ran = rig.zoo("check", folder / manifest)
        assert ran.returncode == 0, ran.stderr
        for entry in json.loads((folder / manifest).read_text())["entries"]:
            wet_T = read_audio(folder / entry["output_file"])[0]
            true_T = VirtualAmp(RATE).process(dry_T, **entry["knobs"])
            best = min(esr(wet_T[n:], true_T[: len(wet_T) - n]) for n in range(40))
            assert best < 1e-5


def test_a_knob_that_was_not_turned_is_told(rig: Rig, tmp_path: Path):
    folder = session(tmp_path)

    def careless(question: str, person: Person) -> str:
        person.careless = "Enter keep" in question or person.careless
        return "q" if person.saw("sounds the same") else usual(question, person)

    person = rig.record(folder, careless)
    assert person.saw("sounds the same as the take before, 001_gain5_tone5_volume5.wav")
    assert person.saw("Was tone turned?") and person.saw("1 of 3 takes are kept")


def test_a_wrong_rate_is_told_and_resampled_on_request(rig: Rig, tmp_path: Path):
    folder = session(tmp_path, rate_hz=48000)
    ran = rig.zoo("record", folder, "--device", "amp", "--pause", 0)
    assert ran.returncode == 1
    assert "it does not run at 48000 Hz; it is set to 24000 Hz" in ran.stderr
    person = rig.record(folder, usual, "--rate", RATE)
    assert person.code == 0 and person.saw("resampled from 24000 Hz"), person.screen
    assert person.saw("3 of 3 takes are kept"), person.screen
    assert read_length(folder / "001_gain5_tone5_volume5.wav") == read_length(folder / "di.wav")
    assert rig.zoo("check", folder / "train.json").returncode == 0


def test_a_channel_that_is_not_there(rig: Rig, tmp_path: Path):
    ran = rig.zoo("record", session(tmp_path), "--device", "amp", "--out", 3, "--pause", 0)
    assert ran.returncode == 1 and "has no output 3; it has 1" in ran.stderr
    ran = rig.zoo("record", tmp_path / "session", "--device", "none", "--pause", 0)
    assert ran.returncode == 3 and "no sound card is called 'none'" in ran.stderr


def test_lost_audio_is_told(rig: Rig, tmp_path: Path):
    folder = session(tmp_path, seconds=6.0)
    halted: list[bool] = []

    def busy(question: str, person: Person) -> str:
        if "Enter record ·" in question and not halted:
            halted.append(True)
            threading.Timer(3.0, rig.halt, (1.0,)).start()
        return "q" if person.saw("lost audio") or person.saw("take 2 of 3") else ""

    person = rig.record(folder, busy)
    assert person.saw("the card lost audio"), person.screen
    assert person.saw("0 of 3 takes are kept")


def test_a_card_that_is_unplugged_loses_no_kept_take(tmp_path: Path):
    need_jack()
    rig = Rig(tmp_path, 16000)
    folder = session(tmp_path / "takes", rate_hz=16000, seconds=6.0)
    try:
        rig.start()

        def pulled(question: str, person: Person) -> str:
            if "Enter record ·" in question and person.saw("take 2 of 3"):
                threading.Timer(2.5, rig.pull).start()
            return usual(question, person)

        person = rig.record(folder, pulled)
        assert person.code == 1, person.screen
        assert person.saw("stopped answering after") and person.saw("every kept take is on the disk")
        left = {path.name for path in folder.iterdir() if path.suffix == ".wav"}
        assert left == {"di.wav", "001_gain5_tone5_volume5.wav"}
        gone = rig.zoo("record", folder, "--pause", 0)
        assert gone.returncode != 0 and "Traceback" not in gone.stderr
        rig.start()
        person = rig.record(folder, usual)
        assert person.code == 0 and person.saw("3 of 3 takes are kept"), person.screen
    finally:
        rig.close()
