"""The commands `zoo signal`, `zoo check` and `zoo align`."""

import json
import os
import re
import sys
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.knobs.text import format_setting
from tests.support.makers import GRID, RATE, amp, di, entry, read_wav, record, write_manifest, write_wav
from tests.support.packages import refused, terminal, zoo
from tests.support.pedal import record_pedal
from tests.zoo.cli.conftest import DI


def takes(folder: Path) -> Path:
    folder.mkdir()
    return record(folder, "takes", DI)


def test_signal_is_audio_of_that_length_and_rate(here: Path):
    ran = zoo("signal", "out.wav", "--seconds", 21.5, "--rate", 8000)
    refused(zoo("signal", "out.wav", "--seconds", 20), 1, "out.wav exists already", "another name")
    assert (ran.code, ran.out) == (0, "out.wav\n")
    assert "the last 4.3 s are for scoring" in ran.err
    info = sf.info("out.wav")
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (172_000, 8000, 1, "PCM_24")


def test_check_shows_every_take(here: Path):
    manifest = takes(here / "takes")
    ran = zoo("check", manifest)
    head, *rows = (line.split("\t") for line in ran.out.splitlines())
    assert (ran.code, head) == (
        0,
        ["TAKE", "SETTING", "DELAY", "POLARITY", "PEAK dBFS", "RMS dBFS", "LENGTH", "RATE", "DRIFT ppm"],
    )
    assert [[*row[:2], row[3], *row[6:8]] for row in rows] == [
        [f"takes_{number}.wav", format_setting(GRID[number]), "+1", "0.30 s", "8000"] for number in range(len(GRID))
    ]
    assert "gain: 0 to 10, default 5, recorded at 0" in ran.err
    assert ran.err.splitlines()[-1] == f"{len(GRID)} takes, 2 knobs, 0 faults, 0 warnings"
    ran = zoo("check", manifest, "--json")
    document = json.loads(ran.out)
    assert (ran.code, ran.err, document["schema"], document["faults"], document["warnings"]) == (
        0,
        "",
        "zoo.check/3",
        [],
        [],
    )
    assert [take["setting"] for take in document["takes"]] == list(GRID)


def test_check_tells_what_lies_between_the_takes(here: Path):
    ran = zoo("check", record_pedal(here, stated="tone"), "--html", "report.html")
    rows = {line.split("\t")[0]: line.split("\t") for line in ran.err.splitlines() if "\t" in line}
    assert rows["KNOB"] == ["KNOB", "FILTER", "RESIDUAL", "BETWEEN", "NEIGHBORS", "WORST", "AT"]
    assert (rows["drive"][1], rows["drive"][3], rows["drive"][6]) == ("no", "-", "0.5")
    assert (rows["tone"][1], rows["level"][1]) == ("0 to 1, stated", "0 to 1")
    assert float(rows["tone"][2]) < 1e-4 < float(rows["drive"][2])
    page = (here / "report.html").read_text()
    assert "<h2>Along each knob</h2>" in page
    assert "0 to 1, stated" in page


def test_check_names_every_fault_and_exits_1(here: Path):
    write_wav(here / "dry.wav", DI)
    write_wav(here / "other.wav", DI, 2 * RATE)
    write_wav(here / "silent.wav", 0 * DI)
    (here / "text.wav").write_text("gain at five")
    names = ["missing.wav", "other.wav", "silent.wav", "text.wav"]
    takes = [entry("dry.wav", name, setting) for name, setting in zip(names, GRID, strict=False)]
    manifest = write_manifest(here / "takes.json", takes)
    ran = zoo("check", manifest)
    faults = [line for line in ran.err.splitlines() if line.startswith("fault: ")]
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 5
    assert all(any(name in fault for fault in faults) for name in names)
    assert f"4 takes, 2 knobs, {len(faults)} faults" in ran.err.splitlines()[-1]
    ran = zoo("check", manifest, "--json")
    assert (ran.code, ran.err) == (1, "")
    assert {Path(fault["file"]).name for fault in json.loads(ran.out)["faults"]} == set(names)


def test_check_writes_a_page_and_aligned_takes(here: Path):
    manifest = takes(here / "takes")
    late = here / "takes" / "takes_3.wav"
    write_wav(late, np.concatenate([np.zeros(40, np.float32), -read_wav(late)[:-40]]))
    ran = zoo("check", manifest, "--html", "page.html", "--fix", "aligned")
    assert ran.code == 0
    assert "takes_3.wav is late by" in ran.err
    assert "Wrote page.html\nWrote aligned/manifest.json\n" in ran.err
    page = (here / "page.html").read_text()
    assert page.count("<figure>") == 4
    drawn = b"".join(b64decode(found) for found in re.findall(r"base64,([^\"]*)", page)).decode()
    assert ">takes_3<" in drawn
    assert ">10<" in drawn, "gain is drawn in the numbers of the faceplate"
    assert "has inverted polarity" in page
    assert "http" not in page
    assert zoo("check", "aligned/manifest.json").code == 0
    ran = zoo("align", manifest, "--out", "aligned")
    refused(ran, 1, "aligned is in the way")
    ran = zoo("align", manifest, "--out", "again")
    rows = [line.split("\t") for line in ran.err.splitlines()]
    assert ran.out == "again/manifest.json\n"
    assert "Wrote 20 aligned takes and their manifest to again" in ran.err
    assert rows[0] == ["TAKE", "SETTING", "DELAY", "POLARITY", "DRIFT ppm", "MISSING"]
    assert rows[1][5] == "-"
    assert rows[4][:2] == ["takes_3.wav", "gain=0 tone=1"]
    assert float(rows[4][2]) > 39
    assert rows[4][3:] == ["-1", "0.0", "0+40"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "does not exist"),
        ("{", "is not valid JSON"),
        ('{"entries": []}', "lists no takes"),
        (
            '{"entries": [{"input_file": "a", "output_file": "b", "knobs": {"gain": "loud"}}]}',
            "entry 1 (b): knob 'gain' is 'loud'",
        ),
        ('{"entries": [], "device\\u001b[31m": 1}', "unknown key 'device?[31m'"),
        ('{"knobs": ["GAIN\\u001b[31m"], "entries": [{"input_file": "a", "output_file": "b", "knobs": {}}]}', "knobs"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_check_explains_a_malformed_manifest(here: Path, text: str | None, words: str, as_json: bool):
    if text is not None:
        (here / "takes.json").write_text(text)
    ran, code = zoo("check", "takes.json", *(["--json"] if as_json else [])), 3 if text is None else 1
    if as_json:
        document = json.loads(ran.err)
        assert (ran.code, ran.out, document["schema"]) == (code, "", "zoo.error/1")
        assert document["error"]["exit"] == code
        assert words in document["error"]["message"]
        assert document["error"]["hint"]
    else:
        refused(ran, code, "takes.json", words)
    assert "\x1b" not in ran.err


def test_escape_sequences_of_a_manifest_are_not_printed(here: Path):
    write_wav(here / "dry.wav", DI)
    evil = "\x1b[2Jwet\u202e.wav"
    write_wav(here / evil, amp(DI, 5, 0.5))
    ran = zoo("check", write_manifest(here / "takes.json", [entry("dry.wav", evil, GRID[0])]))
    assert ran.code == 0
    assert "?[2Jwet?.wav" in ran.out
    ran = zoo("check", write_manifest(here / "takes.json", [entry("dry.wav", "\x1b]0;none\x07.wav", GRID[0])]))
    assert ran.code == 1
    assert not set(ran.out + ran.err) & set("\x1b\x07\u202e")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")
def test_findings_are_folded_between_words(here: Path):
    write_wav(here / "di.wav", di(1.0))
    write_wav(here / "w.wav", 0.5 * di(1.0, seed=8))
    write_manifest(here / "takes.json", [entry("di.wav", "w.wav", {"gain": 1})])
    _, screen = terminal("check", "takes.json", columns=60)
    lines = screen[screen.rindex("fault:") :].splitlines()
    assert lines[0].startswith("fault: w.wav has little to do with")
    assert lines[1].startswith("  ")
    assert all(len(line) <= 60 for line in lines)


def test_a_hundred_thousand_takes_that_cannot_be_read_are_told_in_ten_lines(here: Path):
    settings = [{"gain": number / 10_000, "tone": 0.5} for number in range(100_000)]
    entries = [entry(f"di{n}.wav", f"t{n}.wav", setting) for n, setting in enumerate(settings)]
    ran = zoo("check", write_manifest(here / "takes.json", entries))
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 4 and len(ran.err.splitlines()) <= 10
    assert len(ran.out + ran.err) < 4000
    assert "and 99,997 more takes that cannot be read" in ran.err and "and 199,959 more. Check the path" in ran.err


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such device")
def test_check_of_a_device_or_a_pipe_ends(here: Path):
    refused(zoo("check", "/dev/zero"), 1, "/dev/zero is a device or a pipe, not a JSON file")
    os.mkfifo(here / "takes.json")
    refused(zoo("check", "takes.json"), 1, "takes.json is a device or a pipe, not a JSON file")
    write_wav(here / "dry.wav", DI)
    ran = zoo("check", write_manifest(here / "other.json", [entry("dry.wav", "/dev/zero", GRID[0])]))
    assert ran.code == 1 and "/dev/zero is a device or a pipe, not an audio file" in ran.err


def test_names_with_dollar_signs_are_drawn_as_they_are(here: Path):
    write_wav(here / "dry.wav", DI)
    for number, name in enumerate(("a$_{$b0.wav", "\x1b[1m.wav")):
        write_wav(here / name, amp(DI, 5 + number, 0.5))
    settings = ({"gain": 5, "tone": 0.5}, {"gain": 6, "tone": 0.5})
    names = ("a$_{$b0.wav", "\x1b[1m.wav")
    entries = [entry("dry.wav", name, setting) for name, setting in zip(names, settings, strict=True)]
    ran = zoo("check", write_manifest(here / "takes.json", entries), "--html", "page.html")
    page = (here / "page.html").read_text(encoding="utf-8")
    assert ran.code == 0 and "a$_{$b0" in page and "?[1m" in page and "\x1b" not in page
