"""The LV2 plugin in the tools of LV2: its Turtle is valid, it plays as Python does, and runs in JACK."""

import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.formats.player.reader import read_amp
from models.formats.plugin.bundles import shelf_data, write_plugin
from models.formats.plugin.targets import this_machine
from models.formats.plugin.turtle import STEREO_ENDING, amp_turtle, plugin_uri, port_symbols
from models.knobs.schema import Knob, Knobs, Setting
from tests.support.jack_server import JackServer
from tests.support.makers import architecture, di, esr, wavenet
from tests.support.native import PEDAL
from tests.support.plugins import faceplate, needs_plugins, plugin, plugin_data, reference

pytestmark = [needs_plugins, pytest.mark.skipif(sys.platform != "linux", reason="LV2 is for Linux")]

NET = wavenet(architecture("film"), 5)
DI = di(0.5, 48_000)
URI = plugin_uri(read_amp(plugin_data(NET)))
SETTING: Setting = {"gain": 7, "volume": -1.5, "bright": "Half +2.5"}
SPECIFICATIONS = "/usr/lib/lv2"


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip a test where one of the tools is not installed."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run(*words: object, path: Path | str = "") -> str:
    """Run a tool, LV2 bundles in `path`; returns what it says."""
    env = {**os.environ, "LV2_PATH": f"{path}:{SPECIFICATIONS}"}
    done = subprocess.run(list(map(str, words)), env=env, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout + done.stderr


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """A folder with a bundle of this machine."""
    plugin("lv2", tmp_path / "lv2", NET)
    return tmp_path / "lv2"


@needs("lv2_validate")
def test_turtle_is_valid(bundles: Path):
    assert "Found 0 errors" in run("lv2_validate", *(bundles / "tiny.lv2").glob("*.ttl"), path=bundles)


@needs("lv2ls", "lv2info")
def test_lilv_finds_ports_and_limits(bundles: Path):
    assert set(run("lv2ls", path=bundles).split()) >= {URI, URI + STEREO_ENDING}
    for ending, ports in (("", 7), (STEREO_ENDING, 9)):
        told = run("lv2info", URI + ending, path=bundles)
        assert told.count("\tPort ") == ports
        assert "Has latency:       yes" in told
        assert '1 = "Half +2.5"' in told
        volume = told.partition("volume")[2].split("Port")[0]
        assert [line.split()[-1] for line in volume.splitlines()[2:5]] == ["-3.000000", "7.000000", "0.000000"]


@needs("lv2proc")
@pytest.mark.parametrize("block", [64, 1000])
@pytest.mark.parametrize("ending", ["", STEREO_ENDING])
def test_lv2proc_plays_as_python_does(bundles: Path, tmp_path: Path, ending: str, block: int):
    x_CT = np.stack([DI, -DI[::-1]])[: 2 if ending else 1]
    silence = 9_600
    soundfile.write(tmp_path / "in.wav", np.pad(x_CT, ((0, 0), (silence, 0))).T, 48_000, "FLOAT")
    controls = [word for name, value in faceplate(PEDAL, SETTING).items() for word in ("-c", f"{name}:{value}")]
    words = ("lv2proc", "-i", tmp_path / "in.wav", "-o", tmp_path / "out.wav", "-n", block, *controls, URI + ending)
    run(*words, path=bundles)
    y_CT = soundfile.read(tmp_path / "out.wav", always_2d=True)[0].T[:, silence:]
    for x_T, y_T in zip(x_CT, y_CT, strict=True):
        assert esr(y_T[: len(DI)], reference(NET, x_T, SETTING)) < 1e-9  # lv2proc writes 24 bits


@needs("lv2bench")
def test_lv2bench_runs_it(bundles: Path):
    seconds = float(run("lv2bench", "-b", 64, "-n", 48_000, URI, path=bundles).split()[0])
    assert 0 < seconds < math.inf


@needs("jackd", "jalv", "jack_lsp")
def test_jalv_runs_it_on_jack(bundles: Path, tmp_path: Path):
    """On the dummy driver: jalv connects it, and prints where the knobs stand."""
    jack, log = JackServer(48_000, 1024), tmp_path / "jackd.log"
    env = {**os.environ, **jack.environment(), "LV2_PATH": f"{bundles}:{SPECIFICATIONS}"}
    jack.start(log)
    try:
        if not wait_for(lambda: "system:capture_1" in ports(env)):
            pytest.skip(f"the JACK server does not start here: {log.read_text()[-300:]}")
        started = ["jalv", "-p", "-c", "gain=7", URI]
        jalv = subprocess.Popen(started, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert wait_for(lambda: {"tiny:in", "tiny:out"} <= ports(env))
            told = jalv.communicate("controls\n", timeout=60)[0]
        finally:
            jalv.kill()
            jalv.wait()
    finally:
        jack.close()
    assert "gain = 7.000000" in told
    assert "bright = 2.000000" in told


def ports(env: dict[str, str]) -> set[str]:
    """The ports of the JACK server of this test."""
    done = subprocess.run(["jack_lsp"], env=env, capture_output=True, text=True, timeout=60, check=False)
    return set(done.stdout.split())


def wait_for(condition: Callable[[], bool]) -> bool:
    """Wait until something is so, a minute at most; returns whether it is."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False


@needs("lv2ls", "lv2_validate")
def test_one_bundle_lists_every_amp_of_a_folder(tmp_path: Path):
    folder, amps = tmp_path / "amps", []
    folder.mkdir()
    for name in ("one", "two"):
        data = plugin_data(NET, identity=f"me/{name}", name=name)
        (folder / f"me--{name}.bin").write_bytes(data)
        amps.append(read_amp(data))
    path = write_plugin("lv2", this_machine(), tmp_path / "lv2", "ampzoo", shelf_data(folder), amps)
    assert set(run("lv2ls", path=path.parent).split()) >= {plugin_uri(amp) for amp in amps}
    assert "Found 0 errors" in run("lv2_validate", *path.glob("*.ttl"), path=path.parent)
    if shutil.which("lv2bench"):
        for amp in amps:
            assert float(run("lv2bench", "-n", 4800, plugin_uri(amp) + STEREO_ENDING, path=path.parent).split()[0]) > 0


def test_symbols_are_unlike_each_other_and_the_ports():
    names = ("in", "mid-shift", "mid_shift", "latency", "out_left", "in_2")
    knobs = tuple(Knob(name=name, min=0, max=1, default=0) for name in names)
    assert port_symbols(knobs, ("in", "out", "latency")) == [
        *("in_2", "mid_shift", "mid_shift_2", "latency_2", "out_left", "in_2_2")
    ]


@needs("lv2_validate")
@pytest.mark.parametrize("name", ['x" ; lv2:binary <evil.so> .', "back\\slash", "new\nline", "tab\tand é", "<urn:x>"])
def test_names_cannot_leave_their_quotes(bundles: Path, name: str):
    """No such name passes the reader of amp.bin; the text is safe on its own."""
    amp = read_amp(plugin_data(NET))
    object.__setattr__(amp, "name", name)
    bundle = bundles / "tiny.lv2"
    (bundle / f"{amp.identity.hex()}.ttl").write_text(amp_turtle(amp), encoding="utf-8")
    assert "Found 0 errors" in run("lv2_validate", *bundle.glob("*.ttl"), path=bundles)
    assert "evil.so" not in run("lv2info", URI, path=bundles).partition("Binary")[2].splitlines()[0]


@needs("lv2_validate")
def test_units_are_those_of_lv2_or_described(tmp_path: Path):
    knobs = tuple(Knob(name=f"k{n}", min=0, max=1, default=0, unit=unit) for n, unit in enumerate(("dB", "%", "V/s")))
    net = wavenet(architecture("film"), 3)
    plugin("lv2", tmp_path / "lv2", net, Knobs(knobs=knobs))
    files = list((tmp_path / "lv2" / "tiny.lv2").glob("*.ttl"))
    assert "Found 0 errors" in run("lv2_validate", *files, path=tmp_path / "lv2")
    text = amp_turtle(read_amp(plugin_data(net, Knobs(knobs=knobs))))
    assert [text.count(f"units:unit {unit} ;") for unit in ("units:db", "units:pc")] == [2, 2]
    assert text.count('units:symbol "V/s" ; units:render "%f V/s"') == 2


def test_steps_and_small_ranges():
    knobs = Knobs(
        knobs=(
            Knob(name="a", min=-1e-6, max=1e-6, default=0, step=1e-7),
            Knob(name="b", min=0, max=1e9, default=0, step=1e-9),
        )
    )
    text = amp_turtle(read_amp(plugin_data(wavenet(architecture("film"), 2), knobs)))
    assert "pprops:rangeSteps 21" in text
    assert text.count("rangeSteps") == 2  # of the mono and the stereo plugin: b has too many
    assert "lv2:minimum -1e-06" in text
