"""The VST 3 plugin in real hosts, pedalboard and dawdreamer (both JUCE): sound, knobs, state, rates.

Both are GPL: they are tools of the tests alone, and ampzoo does not link them.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from models.audio.guitar import guitar
from models.formats.plugin.bundles import shelf_data, write_plugin
from models.formats.plugin.targets import this_machine
from models.knobs.schema import Setting
from models.playback.stream import Stream
from tests.support.makers import architecture, di, esr, wavenet
from tests.support.native import PEDAL
from tests.support.plugins import needs_plugins, plugin, plugin_data, reference

needs_pedalboard = pytest.mark.skipif(find_spec("pedalboard") is None, reason="pedalboard is not installed")
needs_dawdreamer = pytest.mark.skipif(find_spec("dawdreamer") is None, reason="dawdreamer is not installed")
pytestmark = needs_plugins

NET = wavenet(architecture("film"), 5)
DI = di(1.0, 48_000)
SETTING: Setting = {"gain": 7, "volume": -1.5, "bright": "Half +2.5"}
SHOWN = {"gain": "gain", "volume": "volume_db", "bright": "bright"}  # as pedalboard spells knobs with their units
CLOSE = 1e-10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A VST 3 plugin of this machine."""
    return plugin("vst3", tmp_path, NET)


def load(path: Path, setting: Setting = SETTING, name: str | None = None) -> Any:
    """The plugin in pedalboard, knobs turned."""
    from pedalboard import load_plugin

    loaded = load_plugin(str(path), plugin_name=name)
    for knob, value in setting.items():
        setattr(loaded, SHOWN[knob], value)
    return loaded


def settled(loaded: Any, x_CT: np.ndarray, rate: int = 48_000, block: int = 512) -> np.ndarray:
    """What it plays of a signal after a tenth of a second of silence, in which the knobs come to rest."""
    silence_CT = np.zeros((len(x_CT), rate // 10), np.float32)
    return loaded.process(np.concatenate([silence_CT, x_CT], 1), rate, buffer_size=block)[:, rate // 10 :]


@needs_pedalboard
@pytest.mark.parametrize("block", [1, 64, 333, 8192])
@pytest.mark.parametrize("channels", [1, 2])
def test_pedalboard_plays_as_python_does(path: Path, block: int, channels: int):
    x_T = DI[:6000] if block == 1 else DI
    x_CT = np.stack([x_T, -x_T[::-1]])[:channels]
    y_CT = settled(load(path), x_CT, block=block)
    for channel in range(channels):
        assert esr(y_CT[channel], reference(NET, x_CT[channel], SETTING)) < CLOSE


@needs_pedalboard
def test_pedalboard_shows_the_knobs(path: Path):
    loaded = load(path, {})
    assert (loaded.name, loaded.manufacturer_name, loaded.is_effect) == ("tiny", "ampzoo", True)
    knobs = loaded.parameters
    assert list(knobs) == [*SHOWN.values(), "knob_moves"]
    assert (knobs["gain"].units, knobs["volume_db"].units) == (None, "dB")
    assert knobs["knob_moves"].valid_values == ["ramps", "exact"] and loaded.knob_moves == "ramps"
    assert [knobs[name].range for name in ("gain", "volume_db")] == [(0.0, 10.0, 0.01), (-3.0, 7.0, 0.01)]
    assert knobs["bright"].valid_values == ["off", "Half +2.5", "on"]
    assert (loaded.gain, loaded.volume_db, loaded.bright) == (5.0, 0.0, "on")


@needs_pedalboard
def test_pedalboard_restores_a_session(path: Path):
    loaded = load(path)
    loaded.process(DI[None, :480], 48_000)
    state = loaded.raw_state
    for knob, value in {"gain": 1, "volume_db": 2, "bright": "on"}.items():
        setattr(loaded, knob, value)
    loaded.raw_state = state
    assert (loaded.gain, loaded.volume_db, loaded.bright) == (7.0, -1.5, "Half +2.5")
    loaded.reset()
    assert esr(settled(loaded, DI[None])[0], reference(NET, DI, SETTING)) < CLOSE


@needs_pedalboard
@pytest.mark.parametrize("rate", [44_100, 96_000, 88_200, 192_000, 32_000, 44_101])
def test_any_rate_of_the_host(path: Path, rate: int):
    """The sound at the model's own rate, resampled by another resampler; pedalboard takes the latency away."""
    low = min(rate, 48_000)
    x_T = soxr.resample(soxr.resample(guitar(2.0, 48_000, 1), 48_000, 0.8 * low), 0.8 * low, 48_000)[:95_000]
    wanted_T = soxr.resample(reference(NET, x_T, {}), 48_000, rate, "VHQ")
    loaded = load(path, {})
    y_T = loaded.process(soxr.resample(x_T, 48_000, rate, "VHQ")[None], rate, buffer_size=400)[0]
    inside = slice(rate // 10, len(y_T) - rate // 10)
    assert esr(y_T[inside], wanted_T[inside]) < 1e-8
    assert loaded.reported_latency_samples == (0 if rate % 48_000 == 0 else 71)


@needs_pedalboard
def test_pedalboard_lists_the_amps_of_a_folder(tmp_path: Path):
    from pedalboard import VST3Plugin

    folder = tmp_path / "amps"
    folder.mkdir()
    nets = {name: wavenet(architecture(name), 5) for name in ("film", "mixin")}
    for name, net in nets.items():
        (folder / f"me--{name}.bin").write_bytes(plugin_data(net, identity=f"me/{name}", name=name))
    path = write_plugin("vst3", this_machine(), tmp_path, "ampzoo", shelf_data(folder), [])
    assert VST3Plugin.get_plugin_names_for_file(str(path)) == ["film", "mixin"]
    for name, net in nets.items():
        assert esr(settled(load(path, {}, name), DI[None])[0], reference(net, DI, {})) < CLOSE


def render_engine(rate: int, block: int) -> Any:
    """An engine of dawdreamer, which states no types."""
    dawdreamer: Any = import_module("dawdreamer")
    return dawdreamer.RenderEngine(rate, block)


@needs_dawdreamer
def test_dawdreamer_plays_as_python_does(path: Path):
    engine = render_engine(48_000, 512)
    made = engine.make_plugin_processor("amp", str(path))
    names = [one["name"] for one in made.get_parameters_description()][:3]
    assert names == ["gain", "volume", "bright"]
    for index, turn in enumerate((0.7, 0.15, 0.5)):
        made.set_parameter(index, turn)
    x_CT = np.stack([np.concatenate([np.zeros(9600, np.float32), DI])] * 2)
    source = engine.make_playback_processor("guitar", x_CT)
    engine.load_graph([(source, []), (made, ["guitar"])])
    engine.render(x_CT.shape[1] / 48_000)
    y_CT = engine.get_audio()[:, 9600 : 9600 + len(DI)]
    for y_T in y_CT:
        assert esr(y_T, reference(NET, DI, SETTING)[: len(y_T)]) < CLOSE


@needs_dawdreamer
def test_dawdreamer_turns_a_knob(path: Path):
    engine = render_engine(48_000, 128)
    made = engine.make_plugin_processor("amp", str(path))
    turns_T = np.linspace(0, 1, len(DI), dtype=np.float32)
    made.set_automation(0, turns_T)
    source = engine.make_playback_processor("guitar", np.stack([DI, DI]))
    engine.load_graph([(source, []), (made, ["guitar"])])
    engine.render(len(DI) / 48_000)
    y_T = engine.get_audio()[0]
    levels_KT = np.repeat(np.array(PEDAL.encode({}), np.float32)[:, None], len(DI), axis=1)
    levels_KT[0] = 2 * turns_T - 1
    moved_T = Stream(NET, levels_KT[:, 0].tolist()).process(DI, levels_KT)
    late = slice(4800, len(y_T) - 100)
    found, still = (esr(one_T[late], moved_T[late]) for one_T in (y_T, reference(NET, DI, {})))
    assert found < 0.02 * still  # dawdreamer hands over one point per block
