"""A runaway corner, a dead knob and a crackling one are found; a sound model passes."""

import math

import pytest
import torch

from models.evaluation.robustness import (
    RANDOM_SETTINGS,
    knob_moves,
    loudest,
    scan_corners,
    turn_knobs,
    worst_move,
)
from models.knobs.schema import Knobs
from models.network.architecture import Injection, WaveNetConfig
from models.network.wavenet import WaveNet
from tests.support.makers import KNOBS, RATE, arrays, di, wavenet

X_T = torch.from_numpy(di())
PEAK = 0.5


def gain_only(slope: float, offset: float = 0.0) -> WaveNet:
    """A net in which FiLM at the end makes the sound `1 + slope * level(gain)` times as loud, and adds an offset."""
    config = WaveNetConfig.model_validate(
        {
            "arrays": [{"channels": 1, "dilations": [1], "kernel_size": 1, "activation": "ReLU", "head1x1": 1}],
            "inject": {"film": [{"slot": "head1x1_post", "shift": False}]},
        }
    )
    net = WaveNet(config, 2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        (layer,) = next(iter(net.arrays)).layers
        layer.mixin.weight.fill_(1.0)
        assert layer.conv.bias is not None and layer.head1x1 is not None
        layer.conv.bias.fill_(10.0)  # far from the bend of the ReLU
        layer.head1x1.weight.fill_(1.0)
        assert layer.head1x1.bias is not None
        layer.head1x1.bias.fill_(-10.0 + offset)
        film = layer.film("head1x1_post")
        assert film is not None
        film.weight[0, 0, 0] = slope
        film.bias.fill_(1.0)
        next(iter(net.arrays)).head.weight.fill_(1.0)
    return net


def test_scan_finds_the_loudest_setting():
    scan = scan_corners(gain_only(0.5), KNOBS, X_T, PEAK)
    assert scan.settings == 4 + RANDOM_SETTINGS
    assert scan.peak_setting["gain"] == 10
    assert scan.peak_dbfs == pytest.approx(20 * math.log10(1.5 * X_T.abs().max()), abs=0.01)  # of bursts as loud
    assert scan.recorded_peak_dbfs == pytest.approx(-6.02) and scan.fault is None


def test_runaway_corner_is_a_fault_with_its_setting():
    scan = scan_corners(gain_only(20.0), KNOBS, X_T, PEAK)
    assert scan.fault is not None and "gain=" in scan.fault and "louder than the loudest take" in scan.fault


def test_sound_in_silence_is_a_fault():
    scan = scan_corners(gain_only(0.1, offset=0.05), KNOBS, X_T, PEAK)
    assert scan.silence_dbfs == pytest.approx(20 * math.log10(0.05 * 1.1), abs=0.1)
    assert scan.fault is not None and "silence comes out" in scan.fault


def test_offset_of_a_low_note_is_that_of_its_mean():
    note_T = 0.5 * torch.sin(2 * math.pi * 82.4 / RATE * torch.arange(2 * RATE))
    assert scan_corners(gain_only(1.0), KNOBS, note_T, PEAK).dc_dbfs < -70
    still = scan_corners(gain_only(1.0, offset=0.01), KNOBS, note_T, PEAK)
    assert still.dc_dbfs == pytest.approx(20 * math.log10(0.01 * 2.0), abs=0.1)


def test_numbers_that_are_not_finite_are_a_fault():
    net = gain_only(0.5)
    with torch.no_grad():
        net.head_scale.fill_(math.inf)
    assert scan_corners(net, KNOBS, X_T, PEAK).fault is not None


def test_corners_of_many_knobs_are_drawn():
    knobs = Knobs.model_validate({"knobs": [{"name": f"k{number}"} for number in range(14)]})
    net = wavenet(WaveNetConfig(arrays=arrays(), inject=Injection(mixin=True)), 14)
    assert scan_corners(net, knobs, X_T, PEAK).settings == 1024 + RANDOM_SETTINGS


def test_each_position_of_a_switch_is_scanned():
    knobs = Knobs.model_validate({"knobs": [{"name": "gain"}, {"name": "mode", "positions": ["a", "b", "c"]}]})
    net = wavenet(WaveNetConfig(arrays=arrays(), inject=Injection(mixin=True)), 4)
    assert scan_corners(net, knobs, X_T, PEAK).settings == 6 + RANDOM_SETTINGS
    assert [turn.name for turn in turn_knobs(net, knobs, X_T)] == ["gain"]


def test_model_without_knobs_has_one_corner():
    net, none = wavenet(WaveNetConfig(arrays=arrays(), inject=Injection()), 0), Knobs(knobs=())
    assert scan_corners(net, none, X_T, PEAK).settings == 1
    assert knob_moves(net, none, X_T, RATE) is None and turn_knobs(net, none, X_T) == ()


def test_dead_knob_does_not_change_the_sound():
    gain, tone = turn_knobs(gain_only(0.5), KNOBS, X_T)
    assert (gain.name, tone.name) == ("gain", "tone")
    assert gain.rising == 1 and gain.change_db == pytest.approx(20 * math.log10(1.0 / 1.5), abs=0.1)
    assert tone.change_db == -120 and tone.rising == 0


def test_faster_moves_add_more_except_without_memory():
    clean = knob_moves(gain_only(0.5), KNOBS, X_T, RATE)
    assert clean is not None and all(level < -100 for level in clean.values())
    moved = knob_moves(wavenet(WaveNetConfig(arrays=arrays(), inject=Injection(mixin=True)), 2), KNOBS, X_T, RATE)
    assert moved is not None and list(moved) == ["10", "50", "200"] and moved["10"] > moved["200"] > -90


def test_worst_move_is_that_of_one_knob():
    net = wavenet(WaveNetConfig(arrays=arrays(), inject=Injection(mixin=True)), 2)
    with torch.no_grad():
        for array in net.arrays:
            for layer in array.layers:
                layer.mixin.weight[:, -1] = 0.0  # tone does nothing
    mean = knob_moves(net, KNOBS, X_T, RATE)
    assert mean is not None
    assert worst_move(net, KNOBS, X_T, RATE, 50) == pytest.approx(mean["50"] + 10 * math.log10(2), abs=0.01)
    assert worst_move(net, Knobs(knobs=()), X_T, RATE, 50) == -200


def test_move_that_is_not_finite_is_the_worst(monkeypatch: pytest.MonkeyPatch):
    moves = iter([3.0, math.nan, -90.0])
    monkeypatch.setattr("models.evaluation.robustness.knob_move_artifact", lambda *_: next(moves))
    net = wavenet(WaveNetConfig(arrays=arrays(), inject=Injection(mixin=True)), 2)
    knobs = Knobs(knobs=tuple(KNOBS.knobs[0].model_copy(update={"name": name}) for name in "abc"))
    assert 100 < worst_move(net, knobs, X_T, RATE, 50) < math.inf


def test_loudest_stretch_is_found():
    x_T = torch.zeros(1000)
    x_T[700:720] = 1.0
    assert loudest(x_T, 100).sum() == 20 and loudest(x_T, 100)[:50].sum() == 0
    assert len(loudest(torch.ones(10), 35)) == 35
