"""The command `zoo init`: from file names to a manifest and configs, which training and search take."""

import json
from pathlib import Path

import pytest

from models.core.schema import read_document
from models.recordings.config import DataConfig
from models.recordings.manifest import read_manifest
from search.config.study import read_search
from tests.support.makers import GRID, amp, di, write_wav
from tests.support.packages import read_files, refused, terminal, zoo
from tests.zoo.cli.conftest import DI

PATTERN = ("--pattern", "DS1 gain{gain} tone{tone}.wav")


@pytest.fixture
def takes(here: Path) -> Path:
    """A folder of takes named by their settings, beside their dry signal and a file that is none of them."""
    for setting in GRID:
        write_wav(here / f"DS1/DS1 gain{setting['gain']:g} tone{setting['tone']:g}.wav", amp(DI, **setting))
    write_wav(here / "DS1/di.wav", DI)
    write_wav(here / "DS1/room.wav", di(0.3, seed=3))
    return here / "DS1"


def test_names_become_files_that_everything_reads(takes: Path):
    ran = zoo("init", "DS1", *PATTERN, "--knob", "tone=0:1", "--knob", "gain=0:11")
    assert ran.code == 0, ran.err
    messages = ran.err.splitlines()
    assert messages[:8] == [
        "20 takes of DS1/di.wav",
        "gain: 0 to 11",
        "tone: 0 to 1",
        "1 file left out, which the pattern does not fit:",
        "  room.wav",
        "wrote DS1/takes.json (manifest)",
        "wrote DS1/data.json (data config D)",
        "wrote DS1/search.json (search config)",
    ]
    assert messages[-2] == "20 takes, 2 knobs, 0 faults, 0 warnings"
    assert messages[-1] == "next: zoo train DS1/data.json, or zoo search DS1/search.json"
    assert ran.out == zoo("check", "DS1/takes.json").out
    manifest = read_manifest(takes / "takes.json")
    assert (manifest.device, [take.setting for take in manifest.takes]) == ("DS1", list(GRID))
    data = read_document(takes / "data.json", DataConfig)
    assert (data.name, data.train, data.held_settings, data.align) == ("ds1", Path("takes.json"), 2, True)
    assert read_search(takes / "search.json").datasets == (data.relative_to(takes),)


def test_what_aligning_corrects_is_no_reason_to_wait(takes: Path):
    for number, setting in enumerate(GRID):
        path = takes / f"DS1 gain{setting['gain']:g} tone{setting['tone']:g}.wav"
        write_wav(path, amp(DI, **setting)[200 + 9 * number :])  # the start was cut
    ran = zoo("init", "DS1", *PATTERN, "--knob", "tone=0:1", "--knob", "gain=0:11")
    assert ran.code == 0 and "lead their input" in ran.err, ran.err
    assert "next: DS1/data.json aligns the takes, which corrects the faults above; zoo train DS1/data.json" in ran.err
    write_wav(takes / "DS1 gain0 tone0.wav", 0 * DI)
    ran = zoo("init", "DS1", *PATTERN, "--knob", "tone=0:1", "--knob", "gain=0:11", "--force")
    assert ran.code == 1 and "next: mend the faults above; then zoo train DS1/data.json" in ran.err


def test_names_alone_are_enough_in_a_folder_with_a_space(takes: Path):
    takes.rename(takes.parent / "my DS 1")
    ran = zoo("init", "my DS 1", "--knob", "gain=0:11")
    assert ran.code == 0, ran.err
    assert ran.err.startswith(
        "pattern: 'DS1 gain{gain} tone{tone}.wav' (from the names; --pattern states another)\n20 takes"
    )
    assert "zoo train 'my DS 1/data.json', or zoo search 'my DS 1/search.json'" in ran.err


def test_range_that_is_assumed_is_said(takes: Path):
    ran = zoo("init", "DS1", *PATTERN, "--device", "My DS1")
    assert "gain: 0 to 10 (assumed; takes have 0 to 10; --knob gain=LOW:HIGH states another range)" in ran.err
    assert json.loads((takes / "data.json").read_text())["name"] == "my-ds1"


def test_usual_number_is_the_default_of_the_knob(takes: Path):
    assert zoo("init", "DS1", *PATTERN, "--knob", "gain=0:10:4").code == 0
    stated = {knob["name"]: knob.get("default") for knob in json.loads((takes / "takes.json").read_text())["knobs"]}
    assert stated == {"gain": 4, "tone": None}
    refused(zoo("init", "DS1", *PATTERN, "--knob", "gain=0:10:11", "--force"), 1, "is no range of a knob", "0:10:4")


def test_nothing_is_overwritten_without_force(takes: Path):
    (takes / "data.json").write_text("mine")
    before = read_files(takes)
    refused(zoo("init", "DS1", *PATTERN), 1, "DS1/data.json exists already", "--force")
    assert read_files(takes) == before
    assert zoo("init", "DS1", *PATTERN, "--force").code == 0
    refused(zoo("init", "DS1", *PATTERN), 1, "DS1/takes.json and DS1/data.json and DS1/search.json exist already")


def test_takes_with_a_fault_end_with_1(takes: Path):
    write_wav(takes / "DS1 gain2 tone0.wav", 0 * DI)
    ran = zoo("init", "DS1", *PATTERN)
    assert ran.code == 1
    assert "DS1 gain2 tone0.wav" in ran.err
    assert (takes / "search.json").exists()


def test_dry_signal_is_named_from_here_or_in_the_folder(takes: Path):
    assert "20 takes of in.wav" in zoo("init", "DS1", *PATTERN, "--dry", "in.wav").err
    assert "20 takes of DS1/room.wav" in zoo("init", "DS1", *PATTERN, "--dry", "room.wav", "--force").err


def test_mistakes_write_nothing(takes: Path):
    before = read_files(takes)
    refused(zoo("init", "none", *PATTERN), 3, "none is no folder")
    refused(zoo("init", "DS1", "--pattern", "TS{gain}.wav"), 1, "no file name in DS1 fits")
    refused(zoo("init", "DS1", *PATTERN, "--knob", "gain=high"), 1, "is no range of a knob")
    refused(zoo("init", "DS1", *PATTERN, "--dry", "none.wav"), 3, "none.wav does not exist")
    assert read_files(takes) == before


def test_terminal_asks_for_ranges(takes: Path):
    code, screen = terminal("init", "DS1", *PATTERN, "--knob", "tone=0:1", columns=100, answer="5\n0:12\n")
    assert code == 0, screen
    asked = "gain: lowest, highest and perhaps usual number on the faceplate, LOW:HIGH:USUAL"
    assert f"{asked} (takes have 0 to 10) [0:10]" in " ".join(screen.split())
    assert "is no range of a knob" in screen
    assert [knob.scale[:3] for knob in read_manifest(takes / "takes.json").knobs.knobs] == [
        ("gain", 0, 12),
        ("tone", 0, 1),
    ]
