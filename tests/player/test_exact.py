"""Exact knob moves, in Python's stream and in the C player: what is heard is made of still sounds."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from models.audio.decibels import power_decibels
from models.core.errors import Notice
from models.formats.player.native import NativePlayer
from models.knobs.schema import Setting
from models.network.wavenet import WaveNet
from models.playback.exact import HOP, exact_move_cost
from models.playback.stream import Stream
from tests.support.makers import FORMS, architecture, di, esr, wavenet
from tests.support.native import PEDAL, amp, needs_compiler

DI = di(3.0)
CLOSE = 1e-10
FIRST = [0.3, -0.8]
START = 700  # the sample at which knobs begin to move
PLAYERS = ("python", pytest.param("c", marks=needs_compiler))

Goal = Callable[[int], list[float]]  # where the knobs are set at a sample


def exact(kind: str, net: WaveNet, levels_K: list[float] = FIRST) -> Stream | NativePlayer:
    """A player with exact moves, its knobs at `levels_K`."""
    if kind == "python":
        return Stream(net, levels_K, "exact")
    played = NativePlayer(amp(net), moves="exact")
    played.reset(levels_K)
    return played


def play(player: Stream | NativePlayer, x_T: np.ndarray, goal: Goal, block: int) -> np.ndarray:
    """Play a signal in blocks; the knobs are set before each."""
    return np.concatenate([player.process(x_T[t : t + block], goal(t)) for t in range(0, len(x_T), block)])


def crossfades(net: WaveNet, x_T: np.ndarray, goal: Goal, start: int) -> np.ndarray:
    """Fade between still sounds: in the hop after it, to where the knobs stood when a hop began.

    Where the knobs go on as before, the fade is a parabola through the last three.
    """

    @cache
    def still(levels: tuple[float, ...]) -> np.ndarray:
        return Stream(net, list(levels)).process(x_T, list(levels)).astype(np.float64)

    y_T, goals = still(tuple(FIRST)).copy(), [tuple(FIRST)] * 3
    for begin in range(start, len(x_T), HOP):
        passed_T, old_T, new_T = (still(levels)[begin : begin + HOP] for levels in goals[-3:])
        before_K, step_K = np.diff(np.array(goals[-3:], np.float32).astype(float), axis=0)
        share_T = np.arange(1, len(old_T) + 1) / HOP
        y_T[begin : begin + HOP] = old_T + (new_T - old_T) * share_T
        if before_K.any() and np.linalg.norm(step_K - before_K) <= 2 * np.linalg.norm(step_K):
            y_T[begin : begin + HOP] += (new_T - 2 * old_T + passed_T) * share_T * (share_T - 1) / 2
        goals.append(tuple(goal(begin)))
    return y_T


def ideal(net: WaveNet, x_T: np.ndarray, goal: Goal, late: int, step: int = 60) -> np.ndarray:
    """What a net plays with all its past under the setting of every moment, `late` samples after it."""
    y_T, stills = np.zeros(len(x_T)), {}
    for number in range(len(x_T) // step + 1):
        levels_K = goal(number * step - late)
        stills[number] = Stream(net, levels_K).process(x_T, levels_K).astype(np.float64)
    for number in range(len(x_T) // step):
        part, share_T = slice(number * step, (number + 1) * step), np.arange(1, step + 1) / step
        y_T[part] = (1 - share_T) * stills[number][part] + share_T * stills[number + 1][part]
    return y_T


def turn(milliseconds: int) -> Goal:
    """Turn a knob from end to end in a straight line."""
    samples = 48 * milliseconds

    def goal(t: int) -> list[float]:
        return [FIRST[0], -0.8 + 1.6 * min(1.0, max(0.0, (t - START + HOP) / samples))]

    return lambda t: FIRST if t < START else goal(t)


def drag(t: int) -> list[float]:
    """Turn both knobs to and fro without a stop."""
    return FIRST if t < START else [float(np.sin(t / 3000)), float(np.cos(t / 1900))]


@pytest.mark.parametrize("kind", PLAYERS)
@pytest.mark.parametrize("goal", [turn(10), turn(50), turn(200), drag], ids=["10 ms", "50 ms", "200 ms", "drag"])
@pytest.mark.parametrize("form", ["mixin+film", "input", "warp+encoder"])
def test_what_is_heard_is_a_crossfade_of_still_sounds(form: str, goal: Goal, kind: str):
    net = wavenet(architecture(form, head=3))
    y_T = play(exact(kind, net), DI, goal, 20)  # of which a hop has a whole number
    wanted_T = crossfades(net, DI, goal, START)
    assert power_decibels(float(np.mean((y_T - wanted_T) ** 2))) < -100
    assert esr(y_T, wanted_T) < CLOSE
    assert esr(y_T, Stream(net, FIRST).process(DI, FIRST)) > 1e-3  # the knob is heard


def to_and_fro(t: int) -> list[float]:
    """Turn one knob from end to end and back, in a second each way."""
    return [-float(np.cos(np.pi * max(0, t - 60) / 48_000)), 0.5]


@pytest.mark.parametrize("kind", PLAYERS)
def test_a_drag_sounds_as_if_every_moment_had_all_its_past(kind: str):
    net, x_T = wavenet(architecture("film")), DI[: 30 * HOP]
    y_T = play(exact(kind, net, to_and_fro(0)), x_T, to_and_fro, 60)
    added_T = y_T - ideal(net, x_T, to_and_fro, late=2 * HOP)
    assert power_decibels(float(np.mean(added_T**2))) < -100


@pytest.mark.parametrize("kind", PLAYERS)
@pytest.mark.parametrize("after", [1.0, 0.99, 0.9], ids=["stop", "creep", "slower"])
def test_a_knob_that_slows_sharply_does_not_overshoot(after: float, kind: str):
    """The sound after a move is made of what comes before and after it, each with a share in [0, 1]."""
    net, x_T = wavenet(architecture("film")), DI[: 6 * HOP]
    goals = [-1.0, -1.0, after * 0.8, 0.8, 0.8, 0.8]
    y_T = play(exact(kind, net, [-1.0, 0.5]), x_T, lambda t: [goals[t // HOP], 0.5], HOP)
    settings = [np.array([goal, 0.5]) for goal in (-1.0, after * 0.8, 0.8)]
    first_T, middle_T, last_T = (Stream(net, list(one)).process(x_T, list(one)).astype(float) for one in settings)
    for hop, (old_T, new_T) in ((3, (first_T, middle_T)), (4, (middle_T, last_T))):
        part, share_T = slice(hop * HOP, (hop + 1) * HOP), np.arange(1, HOP + 1) / HOP
        assert esr(y_T[part], old_T[part] + (new_T - old_T)[part] * share_T) < CLOSE


@needs_compiler
@pytest.mark.parametrize("form", FORMS)
def test_python_and_c_play_every_form_alike(form: str):
    net, parts = wavenet(architecture(form)), []
    for kind in ("python", "c"):
        parts.append(play(exact(kind, net), DI[:9000], drag, 64))
    assert esr(parts[1], parts[0]) < CLOSE


@pytest.mark.parametrize("kind", PLAYERS)
def test_still_knobs_sound_as_in_a_stream(kind: str):
    net = wavenet(architecture("film"))
    assert esr(play(exact(kind, net), DI, lambda t: FIRST, 64), Stream(net, FIRST).process(DI, FIRST)) < CLOSE


def test_a_net_in_float64_plays_in_float64():
    net = wavenet(architecture("film")).double()
    stream, plain = Stream(net, FIRST, "exact"), Stream(net, [1.0, 0.1])
    y_T = np.concatenate([stream.process(DI[:100], FIRST), stream.process(DI[100:5000], [1.0, 0.1])])
    wanted_T = plain.process(DI[:5000].astype(np.float64), [1.0, 0.1])
    assert y_T.dtype == np.float64
    assert esr(y_T[100 + 2 * HOP :], wanted_T[100 + 2 * HOP :]) < 1e-25


@pytest.mark.parametrize("kind", PLAYERS)
def test_after_a_rest_knobs_move_again(kind: str):
    net, x_T = wavenet(architecture("film")), DI[: 12 * HOP]

    def goal(t: int) -> list[float]:
        return FIRST if t < START else [1.0, 0.0] if t < 7 * HOP else [-1.0, 0.5]

    y_T = play(exact(kind, net), x_T, goal, 20)
    for levels_K, begin in (([1.0, 0.0], START + 2 * HOP), ([-1.0, 0.5], 9 * HOP + 20)):
        still_T = Stream(net, levels_K).process(x_T, levels_K)
        end = 7 * HOP if begin < 7 * HOP else len(x_T)
        assert esr(y_T[begin:end], still_T[begin:end]) < CLOSE


@pytest.mark.parametrize("kind", PLAYERS)
def test_the_sound_does_not_depend_on_the_blocks(kind: str):
    net = wavenet(architecture("encoder"))

    def in_blocks(block: int) -> np.ndarray:
        return play(exact(kind, net), DI[:6000], lambda t: FIRST if t < 600 else [1.0, -0.2], block)

    first_T = in_blocks(600)
    assert all(np.array_equal(in_blocks(block), first_T) for block in (1, 8, 75))


@pytest.mark.parametrize("kind", PLAYERS)
def test_levels_that_move_lead_to_their_end(kind: str):
    net = wavenet(architecture("film"))
    moving_KT = np.linspace(FIRST, [0.9, 0.1], 100).T.astype(np.float32)
    one, other = exact(kind, net), exact(kind, net)
    assert np.array_equal(one.process(DI[:100], moving_KT), other.process(DI[:100], moving_KT[:, -1].copy()))
    assert np.array_equal(one.process(DI[:3000], moving_KT[:, -1].copy()), other.process(DI[:3000], [0.9, 0.1]))


@pytest.mark.parametrize("kind", PLAYERS)
def test_reset_forgets_what_was_played(kind: str):
    net = wavenet(architecture("film"))
    used, fresh = exact(kind, net), exact(kind, net, [0.5, 0.5])
    used.process(DI[:1500], [1.0, 1.0])  # in the middle of a fade
    used.reset([0.5, 0.5])
    assert np.array_equal(used.process(DI[:3000], [0.0, 0.5]), fresh.process(DI[:3000], [0.0, 0.5]))


@needs_compiler
def test_knobs_and_switches_are_set_by_name():
    net = wavenet(architecture("film"), 5)
    data, setting = amp(net, PEDAL), {"gain": 9.5, "volume": -1.5, "bright": "off"}
    by_name, by_levels = (NativePlayer(data, moves="exact") for _ in range(2))
    by_name.set_knobs(setting)
    y_T, levels_K = by_name.glide(DI[:5000]), by_levels.encode(setting)
    assert np.array_equal(y_T, by_levels.process(DI[:5000], levels_K))
    assert esr(y_T[2 * HOP :], Stream(net, levels_K).process(DI[:5000], levels_K)[2 * HOP :]) < CLOSE


@needs_compiler
def test_at_twice_the_rate_a_hop_lasts_as_long():
    net = wavenet(architecture("film"))
    double, single = NativePlayer(amp(net), moves="exact", factor=2), exact("c", net)
    double.reset(FIRST)
    double.process(np.repeat(DI[:300], 2), FIRST)
    single.process(DI[:300], FIRST)
    y_T = double.process(np.repeat(DI[300:5000], 2), [1.0, 0.0])
    assert esr(y_T[::2], single.process(DI[300:5000], [1.0, 0.0])) < 1e-6  # the fade has twice as many steps


def test_the_cost_is_that_of_four_players_and_the_replay():
    assert exact_move_cost(0.01, 4800, 960) == pytest.approx(0.09)


MOVED: list[Setting] = [{"gain": 9.5, "volume": -1.5, "bright": "off"}, {"gain": 1, "volume": 4, "bright": "Half +2.5"}]


def both_ways() -> tuple[NativePlayer, NativePlayer, NativePlayer]:
    """A player to be told how to move, one that is always exact, and one that always ramps."""
    data = amp(wavenet(architecture("mixin+film"), 5), PEDAL)
    return NativePlayer(data, moves="exact"), NativePlayer(data, moves="exact"), NativePlayer(data)


@needs_compiler
def test_ramps_on_request_and_exact_again_when_knobs_stand_still():
    chosen, exactly, ramping = both_ways()
    chosen.set_moves("ramp")
    for player in (chosen, ramping):
        player.set_knobs(MOVED[0])
    assert np.array_equal(chosen.glide(DI[:500]), ramping.glide(DI[:500]))
    chosen.set_moves("exact")  # the knobs are under way: it holds for the next move
    assert np.array_equal(chosen.glide(DI[500:9000]), ramping.glide(DI[500:9000]))
    exactly.set_knobs(MOVED[0])
    exactly.reset()
    exactly.glide(DI[:9000])
    for player in (chosen, exactly):
        player.set_knobs(MOVED[1])
    assert esr(chosen.glide(DI[9000:20_000]), exactly.glide(DI[9000:20_000])) < CLOSE


@needs_compiler
def test_a_crossfade_ends_before_knobs_ramp():
    chosen, exactly, ramping = both_ways()
    for player in (chosen, exactly):
        player.set_knobs(MOVED[0])
    assert np.array_equal(chosen.glide(DI[:100]), exactly.glide(DI[:100]))
    chosen.set_moves("ramp")
    assert np.array_equal(chosen.glide(DI[100 : 4 * HOP]), exactly.glide(DI[100 : 4 * HOP]))
    ramping.set_knobs(MOVED[0])
    ramping.reset()
    ramping.glide(DI[: 4 * HOP])
    for player in (chosen, ramping):
        player.set_knobs(MOVED[1])
    assert esr(chosen.glide(DI[4 * HOP : 9000]), ramping.glide(DI[4 * HOP : 9000])) < CLOSE


@needs_compiler
def test_the_c_player_ramps_where_exact_moves_cost_too_much():
    data = amp(wavenet(architecture("film")))
    with pytest.warns(Notice, match=r"exact knob moves would take \d+ % of a core in blocks of 32 samples"):
        player = NativePlayer(data, moves="exact", block=32, budget=0.0)
    assert player.moves == "ramp"
    player.reset(FIRST)
    ramping = NativePlayer(data)
    ramping.reset(FIRST)
    assert np.array_equal(player.process(DI[:900], [1.0, 0.0]), ramping.process(DI[:900], [1.0, 0.0]))
    assert NativePlayer(data, moves="exact", block=32, budget=1e6).moves == "exact"
