"""The CLAP plugin in a host of ours: it gives the Python player's sound, in any blocks, and keeps CLAP's rules."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.core.schema import read_document
from models.formats.player.native import NativePlayer
from models.formats.plugin.bundles import shelf_data, write_plugin
from models.formats.plugin.targets import this_machine
from models.knobs.schema import Knob, Knobs, Setting
from models.network.architecture import LayerArray, WaveNetConfig
from tests.player.test_player import in_glide
from tests.support.clap_host import AUTOMATABLE, ENUM, STEPPED, ClapHost
from tests.support.makers import FORMS, architecture, di, esr, wavenet
from tests.support.native import PEDAL, RATE, amp, native, plain_knobs
from tests.support.plugins import faceplate, needs_plugins, plugin, plugin_data, reference

pytestmark = needs_plugins

ROOT = Path(__file__).parents[4]
RECIPES = sorted((ROOT / "configs" / "models").glob("*.json"))
DI = di(1.0, 48_000)[:12_000]
SETTING: Setting = {"gain": 7, "volume": -1.5, "bright": "Half +2.5"}
CLOSE = 1e-10
MOVES = "Knob moves"  # the parameter after the knobs


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ClapHost]:
    """A host with a plugin of a small net."""
    opened = ClapHost(plugin("clap", tmp_path, wavenet(architecture("film"), 5)))
    yield opened
    opened.close()


def stereo(x_T: np.ndarray) -> np.ndarray:
    """A signal, and another one beside it."""
    return np.stack([x_T, -0.5 * x_T[::-1]])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_plays_as_in_python(path: Path, tmp_path: Path):
    net = wavenet(read_document(path, WaveNetConfig), 3, spread=0.02)
    type_level = net.config.inject.encoding == "type_level"
    knobs, setting = (
        plain_knobs(2 if type_level else 3),
        {"k0": 0.3} if type_level else {"k0": 0.3, "k1": -0.2, "k2": 0.9},
    )
    opened = ClapHost(plugin("clap", tmp_path, net, knobs))
    played = opened.create()
    played.flush(setting)
    played.select(1)
    assert played.activate()
    y_T = played.play(DI[None], [64, 1, 333, 1024])[0]
    played.deactivate()
    played.destroy()
    opened.close()
    assert esr(y_T, reference(net, DI, setting, knobs)) < CLOSE


@pytest.mark.parametrize("sizes", [[1], [64], [8192], [37, 300, 1]])
def test_blocks_of_any_length_and_channels_of_their_own(host: ClapHost, sizes: list[int]):
    x_CT, net = stereo(DI[:3000]), wavenet(architecture("film"), 5)
    played = host.create()
    played.flush(faceplate(PEDAL, SETTING))
    assert played.activate()
    y_CT = played.play(x_CT, sizes)
    for x_T, y_T in zip(x_CT, y_CT, strict=True):
        assert esr(y_T, reference(net, x_T, SETTING)) < CLOSE
    played.deactivate()
    played.destroy()


def test_a_signal_streamed_without_events_is_the_same(host: ClapHost):
    one, other = host.create(), host.create()
    for played in (one, other):
        assert played.activate()
    x_CT = np.stack([DI[:4800], DI[4800:9600]])
    assert np.array_equal(one.stream(x_CT, 96), other.play(x_CT, [96]))


def test_buffers_may_be_the_same_and_empty(host: ClapHost):
    first, second = host.create(), host.create()
    for played in (first, second):
        assert played.activate()
    x_CT = stereo(DI[:700])
    assert np.array_equal(first.process(x_CT, in_place=True), second.process(x_CT))
    assert first.process(x_CT[:, :0], [(0, "gain", 9.0)]).shape == (2, 0)
    assert first.value("gain") == 9
    for played in (first, second):
        played.deactivate()
        played.destroy()


def test_automation_is_exact_to_the_sample(host: ClapHost):
    net, x_T = wavenet(architecture("film"), 5), DI[:6000]
    turns: list[tuple[int, dict[str, float | str]]] = [
        (0, {}),
        (77, {"gain": 10, "bright": "off"}),
        (500, {"volume": 6}),
        (3001, {"gain": 2}),
    ]
    events = [(at, name, faceplate(PEDAL, moves)[name]) for at, moves in turns for name in moves]
    played = host.create()
    played.select(1)
    assert played.activate()
    y_T = played.play(x_T[None], [480], events)[0]
    played.deactivate()
    played.destroy()
    assert np.array_equal(y_T, in_glide(native(net, knobs=PEDAL), x_T, turns, [333]))


def test_knobs_move_exactly_where_that_is_chosen(host: ClapHost):
    net, x_T = wavenet(architecture("film"), 5), DI[:6000]
    turns: list[tuple[int, dict[str, float | str]]] = [
        (0, {}),
        (77, {"gain": 10, "bright": "off"}),
        (4001, {"gain": 2}),
    ]
    events = [(at, name, faceplate(PEDAL, moves)[name]) for at, moves in turns for name in moves]
    played = host.create()
    played.select(1)
    played.flush({MOVES: 1})
    assert played.activate()
    assert played.text(MOVES, 1) == "exact"
    y_T = played.play(x_T[None], [480], events)[0]
    played.deactivate()
    played.destroy()
    assert np.array_equal(y_T, in_glide(NativePlayer(amp(net, PEDAL), moves="exact"), x_T, turns, [333]))


def test_knobs_ramp_where_exact_moves_cost_too_much(tmp_path: Path):
    array = LayerArray(channels=32, dilations=tuple(2**n for n in range(10)) * 2)
    opened = ClapHost(plugin("clap", tmp_path, wavenet(WaveNetConfig(arrays=(array,), inject=FORMS["film"]), 5)))
    played = opened.create()
    assert played.text(MOVES, 1) == "exact"
    assert played.activate(8 * RATE)
    assert (played.text(MOVES, 0), played.text(MOVES, 1)) == ("ramps", "exact (too slow here: ramps)")
    assert [played.parse(MOVES, text) for text in ("ramps", "exact", "exact (too slow here: ramps)")] == [0, 1, 1]
    played.deactivate()
    played.destroy()
    opened.close()


def test_what_a_host_is_told_of_the_knobs(host: ClapHost):
    played = host.create()
    knobs = played.knobs()
    assert list(knobs) == ["gain", "volume", "bright", MOVES]
    limits = {name: (info.min, info.max, info.default) for name, info in knobs.items()}
    assert limits == {"gain": (0, 10, 5), "volume": (-3, 7, 0), "bright": (0, 2, 2), MOVES: (0, 1, 0)}
    assert knobs["gain"].flags == AUTOMATABLE
    assert knobs["bright"].flags == AUTOMATABLE | STEPPED | ENUM
    texts = [played.text(*pair) for pair in (("gain", 7.126), ("volume", -2.5), ("volume", -0.001), ("bright", 1))]
    assert texts == ["7.13", "-2.50 dB", "0.00 dB", "Half +2.5"]
    assert (played.text("gain", 7, room=2), played.text("volume", 7, room=7)) == ("7", "7.00 d")
    parsed = [played.parse("gain", text) for text in ("7.5 dB", " 3,25", "99", "-", "", "x", "1e9999")]
    assert parsed == [7.5, 3.25, 10, None, None, None, 1]
    assert [played.parse("bright", text) for text in ("Half +2.5", "off", "2", "nowhere")] == [1, 0, 2, None]
    assert not played.has_extension(b"clap.gui")
    played.destroy()


def test_identifiers_stay_when_knobs_are_added_or_moved(tmp_path: Path):
    more = Knobs(knobs=(Knob(name="presence", min=0, max=1, default=0.5), *reversed(PEDAL.knobs)))
    found = []
    for name, knobs in (("a", PEDAL), ("b", more)):
        host = ClapHost(plugin("clap", tmp_path / name, wavenet(architecture("film"), knobs.columns()), knobs))
        played = host.create()
        found.append((host.plugins[0][0], {knob: info.id for knob, info in played.knobs().items()}))
        played.destroy()
        host.close()
    (first, ids), (second, others) = found
    assert first == second
    assert {name: others[name] for name in ids} == ids
    assert len(set(others.values())) == 5


def test_state_is_by_names_of_knobs_and_positions(host: ClapHost, tmp_path: Path):
    changed = PEDAL.knobs[2].model_copy(update={"positions": ("dark", "on", "off", "Half +2.5"), "default": "on"})
    other = Knobs(knobs=(changed, Knob(name="presence", min=0, max=1, default=0.25), PEDAL.knobs[0]))
    later = ClapHost(plugin("clap", tmp_path / "later", wavenet(architecture("film"), other.columns()), other))
    first, second = host.create(), later.create()
    first.flush(faceplate(PEDAL, SETTING))
    state = first.save(most=7)
    assert second.load(state, most=11)
    assert [second.value(name) for name in ("gain", "presence", "bright")] == [7, 0.25, 3]
    assert later.notices == ["params.rescan 1"]
    for broken in (b"", b"AMPS", state[:-1], b"x" + state[1:], state[:4] + b"\x02" + state[5:], bytes(10_000)):
        assert not second.load(broken)
    strange = state[:8] + b"\xff" * (len(state) - 8)
    assert second.load(strange)
    assert second.value("gain") == 7
    for played, opened in ((first, None), (second, later)):
        played.destroy()
        if opened:
            opened.close()


def test_state_may_be_restored_while_it_plays(host: ClapHost):
    played = host.create()
    played.select(1)
    state = played.save()
    assert played.activate()
    y_T = played.play(DI[None, :4800], [100], [(0, "gain", 9.0)], on_block=lambda: played.load(state))[0]
    assert np.isfinite(y_T).all()
    assert played.value("gain") == 5
    played.deactivate()
    played.destroy()


@pytest.mark.parametrize(
    ("rate", "late"), [(48_000, 0), (96_000, 0), (192_000, 0), (44_100, 71), (88_200, 71), (32_000, 71)]
)
def test_latency_is_told_when_it_changes(host: ClapHost, rate: int, late: int):
    played = host.create()
    assert played.activate(rate)
    assert played.latency == late
    assert host.notices == (["latency.changed"] if late else [])
    assert played.tail >= late
    played.deactivate()
    assert played.activate(rate)
    assert host.notices == (["latency.changed"] if late else [])
    played.deactivate()
    played.destroy()


@pytest.mark.parametrize("rate", [0.0, -48_000.0, float("nan"), float("inf"), 7_999.0, 1e9])
def test_rates_that_are_none_are_refused(host: ClapHost, rate: float):
    played = host.create()
    assert not played.activate(rate)
    assert played.activate(48_000)
    played.deactivate()
    played.destroy()


def test_layouts_are_mono_and_stereo(host: ClapHost):
    played = host.create()
    assert (played.channels, played.ports(False).type) == (2, b"stereo")
    assert played.select(1)
    assert (played.channels, played.ports(False).type) == (1, b"mono")
    assert not played.select(3)
    assert played.activate()
    assert not played.select(2)
    played.deactivate()
    played.destroy()


def test_a_reset_forgets_the_past(host: ClapHost):
    played, fresh = host.create(), host.create()
    for one in (played, fresh):
        one.select(1)
        assert one.activate()
    played.process(DI[None, :1000])
    played.reset()
    assert np.array_equal(played.process(DI[None, :1000]), fresh.process(DI[None, :1000]))
    for one in (played, fresh):
        one.deactivate()
        one.destroy()


def test_instances_do_not_share_knobs_or_past(host: ClapHost):
    first, second, alone = host.create(), host.create(), host.create()
    for played in (first, second, alone):
        assert played.activate()
    first.flush({"gain": 10}, active=True)
    parts = [
        (first.process(stereo(DI[t : t + 50])), second.process(stereo(DI[t : t + 50])))[1] for t in range(0, 500, 50)
    ]
    wanted = [alone.process(stereo(DI[t : t + 50])) for t in range(0, 500, 50)]
    assert np.array_equal(np.concatenate(parts, 1), np.concatenate(wanted, 1))
    assert second.value("gain") == 5
    for played in (first, second, alone):
        played.deactivate()
        played.destroy()


def test_input_that_is_no_sound_is_silence(host: ClapHost):
    played, silent = host.create(), host.create()
    for one in (played, silent):
        assert one.activate(44_100)
    bad = np.full((2, 500), np.nan, np.float32)
    bad[1] = np.inf
    assert np.array_equal(played.process(bad), silent.process(np.zeros((2, 500), np.float32)))
    for one in (played, silent):
        one.deactivate()
        one.destroy()


def test_a_library_opens_again_and_makes_nothing_unknown(host: ClapHost):
    again = ClapHost(Path(host._library._name))
    assert again.plugins == host.plugins
    assert not again.make_unknown()
    again.close()
    assert [name for _, name, _ in host.plugins] == ["tiny"]


def test_one_plugin_lists_every_amp_of_a_folder(tmp_path: Path):
    folder = tmp_path / "ämps & more"
    folder.mkdir()
    for name in ("alice--one", "bob--two"):
        data = plugin_data(wavenet(architecture("film"), 5), identity=name, name=name.partition("--")[2])
        (folder / f"{name}.bin").write_bytes(data)
    (folder / "broken.bin").write_bytes(data[:-1])
    (folder / "twin.bin").write_bytes(data)
    (folder / ".hidden.bin").write_bytes(amp(wavenet(architecture("film"), 2)))
    path = write_plugin("clap", this_machine(), tmp_path, "ampzoo", shelf_data(folder), [])
    host = ClapHost(path)
    assert [name for _, name, _ in host.plugins] == ["one", "two"]
    (folder / "carol--three.bin").write_bytes(amp(wavenet(architecture("film"), 2)))
    assert len(host.plugins) == 2  # a host that is open sees no change
    host.close()
    host = ClapHost(path)
    assert len(host.plugins) == 3
    played = host.create(host.plugins[0][0])
    assert list(played.knobs()) == ["gain", "volume", "bright", MOVES]
    played.destroy()
    host.close()


def test_a_file_plays_its_own_amp_and_no_other_beside_it(tmp_path: Path):
    path = plugin("clap", tmp_path / "clap", wavenet(architecture("film"), 5))
    other = plugin_data(wavenet(architecture("film"), 5), identity="eve/other", name="other")
    for place in ("clap", "Resources"):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "amp.bin").write_bytes(other)
    host = ClapHost(path)
    assert [name for _, name, _ in host.plugins] == ["tiny"]
    host.close()


@pytest.mark.parametrize("tail", [b"", b"AMPZTAIL", b"\xff\xff\xff\xffAMPZTAIL", b"\x05\x00\x00\x00AMPZTAIL"])
def test_a_library_without_an_amp_has_no_plugins(tmp_path: Path, tail: bytes):
    path = write_plugin("clap", this_machine(), tmp_path, "none", b"", [])
    path.write_bytes(path.read_bytes()[:-12] + tail)
    host = ClapHost(path)
    assert host.plugins == []
    host.close()
