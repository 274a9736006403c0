"""The commands that take a `.nam` file in place of an amp, also a parametric one, and those that cannot."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import zoo.amp
from models.artifacts.model_config import make_config
from models.formats.nam.reader import read_nam_weights
from models.formats.nam.writer import write_nam
from models.network.architecture import Head
from models.playback.stream import play
from tests.support.clap_host import ClapHost
from tests.support.makers import KNOBS, architecture, esr, wavenet
from tests.support.makers import RATE as MAKERS_RATE
from tests.support.packages import AMP, refused
from tests.support.packages import zoo as run
from tests.support.parametric_nam import RATE, Reference, concat, hyper
from tests.support.plugins import needs_plugins
from tests.zoo.cli.conftest import DI
from zoo.cli.player_page import _site

SILENCE_S = 0.1  # before the sound: references know no past
VALUES = [7.0, 2.0]  # of gain and mode, the position by number


@pytest.fixture
def crunch(here: Path) -> Reference:
    """A parametric file of another project, and audio at its rate; returns what it must sound like."""
    document, reference = concat()
    Path("crunch.nam").write_text(json.dumps(document), encoding="utf-8")
    sf.write("dry.wav", np.pad(DI, (int(SILENCE_S * RATE), 0)), RATE, "FLOAT")
    return reference


def check_sound(reference: Reference, path: str) -> None:
    """A rendering sounds as its reference, whose sound begins late: it knows no silence before the file."""
    expected_T, heard_T = reference(sf.read("dry.wav")[0], VALUES), sf.read(path)[0]
    assert esr(heard_T[-len(expected_T) :], expected_T) < 1e-9  # of 24 bits


def test_render_and_knobs(crunch: Reference):
    ran = run("render", "crunch.nam", "dry.wav", "out.wav", "-k", "gain=7", "-k", "mode=lead")
    assert (ran.code, ran.out) == (0, "out.wav\n"), ran
    check_sound(crunch, "out.wav")
    refused(run("render", "crunch.nam", "dry.wav", "out.wav", "-k", "tone=7"), 1, "'tone'", "gain, mode")
    refused(run("render", "crunch.nam", "dry.wav", "out.wav", "--tier", "nano"), 3, "a .nam file, which has no tiers")
    assert "gain\t0 to 10\t4" in run("knobs", "crunch.nam").out
    assert [knob["name"] for knob in json.loads(run("knobs", "crunch.nam", "--json").out)["knobs"]] == ["gain", "mode"]


def test_export_bakes_and_keeps_the_knobs(crunch: Reference):
    assert run("export", "crunch.nam", "fixed.nam", "--bake", "gain=7,mode=lead").code == 0
    assert run("render", "fixed.nam", "dry.wav", "fixed.wav").code == 0
    check_sound(crunch, "fixed.wav")
    assert run("export", "crunch.nam", "live.nam", "--live").code == 0
    assert run("render", "live.nam", "dry.wav", "live.wav", "-k", "gain=7", "-k", "mode=lead").code == 0
    check_sound(crunch, "live.wav")


@needs_plugins
def test_export_as_a_plugin(crunch: Reference):
    ran = run("export", "crunch.nam", "--plugin", "plugins", "--format", "clap")
    assert (ran.code, ran.out) == (0, "plugins/crunch.clap\n"), ran
    host = ClapHost(Path("plugins/crunch.clap"))
    played = host.create()
    played.flush({"gain": VALUES[0], "mode": VALUES[1]})
    assert played.activate(RATE)
    x_T = sf.read("dry.wav", dtype="float32")[0]
    y_CT = played.play(np.stack([x_T, x_T]), [64])
    played.deactivate()
    played.destroy()
    host.close()
    expected_T = crunch(x_T.astype(np.float64), VALUES)
    assert esr(y_CT[0][-len(expected_T) :], expected_T) < 1e-9


@needs_plugins
def test_the_page_plays_it(crunch: Reference):
    made = Path("di.flac")
    with _site("crunch.nam", None, "") as site:
        assert site.document.single and [row.name for row in site.document.amps] == ["crunch"]
        assert json.loads(site.read("amps/crunch/amp.json") or b"")["held"] == []
        assert (site.read("amps/crunch/amp.bin") or b"")[:4] == b"AMPB"
        made.write_bytes(site.read("amps/crunch/audio/di.flac") or b"")
    assert sf.info(made).samplerate == RATE


def test_python_loads_it(crunch: Reference):
    amp = zoo.amp.load("crunch.nam")
    assert amp.knobs.names == ("gain", "mode") and amp.sample_rate == RATE
    config, net = read_nam_weights(Path("crunch.nam"))
    expected_T = play(net, DI, config.encode({"gain": 7, "mode": "lead"}))
    assert esr(amp(DI, gain=7, mode="lead"), expected_T) < 1e-10


@pytest.mark.filterwarnings("always::models.core.errors.Notice")
def test_knobs_that_do_not_fold_are_told(here: Path):
    document, reference = hyper(True)
    Path("hyper.nam").write_text(json.dumps(document), encoding="utf-8")
    sf.write("dry.wav", np.pad(DI, (int(SILENCE_S * RATE), 0)), RATE, "FLOAT")
    ran = run("render", "hyper.nam", "dry.wav", "out.wav")
    assert ran.code == 0 and ran.err.count("with its knobs at their defaults: gain 4") == 1, ran
    expected_T = reference(sf.read("dry.wav")[0], [4.0, 1.0])
    assert esr(sf.read("out.wav")[0][-len(expected_T) :], expected_T) < 1e-9


@needs_plugins
def test_what_the_c_player_cannot_play_is_rendered_and_refused_elsewhere(here: Path):
    head = Head.model_validate({"inputs": 2, "channels": 3, "kernel_sizes": [3, 2], "activation": "Hardswish"})
    net = wavenet(architecture("mixin").model_copy(update={"head": head}), 2)
    write_nam(Path("headed.nam"), make_config("headed", MAKERS_RATE, KNOBS, net.config), net)
    assert run("render", "headed.nam", "in.wav", "out.wav", "-k", "gain=7").code == 0
    assert esr(sf.read("out.wav")[0], play(net, DI, KNOBS.encode({"gain": 7}))) < 1e-9
    for words in (("export", "headed.nam", "--plugin", "p"), ("play", "headed.nam", "--no-browser")):
        refused(run(*words), 1, "headed has parts that only PyTorch plays", "Render files with it")


WITHOUT = {
    "package": ("package", "crunch.nam", "--license", "mit"),
    "push": ("push", "crunch.nam", AMP),
    "verify": ("verify", "crunch.nam"),
    "show": ("show", "crunch.nam"),
}


@pytest.mark.parametrize("what", WITHOUT)
def test_what_needs_scores_says_so(crunch: Reference, what: str):
    refused(run(*WITHOUT[what]), 1, "crunch.nam is a .nam file", "zoo render, play, export, knobs and score take it")


def test_wrong_files_are_told(here: Path):
    refused(
        run("render", "none.nam", "in.wav", "out.wav"), 1, "'none.nam' does not name an amp", "no such file or folder"
    )
    Path("notes.txt").write_text("gain at five")
    for command in ("knobs", "render"):
        words = (command, "notes.txt", *(("in.wav", "out.wav") if command == "render" else ()))
        refused(run(*words), 1, "notes.txt is a file, and neither a package nor a .nam file")
    Path("text.nam").write_text("gain at five")
    refused(run("render", "text.nam", "in.wav", "out.wav"), 1, "text.nam")
