"""The virtual amp behaves like an amp, and its takes are complete and match their manifests."""

import json
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.audio.guitar import guitar
from models.capture.virtual_amp import KNOBS, VirtualAmp, held_settings, render_takes, training_settings
from models.core.errors import UserError

RATE = 48000
NUMBERS = (0.0, 2.5, 5.0, 7.5, 10.0)
CORNERS = list(product((0.0, 10.0), repeat=3))
AMP = VirtualAmp(RATE)


@pytest.fixture(scope="module")
def di_T() -> np.ndarray:
    return guitar(1.5, RATE, 1)


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return render_takes(tmp_path_factory.mktemp("amp") / "takes", seconds=0.5, held_seconds=0.4)


def esr(y_T: np.ndarray, truth_T: np.ndarray) -> float:
    truth_T = truth_T.astype(np.float64)
    return float(np.sum((y_T - truth_T) ** 2) / np.sum(truth_T**2))


def tone_of(x_T: np.ndarray, gain: float, volume: float, tone: float = 5.0) -> np.ndarray:
    """Amplitudes of harmonics 1, 2, ... of 200 Hz, `(H,)`, when the amp has settled on `x_T`."""
    y_T = AMP.process(x_T, gain, tone, volume)[-RATE // 2 :]
    return np.abs(np.fft.rfft(y_T))[100::100]


def thd(gain: float, volume: float, level: float) -> float:
    harmonics_H = tone_of(level * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE), gain, volume)
    return float(np.linalg.norm(harmonics_H[1:]) / harmonics_H[0])


def test_guitar_depends_on_its_seed_and_has_dynamics():
    x_T = guitar(4.0, RATE, 3)
    assert x_T.dtype == np.float32
    assert x_T.shape == (4 * RATE,)
    assert x_T.tobytes() == guitar(4.0, RATE, 3).tobytes()
    assert abs(np.corrcoef(x_T, guitar(4.0, RATE, 4))[0, 1]) < 0.2
    assert np.abs(x_T).max() == pytest.approx(0.7, abs=0.01)
    assert abs(x_T.mean()) < 1e-4
    level_db_N = 20 * np.log10(np.sqrt(np.mean(x_T.astype(np.float64).reshape(-1, RATE // 10) ** 2, axis=1)))
    assert np.quantile(level_db_N, 0.9) - np.quantile(level_db_N, 0.1) > 12.0  # loud and quiet playing


@pytest.mark.parametrize("corner", CORNERS)
def test_corner_is_deterministic_bounded_and_without_dc(di_T: np.ndarray, corner: tuple):
    y_T = AMP.process(di_T, *corner)
    assert y_T.tobytes() == AMP.process(di_T, *corner).tobytes()
    assert y_T.dtype == np.float32
    assert y_T.shape == di_T.shape
    assert np.isfinite(y_T).all()
    assert 0.04 < np.abs(y_T).max() < 0.9
    assert abs(y_T.mean(dtype=np.float64)) < 1e-3 * np.sqrt(np.mean(y_T.astype(np.float64) ** 2))


@pytest.mark.parametrize("corner", [*CORNERS, (5.0, 5.0, 5.0)])
def test_output_is_causal(di_T: np.ndarray, corner: tuple):
    start = RATE
    other_T = di_T.copy()
    other_T[start:] = guitar(0.5, RATE, 9)
    y_T, changed_T = AMP.process(di_T, *corner), AMP.process(other_T, *corner)
    assert np.array_equal(y_T[:start], changed_T[:start])
    assert not np.array_equal(y_T[start : start + 8], changed_T[start : start + 8])  # nor does it lag


def test_amp_is_time_invariant_with_under_40_ms_of_memory(di_T: np.ndarray):
    x_T, late = di_T[: RATE // 2], 480
    y_T = AMP.process(x_T, 8.0, 3.0, 7.0)
    late_T = AMP.process(np.concatenate((np.zeros(late, np.float32), x_T)), 8.0, 3.0, 7.0)
    np.testing.assert_allclose(late_T[late:], y_T, atol=1e-5)
    cut, memory = RATE // 4, int(0.04 * RATE)
    fresh_T = AMP.process(x_T[cut:], 8.0, 3.0, 7.0)
    assert esr(fresh_T[memory:], y_T[cut + memory :]) < 1e-6


@pytest.mark.parametrize("rest", [0.0, 5.0, 10.0])
@pytest.mark.parametrize("knob", KNOBS)
def test_every_knob_changes_the_output_at_every_number(di_T: np.ndarray, knob: str, rest: float):
    settings = [dict.fromkeys(KNOBS, rest) | {knob: number} for number in NUMBERS]
    sounds = [AMP.process(di_T, **setting) for setting in settings]
    for near_T, next_T in pairwise(sounds):
        assert esr(next_T, near_T) > 0.02


def test_knobs_interact(di_T: np.ndarray):
    def effect_of_tone(gain: float, volume: float) -> float:
        dark_T, bright_T = (AMP.process(di_T, gain, tone, volume) for tone in (0.0, 10.0))
        return esr(bright_T, dark_T)

    quiet, pushed, cranked = effect_of_tone(0.0, 0.0), effect_of_tone(10.0, 0.0), effect_of_tone(10.0, 10.0)
    assert abs(pushed / quiet - 1) > 0.1
    assert abs(cranked / pushed - 1) > 0.1


def test_gain_and_volume_distort_and_tone_brightens():
    for level in (0.05, 0.3):
        by_gain = [thd(gain, 5.0, level) for gain in NUMBERS]
        by_volume = [thd(5.0, volume, level) for volume in NUMBERS]
        assert by_gain == sorted(by_gain)
        assert by_gain[-1] > 3 * by_gain[0]
        assert by_volume == sorted(by_volume)
        assert by_volume[-1] > 1.5 * by_volume[0]
    hiss_T = 1e-3 * np.random.default_rng(0).standard_normal(RATE)
    spectra = [np.abs(np.fft.rfft(AMP.process(hiss_T, 5.0, tone, 5.0))) ** 2 for tone in NUMBERS]
    tilt = [spectrum_F[2000:5000].sum() / spectrum_F[100:500].sum() for spectrum_F in spectra]
    assert tilt == sorted(tilt)
    assert tilt[-1] > 10 * tilt[0]


@pytest.mark.parametrize("knob", KNOBS)
@pytest.mark.parametrize("value", [-0.1, 10.5, float("nan")])
def test_knob_out_of_range_names_knob_value_and_range(knob: str, value: float):
    with pytest.raises(UserError, match=f"knob {knob} is {value}; legal values are 0 to 10"):
        AMP.process(np.zeros(16, np.float32), **(dict.fromkeys(KNOBS, 5.0) | {knob: value}))


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_held_settings_are_neither_trained_on_nor_corners(seed: int):
    train, held = ({tuple(s.values()) for s in settings(seed)} for settings in (training_settings, held_settings))
    assert len(train) == 27
    assert len(held) == 6
    assert train.isdisjoint(held)
    assert set(CORNERS) < train
    assert (5.0, 5.0, 5.0) in train
    assert all(0 <= number <= 10 for setting in train | held for number in setting)


def test_manifests_match_the_takes(takes: tuple[Path, Path]):
    dry = {}
    for path, count in zip(takes, (27, 33), strict=True):
        manifest = json.loads(path.read_text())
        assert [(k["name"], k["min"], k["max"], k["default"]) for k in manifest["knobs"]] == [
            (name, 0, 10, 5) for name in KNOBS
        ]
        assert manifest["sample_rate"] == RATE
        assert len(manifest["entries"]) == count
        for entry in manifest["entries"]:
            x_T, x_rate = soundfile.read(path.parent / entry["input_file"], dtype="float32")
            y_T, y_rate = soundfile.read(path.parent / entry["output_file"], dtype="float32")
            assert x_rate == y_rate == RATE
            assert x_T.shape == y_T.shape
            assert esr(AMP.process(x_T, **entry["knobs"]), y_T) < 1e-6
            dry[entry["input_file"]] = x_T
    assert sorted(dry) == ["di_held.flac", "di_train.flac"]
    assert soundfile.info(takes[0].parent / "di_train.flac").subtype == "PCM_24"
    assert esr(dry["di_held.flac"], dry["di_train.flac"][: len(dry["di_held.flac"])]) > 0.5  # other music


def test_render_leaves_existing_takes_and_no_half_folder(takes: tuple[Path, Path], tmp_path: Path):
    before = {path: path.stat().st_mtime_ns for path in takes[0].parent.iterdir()}
    assert render_takes(takes[0].parent) == takes
    assert {path: path.stat().st_mtime_ns for path in takes[0].parent.iterdir()} == before

    def stop(done: int, total: int) -> None:
        if (done, total) == (3, 60):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_takes(tmp_path / "new", seconds=0.1, held_seconds=0.1, on_take=stop)
    assert not list(tmp_path.iterdir())
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is in the way"):
        render_takes(tmp_path)
