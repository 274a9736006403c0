"""Whatever is wrong with the takes is told in one report, file by file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.check import check, measure
from models.manifest import read_manifest
from tests.makers import GRID, RATE, amp, di, entry, record, write_manifest, write_wav

DI = di(0.5)
WET = amp(DI, 5, 0.5)
STEREO = np.stack([WET, -WET], axis=1)
NOT_A_NUMBER = np.where(np.arange(len(WET)) == 1234, np.float32("nan"), WET)
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing.wav": (lambda path: None, "does not exist"),
    "text.wav": (lambda path: path.write_text("gain at five"), "is not audio"),
    "bytes0.wav": (lambda path: path.write_bytes(b""), "is not audio"),
    "folder.wav": (lambda path: path.mkdir(), "is not audio"),
    "nan.wav": (lambda path: write_wav(path, NOT_A_NUMBER), "sample 1234 is not a finite number"),
    "inf.wav": (lambda path: write_wav(path, NOT_A_NUMBER * np.float32("inf")), "is not a finite number"),
    "stereo.wav": (lambda path: write_wav(path, STEREO), "has 2 channels"),
    "empty.wav": (lambda path: write_wav(path, WET[:0]), "is empty"),
    "silent.wav": (lambda path: write_wav(path, WET * 1e-6), "is silent"),
    "rate.wav": (lambda path: write_wav(path, WET, 2 * RATE), "is at 16000 Hz"),
}


def world(folder: Path, names: list[str], **top: int) -> Path:
    write_wav(folder / "dry.wav", DI)
    for name in names:
        FAULTS[name][0](folder / name)
    settings = ({"gain": 0.1 * number} for number in range(len(names)))
    return write_manifest(
        folder / "amp.json", [entry("dry.wav", *pair) for pair in zip(names, settings, strict=True)], **top
    )


def test_good_takes_have_no_findings(tmp_path: Path):
    path = record(tmp_path, "amp", DI)
    report = check(path)
    assert report.findings == [] and len(report.takes) == len(GRID)
    for take, setting in zip(report.takes, GRID, strict=True):
        assert take.setting == setting and take.wet_sound and take.dry_sound
        assert take.wet_sound.frames == take.dry_sound.frames == len(DI) and take.wet_sound.rate_hz == RATE


def test_levels_are_those_of_the_sound(tmp_path: Path):
    tone_T = (0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)
    sound = measure(write_wav(tmp_path / "tone.wav", tone_T))
    assert (sound.peak_dbfs, sound.rms_dbfs) == (pytest.approx(-6.02, abs=0.01), pytest.approx(-9.03, abs=0.01))


def test_every_fault_is_in_one_report_and_names_its_file(tmp_path: Path):
    report = check(world(tmp_path, list(FAULTS)))
    assert {fault.file.name for fault in report.faults} == set(FAULTS)
    for fault in report.faults:
        assert str(fault.file) in fault.message and fault.hint
    for name, (_, words) in FAULTS.items():
        assert any(words in fault.message for fault in report.faults if fault.file.name == name), name
    assert not [finding for finding in report.findings if finding.severity == "warning"]
    readable = {take.wet.name for take in report.takes if take.wet_sound}
    assert readable == {"silent.wav", "rate.wav"} and all(take.dry_sound for take in report.takes)


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_dry_signal_is_told_once(tmp_path: Path, name: str):
    FAULTS[name][0](tmp_path / name)
    for number in range(3):
        write_wav(tmp_path / f"{number}.wav", WET)
    entries = [entry(name, f"{number}.wav", {"gain": number}) for number in range(3)]
    report = check(write_manifest(tmp_path / "amp.json", entries))
    assert len([fault for fault in report.faults if fault.file.name == name]) == (0 if name == "rate.wav" else 1)
    if name == "rate.wav":  # each take disagrees with it
        assert [fault.file.name for fault in report.faults] == ["0.wav", "1.wav", "2.wav"]
        assert all("rate.wav is at 16000 Hz" in fault.message for fault in report.faults)


@pytest.mark.parametrize(
    "harm", [lambda flac: flac[: len(flac) // 2], lambda flac: flac[:3000] + bytes(500) + flac[3500:]]
)
def test_damaged_flac_is_a_fault_that_names_its_file(tmp_path: Path, harm: Callable[[bytes], bytes]):
    path = world(tmp_path, [])
    sf.write(tmp_path / "cut.flac", WET, RATE, subtype="PCM_24")
    (tmp_path / "cut.flac").write_bytes(harm((tmp_path / "cut.flac").read_bytes()))
    write_manifest(path, [entry("dry.wav", "cut.flac", {"gain": 1}), entry("dry.wav", "missing.wav", {"gain": 2})])
    assert [fault.file.name for fault in check(path).faults] == ["cut.flac", "missing.wav"]


def test_name_too_long_is_a_fault(tmp_path: Path):
    path = world(tmp_path, [])
    name = "a" * 300 + ".wav"
    write_manifest(path, [entry("dry.wav", name, {"gain": 1})])
    assert [fault.file.name for fault in check(path).faults] == [name]


def test_rate_other_than_the_manifest_says_is_a_fault_of_each_take(tmp_path: Path):
    path = record(tmp_path, "amp", DI, GRID[:2])
    path.write_text(path.read_text().replace(f'"sample_rate": {RATE}', '"sample_rate": 48000'))
    report = check(path)
    assert [fault.file.name for fault in report.faults] == ["amp_0.wav", "amp_1.wav"]
    assert all("8000 Hz" in fault.message and "48000 Hz" in fault.message for fault in report.faults)


def test_takes_of_two_rates_are_a_fault_of_a_manifest_that_states_none(tmp_path: Path):
    for rate in (RATE, 2 * RATE):
        write_wav(tmp_path / f"dry{rate}.wav", DI, rate)
        write_wav(tmp_path / f"wet{rate}.wav", WET, rate)
    entries = [entry(f"dry{rate}.wav", f"wet{rate}.wav", {"gain": 1}) for rate in (RATE, 2 * RATE)]
    path = tmp_path / "amp.json"
    path.write_text(json.dumps(entries))
    (fault,) = check(path).findings
    assert fault.severity == "fault" and fault.file == path and "8000 and 16000 Hz" in fault.message


@pytest.mark.parametrize("cut", [1, 300])
def test_length_that_differs_is_a_warning(tmp_path: Path, cut: int):
    path = record(tmp_path, "amp", DI, GRID[:3])
    write_wav(tmp_path / "amp_1.wav", WET[:-cut])
    write_wav(tmp_path / "amp_2.wav", np.append(WET, WET[:cut]))
    shorter, longer = check(path).findings
    assert shorter.severity == longer.severity == "warning"
    assert (shorter.file.name, longer.file.name) == ("amp_1.wav", "amp_2.wav")
    assert f"-{cut} samples" in shorter.message and f"+{cut} samples" in longer.message
    assert '"align": true' in shorter.hint


def test_one_setting_recorded_twice_is_a_warning(tmp_path: Path):
    record(tmp_path, "amp", DI, GRID[:3])
    entries = [
        entry("amp_dry.wav", "amp_0.wav", {"gain": 1}),
        entry("amp_dry.wav", "amp_1.wav", {"gain": 2}),
        entry("amp_dry.wav", "amp_2.wav", {"gain": 1.0, "tone": 0.5}),  # the same, its default written out
    ]
    (warning,) = check(write_manifest(tmp_path / "twice.json", entries)).findings
    assert warning.severity == "warning" and warning.file.name == "amp_2.wav"
    assert "amp_2.wav" in warning.message and "amp_0.wav" in warning.message


def test_full_scale_is_a_warning(tmp_path: Path):
    path = record(tmp_path, "amp", DI, GRID[:2])
    write_wav(tmp_path / "amp_1.wav", np.clip(9 * WET, -1, 1))
    (warning,) = check(path).findings
    assert warning.severity == "warning" and warning.file.name == "amp_1.wav" and "full scale" in warning.message


def test_report_is_plain_data(tmp_path: Path):
    path = world(tmp_path, ["missing.wav", "silent.wav"])
    plain = json.loads(json.dumps(check(path).to_json(), allow_nan=False))
    assert plain["manifest"] == str(path)
    assert [take["wet"] for take in plain["takes"]] == [str(take.wet) for take in read_manifest(path).takes]
    assert plain["takes"][0]["wet_sound"] is None and plain["takes"][1]["wet_sound"]["frames"] == len(DI)
    assert [finding["file"] for finding in plain["findings"]] == [
        str(tmp_path / n) for n in ("missing.wav", "silent.wav")
    ]
