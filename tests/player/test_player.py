"""The C player gives the numba player's sound: every form of the family, any blocks, knobs still, moving or gliding."""

import copy
import ctypes
import math
import platform
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import UserError
from models.core.schema import read_document
from models.formats.player.build import library
from models.formats.player.native import NativePlayer
from models.knobs.schema import Knobs, Switch
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.stream import Stream
from tests.support.makers import ACTIVATIONS, FORMS, GATES, architecture, di, esr, examples, wavenet, wavenets
from tests.support.native import PEDAL, RATE, amp, native, needs_compiler, plain_knobs

pytestmark = needs_compiler

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "configs" / "models").glob("*.json"))
ENGINES = ("baseline", "avx2", "avx512") if platform.machine() in ("x86_64", "AMD64") else ("baseline",)
DI = di(2.5)
LEVELS = [0.3, -0.8]
CLOSE = 1e-10
CONTROL = 64  # samples between control points
FULL_TURN = 0.03  # seconds


def player(net: WaveNet, engine: str | None, knobs: Knobs | None = None) -> NativePlayer:
    """Return a player with the engine of that name; skips where this processor has no such instructions."""
    try:
        return native(net, engine, knobs)
    except UserError:
        pytest.skip(f"this processor has no {engine}")


def turning(length: int, knobs: int = 2) -> np.ndarray:
    """Return levels `(K, T)` that never stand still."""
    t_T = np.arange(length)
    levels = [np.sin(0.003 * (knob + 1) * t_T + knob) for knob in range(knobs)]
    return np.array(levels, np.float32).reshape(knobs, length)


def in_blocks(played: NativePlayer, x_T: np.ndarray, levels: np.ndarray | list[float], sizes: list[int]) -> np.ndarray:
    """Play a signal in blocks whose sizes repeat."""
    parts, begin = [], 0
    while begin < len(x_T):
        end = begin + sizes[len(parts) % len(sizes)]
        now = levels[:, begin:end] if isinstance(levels, np.ndarray) else levels
        parts.append(played.process(x_T[begin:end], now))
        begin = end
    return np.concatenate(parts)


def in_glide(played: NativePlayer, x_T: np.ndarray, turns: list[tuple[int, dict]], sizes: list[int]) -> np.ndarray:
    """Play a signal in blocks, each ended early where a knob turns; a turn is the sample before which it comes."""
    parts, edges, number = [], [*(at for at, _ in turns), len(x_T)], 0
    for (_, setting), (begin, end) in zip(turns, pairwise(edges), strict=True):
        played.set_knobs(setting)
        while begin < end:
            stop = min(begin + sizes[number % len(sizes)], end)
            parts.append(played.glide(x_T[begin:stop]))
            begin, number = stop, number + 1
    return np.concatenate(parts)


def straight_lines(first: list[float], turns: list[tuple[int, list[float]]], length: int) -> np.ndarray:
    """Return the levels `(K, T)` of gliding knobs: lines between control points, a full turn in `FULL_TURN` seconds."""
    reach = 2 * CONTROL / (FULL_TURN * RATE)
    now, columns, goal, left = np.array(first), [], np.array(first), list(turns)
    while len(columns) < length:
        while left and left[0][0] <= len(columns):
            goal = np.array(left.pop(0)[1])
        if np.array_equal(goal, now):
            columns.append(now)
            continue
        after = now + np.clip(goal - now, -reach, reach)
        columns += [now + (after - now) * t / CONTROL for t in range(1, CONTROL + 1)]
        now = after
    return np.array(columns[:length]).T


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_plays_as_in_python(path: Path, engine: str):
    net = wavenet(read_document(path, WaveNetConfig), 3, spread=0.02)
    x_T, levels_KT, sizes = DI[:9000], turning(9000, 3), [8192, 1, 333, 64]
    still_K, stream = [0.3, -0.2, 0.9], Stream(net, [0.3, -0.2, 0.9])
    played = player(net, engine)
    played.reset(still_K)
    assert esr(in_blocks(played, x_T, still_K, sizes), stream.process(x_T, still_K)) < CLOSE
    assert esr(in_blocks(played, x_T, levels_KT, sizes), stream.process(x_T, levels_KT)) < CLOSE


@pytest.mark.parametrize(("block", "length"), [(1, 300), (7, 1500), (64, 3000), (1001, 5000), (8192, len(DI))])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_plays_in_any_blocks(form: str, block: int, length: int):
    net, x_T, levels_KT = wavenet(architecture(form)), DI[:length], turning(length)
    played, stream = native(net), Stream(net, LEVELS)
    played.reset(LEVELS)
    assert esr(in_blocks(played, x_T, LEVELS, [block]), stream.process(x_T, LEVELS)) < CLOSE
    assert esr(in_blocks(played, x_T, levels_KT, [block]), stream.process(x_T, levels_KT)) < CLOSE


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_plays_on_every_engine(form: str, engine: str):
    net, levels_KT = wavenet(architecture(form)), turning(2000)
    played, stream = player(net, engine), Stream(net, list(levels_KT[:, 0]))
    played.reset(levels_KT[:, 0])
    assert played.engine == engine
    y_T = in_blocks(played, DI[:2000], levels_KT, [300, 50])
    assert esr(y_T, stream.process(DI[:2000], levels_KT)) < CLOSE


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("gating", GATES)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "Sigmoid"])
def test_activations_and_gates(activation: str, gating: str, engine: str):
    net, levels_KT = wavenet(architecture("mixin+film", activation, gating=gating)), turning(1000)
    played, stream = player(net, engine), Stream(net, LEVELS)
    played.reset(LEVELS)
    y_T = in_blocks(played, 3 * DI[:1000], levels_KT, [300, 50])
    assert esr(y_T, stream.process(3 * DI[:1000], levels_KT)) < CLOSE


@given(case=wavenets(), sizes=st.lists(st.integers(1, 600), min_size=1, max_size=8))
@examples(40)
def test_any_net_plays_in_any_blocks(case: tuple[WaveNet, list[float]], sizes: list[int]):
    net, levels_K = copy.deepcopy(case[0]).float(), case[1]
    played, x_T = native(net), DI[: sum(sizes)]
    played.reset(levels_K)
    expected_T = Stream(net, levels_K).process(x_T, levels_K)
    np.testing.assert_allclose(in_blocks(played, x_T, levels_K, sizes), expected_T, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_gliding_knobs_move_in_straight_lines(form: str):
    net, x_T = wavenet(architecture(form)), DI[:6000]
    turns = [(0, [0.0, 0.0]), (100, [1.0, -0.5]), (1000, [-1.0, -0.5]), (1010, [-0.9, 1.0]), (5000, [0.5, 0.5])]
    settings = [(at, {"k0": levels[0], "k1": levels[1]}) for at, levels in turns]
    y_T = in_glide(native(net), x_T, settings, [64, 1, 500])
    path_KT = straight_lines([0.0, 0.0], turns, len(x_T))
    bends = "warp" in form or "encoder" in form  # features turn a corner between two control points, lines do not
    assert esr(y_T, Stream(net, [0.0, 0.0]).process(x_T, path_KT)) < (1e-4 if bends else CLOSE)


def test_gliding_does_not_depend_on_the_blocks():
    net, x_T = wavenet(architecture("encoder"), 5), DI[:5000]
    turns = [(0, {}), (77, {"gain": 10, "bright": "off"}), (500, {"volume": 6}), (3001, {"gain": 2})]
    first_T, *others = [
        in_glide(native(net, knobs=PEDAL), x_T, turns, sizes) for sizes in ([5000], [1], [64], [37, 300])
    ]
    for other_T in others:
        assert np.array_equal(first_T, other_T)


def test_a_glide_ends_where_the_knobs_are_set():
    net, setting = wavenet(architecture("film"), 5), {"gain": 10, "volume": -2, "bright": "off"}
    played = native(net, knobs=PEDAL)
    played.set_knobs(setting)
    played.glide(DI[:3000])
    expected_T = Stream(net, played.encode(setting))
    expected_T.process(DI[2000:3000], played.encode(setting))
    assert esr(played.glide(DI[3000:5000]), expected_T.process(DI[3000:5000], played.encode(setting))) < CLOSE


def test_a_full_turn_takes_thirty_milliseconds():
    net = wavenet(architecture("mixin"), 1)
    played, wanted = native(net), native(net)
    played.set_knobs({"k0": -1})
    wanted.set_knobs({"k0": -1})
    for each in (played, wanted):
        each.reset()
    played.set_knobs({"k0": 1})
    wanted.reset([1.0])
    x_T, turn = DI[:4000], int(FULL_TURN * RATE) + CONTROL + net.receptive_field
    y_T, wanted_T = played.glide(x_T), wanted.process(x_T, [1.0])
    assert esr(y_T[turn:], wanted_T[turn:]) < CLOSE
    late = slice(turn - 4 * CONTROL, turn - 2 * CONTROL)
    assert esr(y_T[late], wanted_T[late]) > 1e-6  # it is still on its way


@given(st.data())
@examples(60)
def test_settings_become_the_same_levels(data: st.DataObject):
    setting = {
        "gain": data.draw(st.floats(0, 10)),
        "volume": data.draw(st.floats(-3, 7)),
        "bright": data.draw(st.sampled_from(("off", "Half +2.5", "on"))),
    }
    levels_K = encoded(wavenet(architecture("mixin"), 5), PEDAL, setting)
    assert np.allclose(levels_K, PEDAL.encode(setting), atol=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
@examples(60)
def test_type_level_settings_become_the_same_levels(values: list[float]):
    knobs, setting = plain_knobs(3), {f"k{n}": value for n, value in enumerate(values)}
    config = read_document(ROOT / "configs" / "models" / "peer-type-level.json", WaveNetConfig)
    assert np.allclose(encoded(wavenet(config, 4), knobs, setting), knobs.encode(setting, "type_level"), atol=1e-6)


def encoded(net: WaveNet, knobs: Knobs, setting: dict) -> np.ndarray:
    """Return what the C player makes of a setting."""
    played = native(net, knobs=knobs)
    values = [k.positions.index(setting[k.name]) if isinstance(k, Switch) else setting[k.name] for k in knobs.knobs]
    levels_K = np.zeros(played.amp.columns, np.float32)
    count = played._lib.player_encode(
        played._player, (ctypes.c_double * len(values))(*values), levels_K.ctypes.data_as(ctypes.c_void_p)
    )
    assert count == played.amp.columns
    return levels_K


@pytest.mark.parametrize("form", FORMS)
def test_reset_is_a_receptive_field_of_silence(form: str):
    net = wavenet(architecture(form))
    played, silent = native(net), native(net)
    silence_T = np.zeros(net.receptive_field, np.float32)
    played.process(DI[:500], LEVELS)
    silent.process(DI[:500], LEVELS)
    played.reset([0.1, 0.7])
    silent.process(silence_T, [0.1, 0.7])
    assert np.array_equal(played.process(DI[:500], [0.1, 0.7]), silent.process(DI[:500], [0.1, 0.7]))


def test_twice_the_rate_plays_two_signals_in_turns():
    net = wavenet(architecture("film", head=3))
    double, single = NativePlayer(amp(net), factor=2), native(net)
    mixed_T = np.stack([DI[:1500], DI[1500:3000]], axis=1).ravel()
    double.reset(LEVELS)
    y_T = in_blocks(double, mixed_T, LEVELS, [100, 33])
    for phase in (0, 1):
        single.reset(LEVELS)
        assert esr(y_T[phase::2], single.process(mixed_T[phase::2], LEVELS)) < CLOSE


def test_tiny_and_broken_inputs_are_silence():
    net = wavenet(architecture("film"))
    played, silent = native(net), native(net)
    silence_T = silent.glide(np.zeros(1000, np.float32))
    assert np.array_equal(played.glide(np.full(1000, 1e-16, np.float32)), silence_T)
    assert np.array_equal(played.glide(np.full(1000, math.nan, np.float32)), silence_T)


def test_an_infinite_input_is_forgotten():
    net = wavenet(architecture("film"))
    played, other, x_T = native(net), native(net), DI[:1000].copy()
    x_T[:3] = math.inf
    y_T, wanted_T = played.glide(x_T), other.glide(DI[:1000])
    assert np.isfinite(y_T).all()
    assert np.array_equal(y_T[net.receptive_field + 2 :], wanted_T[net.receptive_field + 2 :])


def test_an_empty_block_and_a_block_in_place():
    net = wavenet(architecture("film"))
    played, other = native(net), native(net)
    assert len(played.glide(DI[:0])) == 0
    assert len(played.process(DI[:0], [0.0, 0.0])) == 0
    x_T = DI[:500].copy()
    assert np.array_equal(played.glide(x_T, x_T), other.glide(DI[:500]))


def test_a_net_without_knobs():
    net = wavenet(architecture("mixin"), 0)
    played = native(net)
    assert esr(played.glide(DI[:1000]), Stream(net, []).process(DI[:1000], [])) < CLOSE
    assert esr(played.process(DI[:1000], []), Stream(net, []).process(DI[:1000], [])) > 0  # it goes on


def test_players_do_not_share_state():
    net = wavenet(architecture("film"))
    first, second, alone = native(net), native(net), native(net)
    parts = [(first.glide(DI[t : t + 50]), second.glide(DI[-50:])) for t in range(0, 500, 50)]
    assert np.array_equal(np.concatenate([y_T for y_T, _ in parts]), alone.glide(DI[:500]))


def test_values_that_mean_nothing_change_nothing():
    net = wavenet(architecture("film"))
    played, other = native(net), native(net)
    for knob, value in ((-1, 1.0), (2, 1.0), (2**31 - 1, 1.0), (0, math.nan)):
        played._lib.player_set_knob(played._player, knob, value)
    assert np.array_equal(played.glide(DI[:500]), other.glide(DI[:500]))
    played._lib.player_set_knob(played._player, 0, math.inf)
    other.set_knobs({"k0": 1.0})
    assert np.array_equal(played.glide(DI[:500]), other.glide(DI[:500]))


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="reads a Linux library with binutils' nm")
def test_the_library_can_neither_allocate_nor_lock():
    words = ["nm", "-D", "--undefined-only", str(library())]
    needed = {line.split()[-1] for line in subprocess.check_output(words, text=True).splitlines()}
    plain = {name.partition("@")[0] for name in needed}
    assert plain <= {
        *("memcpy", "memset", "memcmp", "bcmp", "memmove", "strcmp", "strchr", "memchr"),
        *("__cxa_finalize", "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"),
        *("__stack_chk_fail",),
    }


def test_the_binding_needs_neither_torch_nor_numba():
    script = "import sys, models.formats.player.native; print(*sys.modules)"
    found = set(subprocess.check_output([sys.executable, "-c", script], text=True, cwd=ROOT).split())
    assert not found & {"torch", "numba", "llvmlite", "ray"}


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_near_zero_on_the_way_count_as_zero(engine: str):
    """They cost several times as much as others; afterwards the thread computes with them as before."""
    net = WaveNet(architecture(), 0).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif name == "arrays.0.rechannel.weight" or "mixin" in name:
                parameter.fill_(1e-26)
    played = player(net, engine, Knobs(knobs=()))
    assert not played.process(np.full(256, np.float32(1e-14)), []).any()
    assert np.float32(1e-40) * np.float32(1) > 0
