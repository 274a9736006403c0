"""Virtual devices: sound, causal circuits whose knobs do what their names say; their takes are sets to train on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import bilinear, freqz

from models.audio.guitar import guitar
from models.capture.analog import clip_by_diodes, shelf
from models.capture.circuits import BENCH_BETWEEN, DEVICES, VirtualDevice, benchmark_settings, render_device
from models.core.errors import UserError
from models.knobs.geometry import is_corner, setting_key
from models.recordings.dataset import Piece
from models.recordings.linear_knobs import find_linear_knobs
from models.recordings.manifest import read_manifest
from tests.support.makers import read_wav

RATE = 48000
GUITAR = guitar(2.0, RATE, 3)
MIDDLE = {name: dict.fromkeys(device.knobs.names, 5.0) for name, device in DEVICES.items()}


@pytest.fixture(params=DEVICES.values(), ids=list(DEVICES))
def device(request: pytest.FixtureRequest) -> VirtualDevice:
    return request.param


def tone(hz: float, peak: float = 0.1, seconds: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def level_at(y_T: np.ndarray, hz: float) -> float:
    """Level in dB of one frequency, of the second half."""
    part_T = y_T[len(y_T) // 2 :].astype(np.float64)
    turn_T = np.exp(-2j * np.pi * hz * np.arange(len(part_T)) / RATE)
    return 20 * np.log10(2 * abs(np.mean(part_T * turn_T)) + 1e-12)


def test_silence_stays_silent_and_no_sample_waits_for_a_later_one(device: VirtualDevice):
    assert not device.play(np.zeros(500, np.float32), MIDDLE[device.name], RATE).any()
    x_T = GUITAR[:3000].copy()
    before_T = device.play(x_T, MIDDLE[device.name], RATE)
    x_T[2000:] = 0
    after_T = device.play(x_T, MIDDLE[device.name], RATE)
    assert np.array_equal(before_T[:2000], after_T[:2000])
    assert not np.array_equal(before_T[2000:2100], after_T[2000:2100])


def test_takes_do_not_clip_and_are_not_silent(device: VirtualDevice):
    train, _ = benchmark_settings(device.knobs)
    for setting in train:
        peak = np.abs(device.play(GUITAR, {name: float(value) for name, value in setting.items()}, RATE)).max()
        assert 0.002 < peak < 1, setting


@pytest.mark.parametrize(("name", "found"), [("pedal", {"tone", "level"}), ("preamp", {"bass", "treble", "presence"})])
def test_knobs_after_the_distortion_filter_and_the_others_do_not(name: str, found: set[str]):
    device, (train, _) = DEVICES[name], benchmark_settings(DEVICES[name].knobs)
    pieces = []
    for setting in train:
        y_T = torch.from_numpy(device.play(GUITAR, {name: float(value) for name, value in setting.items()}, RATE))
        pieces.append(Piece(0, y_T, 0, len(y_T), setting, torch.tensor(device.knobs.encode(setting))))
    linear = find_linear_knobs(device.knobs, pieces)
    assert {one.knob.name for one in linear} == found
    assert all((one.positions[0], one.positions[-1]) == (0, 10) and not one.fixed for one in linear)


@pytest.mark.parametrize(
    ("name", "knob", "hz", "decibels"),
    [("pedal", "level", 200, 40.0), ("preamp", "bass", 60, 12.9), ("preamp", "treble", 8000, 15.9)],
)
def test_a_knob_moves_its_band(name: str, knob: str, hz: float, decibels: float):
    low, high = (
        level_at(DEVICES[name].play(tone(hz), {**MIDDLE[name], knob: value}, RATE), hz) for value in (0.0, 10.0)
    )
    assert high - low == pytest.approx(decibels, abs=0.5)


@pytest.mark.parametrize(("name", "knob"), [("pedal", "drive"), ("preamp", "gain")])
def test_a_drive_adds_harmonics(name: str, knob: str):
    def third(value: float) -> float:
        y_T = DEVICES[name].play(tone(440, 0.05), {**MIDDLE[name], knob: value}, RATE)
        return level_at(y_T, 3 * 440) - level_at(y_T, 440)

    assert third(10.0) > third(0.0) + 6


def test_diodes_give_the_inverse_hyperbolic_sine():
    slow_U = np.linspace(-30, 30, 200_001)
    middle_U = (slow_U[1:] + slow_U[:-1]) / 2
    assert np.allclose(clip_by_diodes(slow_U)[1:], np.arcsinh(middle_U), atol=1e-4)
    jump = clip_by_diodes(np.array([0.0, 8.0]))[1]
    assert jump == pytest.approx(np.arcsinh(np.linspace(0, 8, 100_001)).mean(), abs=1e-4)


def test_a_shelf_has_its_gains_far_from_its_corner():
    b, a = bilinear(*shelf(1000.0, 6.0, -12.0), 192_000)
    _, response = freqz(b, a, [1.0, 96_000 - 1.0], fs=192_000)
    assert 20 * np.log10(np.abs(response)) == pytest.approx([6.0, -12.0], abs=0.01)


def test_settings_of_the_benchmark(device: VirtualDevice):
    train, held = benchmark_settings(device.knobs)
    assert len(held) == BENCH_BETWEEN
    assert not {setting_key(setting) for setting in train} & {setting_key(setting) for setting in held}
    assert not any(is_corner(device.knobs, setting) for setting in held)
    for name in device.knobs.names:
        alone = [s[name] for s in train if all(s[other] == 5 for other in s if other != name)]
        assert sorted(alone) == [0, 2.5, 5, 7.5, 10]


def test_a_device_is_recorded_once(tmp_path: Path):
    manifests = render_device(DEVICES["pedal"], tmp_path / "pedal", rate_hz=8000, seconds=0.3, held_seconds=0.2)
    train, held = map(read_manifest, manifests)
    assert (len(train.takes), len(held.takes)) == (27, 6)
    assert (train.license, train.device) == ("cc0-1.0", "ampzoo virtual pedal")
    take = train.takes[3]
    values = {name: float(value) for name, value in take.setting.items()}
    wanted_T = DEVICES["pedal"].play(read_wav(take.dry), values, 8000)
    assert np.allclose(read_wav(take.wet), wanted_T, atol=1e-4)
    before = take.wet.stat().st_mtime_ns
    assert render_device(DEVICES["pedal"], tmp_path / "pedal") == manifests
    assert take.wet.stat().st_mtime_ns == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="in the way"):
        render_device(DEVICES["pedal"], tmp_path / "other")
