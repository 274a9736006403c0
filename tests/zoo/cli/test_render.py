"""The command `zoo render`."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.playback.stream import play
from tests.support.makers import KNOBS, RATE, di, esr, model, read_wav, write_wav
from tests.support.packages import AMP, around, files, full_disk, read_files, refused, write_files, write_run, zoo
from tests.zoo.cli.conftest import DI, created


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_render_plays_at_the_setting(here: Path, suffix: str):
    ran = zoo("render", AMP, "in.wav", f"new/out{suffix}", "-k", "gain=7.5", "--knob", "tone=0.25")
    assert (ran.code, ran.out) == (0, f"new/out{suffix}\n")
    assert ran.err == "0.3 s at gain=7.5 tone=0.25\n"
    wet_T = play(model()[1], DI, KNOBS.encode({"gain": 7.5, "tone": 0.25}))
    assert esr(read_wav(here / f"new/out{suffix}"), wet_T) < 1e-9
    info = sf.info(here / f"new/out{suffix}")
    assert (info.samplerate, info.subtype) == (RATE, "PCM_24")


def test_render_uses_defaults_and_warns_of_clipping(here: Path, tmp_path: Path):
    ran = zoo("render", tmp_path / "home" / AMP, "in.wav", "out.wav")  # a folder is an amp, too
    assert ran.err == "0.3 s at gain=5 tone=0.5\n"
    config, net = model()
    net.head_scale.fill_(30)
    ran = zoo("render", write_run(here / "run", (config, net)), "in.wav", "out.wav")
    assert ran.code == 0
    assert re.search(r"^warning: the output clips \(peak \d+\.\d\d\)", ran.err, re.MULTILINE)


def test_moving_knobs_are_named(here: Path):
    ran = zoo("render", AMP, "in.wav", "out.wav", "--sweep", "gain=0:10")
    assert ran.code == 0
    assert ran.err == "0.3 s gain moving, tone=0.5 at rest\n"
    ran = zoo("render", AMP, "in.wav", "out.wav", "--sweep", "gain=0:10", "--sweep", "tone=1:0")
    assert ran.code == 0
    assert ran.err == "0.3 s gain and tone moving, no other at rest\n"


def test_render_resamples_with_the_option(here: Path):
    write_run(here / "tiny")
    write_wav(here / "fast.wav", di(0.2, 11025), 11025)
    refused(zoo("render", "./tiny", "fast.wav", "out.wav"), 1, "fast.wav is at 11025 Hz", "--resample")
    assert zoo("render", "./tiny", "fast.wav", "out.wav", "--resample").code == 0
    assert sf.info("out.wav").samplerate == 11025 != RATE
    assert sf.info("out.wav").frames == 2205


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
    "not a number": (1, (AMP, "in.wav", "out.wav", "-k", "gain=nan"), ("knob 'gain' is 'nan'",)),
    "twice": (1, (AMP, "in.wav", "out.wav", "-k", "gain=1", "-k", "gain=2"), ("'gain' is set twice",)),
    "another rate": (1, (AMP, "fast.wav", "out.wav"), ("fast.wav is at 16000 Hz; tiny plays at 8000 Hz",)),
    "no input": (3, (AMP, "none.wav", "out.wav"), ("none.wav does not exist",)),
    "empty input": (1, (AMP, "empty.wav", "out.wav"), ("empty.wav is empty",)),
    "stereo input": (1, (AMP, "stereo.wav", "out.wav"), ("stereo.wav has 2 channels",)),
    "input is no number": (1, (AMP, "nan.wav", "out.wav"), ("nan.wav: sample 0 is not a finite number",)),
    "input is text": (1, (AMP, "text.wav", "out.wav"), ("text.wav is not audio",)),
    "input is a folder": (1, (AMP, "folder.wav", "out.wav"), ("folder.wav is a folder, not an audio file",)),
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
def test_bad_render_explains_and_writes_nothing(here: Path, what: str):
    put_wavs(here)
    before = read_files(here)
    code, words, expected = BAD_RENDERS[what]
    refused(zoo("render", *words), code, *expected)
    assert read_files(here) == before
    write_files(here, {"out.wav": b"an earlier one"})
    refused(zoo("render", *words), code, *expected)
    assert read_files(here) == {**before, "out.wav": b"an earlier one"}


def test_mistakes_are_found_before_torch_is_loaded(here: Path):
    script = """
import sys
from zoo.cli.main import main
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


@pytest.mark.parametrize(
    "words", [("render", AMP, "in.wav", "/proc/out.wav"), ("export", AMP, "/proc/out.nam", "--live")]
)
def test_unwritable_output_is_named(here: Path, words: tuple[str, ...]):
    ran = zoo(*words)
    assert ran.code == 1
    assert "/proc/out." in ran.err
    assert ".staged" not in ran.err


def test_full_disk_leaves_nothing(here: Path):
    for words in (
        ("render", AMP, "in.wav", "out.wav"),
        ("export", AMP, "out.nam", "--live"),
        ("pull", AMP, "--to", "amp"),
    ):
        with full_disk(1000):
            refused(zoo(*words), 1)
        assert created(here) == set()


def test_tampered_amp_is_not_played(here: Path, tmp_path: Path):
    write_files(tmp_path / "home" / AMP, {"config.json": files()["config.json"] + b" "})
    for words in (("render", AMP, "in.wav", "out.wav"), ("export", AMP, "out.nam", "--live")):
        refused(zoo(*words), 6, "config.json has ")
    assert created(here) == set()
