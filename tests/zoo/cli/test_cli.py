"""The command as a user meets it: data on stdout, talk on stderr, one sentence for every mistake, nothing made by halves."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import click
import httpx2
import numpy as np
import pytest
import soundfile as sf
import torch

from models.artifacts.names import EVAL
from models.core.errors import DivergedError, IntegrityError, NotFound, UserError
from models.knobs.text import format_setting
from models.playback.stream import play
from tests.support.makers import (
    GRID,
    KNOBS,
    RATE,
    amp,
    di,
    entry,
    esr,
    model,
    read_wav,
    record,
    write_manifest,
    write_wav,
)
from tests.support.packages import (
    AMP,
    LICENSE,
    ZOO,
    around,
    card,
    files,
    full_disk,
    read_files,
    refused,
    shell,
    terminal,
    write_files,
    write_package,
    write_run,
    zoo,
)
from zoo.cli.errors import explain
from zoo.cli.main import cli

VERBS = [
    "quickstart",
    "plan",
    "signal",
    "check",
    "align",
    "train",
    "search",
    "board",
    "package",
    "push",
    "pull",
    "list",
    "show",
    "knobs",
    "render",
    "export",
    "verify",
    "key",
    "trust",
    "diff",
    "rm",
    "doctor",
]
HEAVY = ["torch", "ray", "optuna", "huggingface_hub", "numpy", "scipy", "matplotlib", "pydantic", "soundfile", "rich"]
DI = di(0.3)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a dry signal in it, and one amp on one's own shelf."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    write_package(tmp_path / "home" / AMP)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_wav(Path("in.wav"), DI)
    return tmp_path / "here"


def litter(here: Path) -> set[str]:
    """What a command made in the current folder."""
    return {path.name for path in here.iterdir()} - {"in.wav"}


def test_help_is_light_and_in_the_order_of_the_road():
    script = f"""
import sys
from click.testing import CliRunner
from zoo.cli import cli
for words in (["--help"], ["--version"], *([verb, "--help"] for verb in cli.commands)):
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    print(result.output)
print(sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    commands = done.stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in commands.splitlines()] == VERBS == list(cli.commands)
    assert not [line for line in commands.splitlines() if line.endswith("...")]


def test_words_that_are_none_exit_2(here: Path):
    for words, said in (
        (["lisst"], "lisst"),
        (["render", AMP], "IN.wav"),
        (["list", "--colour"], "--colour"),
        (["train", "--data", "d.json"], "--model"),
        (["package", "run"], "--license"),
    ):
        ran = zoo(*words)
        assert (ran.code, ran.out) == (2, "") and said in ran.err and "Usage: " in ran.err


def takes(folder: Path) -> Path:
    folder.mkdir()
    return record(folder, "takes", DI)


def test_check_shows_every_take(here: Path):
    manifest = takes(here / "takes")
    ran = zoo("check", manifest)
    head, *rows = (line.split("\t") for line in ran.out.splitlines())
    assert (ran.code, head) == (
        0,
        ["TAKE", "SETTING", "LATE", "UP", "PEAK dBFS", "RMS dBFS", "LENGTH", "RATE", "DRIFT ppm"],
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
        "zoo.check/2",
        [],
        [],
    )
    assert [take["setting"] for take in document["takes"]] == list(GRID)


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
    assert ran.code == 1 and len(ran.out.splitlines()) == 5
    assert all(any(name in fault for fault in faults) for name in names)
    assert f"4 takes, 2 knobs, {len(faults)} faults" in ran.err.splitlines()[-1]
    ran = zoo("check", manifest, "--json")
    assert (ran.code, ran.err) == (1, "")
    assert {Path(fault["file"]).name for fault in json.loads(ran.out)["faults"]} == set(names)


def test_check_writes_a_page_and_aligned_takes(here: Path):
    manifest = takes(here / "takes")
    late = here / "takes" / "takes_3.wav"
    write_wav(late, np.concatenate([np.zeros(40, np.float32), -read_wav(late)[:-40]]))
    ran = zoo("check", manifest, "--html", "page.html", "--fix", "mended")
    assert (
        ran.code == 0
        and "takes_3.wav is late by" in ran.err
        and "Wrote page.html\nWrote mended/manifest.json\n" in ran.err
    )
    page = (here / "page.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 4 and "is upside down" in page and "http" not in page
    assert zoo("check", "mended/manifest.json").code == 0
    ran = zoo("align", manifest, "--out", "mended")
    refused(ran, 1, "mended is in the way")
    ran = zoo("align", manifest, "--out", "again")
    rows = [line.split("\t") for line in ran.err.splitlines()]
    assert ran.out == "again/manifest.json\n" and "Wrote 20 aligned takes and their manifest to again" in ran.err
    assert rows[0] == ["TAKE", "SETTING", "LATE", "UP", "DRIFT ppm", "MISSING"] and rows[1][5] == "-"
    assert (
        rows[4][:2] == ["takes_3.wav", "gain=0 tone=1"]
        and float(rows[4][2]) > 39
        and rows[4][3:] == ["-1", "0.0", "0+40"]
    )


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
def test_check_of_what_is_no_manifest_is_told(here: Path, text: str | None, words: str, as_json: bool):
    if text is not None:
        (here / "takes.json").write_text(text)
    ran = zoo("check", "takes.json", *(["--json"] if as_json else []))
    if as_json:
        document = json.loads(ran.err)
        assert (ran.code, ran.out, document["schema"]) == (1, "", "zoo.error/1") and document["error"]["exit"] == 1
        assert words in document["error"]["message"] and document["error"]["hint"]
    else:
        refused(ran, 1, "takes.json", words)
    assert "\x1b" not in ran.err


def test_escape_sequences_of_a_manifest_are_not_printed(here: Path):
    write_wav(here / "dry.wav", DI)
    evil = "\x1b[2Jwet\u202e.wav"
    write_wav(here / evil, amp(DI, 5, 0.5))
    ran = zoo("check", write_manifest(here / "takes.json", [entry("dry.wav", evil, GRID[0])]))
    assert ran.code == 0 and "?[2Jwet?.wav" in ran.out
    ran = zoo("check", write_manifest(here / "takes.json", [entry("dry.wav", "\x1b]0;none\x07.wav", GRID[0])]))
    assert ran.code == 1 and not set(ran.out + ran.err) & set("\x1b\x07\u202e")


def test_error_is_one_line_whatever_it_quotes(here: Path):
    refused(zoo("check", "two\nlines.json"), 1, "does not exist")


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_render_plays_at_the_setting(here: Path, suffix: str):
    ran = zoo("render", AMP, "in.wav", f"new/out{suffix}", "-k", "gain=7.5", "--knob", "tone=0.25")
    assert (ran.code, ran.out) == (0, f"new/out{suffix}\n")
    assert ran.err == "0.3 s at gain=7.5 tone=0.25\n"
    wet_T = play(model()[1], DI, KNOBS.encode({"gain": 7.5, "tone": 0.25}))
    assert esr(read_wav(here / f"new/out{suffix}"), wet_T) < 1e-9
    info = sf.info(here / f"new/out{suffix}")
    assert (info.samplerate, info.subtype) == (RATE, "PCM_24")


def test_render_rests_at_the_defaults_and_says_when_it_clips(here: Path, tmp_path: Path):
    ran = zoo("render", tmp_path / "home" / AMP, "in.wav", "out.wav")  # a folder is an amp, too
    assert ran.err == "0.3 s at gain=5 tone=0.5\n"
    config, net = model()
    net.head_scale.fill_(30)
    ran = zoo("render", write_run(here / "run", (config, net)), "in.wav", "out.wav")
    assert ran.code == 0 and re.search(r"^warning: the output clips \(peak \d+\.\d\d\)", ran.err, re.MULTILINE)


def put_wavs(folder: Path) -> None:
    write_wav(folder / "fast.wav", DI, 2 * RATE)
    write_wav(folder / "empty.wav", DI[:0])
    write_wav(folder / "stereo.wav", np.stack([DI, -DI], axis=1))
    write_wav(folder / "nan.wav", np.full(100, np.nan, np.float32))
    (folder / "text.wav").write_text("gain at five")
    (folder / "folder.wav").mkdir()


BAD_RENDERS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "knob too high": (1, (AMP, "in.wav", "out.wav", "-k", "gain=11"), ("'gain' is 11", "range 0 to 10")),
    "knob too low": (1, (AMP, "in.wav", "out.wav", "-k", "tone=-0.1"), ("'tone' is -0.1", "range 0 to 1")),
    "unknown knob": (1, (AMP, "in.wav", "out.wav", "-k", "gian=7"), ("'gian'", "gain, tone", "Did you mean 'gain'?")),
    "no value": (1, (AMP, "in.wav", "out.wav", "-k", "gain"), ("'gain' does not set a knob", "name=number")),
    "no number": (1, (AMP, "in.wav", "out.wav", "-k", "gain=loud"), ("knob 'gain' is 'loud'",)),
    "not a number": (1, (AMP, "in.wav", "out.wav", "-k", "gain=nan"), ("'gain=nan' does not set a knob",)),
    "twice": (1, (AMP, "in.wav", "out.wav", "-k", "gain=1", "-k", "gain=2"), ("'gain' is set twice",)),
    "another rate": (1, (AMP, "fast.wav", "out.wav"), ("fast.wav is at 16000 Hz; tiny plays at 8000 Hz",)),
    "no input": (1, (AMP, "none.wav", "out.wav"), ("none.wav does not exist",)),
    "empty input": (1, (AMP, "empty.wav", "out.wav"), ("empty.wav is empty",)),
    "stereo input": (1, (AMP, "stereo.wav", "out.wav"), ("stereo.wav has 2 channels",)),
    "input is no number": (1, (AMP, "nan.wav", "out.wav"), ("nan.wav: sample 0 is not a finite number",)),
    "input is text": (1, (AMP, "text.wav", "out.wav"), ("text.wav is not audio",)),
    "input is a folder": (1, (AMP, "folder.wav", "out.wav"), ("folder.wav is not audio",)),
    "output is input": (1, (AMP, "in.wav", "./in.wav"), ("in.wav is the file being played",)),
    "output is no audio": (1, (AMP, "in.wav", "out.mp3"), ("out.mp3", ".wav or .flac")),
    "output has no suffix": (1, (AMP, "in.wav", "/dev/full"), ("/dev/full", ".wav or .flac")),
    "output is a folder": (1, (AMP, "in.wav", "folder.wav"), ("folder.wav: it is a folder",)),
    "output below a file": (1, (AMP, "in.wav", "text.wav/out.wav"), ("text.wav",)),
    "output below a device": (1, (AMP, "in.wav", "/dev/full/out.wav"), ("/dev/full",)),
    "output where none may be": (1, (AMP, "in.wav", "/proc/out.wav"), ("/proc",)),
    "output below where none may be": (1, (AMP, "in.wav", "/proc/new/out.wav"), ("/proc/new",)),
    "near name": (3, ("alice/tinny", "in.wav", "out.wav"), ("no amp 'alice/tinny'", "Did you mean alice/tiny?")),
    "far name": (3, ("bob/plexi", "in.wav", "out.wav"), ("no amp 'bob/plexi'", "zoo list")),
    "another revision": (3, (f"{AMP}@v9", "in.wav", "out.wav"), ("not v9",)),
    "no name": (1, ("tiny", "in.wav", "out.wav"), ("'tiny' does not name an amp", "owner/amp")),
    "no model": (3, (".", "in.wav", "out.wav"), ("holds no model",)),
}


@pytest.mark.parametrize("what", BAD_RENDERS)
def test_bad_render_is_told_and_makes_nothing(here: Path, what: str):
    put_wavs(here)
    before = read_files(here)
    code, words, said = BAD_RENDERS[what]
    refused(zoo("render", *words), code, *said)
    assert read_files(here) == before
    write_files(here, {"out.wav": b"an earlier one"})
    refused(zoo("render", *words), code, *said)
    assert read_files(here) == {**before, "out.wav": b"an earlier one"}


@pytest.mark.parametrize(
    "words", [("render", AMP, "in.wav", "/proc/out.wav"), ("export", AMP, "/proc/out.nam", "--live")]
)
def test_output_that_cannot_be_made_is_named(here: Path, words: tuple[str, ...]):
    ran = zoo(*words)
    assert ran.code == 1 and "/proc/out." in ran.err and ".staged" not in ran.err


def test_full_disk_is_told_and_leaves_nothing(here: Path):
    for words in (
        ("render", AMP, "in.wav", "out.wav"),
        ("export", AMP, "out.nam", "--live"),
        ("pull", AMP, "--to", "amp"),
    ):
        with full_disk(1000):
            refused(zoo(*words), 1)
        assert litter(here) == set()


def test_tampered_amp_is_not_played(here: Path, tmp_path: Path):
    write_files(tmp_path / "home" / AMP, {"config.json": files()["config.json"] + b" "})
    for words in (("render", AMP, "in.wav", "out.wav"), ("export", AMP, "out.nam", "--live")):
        refused(zoo(*words), 6, "config.json has ")
    assert litter(here) == set()


def test_baked_file_is_the_model_at_that_setting(here: Path):
    from nam.models._from_nam import init_from_nam

    ran = zoo("export", AMP, "amp.nam", "--bake", "gain=7.5,tone=0.25")
    assert (ran.code, ran.out, ran.err) == (0, "amp.nam\n", "baked at gain=7.5 tone=0.25\n")
    document = json.loads((here / "amp.nam").read_text())
    assert document["metadata"]["baked_setting"] == {"gain": 7.5, "tone": 0.25}
    zoo("render", AMP, "in.wav", "out.wav", "-k", "gain=7.5", "-k", "tone=0.25")
    with torch.no_grad():
        theirs_T = init_from_nam(document).eval()(torch.from_numpy(DI)[None], pad_start=True)[0]
    assert esr(theirs_T.numpy(), play(model()[1], DI, KNOBS.encode({"gain": 7.5, "tone": 0.25}))) < 1e-10
    assert esr(theirs_T.numpy(), read_wav(here / "out.wav")) < 1e-9  # 24 bits


def test_bake_of_nothing_is_at_the_defaults(here: Path):
    assert zoo("export", AMP, "amp.nam", "--bake", "").err == "baked at gain=5 tone=0.5\n"


def test_live_file_keeps_the_knobs(here: Path):
    ran = zoo("export", AMP, "new/amp.nam", "--live")
    assert (ran.code, ran.out, ran.err) == (0, "new/amp.nam\n", "")
    document = json.loads((here / "new/amp.nam").read_text())
    assert document["config"]["in_channels"] == 3
    assert [knob["name"] for knob in document["metadata"]["knobs"]] == ["gain", "tone"]


BAD_EXPORTS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "neither": (1, (AMP, "amp.nam"), ("say one of --live, --bake",)),
    "both": (1, (AMP, "amp.nam", "--live", "--bake", "gain=7"), ("say one of --live, --bake",)),
    "suffix": (1, (AMP, "amp.json", "--live"), ("amp.json does not end in .nam", "amp.nam")),
    "no suffix": (1, (AMP, "amp", "--live"), ("amp does not end in .nam", "amp.nam")),
    "range": (1, (AMP, "amp.nam", "--bake", "gain=11"), ("'gain' is 11", "0 to 10")),
    "unknown knob": (1, (AMP, "amp.nam", "--bake", "gain=7,presence=1"), ("'presence'", "gain, tone")),
    "empty setting": (1, (AMP, "amp.nam", "--bake", "gain=7,"), ("'' does not set a knob",)),
    "spaces": (1, (AMP, "amp.nam", "--bake", "gain=7 tone=1"), ("does not set a knob",)),
    "unknown amp": (3, ("alice/tinny", "amp.nam", "--live"), ("Did you mean alice/tiny?",)),
    "below a file": (1, (AMP, "in.wav/amp.nam", "--live"), ("in.wav",)),
}


@pytest.mark.parametrize("what", BAD_EXPORTS)
def test_bad_export_is_told_and_makes_nothing(here: Path, what: str):
    code, words, said = BAD_EXPORTS[what]
    refused(zoo("export", *words), code, *said)
    assert litter(here) == set()


@pytest.mark.parametrize("target", [".", "/"])
def test_export_to_a_folder_is_told(here: Path, target: str):
    refused(zoo("export", AMP, target, "--live"), 1, ".nam")


def test_package_push_list_pull(here: Path):
    run = write_run(here / "runs" / "best")
    ran = zoo("package", run, "--license", LICENSE)
    assert (ran.code, ran.out, ran.err) == (0, "packages/best\n", "")
    assert read_files(here / "packages/best") == files()
    shelf = ("--zoo", "shelf")
    ran = zoo("push", "packages/best", "bob/best", *shelf)
    assert (ran.code, ran.out) == (0, "bob/best\n") and ran.err.startswith("published on shelf at revision ")
    revision = json.loads(zoo("push", "packages/best", "bob/best", *shelf, "--json").out)["revision"]
    assert zoo("list", "-q", *shelf).out == "bob/best\n"
    head, row = (line.split("\t") for line in zoo("list", *shelf).out.splitlines())
    assert head == ["AMP", "KNOBS", "ESR", "MACS", "KIND", "LICENCE", "RATE", "UPDATED", "REVISION"]
    assert row[:7] == ["bob/best", "gain tone", "0.1875", "177", "amp", LICENSE, "8000"] and row[8] == revision[:12]
    ran = zoo("pull", "bob/best", *shelf, "--to", "mine")
    assert (ran.code, ran.out) == (0, "mine\n") and read_files(here / "mine") == files()
    ran = zoo("pull", "bob/best", *shelf, "--json")
    home = os.environ["ZOO_HOME"]
    [pulled] = json.loads(ran.out)["amps"]
    assert [pulled[key] for key in ("name", "revision", "folder")] == ["bob/best", revision, f"{home}/bob/best"]
    assert (pulled["files"], pulled["bytes"]) == (len(files()), sum(map(len, files().values())))
    assert zoo("list", "-q").out == f"{AMP}\nbob/best\n"


def test_show_and_knobs(here: Path):
    assert zoo("knobs", AMP).out == "KNOB\tRANGE\tDEFAULT\ngain\t0 to 10\t5\ntone\t0 to 1\t0.5\n"
    document = json.loads(zoo("knobs", AMP, "--json").out)
    assert document == {"schema": "zoo.knobs/1", "name": AMP, **KNOBS.model_dump(mode="json")}
    shown = zoo("show", AMP).out
    assert "8000 Hz mono" in shown and "295 parameters" in shown and "mean 0.1875" in shown
    document = json.loads(zoo("show", AMP, "--json").out)
    assert (document["schema"], document["name"]) == ("zoo.show/1", AMP)
    assert document["config"] == json.loads(files()["config.json"])
    assert document["eval"] == json.loads(files()[EVAL])
    for verb in ("show", "knobs"):
        refused(zoo(verb, "alice/tinny"), 3, "Did you mean alice/tiny?")


@pytest.mark.parametrize("missing", ["eval.json", "config.json"])
def test_package_of_an_unfinished_run_is_told(here: Path, missing: str):
    (write_run(here / "run") / missing).unlink()
    refused(zoo("package", "run", "--license", "mit"), 3 if missing == "config.json" else 1, missing)
    assert litter(here) == {"run"}


def test_exit_code_of_every_kind_of_error():
    refused_request = httpx2.ConnectError("[Errno 111] Connection refused")
    for error, code in (
        (UserError("a", "b"), 1),
        (NotFound("a"), 3),
        (IntegrityError("a"), 6),
        (DivergedError("at step 3"), 1),
        (refused_request, 5),
        (httpx2.ReadTimeout("timed out"), 5),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), 5),
        (MemoryError(), 1),
        *((OSError(number, os.strerror(number), "/x/y"), 1) for number in sorted(errno.errorcode)
          if not isinstance(OSError(number, ""), ConnectionError)),
    ):  # fmt: skip
        explained = explain(error)
        assert explained is not None and explained.code == code, error
        assert explained.message and "\n" not in explained.message
        assert not isinstance(error, OSError) or code == 5 or "/x/y: " in explained.message
    for bug in (ValueError("x"), KeyError("x"), AssertionError(), RecursionError()):
        assert explain(bug) is None


def test_debug_shows_where_an_error_came_from(here: Path):
    ran = zoo("--debug", "show", "alice/tinny")
    assert ran.code == 3 and "Traceback" in ran.err and "in find\n" in ran.err and "error: no amp" in ran.err


def test_bug_is_not_dressed_up_as_the_users_mistake(here: Path):
    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=KeyError("oops")):
        ran = zoo("knobs", AMP)
    assert ran.code == 1 and "Traceback" in ran.err and "a fault of zoo itself: KeyError: 'oops'" in ran.err


@pytest.mark.parametrize("stop", [KeyboardInterrupt, click.Abort])
def test_interrupt_exits_130_without_a_traceback(here: Path, stop: type[BaseException]):
    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=stop):
        ran = zoo("knobs", AMP)
    assert (ran.code, ran.out) == (130, "") and "Traceback" not in ran.err


def test_interrupt_is_told(here: Path):
    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=KeyboardInterrupt):
        assert zoo("knobs", AMP).err.split() == ["interrupted"]


def test_reader_that_leaves_is_no_error(here: Path):
    with subprocess.Popen([ZOO, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout and run.stderr
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 0


def test_full_device_as_stdout_is_told(here: Path):
    with Path("/dev/full").open("w") as full:
        run = subprocess.run([ZOO, "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert run.returncode == 1 and "the disk is full" in run.stderr and "Traceback" not in run.stderr


def test_closed_stdout_is_told(here: Path):
    command = f"exec '{ZOO}' list >&-"
    run = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert "Traceback" not in run.stderr


def test_error_in_a_real_process(here: Path):
    refused(shell("render", AMP, "in.wav", "out.wav", "-k", "gain=11"), 1, "'gain' is 11", "0 to 10")
    ran = shell("render", AMP, "in.wav", "out.wav")
    assert (ran.code, ran.out, ran.err) == (0, "out.wav\n", "0.3 s at gain=5 tone=0.5\n")


def test_terminal_without_unicode_shows_what_it_can(here: Path, tmp_path: Path):
    write_files(tmp_path / "home" / AMP, {"README.md": card(license="Ålice's own")})
    ran = shell("list", PYTHONIOENCODING="ascii")
    assert (ran.code, ran.err) == (0, "") and "?lice's own" in ran.out
    refused(shell("show", "Ålice", PYTHONIOENCODING="ascii"), 1, "'?lice' does not name an amp")


@pytest.mark.parametrize("how", ["COLUMNS", "terminal"])
def test_narrow_terminal_leaves_columns_out(here: Path, how: str):
    code, screen = terminal("list", COLUMNS="40") if how == "COLUMNS" else terminal("list", columns=40)
    head, row, note = screen.splitlines()
    assert code == 0 and max(len(head), len(row)) <= 40
    assert head.split() == ["AMP", "KNOBS", "ESR", "MACS"] and row.split() == [AMP, "gain", "tone", "0.1875", "177"]
    assert note == "(narrow terminal: KIND, LICENCE, RATE, UPDATED, REVISION left out)"


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_both_sides_of_a_diff_stay(here: Path, tmp_path: Path, columns: int):
    write_package(tmp_path / "home" / "alice/other", {"presets.json": b'{"schema_version": "1.0"}'})
    code, screen = terminal("diff", AMP, "alice/other", columns=columns)
    head, *rows = screen.splitlines()
    assert code == 0 and max(map(len, (head, *rows))) <= columns
    assert head.split() == ["WHAT", AMP, "alice/other"]
    assert [row.split()[0] for row in rows] == ["revision", "presets.json"]


def test_moving_knobs_are_named(here: Path):
    ran = zoo("render", AMP, "in.wav", "out.wav", "--sweep", "gain=0:10")
    assert ran.code == 0 and ran.err == "0.3 s gain moving, tone=0.5 at rest\n"
    ran = zoo("render", AMP, "in.wav", "out.wav", "--sweep", "gain=0:10", "--sweep", "tone=1:0")
    assert ran.code == 0 and ran.err == "0.3 s gain and tone moving, no other at rest\n"


def test_mistakes_are_told_before_torch_is_loaded(here: Path):
    script = """
import sys
from zoo.cli import main
sys.argv = ["zoo", *sys.argv[1:]]
try:
    main()
except SystemExit as stop:
    assert stop.code, "it should have failed"
assert not {"torch", "numba"} & set(sys.modules)
"""
    for words in (
        (AMP, "none.wav", "out.wav"),
        (AMP, "in.wav", "out.mp3"),
        (AMP, "in.wav", "out.wav", "-k", "gain=11"),
        (AMP, "in.wav", "out.wav", "--sweep", "gain=0:11"),
        ("alice/tinny", "in.wav", "out.wav"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, "render", *words], env=around(PYTHONPATH=":".join(sys.path)), check=False
        )
        assert done.returncode == 0, words


def test_terminal_of_no_size_shows_all(here: Path):
    code, screen = terminal("list")
    assert code == 0 and "LICENCE" in screen and max(map(len, screen.splitlines())) <= 80


def test_narrow_terminal_never_breaks(here: Path):
    code, screen = terminal("render", AMP, "in.wav", "out.wav", columns=20, PYTHONIOENCODING="ascii")
    assert code == 0 and screen.splitlines()[-1] == "out.wav" and "Traceback" not in screen
    code, screen = terminal("knobs", AMP, columns=1)
    assert code == 0 and "gain  0 to 10" in screen
    code, screen = terminal("knobs", "alice/tinny", columns=10)
    assert code == 3 and "Did you mean alice/tiny?" in screen


def test_grid_of_baked_files_is_named_by_its_knobs(here: Path):
    ran = zoo("export", AMP, "snapshots", "--bake-grid", "gain=2,5", "--bake-grid", "tone=0,0.5,1")
    names = [f"tiny-gain{gain}-tone{tone}.nam" for gain in (2, 5) for tone in ("0", "0.5", "1")]
    assert ran.code == 0 and ran.out.split() == [f"snapshots/{name}" for name in names]
    for name in names:
        document = json.loads((Path("snapshots") / name).read_text())
        assert [f"{knob}{value:g}" for knob, value in document["metadata"]["baked_setting"].items()] == name[
            5:-4
        ].split("-")
    one = json.loads((Path("snapshots") / names[1]).read_text())
    assert zoo("export", AMP, "one.nam", "--bake", "gain=2,tone=0.5").code == 0
    assert json.loads(Path("one.nam").read_text()) == one


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--bake-grid", "gain=2,x"), "knob 'gain' is 'x', which is not a number"),
        (("--bake-grid", "gain=2,50"), "'gain' is 50"),
        (("--bake-grid", "gain=1", "--bake-grid", "gain=2"), "two lists"),
        (("--bake-grid", "gain=" + ",".join(["1"] * 1001)), "at most 1,000"),
        (("--bake-grid", "gain=1", "--live"), "say one of"),
    ],
)
def test_bad_grid_is_told_and_makes_nothing(here: Path, words: tuple[str, ...], message: str):
    refused(zoo("export", AMP, "snapshots", *words), 1, message)
    assert not Path("snapshots").exists()
