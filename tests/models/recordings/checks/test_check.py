"""One report has every problem of the takes, file by file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from models.audio.interpolation import read_between
from models.recordings.checks.check import check
from models.recordings.checks.measurements import measure_sound
from models.recordings.checks.report import Report, group_findings
from models.recordings.checks.rules import check_file
from models.recordings.manifest import read_manifest
from tests.support.makers import GRID, RATE, amp, di, entry, examples, read_wav, record, write_manifest, write_wav

DI, LONG = di(0.5), di(1.5)
RECORDINGS = Path("../shared/data")
WET = amp(DI, 5, 0.5)
STEREO = np.stack([WET, -WET], axis=1)
NOT_A_NUMBER = np.where(np.arange(len(WET)) == 1234, np.float32("nan"), WET)
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing.wav": (lambda path: None, "does not exist"),
    "text.wav": (lambda path: path.write_text("gain at five"), "is not audio"),
    "bytes0.wav": (lambda path: path.write_bytes(b""), "is not audio"),
    "folder.wav": (lambda path: path.mkdir(), "is a folder, not an audio file"),
    "nan.wav": (lambda path: write_wav(path, NOT_A_NUMBER), "sample 1234 is not a finite number"),
    "inf.wav": (lambda path: write_wav(path, NOT_A_NUMBER * np.float32("inf")), "is not a finite number"),
    "stereo.wav": (lambda path: write_wav(path, STEREO), "has 2 channels"),
    "empty.wav": (lambda path: write_wav(path, WET[:0]), "is empty"),
    "silent.wav": (lambda path: write_wav(path, WET * 1e-6), "is silent"),
    "rate.wav": (lambda path: write_wav(path, WET, 2 * RATE), "is at 16000 Hz"),
}


def files_with(report: Report, *words: str) -> list[str]:
    """Names of the files whose findings contain any of these words."""
    return [f.file.name for f in report.findings if any(word in f.message for word in words)]


def dataset(folder: Path, names: list[str], **top: int) -> Path:
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


def test_levels_are_those_of_the_sound():
    tone_T = (0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)
    sound = measure_sound(tone_T, RATE)
    assert (sound.peak_dbfs, sound.rms_dbfs) == (pytest.approx(-6.02, abs=0.01), pytest.approx(-9.03, abs=0.01))


def test_report_has_every_fault_with_its_file(tmp_path: Path):
    report = check(dataset(tmp_path, list(FAULTS)))
    assert {fault.file.name for fault in report.faults} == set(FAULTS)
    for fault in report.faults:
        assert str(fault.file) in fault.message and fault.hint
    for name, (_, words) in FAULTS.items():
        assert any(words in fault.message for fault in report.faults if fault.file.name == name), name
    assert files_with(report, "flat tops", "dropout", "offset", "has little to do") == []
    readable = {take.wet.name for take in report.takes if take.wet_sound}
    assert readable == {"silent.wav", "rate.wav"} and all(take.dry_sound for take in report.takes)


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_dry_signal_is_reported_once(tmp_path: Path, name: str):
    FAULTS[name][0](tmp_path / name)
    for number in range(3):
        write_wav(tmp_path / f"{number}.wav", WET)
    entries = [entry(name, f"{number}.wav", {"gain": number}) for number in range(3)]
    report = check(write_manifest(tmp_path / "amp.json", entries))
    assert len([fault for fault in report.faults if fault.file.name == name]) == (0 if name == "rate.wav" else 1)
    if name == "rate.wav":  # each take disagrees with it
        assert files_with(report, "rate.wav is at 16000 Hz") == ["0.wav", "1.wav", "2.wav"]


@pytest.mark.parametrize(
    "harm", [lambda flac: flac[: len(flac) // 2], lambda flac: flac[:3000] + bytes(500) + flac[3500:]]
)
def test_damaged_flac_is_a_fault_that_names_its_file(tmp_path: Path, harm: Callable[[bytes], bytes]):
    path = dataset(tmp_path, [])
    sf.write(tmp_path / "cut.flac", WET, RATE, subtype="PCM_24")
    (tmp_path / "cut.flac").write_bytes(harm((tmp_path / "cut.flac").read_bytes()))
    write_manifest(path, [entry("dry.wav", "cut.flac", {"gain": 1}), entry("dry.wav", "missing.wav", {"gain": 2})])
    assert [fault.file.name for fault in check(path).faults] == ["cut.flac", "missing.wav"]


def test_name_too_long_is_a_fault(tmp_path: Path):
    path = dataset(tmp_path, [])
    name = "a" * 300 + ".wav"
    write_manifest(path, [entry("dry.wav", name, {"gain": 1})])
    assert [fault.file.name for fault in check(path).faults] == [name]


def test_rate_that_differs_from_the_manifest_is_a_fault(tmp_path: Path):
    path = record(tmp_path, "amp", DI, GRID[:2])
    path.write_text(path.read_text().replace(f'"sample_rate": {RATE}', '"sample_rate": 48000'))
    report = check(path)
    assert [fault.file.name for fault in report.faults] == ["amp_0.wav", "amp_1.wav"]
    assert all("8000 Hz" in fault.message and "48000 Hz" in fault.message for fault in report.faults)


def test_takes_of_two_rates_are_a_fault(tmp_path: Path):
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
    shorter, longer = (finding for finding in check(path).findings if "samples against" in finding.message)
    assert shorter.severity == longer.severity == "warning"
    assert (shorter.file.name, longer.file.name) == ("amp_1.wav", "amp_2.wav")
    assert f"-{cut} samples" in shorter.message and f"+{cut} samples" in longer.message
    assert '"align": true' in shorter.hint


def test_many_lengths_that_differ_are_one_warning(tmp_path: Path):
    path = record(tmp_path, "amp", DI)
    for number in range(12):
        write_wav(tmp_path / f"amp_{number}.wav", read_wav(tmp_path / f"amp_{number}.wav")[: -10 - number])
    assert [f.message for f in check(path).findings] == [
        f"{path}: 12 of 20 takes have -21 to -10 samples against their dry signal"
    ]


def test_one_setting_recorded_twice_is_a_warning(tmp_path: Path):
    record(tmp_path, "amp", DI)
    takes = [entry("amp_dry.wav", f"amp_{number}.wav", setting) for number, setting in enumerate(GRID)]
    write_wav(tmp_path / "again.wav", 0.99 * read_wav(tmp_path / "amp_9.wav"))
    short = {name: value for name, value in GRID[9].items() if name != "tone"}  # the same, its default left out
    path = write_manifest(tmp_path / "twice.json", [*takes, entry("amp_dry.wav", "again.wav", short)])
    (warning,) = check(path).findings
    assert warning.severity == "warning" and warning.file.name == "again.wav" and "amp_9.wav" in warning.message


def report_on_changed(
    folder: Path, number: int, change: Callable[[np.ndarray], np.ndarray], dry_T: np.ndarray = LONG
) -> Report:
    """The report on good takes after one of them was changed."""
    path = record(folder, "amp", dry_T)
    assert check(path).findings == []
    wet = folder / f"amp_{number}.wav"
    write_wav(wet, change(read_wav(wet)).astype(np.float32))
    return check(path)


def lose(y_T: np.ndarray) -> np.ndarray:
    y_T[2000:2100] = 0
    return y_T


CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str, str]] = {
    "clipped at full scale": (lambda y_T: np.clip(9 * y_T, -1, 1), "warning", "is clipped"),
    "clipped below it": (lambda y_T: np.clip(y_T, -0.2, 0.2), "warning", "is clipped"),
    "dropout": (lose, "warning", "a dropout at 0.250 s"),
    "offset": (lambda y_T: y_T + 0.03, "warning", "offset"),
    "faint": (lambda y_T: 0.001 * y_T, "warning", "is faint"),
    "silent": (lambda y_T: 0 * y_T, "fault", "is silent"),
    "late": (lambda y_T: np.concatenate([np.zeros(7), y_T[:-7]]), "fault", "is late by"),
    "early": (lambda y_T: np.concatenate([y_T[5:], 0.01 * y_T[:5]]), "fault", "leads its input"),
    "inverted": (lambda y_T: -y_T, "fault", "has inverted polarity"),
    "another song": (lambda y_T: amp(di(1.5, seed=99), 2, 0.5), "fault", "has little to do with"),
}


def test_hints_at_clipping_differ_for_dry_and_wet():
    sound = measure_sound(np.clip(3 * DI, -0.2, 0.2), RATE)
    (dry,), (wet,) = (check_file(Path("a.wav"), sound, is_dry=is_dry) for is_dry in (True, False))
    assert "is clipped" in dry.message and dry.message == wet.message
    assert "input gain" in wet.hint
    assert "input gain" not in dry.hint and "signal that was played" in dry.hint


@pytest.mark.parametrize("name", CHANGES)
def test_problem_of_one_take_is_its_only_finding(tmp_path: Path, name: str):
    change, severity, words = CHANGES[name]
    report = report_on_changed(tmp_path, 9, change)
    found = [f for f in report.findings if words in f.message]
    assert [(f.severity, f.file.name) for f in found] == [(severity, "amp_9.wav")]
    assert all(f.file.name == "amp_9.wav" and f.hint for f in report.findings)
    others = {words for _, _, words in CHANGES.values()} - {words}
    assert not [f.message for f in report.findings if f not in found and any(w in f.message for w in others)]


def test_drift_is_reported_in_ppm_and_samples(tmp_path: Path):
    report = report_on_changed(tmp_path, 9, lambda y_T: read_between(y_T, 0.0, 1 / (1 + 3e-4), len(y_T)), di(4.0))
    (warning,) = report.findings
    assert warning.severity == "warning" and "drifts" in warning.message and "ppm off, +9." in warning.message
    assert report.takes[9].lag and report.takes[9].lag.drift_ppm == pytest.approx(300, abs=8)


def test_noise_and_hum_are_measured_in_silent_spans(tmp_path: Path):
    dry_T = np.concatenate([np.zeros(RATE, np.float32), LONG])
    hiss = 0.02 * np.random.default_rng(1).standard_normal(len(dry_T))
    hum = 0.004 * sum(np.sin(2 * np.pi * 50 * k * np.arange(len(dry_T)) / RATE) / k for k in range(1, 4))
    assert [
        w.message.split(" ", 1)[1][:14] for w in report_on_changed(tmp_path, 9, lambda y: y + hiss, dry_T).findings
    ] == ["has noise 19 d"]
    (warning,) = report_on_changed(tmp_path / "hum", 9, lambda y: y + hum, dry_T).findings
    assert "hums at 50 Hz" in warning.message


def test_passage_that_does_not_repeat_is_reported(tmp_path: Path):
    dry_T = np.concatenate([LONG[:4000], di(1.0, seed=4), LONG[:4000]])
    report = report_on_changed(tmp_path, 9, lambda y_T: y_T * np.linspace(1, 0.7, len(y_T)), dry_T)
    (warning,) = (f for f in report.findings if "does not repeat itself" in f.message)
    assert warning.file.name == "amp_9.wav" and all(
        0 <= (take.repeat_esr or 0) < 1e-3 for take in report.takes if take.wet.name != "amp_9.wav"
    )


def test_same_audio_under_two_settings_is_a_fault(tmp_path: Path):
    path = record(tmp_path, "amp", LONG)
    write_wav(tmp_path / "amp_9.wav", read_wav(tmp_path / "amp_2.wav"))
    (fault,) = check(path).faults
    assert fault.file.name == "amp_9.wav" and "same audio as amp_2.wav, though gain and tone moved" in fault.message


def test_similar_takes_and_confounded_knobs_are_reported(tmp_path: Path):
    settings = [{"gain": g, "tone": t} for g, t in ((0, 1), (3, 0.7), (5, 0.5), (5.05, 0.495), (8, 0.2), (10, 0))]
    found = check(record(tmp_path, "amp", LONG, settings)).warnings
    assert [f.message.split(": ")[-1].split(" (")[0] for f in found] == [
        "gain and tone always move together, so that their effects cannot be separated",
        "amp_2.wav, amp_3.wav sound the same",
    ]


def test_knobs_of_which_one_moved_alone_do_not_always_move_together(tmp_path: Path):
    settings = [{"gain": g, "tone": t} for g, t in ((0, 1), (2, 0.8), (4, 0.6), (6, 0.4), (8, 0.2), (10, 0.2))]
    found = check(record(tmp_path, "amp", LONG, settings)).warnings
    assert any("gain and tone move together but for a few takes" in finding.message for finding in found)


def test_missing_positions_are_reported(tmp_path: Path):
    settings = [{"gain": g, "tone": t} for g in (0.0, 10.0) for t in (0.0, 0.2, 0.4)]
    messages = [f.message.split(": ")[-1] for f in check(record(tmp_path, "amp", LONG, settings)).warnings]
    assert messages == [
        "gain was not recorded between 0 and 10, half its range or more",
        "tone was recorded from 0 to 0.4 of 0 to 1",
    ]


@pytest.mark.parametrize(("gains", "told"), [((3, 5, 7, 9), True), ((2, 4, 6, 8), False)])
def test_an_end_far_beyond_the_takes_is_told(tmp_path: Path, gains: tuple[float, ...], told: bool):
    settings = [{"gain": float(gain), "tone": tone} for gain in gains for tone in (0.0, 0.5, 1.0)]
    found = files_with(check(record(tmp_path, "amp", LONG, settings)), "gain was recorded from 3 to 9 of 0 to 10")
    assert bool(found) == told


def relabel(path: Path, changes: dict[int, dict]) -> Path:
    """Change keys of some entries of a manifest."""
    document = json.loads(path.read_text())
    for number, change in changes.items():
        document["entries"][number] |= change
    path.write_text(json.dumps(document))
    return path


def test_exchanged_labels_are_one_finding_that_names_both(tmp_path: Path):
    path = relabel(record(tmp_path, "amp", LONG), {0: {"knobs": GRID[19]}, 19: {"knobs": GRID[0]}})
    (warning,) = check(path).findings
    assert warning.file.name == "amp_0.wav" and "amp_0.wav and amp_19.wav are likely mislabeled" in warning.message
    assert "(gain=10 tone=1; gain=0 tone=0)" in warning.message


def test_moved_label_is_reported_with_its_likely_setting(tmp_path: Path):
    path = relabel(record(tmp_path, "amp", LONG), {6: {"knobs": {"gain": 9.3, "tone": 0.1}}})  # is gain=2 tone=0.8
    (warning,) = check(path).findings
    setting = dict(pair.split("=") for pair in warning.message.split("but ")[1].split())
    assert warning.file.name == "amp_6.wav" and float(setting["gain"]) < 5 and float(setting["tone"]) > 0.6


def test_takes_of_copies_of_a_dry_signal_are_compared(tmp_path: Path):
    path = record(tmp_path, "amp", LONG)
    for number in range(len(GRID)):
        write_wav(tmp_path / f"dry_{number}.wav", LONG)
    relabel(path, {number: {"input_file": f"dry_{number}.wav"} for number in range(len(GRID))})
    assert check(path).findings == []
    write_wav(tmp_path / "amp_9.wav", -read_wav(tmp_path / "amp_9.wav"))
    assert [f.message for f in check(path).findings] == [
        f"{tmp_path / 'amp_9.wav'} has inverted polarity against the other takes of dry_0.wav"
    ]


def test_stated_delay_is_compared_with_the_estimate(tmp_path: Path):
    path = record(tmp_path, "amp", LONG)
    for number in range(len(GRID)):
        y_T = read_wav(tmp_path / f"amp_{number}.wav")
        write_wav(tmp_path / f"amp_{number}.wav", np.concatenate([np.zeros(50, np.float32), y_T])[: len(LONG)])
    assert "samples late" in check(path).findings[0].message
    stated = {number: {"delay_samples": 50} for number in range(len(GRID))}
    report = check(relabel(path, stated))
    assert report.findings == [] and report.to_json()["takes"][3]["stated_delay_samples"] == 50
    found = check(relabel(path, stated | {9: {"delay_samples": 58}})).findings
    assert [(f.severity, f.file.name) for f in found] == [("warning", "amp_9.wav"), ("fault", "amp_9.wav")]
    assert "is late by +50." in found[0].message and "but the manifest states a delay of +58" in found[0].message
    assert "after the delay that the manifest states, late by -8.00" in found[1].message


def test_equal_findings_of_many_files_are_grouped(tmp_path: Path):
    path = record(tmp_path, "amp", LONG)
    for number in (8, 12, 16):
        y_T = read_wav(tmp_path / f"amp_{number}.wav")
        write_wav(tmp_path / f"amp_{number}.wav", np.clip(y_T, -0.2, 0.2))
    findings = check(path).findings
    (group,) = [pair for pair in group_findings(findings) if "is clipped" in pair[0].message]
    assert group[0].file.name == "amp_8.wav" and [f.name for f in group[1]] == ["amp_12.wav", "amp_16.wav"]
    assert sum(1 + len(others) for _, others in group_findings(findings)) == len(findings)


@pytest.mark.parametrize(
    ("manifest", "warnings"),
    [
        ("gxamp-6v6/heldout.json", []),
        ("ts808/train.json", ["level was recorded from 0.4 to 1 of 0 to 1"]),
        ("ts808/heldout.json", ["level was recorded from 0.403 to 0.975 of 0 to 1"]),
    ],
)
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="needs the recordings")
def test_good_recordings_have_no_findings_but_unrecorded_ends(manifest: str, warnings: list[str]):
    findings = check(RECORDINGS / manifest).findings
    assert [(f.severity, f.message.split(": ")[-1]) for f in findings] == [("warning", text) for text in warnings]


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="needs the recordings")
def test_real_takes_are_found_late_by_different_amounts(tmp_path: Path):
    source = RECORDINGS / "hrd3"
    (fault,) = check(source / "train.json").faults
    assert "late by -1270.51 (Drive 3" in fault.message and "to -322.99 samples (Drive 12" in fault.message
    padded = tmp_path / "padded"
    padded.mkdir()
    (padded / "train.json").write_text((source / "train.json").read_text())
    dry_T = sf.read(source / "DI.wav", dtype="float32")[0]
    write_wav(padded / "DI.wav", dry_T, 44100)
    for wet in source.glob("Drive*.wav"):
        y_T = sf.read(wet, dtype="float32")[0]
        write_wav(padded / wet.name, np.concatenate([np.zeros(len(dry_T) - len(y_T), np.float32), y_T]), 44100)
    (fault,) = check(padded / "train.json").faults
    assert "-121.96 (Drive 8 Master 2.wav) to +289.03 samples" in fault.message and "lead their input" in fault.message


def test_report_is_plain_data(tmp_path: Path):
    path = dataset(tmp_path, ["missing.wav", "silent.wav"])
    plain = json.loads(json.dumps(check(path).to_json(), allow_nan=False))
    assert plain["manifest"] == str(path) and plain["schema"] == "zoo.check/3"
    assert [take["output_file"] for take in plain["takes"]] == [str(take.wet) for take in read_manifest(path).takes]
    assert plain["takes"][0]["wet"] is None and plain["takes"][1]["wet"]["frames"] == len(DI)
    assert [fault["file"] for fault in plain["faults"]] == [str(tmp_path / n) for n in ("missing.wav", "silent.wav")]
    good = json.loads(json.dumps(check(record(tmp_path, "amp", LONG)).to_json(), allow_nan=False))
    assert {"output_file", "input_file", "setting", "delay_samples", "polarity", "drift_ppm", "confidence"} <= set(
        good["takes"][0]
    )
    assert {step["knob"] for step in good["steps"]} == {"gain", "tone"}
    assert all(step.keys() == {"knob", "low", "high", "esr", "color"} for step in good["steps"])


@given(where=st.integers(0, 3000), length=st.integers(1, 60), fill=st.sampled_from([0.0, 0.3, float("inf")]))
@examples(30)
def test_any_sound_is_measured(where: int, length: int, fill: float):
    x_T = LONG[:3000].copy()
    x_T[where : where + length] = np.clip(fill, -1, 1)
    sound = measure_sound(x_T[: where + 1], RATE)
    assert sound.frames == min(where + 1, 3000) and np.isfinite([sound.rms_dbfs, sound.peak_dbfs, sound.dc_dbfs]).all()
    measure_sound(x_T, RATE)
