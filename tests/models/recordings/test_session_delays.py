"""Takes of one pass have one delay whatever their tone stacks are; those that were triggered one by one keep theirs."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.session_delays import LATENCY, RATE, TREBLES_DB, record, settle, shift
from models.audio.guitar import guitar
from models.capture.excitation import excitation
from models.recordings.align_dataset import align_dataset
from models.recordings.checks.check import check
from tests.support.makers import entry, write_manifest, write_wav

MUSIC = guitar(6.0, RATE, 2)


def delay_by(y_T: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples), y_T])[: len(y_T)]


@pytest.mark.parametrize("gain", [0.5, 8.0])
@pytest.mark.parametrize("noise_db", [None, 60.0])
def test_one_latency_is_one_delay_whatever_the_treble(gain: float, noise_db: float | None):
    alone, found = settle(MUSIC, [delay_by(y_T, LATENCY) for y_T in record(MUSIC, gain, noise_db)])
    assert np.ptp(alone) > 3  # what the peak alone says
    assert np.ptp(found) < 0.05 and found[0] == pytest.approx(LATENCY, abs=0.5)


@pytest.mark.parametrize(("gain", "noise_db"), [(0.5, None), (8.0, None), (8.0, 60.0)])
def test_takes_that_were_shifted_one_by_one_keep_their_distances(gain: float, noise_db: float | None):
    shifts = np.random.default_rng(3).uniform(-RATE, RATE, len(TREBLES_DB))
    wets = [shift(y_T, samples) for y_T, samples in zip(record(MUSIC, gain, noise_db), shifts, strict=True)]
    for delays in (None, "each"):
        assert np.ptp(settle(MUSIC, wets, delays)[1] - shifts) < 0.1


def test_a_take_that_was_shifted_among_others_is_told_apart():
    wets = record(MUSIC, 2.0, None)
    wets[3] = shift(wets[3], 5.4)
    found = settle(MUSIC, wets)[1]
    assert np.ptp(np.delete(found, 3)) == 0 and found[3] - found[0] == pytest.approx(5.4, abs=0.05)


@pytest.mark.parametrize("gain", [0.5, 8.0])
def test_blips_give_one_sharp_answer(gain: float):
    """`zoo signal`, and the single samples of NAM's third input, at 504,000 and 552,000, between music."""
    nam_T = np.concatenate([np.zeros(RATE, np.float32), guitar(8.9, RATE, 5), np.zeros(130000, np.float32)])
    nam_T[[504000, 552000]] = 0.99
    for dry_T in (excitation(20.0, RATE), nam_T):
        found = settle(dry_T, [delay_by(y_T, LATENCY) for y_T in record(dry_T, gain, None)])[1]
        assert found == pytest.approx([LATENCY] * len(TREBLES_DB), abs=0.1) and np.ptp(found) == 0


def test_manifest_states_the_delays(tmp_path: Path):
    wets = record(MUSIC, 2.0, None)
    wets[3] = shift(wets[3], 5.4)
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
