"""Takes of one pass have one delay whatever their tone stacks are; those that were triggered one by one keep theirs."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from models.audio.guitar import guitar
from models.capture.excitation import excitation
from models.recordings.align_dataset import align_dataset
from models.recordings.alignment import Lag, measure_response, reconcile_lags
from models.recordings.checks.check import check
from models.recordings.session_delays import SessionDelays
from tests.models.recordings.test_alignment import late
from tests.support.makers import entry, write_manifest, write_wav

RATE, LATENCY = 48000, 321
MUSIC = guitar(6.0, RATE, 2)
TREBLES_DB = (0.0, -12.0, -6.0, 6.0, 12.0)


def treble(x_T: np.ndarray, gain_db: float, hz: float = 2500.0) -> np.ndarray:
    """A high shelf of the second order, which is minimum-phase (Bristow-Johnson's cookbook)."""
    a = 10 ** (gain_db / 40)
    cos, alpha = np.cos(2 * np.pi * hz / RATE), np.sin(2 * np.pi * hz / RATE) / np.sqrt(2)
    up, down, root = a + 1, a - 1, 2 * np.sqrt(a) * alpha
    b = [a * (up + down * cos + root), -2 * a * (down + up * cos), a * (up + down * cos - root)]
    return np.asarray(lfilter(b, [up - down * cos + root, 2 * (down - up * cos), up - down * cos - root], x_T))


def takes(dry_T: np.ndarray, gain: float) -> list[np.ndarray]:
    return [treble(np.tanh(gain * dry_T.astype(np.float64)), gain_db) for gain_db in TREBLES_DB]


def delay_by(y_T: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples), y_T])[: len(y_T)] if samples >= 0 else y_T[-samples:]


def settle(dry_T: np.ndarray, wets: list[np.ndarray], delays: SessionDelays | None = None) -> list[Lag]:
    responses = [measure_response(dry_T, y_T.astype(np.float32), RATE) for y_T in wets]
    return reconcile_lags(responses, delays)


@pytest.mark.parametrize("gain", [0.5, 8.0])
@pytest.mark.parametrize("noise_db", [None, 60.0])
def test_one_latency_is_one_delay_whatever_the_treble(gain: float, noise_db: float | None):
    wets = [delay_by(y_T, LATENCY) for y_T in takes(MUSIC, gain)]
    if noise_db is not None:
        draw = np.random.default_rng(0)
        wets = [y + np.std(y) * 10 ** (-noise_db / 20) * draw.standard_normal(len(y)) for y in wets]
    peaks = [measure_response(MUSIC, y_T.astype(np.float32), RATE).lag.delay_samples for y_T in wets]
    assert np.ptp(peaks) > 3  # what the peak alone says
    found = [lag.delay_samples for lag in settle(MUSIC, wets)]
    assert np.ptp(found) < 0.05 and found[0] == pytest.approx(LATENCY, abs=0.5)


@pytest.mark.parametrize("gain", [0.5, 8.0])
def test_takes_that_were_shifted_one_by_one_keep_their_distances(gain: float):
    shifts = np.random.default_rng(3).uniform(-RATE, RATE, len(TREBLES_DB))
    wets = [
        delay_by(late(y_T, shift % 1), int(shift // 1)) for y_T, shift in zip(takes(MUSIC, gain), shifts, strict=True)
    ]
    for delays in (None, "each"):
        errors = [lag.delay_samples for lag in settle(MUSIC, wets, delays)] - shifts
        assert np.ptp(errors) < 0.1


def test_a_take_that_was_shifted_among_others_is_told_apart():
    wets = takes(MUSIC, 2.0)
    wets[3] = late(wets[3], 5.4)
    found = np.array([lag.delay_samples for lag in settle(MUSIC, wets)])
    assert np.ptp(np.delete(found, 3)) == 0 and found[3] - found[0] == pytest.approx(5.4, abs=0.05)


@pytest.mark.parametrize("gain", [0.5, 8.0])
def test_blips_give_one_sharp_answer(gain: float):
    """`zoo signal`, and the single samples of NAM's third input, at 504,000 and 552,000, between music."""
    nam_T = np.concatenate([np.zeros(RATE, np.float32), guitar(8.9, RATE, 5), np.zeros(130000, np.float32)])
    nam_T[[504000, 552000]] = 0.99
    for dry_T in (excitation(20.0, RATE), nam_T):
        found = [lag.delay_samples for lag in settle(dry_T, [delay_by(y_T, LATENCY) for y_T in takes(dry_T, gain)])]
        assert found == pytest.approx([LATENCY] * len(TREBLES_DB), abs=0.1) and np.ptp(found) == 0


def test_manifest_states_the_delays(tmp_path: Path):
    wets = takes(MUSIC, 2.0)
    wets[3] = late(wets[3], 5.4)
    write_wav(tmp_path / "di.wav", MUSIC, RATE)
    for number, y_T in enumerate(wets):
        write_wav(tmp_path / f"{number}.wav", y_T.astype(np.float32), RATE)
    entries = [entry("di.wav", f"{number}.wav", {"gain": 0.1 * number}) for number in range(len(wets))]
    path = write_manifest(tmp_path / "amp.json", entries, knobs=["gain"], sample_rate=RATE)
    assert [fault.file.name for fault in check(path).faults] == ["3.wav"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"delays": "common"}))
    report = check(path)
    assert report.faults == [] and len({take.lag.delay_samples for take in report.takes if take.lag}) == 1
    made, aligned = align_dataset(path, tmp_path / "aligned")
    assert len({found.lag.delay_samples for found in aligned}) == 1 and "delays" not in json.loads(made.read_text())
