"""The excitation signal has the parts that are documented, at any length and rate, and is recognized from its file."""

from hashlib import md5
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.audio.io import read_audio, write_audio
from models.capture.excitation import (
    BLIP,
    LONGEST_S,
    NAM_INPUTS,
    SHORTEST_S,
    Span,
    describe_signal,
    excitation,
    find_parts,
    recognize,
)
from models.capture.virtual_amp import VirtualAmp
from models.core.errors import UserError
from models.recordings.alignment import estimate_lag

RATE = 16000
SECONDS = 30.0


@pytest.fixture(scope="module")
def x_T() -> np.ndarray:
    return excitation(SECONDS, RATE)


def rms_db(x_T: np.ndarray, span: Span) -> float:
    return 10 * float(np.log10(np.mean(np.square(x_T[span.start : span.stop], dtype=np.float64)) + 1e-20))


@pytest.mark.parametrize("seconds", [SHORTEST_S, 61.7, 180.0, LONGEST_S])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_parts_follow_one_another_to_the_end(seconds: float, rate: int):
    parts = find_parts(seconds, rate)
    first, again = parts.repeats
    spans = [parts.silence, first, *parts.sweeps, parts.noise, parts.bursts, parts.music, again, parts.held]
    assert spans[0].start == 0
    assert spans[-1].stop == round(seconds * rate)
    assert all(a.start < a.stop <= b.start for a, b in pairwise(spans))
    assert first.stop - first.start == again.stop - again.start
    assert parts.silence.stop < parts.blips[0] < parts.blips[1] < first.start
    assert again.stop < parts.blips[2] < parts.blips[3] < parts.held.start  # what occurs twice is never held
    assert parts.music.stop - parts.music.start > parts.held.stop - parts.held.start > 0.19 * seconds * rate


def test_parts_have_the_audio_they_are_named_for(x_T: np.ndarray):
    parts = find_parts(SECONDS, RATE)
    assert x_T.dtype == np.float32
    assert len(x_T) == SECONDS * RATE
    assert np.abs(x_T).max() < 1
    assert not x_T[parts.silence.start : parts.silence.stop].any()
    for blip in parts.blips:
        around_T = x_T[blip - RATE // 5 : blip + RATE // 5]
        assert x_T[blip] == np.float32(BLIP)
        assert np.count_nonzero(around_T) == 1
    first, again = (x_T[span.start : span.stop] for span in parts.repeats)
    assert np.array_equal(first, again)
    assert np.abs(first).max() > 0.5
    for number, span in enumerate(parts.sweeps):
        middle = (span.start + span.stop) // 2
        early, late = rms_db(x_T, Span(span.start, middle)), rms_db(x_T, Span(middle, span.stop))
        assert (late - early) * (1 if number % 2 == 0 else -1) > 10
        crossings = [np.count_nonzero(np.diff(np.sign(part))) for part in np.split(x_T[span.start : span.stop - 2], 2)]
        assert crossings[1] > 10 * crossings[0]  # both kinds rise
    spectrum_F = np.abs(np.fft.rfft(x_T[parts.noise.start : parts.noise.stop]))
    low, high = (
        np.mean(spectrum_F[int(a * len(spectrum_F)) : int(b * len(spectrum_F))]) for a, b in ((0, 0.2), (0.8, 1))
    )
    assert 0.8 < low / high < 1.25
    crests = x_T[parts.bursts.start : parts.bursts.stop]
    assert np.abs(crests).max() > 0.85
    assert 20 * np.log10(np.abs(crests).max()) - rms_db(x_T, parts.bursts) > 18
    for span in (parts.music, parts.held):
        levels = [rms_db(x_T, Span(n, n + RATE // 2)) for n in range(span.start, span.stop - RATE // 2, RATE // 2)]
        assert max(levels) > -20
        assert min(levels) < -42  # loud, and quiet passages


def test_signal_from_before_there_were_bursts_is_recognized(x_T: np.ndarray):
    parts = find_parts(SECONDS, RATE)
    older_T = x_T.copy()
    older_T[parts.bursts.start : parts.bursts.stop] = 0.1
    assert recognize(older_T, RATE) == parts


def test_held_part_occurs_nowhere_before_it(x_T: np.ndarray):
    parts = find_parts(SECONDS, RATE)
    held_T, before_T = x_T[parts.held.start :], x_T[: parts.held.start]
    window = held_T[: RATE // 2]
    power_T = np.convolve(np.square(before_T, dtype=np.float64), np.ones(len(window)), "valid")
    alike = np.correlate(before_T, window, "valid") / (np.linalg.norm(window) * np.sqrt(power_T + 1e-3))
    assert np.abs(alike).max() < 0.75


def test_same_arguments_give_the_same_samples(x_T: np.ndarray):
    assert x_T.tobytes() == excitation(SECONDS, RATE).tobytes()


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_signal_is_recognized_from_its_file_and_no_other(tmp_path: Path, x_T: np.ndarray, subtype: str):
    sf.write(tmp_path / "di.wav", x_T, RATE, subtype=subtype)
    read, rate = read_audio(tmp_path / "di.wav")
    assert recognize(read, rate) == find_parts(SECONDS, RATE)
    assert recognize(read[1:], rate) is None
    assert recognize(read[: RATE * 5], rate) is None
    assert recognize(np.zeros_like(read), rate) is None


def test_known_signals_are_described(tmp_path: Path, x_T: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "di.wav"
    write_audio(path, x_T, RATE)
    assert describe_signal(path) == "an excitation signal of 30 s, whose last 6 s are for testing (held_seconds)"
    write_audio(path, x_T[1:], RATE)
    assert describe_signal(path) is None
    monkeypatch.setitem(NAM_INPUTS, md5(path.read_bytes(), usedforsecurity=False).hexdigest(), "9.9.9")
    assert describe_signal(path) == "the standard input of NAM, version 9.9.9"


def test_fraction_of_a_sample_changes_no_part():
    seconds = 20.00003
    assert find_parts(seconds, RATE) == find_parts(round(seconds * RATE) / RATE, RATE)
    assert len(excitation(seconds, 8000)) == round(seconds * 8000)


def test_late_inverted_take_is_aligned():
    """As the amp plays it, at 48 kHz."""
    x_T = excitation(SHORTEST_S, 48000)
    take_T = -VirtualAmp(48000).process(x_T, 8.0, 5.0, 6.0)
    late_T = np.concatenate([np.zeros(321, np.float32), take_T[:-321]])
    lag, late = (estimate_lag(x_T, y_T, 48000) for y_T in (take_T, late_T))
    assert late.delay_samples - lag.delay_samples == pytest.approx(321, abs=0.01)
    assert late.polarity == -1


@pytest.mark.parametrize("seconds", [0, 19.9, 3601, -5, float("nan")])
def test_illegal_length_is_refused(seconds: float):
    with pytest.raises(UserError, match="legal are 20 to 3600 s"):
        find_parts(seconds, RATE)


def test_file_holds_the_signal(tmp_path: Path, x_T: np.ndarray):
    write_audio(tmp_path / "di.flac", x_T, RATE)
    assert np.abs(read_audio(tmp_path / "di.flac")[0] - x_T).max() < 2.0**-22
