"""Delay, polarity and clock drift of a take are found whatever the amp did to the sound."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.signal import butter, resample, sosfilt

from models.audio.guitar import guitar
from models.audio.interpolation import HALF, read_between, recorded_span
from models.audio.io import read_audio
from models.capture.excitation import excitation
from models.capture.virtual_amp import VirtualAmp
from models.recordings.alignment import Lag, align_wet, causal_margin, estimate_lag, measure_response, reconcile_lags
from tests.support.makers import RATE, di, examples

DI = di(1.5, seed=3)
GUITAR, GUITAR_RATE = guitar(4.0, 48000, 1), 48000
MUSIC = guitar(6.0, 48000, 0)
DARK, DARKER = butter(2, 1500, fs=RATE, output="sos"), butter(1, 800, fs=RATE, output="sos")
AMPS = {
    "wire": lambda x_T: x_T,
    "crunch": lambda x_T: np.tanh(3 * x_T),
    "dark crunch": lambda x_T: sosfilt(DARK, np.tanh(3 * x_T)),
    "asymmetric, dark": lambda x_T: sosfilt(DARKER, np.tanh(2 * x_T) + 0.2 * np.tanh(4 * x_T) ** 2),
}
HRD3 = Path("../shared/data/hrd3")
# The peak of the whitened correlation of 1.5 to 5 kHz alone, without any of this module's steps.
HRD3_DELAYS = {
    "2 Master 6": -1245.09, "3 Master 3.5": -1270.64, "4 Master 3": -926.25, "5 Master 2.5": -861.79,
    "6 Master 2": -775.32, "7 Master 2": -641.27, "8 Master 2": -438.13, "9 Master 1": -642.67,
    "10 Master 1": -529.76, "11 Master 1": -488.92, "12 Master 1": -323.09,
}  # fmt: skip


def estimate_lags(dry_T: np.ndarray, wets: list[np.ndarray], rate_hz: int) -> list[Lag]:
    return reconcile_lags([measure_response(dry_T, wet_T, rate_hz) for wet_T in wets])


def late(y_T: np.ndarray, delay: float, ppm: float = 0.0, noise_db: float | None = None) -> np.ndarray:
    """Record `y_T` `delay` samples late on a clock `ppm` fast, by splines through 8 times as many samples."""
    up, pad = 8, 14000
    padded_T = np.pad(y_T.astype(np.float64), pad)
    fine = CubicSpline(np.arange(up * len(padded_T)) / up - pad, resample(padded_T, up * len(padded_T)))
    wet_T = fine((np.arange(len(y_T) + max(int(delay), 0)) - delay) / (1 + ppm * 1e-6))
    if noise_db is not None:
        wet_T += np.std(y_T) * 10 ** (-noise_db / 20) * np.random.default_rng(7).standard_normal(len(wet_T))
    return wet_T.astype(np.float32)


@pytest.mark.parametrize("amp", AMPS)
@given(delay=st.floats(-1500, 1500), polarity=st.sampled_from([1, -1]), gain=st.floats(0.001, 1))
@examples(6)
def test_delay_and_polarity_are_found(amp: str, delay: float, polarity: int, gain: float):
    y_T = np.asarray(AMPS[amp](DI), np.float32)
    plain, found = estimate_lag(DI, y_T, RATE), estimate_lag(DI, polarity * gain * late(y_T, delay), RATE)
    assert found.delay_samples == pytest.approx(plain.delay_samples + delay, abs=0.05)
    assert found.polarity == plain.polarity * polarity and plain.polarity == 1 and found.drift_ppm == 0


@pytest.mark.parametrize("delay", [-2000, -0.5, 0, 1 / 3, 12000])
def test_delay_of_a_wire_is_the_delay(delay: float):
    assert estimate_lag(GUITAR, late(GUITAR, delay), GUITAR_RATE).delay_samples == pytest.approx(delay, abs=0.01)


@pytest.mark.parametrize("setting", [(0, 0, 0), (0, 10, 10), (10, 10, 0), (10, 10, 10)])
def test_corners_of_the_virtual_amp(setting: tuple[float, ...]):
    y_T = VirtualAmp(GUITAR_RATE).process(GUITAR, *setting)
    plain = estimate_lag(GUITAR, y_T, GUITAR_RATE)
    assert 0 < plain.delay_samples < 8 and plain.polarity == 1
    for delay, noise_db, within in ((1234.567, None, 0.05), (11999.5, 30.0, 0.1)):
        found = estimate_lag(GUITAR, -late(y_T, delay, noise_db=noise_db), GUITAR_RATE)
        assert found.delay_samples == pytest.approx(plain.delay_samples + delay, abs=within)
        assert found.polarity == -1 and found.drift_ppm == 0


@pytest.mark.parametrize(
    ("setting", "ppm", "noise_db"),
    [((2, 5, 5), -100, None), ((10, 10, 10), 10, None), ((0, 0, 10), 100, 30.0), ((10, 0, 0), 3, None)],
)
def test_drift_is_found_and_the_delay_is_that_of_the_start(setting: tuple, ppm: float, noise_db: float | None):
    y_T = VirtualAmp(GUITAR_RATE).process(MUSIC, *setting)
    plain = estimate_lag(MUSIC, y_T, GUITAR_RATE)
    found = estimate_lag(MUSIC, -late(y_T, 300.25, ppm, noise_db), GUITAR_RATE)
    assert plain.drift_ppm == 0 and found.polarity == -1
    assert found.drift_ppm == pytest.approx(ppm, abs=0.3)
    assert found.delay_samples == pytest.approx(300.25 + plain.delay_samples * (1 + ppm * 1e-6), abs=0.05)


def test_amp_with_a_varying_delay_is_not_clock_drift():
    """By the slope of its windows' lags this take drifts by 3 ppm."""
    assert estimate_lag(MUSIC, VirtualAmp(GUITAR_RATE).process(MUSIC, 10, 10, 0), GUITAR_RATE).drift_ppm == 0


def test_take_of_another_signal_has_low_confidence():
    other = guitar(4.0, GUITAR_RATE, 9)
    for setting in ((5, 5, 5), (10, 0, 10)):
        mine = VirtualAmp(GUITAR_RATE).process(GUITAR, *setting)
        assert estimate_lag(GUITAR, late(mine, 0, 100), GUITAR_RATE).confidence > 0.7
        assert estimate_lag(other, mine, GUITAR_RATE).confidence < 0.35


@given(dry=st.integers(1, 700), wet=st.integers(1, 700), seed=st.integers(0, 9))
@examples(30)
def test_takes_of_any_length_give_an_answer(dry: int, wet: int, seed: int):
    draw = np.random.default_rng(seed)
    dry_T, wet_T = draw.standard_normal(dry).astype(np.float32), draw.standard_normal(wet).astype(np.float32)
    lag = estimate_lag(dry_T * (seed > 1), wet_T * (seed > 2), RATE)
    assert np.isfinite([lag.delay_samples, lag.drift_ppm, lag.confidence]).all() and abs(lag.polarity) == 1
    aligned_T, start, stop = align_wet(wet_T, lag, dry, causal_margin(RATE))
    assert aligned_T.shape == (dry,) and 0 <= start <= stop <= dry and np.isfinite(aligned_T).all()


@given(position=st.floats(-50, 150), ppm=st.sampled_from([0, 0, 100, -3000]), hz=st.floats(0, 0.44))
@examples(40)
def test_reading_between_samples_is_exact_on_a_sine(position: float, ppm: float, hz: float):
    step, count = 1 + ppm * 1e-6, 700
    x_T = np.sin(2 * np.pi * hz * np.arange(800) + 1)
    y_T = read_between(x_T, position, step, count)
    start, stop = recorded_span(len(x_T), position, step, count)
    truth_T = np.sin(2 * np.pi * hz * (position + step * np.arange(count)) + 1)
    np.testing.assert_allclose(y_T[start:stop], truth_T[start:stop], atol=4e-5)
    assert stop - start > 500


@given(whole=st.integers(-900, 900))
@examples(20)
def test_whole_samples_are_moved_bit_by_bit(whole: int):
    y_T = read_between(DI[:800], float(whole), 1.0, 800)
    start, stop = recorded_span(800, float(whole), 1.0, 800)
    assert np.array_equal(y_T[start:stop], DI[start + whole : stop + whole]) and not y_T[:start].any()
    assert stop - start == max(800 - abs(whole), 0)


def test_interpolation_uses_no_sample_beyond_its_reach():
    x_T, spoilt_T = np.ones(400), np.ones(400)
    spoilt_T[200:] = 9
    for step in (1.0, 1.0001):
        same_N = read_between(x_T, 0.5, step, 300) == read_between(spoilt_T, 0.5, step, 300)
        assert same_N[: 200 - HALF - 1].all() and not same_N[200 - HALF // 2 : 200].any()


@pytest.mark.skipif(not HRD3.is_dir(), reason="needs the recordings")
def test_real_takes_agree_with_another_method():
    dry_T, rate = sf.read(HRD3 / "DI.wav", dtype="float32")
    differences = []
    for name, reference in HRD3_DELAYS.items():
        lag = estimate_lag(dry_T, sf.read(HRD3 / f"Drive {name}.wav", dtype="float32")[0], rate)
        assert lag.polarity == -1 and lag.drift_ppm == 0
        differences.append(lag.delay_samples - reference)
    assert np.ptp(differences) < 0.1 and abs(np.mean(differences)) < 0.2


@pytest.mark.skipif(not HRD3.is_dir(), reason="needs the recordings")
def test_lags_at_a_wrong_extremum_are_reconciled():
    """Three seconds of `hrd3`: by itself, each of the most distorted takes is aligned one extremum late."""
    dry_T, rate = read_audio(HRD3 / "DI.wav")
    short_T = 3 * rate
    files = sorted(HRD3.glob("Drive *.wav"), key=lambda path: int(path.name.split()[1]))
    wets = [read_audio(path)[0] for path in files]
    whole = [lag.delay_samples for lag in estimate_lags(dry_T, wets, rate)]
    short = estimate_lags(dry_T[:short_T], [wet_T[: short_T - rate // 2] for wet_T in wets], rate)
    assert [lag.delay_samples for lag in short] == pytest.approx(whole, abs=0.3)
    assert {lag.polarity for lag in short} == {-1}
    assert [estimate_lag(dry_T, wet_T, rate).delay_samples for wet_T in wets] == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(("late", "gain"), [(-39_777, 2.0), (29_562, 0.5), (45_522, 2.0), (67_849, 2.0), (36_447, 8.0)])
def test_a_signal_that_resembles_itself_is_aligned_with_the_right_bar(late: int, gain: float):
    """A bar of `zoo signal` answers another one at a wrong delay, with a confidence that is high, not the highest."""
    dry_T = excitation(20.0, 48_000)
    clipped_T = np.tanh(gain * dry_T)
    wet_T = np.concatenate([np.zeros(late, np.float32), clipped_T])[: len(dry_T)] if late > 0 else clipped_T[-late:]
    assert estimate_lag(dry_T, wet_T, 48_000).delay_samples == pytest.approx(late, abs=0.1)
