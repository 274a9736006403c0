"""What a take is not is said as what it is, with seconds, and its consequences are not told as further faults."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import fftconvolve, lfilter

from models.audio.guitar import guitar
from models.audio.io import read_audio
from models.capture.excitation import excitation
from models.recordings.alignment import Lag, measure_response
from models.recordings.checks.check import check
from models.recordings.checks.echoes import find_echo
from models.recordings.checks.report import Finding, Report
from models.recordings.checks.splices import find_splice
from tests.support.makers import entry, write_manifest, write_wav

RECORDINGS = Path("../shared/data/hrd3")
RATE = 24000
GAINS = (1.0, 3.0, 5.0, 7.0, 9.0)
SIGNAL = np.concatenate([np.zeros(RATE // 4, np.float32), guitar(5.0, RATE, 1)])
CHANGED = 2  # the number of the take that is not as it should be


def amp(x_T: np.ndarray, gain: float) -> np.ndarray:
    return 0.5 * np.asarray(lfilter([0.55], [1, -0.45], np.tanh(x_T * (1 + gain))))


def session(
    folder: Path, change: Callable[[np.ndarray], np.ndarray], dry_T: np.ndarray = SIGNAL, stated: float | None = None
) -> Path:
    """Write good takes and a changed one, with its `stated` delay."""
    write_wav(folder / "di.wav", dry_T, RATE)
    entries = []
    for number, gain in enumerate(GAINS):
        y_T = amp(dry_T, gain)
        y_T = change(y_T) if number == CHANGED else y_T
        write_wav(folder / f"take{number}.wav", y_T.astype(np.float32), RATE)
        delay = {"delay_samples": stated} if stated is not None and number == CHANGED else {}
        entries.append(entry("di.wav", f"take{number}.wav", {"gain": gain}) | delay)
    knobs = [{"name": "gain", "min": 0, "max": 10, "default": 5}]
    return write_manifest(folder / "amp.json", entries, knobs=knobs, sample_rate=RATE)


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(found.severity, found.message.split("/")[-1]) for found in findings]


def mute(y_T: np.ndarray, begin: float, end: float) -> np.ndarray:
    y_T[int(begin * RATE) : int(end * RATE)] = 0
    return y_T


def hiss(y_T: np.ndarray) -> np.ndarray:
    y_T[3 * RATE :] = 1e-4 * np.random.default_rng(1).standard_normal(len(y_T) - 3 * RATE)
    return y_T


def louder(y_T: np.ndarray) -> np.ndarray:
    y_T[3 * RATE :] *= 10 ** (3 / 20)
    return y_T


SPOILED: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "second half silent": (lambda y_T: mute(y_T, 3, 9), r"take2.wav is silent from 3.0\d s on while"),
    "first half silent": (lambda y_T: mute(y_T, 0, 3), r"take2.wav is silent from 0.2\d to (2.9\d|3.00) s while"),
    "a gap": (lambda y_T: mute(y_T, 2, 2.5), r"take2.wav is silent from 2.0\d to 2.[345]\d s while"),
    "two gaps": (lambda y_T: mute(mute(y_T, 1, 1.5), 3, 4), "silent in 2 places, 1.[45]"),
    "nothing but hiss": (hiss, r"take2.wav is silent from 3.0\d s on while"),
    "no end": (lambda y_T: y_T[: 3 * RATE], r"take2.wav has no end: the last 2.25 s of di.wav were not recorded"),
    "no start": (lambda y_T: y_T[RATE:], r"take2.wav has no start: the first 1.00 s of di.wav were not recorded"),
    "a lost piece": (
        lambda y_T: np.concatenate([y_T[: 3 * RATE], y_T[3 * RATE + 240 :], y_T[:240]]),
        r"take2.wav: at about (2.9|3.0|3.1) s a piece of 10.0 ms is missing",
    ),
    "a piece twice": (
        lambda y_T: np.concatenate([y_T[: 3 * RATE], y_T[3 * RATE - 480 :]])[: len(y_T)],
        r"take2.wav: at about (2.9|3.0|3.1) s a piece of 20.0 ms is there twice",
    ),
    "the dry signal": (lambda y_T: SIGNAL, "take2.wav is its dry signal, sample by sample"),
    "another song": (lambda y_T: amp(guitar(5.0, RATE, 8), 5), "take2.wav has little to do with its dry di.wav"),
    "louder": (louder, r"take2.wav is (2.[89]|3.[012]) dB louder from about (2.9|3.0|3.1) s on"),
    "softer": (lambda y_T: louder(y_T[::-1].copy())[::-1], r"is (2.[89]|3.[012]) dB softer from about 2.[123] s on"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_take_is_one_fault_and_nothing_else(tmp_path: Path, name: str):
    change, words = SPOILED[name]
    (fault,) = check(session(tmp_path, change)).findings
    assert fault.severity == "fault" and fault.file.name == "take2.wav" and fault.hint
    assert re.search(words, fault.message), fault.message


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="needs the recordings")
def test_a_long_piece_of_a_real_take_is_there_twice():
    """At 3 s a window of the take begins as abruptly as one of the dry signal: both were taken for the same place."""
    dry_T, rate_hz = read_audio(RECORDINGS / "DI.wav")
    wet_T = read_audio(RECORDINGS / "Drive 7 Master 2.wav")[0]
    half = len(wet_T) // 2
    twice_T = np.concatenate([wet_T[:half], wet_T[half - int(0.3 * rate_hz) :]])
    delay = measure_response(dry_T, twice_T, rate_hz).lag.delay_samples
    splice = find_splice(dry_T, twice_T, delay, rate_hz)
    assert splice and abs(splice.missing_s + 0.3) < 0.001 and abs(splice.at_s - half / rate_hz) < 0.3
    assert find_splice(dry_T, wet_T, measure_response(dry_T, wet_T, rate_hz).lag.delay_samples, rate_hz) is None


def test_good_takes_are_as_they_should_be(tmp_path: Path):
    assert check(session(tmp_path, lambda y_T: y_T)).findings == []


def test_dry_signal_at_another_level_is_a_warning(tmp_path: Path):
    report = check(session(tmp_path, lambda y_T: np.concatenate([np.zeros(3), 0.5 * SIGNAL[:-3]])))
    assert ("warning", "take2.wav is its dry signal but for the level (-6.0 dB) and the delay") in told(report.findings)


def late_report(folder: Path, seconds: float, stated: float | None = None) -> Report:
    return check(session(folder, lambda y_T: np.concatenate([np.zeros(int(seconds * RATE)), y_T]), stated=stated))


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_latency_of_seconds_is_found(tmp_path: Path, seconds: float):
    report = late_report(tmp_path, seconds)
    lag, other = report.takes[CHANGED].lag, report.takes[0].lag
    assert lag and other and lag.delay_samples - other.delay_samples == pytest.approx(seconds * RATE, abs=0.1)
    assert [fault.message.split("/")[-1].split(",")[0] for fault in report.faults] == [
        f"take2.wav is late by {lag.delay_samples:+.2f} samples"
    ]


def test_stated_latency_is_believed(tmp_path: Path):
    report = late_report(tmp_path, 1.0, stated=RATE)
    assert report.findings == []
    wrong = late_report(tmp_path / "wrong", 1.0, stated=4 * RATE)
    lag = wrong.takes[CHANGED].lag
    assert lag and lag.delay_samples == pytest.approx(RATE, abs=1.5)
    assert "but the manifest states a delay of +96000" in wrong.findings[0].message


def test_passage_that_occurs_twice_is_taken_at_the_stated_delay(tmp_path: Path):
    """Two equal bars, and a take of one: by itself it fits both, so the statement decides."""
    bar_T = guitar(2.0, RATE, 3)
    dry_T = np.concatenate([bar_T, bar_T])
    path = session(tmp_path, lambda y_T: y_T[2 * RATE :], dry_T, stated=-2 * RATE)
    lag = check(path).takes[CHANGED].lag
    assert lag and lag.delay_samples == pytest.approx(-2 * RATE, abs=1.5)


@pytest.mark.parametrize("gain", GAINS)
def test_echo_beyond_what_models_hear_is_a_warning(tmp_path: Path, gain: float):
    dry_T = excitation(20.0, RATE)
    write_wav(tmp_path / "di.wav", dry_T, RATE)
    plain_T = amp(dry_T, gain)
    wet_T, first, second = plain_T.copy(), RATE // 5, 2 * RATE // 5
    wet_T[first:] += 0.5 * plain_T[:-first]
    wet_T[second:] += 0.25 * plain_T[:-second]
    for name, y_T in (("plain.wav", plain_T), ("echo.wav", wet_T)):
        write_wav(tmp_path / name, y_T.astype(np.float32), RATE)
        entries = [entry("di.wav", name, {"gain": 0.5})]
        report = check(write_manifest(tmp_path / "amp.json", entries, knobs=["gain"], sample_rate=RATE))
        echoes = [found for found in told(report.findings) if "echo or" in found[1]]
        assert len(echoes) == (name == "echo.wav")
    ((severity, message),) = echoes
    assert severity == "warning" and float(message.split()[-2]) == pytest.approx(400, abs=50)


@pytest.mark.parametrize("gain", [0.0, 9.0])
def test_reverb_and_echo_in_short_takes_are_found_at_low_and_high_gain(gain: float):
    dry_T = guitar(4.0, RATE, 2)
    plain_T = amp(dry_T, gain)
    second_T = np.arange(2 * RATE) / RATE
    reverb_T = np.random.default_rng(0).standard_normal(2 * RATE) * 10 ** (-3 * second_T / 2)  # -60 dB after 2 s
    reverb_T *= 10 ** (-6 / 20) / np.sqrt(np.square(reverb_T).sum())
    echo_T = np.eye(1, RATE // 2 + 1, RATE // 2)[0] * 10 ** (-6 / 20)
    assert find_echo(dry_T, plain_T, Lag(0.0, 1), RATE) is None
    for effect_T, end in ((reverb_T, None), (echo_T, 0.5)):
        wet_T = plain_T + fftconvolve(plain_T, effect_T)[: len(plain_T)]
        found = find_echo(dry_T, wet_T, Lag(0.0, 1), RATE)
        assert found is not None and found > 0.15
        assert end is None or found == pytest.approx(end, abs=0.06)


def test_input_and_output_exchanged_are_told(tmp_path: Path):
    path = session(tmp_path, lambda y_T: y_T)
    document = json.loads(path.read_text())
    document["entries"][CHANGED] |= {"input_file": "take2.wav", "output_file": "di.wav"}
    path.write_text(json.dumps(document))
    (fault,) = check(path).findings
    assert fault.severity == "fault" and fault.file.name == "take2.wav"
    assert "take2.wav and di.wav are exchanged: other takes have this output_file as input_file" in fault.message
    for listed in document["entries"]:
        listed |= {"input_file": listed["output_file"], "output_file": "di.wav"}
    document["entries"][CHANGED]["input_file"] = "take2.wav"
    path.write_text(json.dumps(document))
    report = check(path)
    assert {found.file.name for found in report.findings} == {f"take{number}.wav" for number in range(len(GAINS))}
    assert all("all takes have this output_file" in found.message for found in report.findings)
