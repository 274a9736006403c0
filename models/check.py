"""What is in a knob dataset and what is wrong with it, before any training."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from models.audio import open_audio, read_blocks
from models.errors import UserError
from models.knobs import Setting
from models.manifest import Manifest, Take, read_manifest

SILENT_DBFS = -90.0
CLIP_PEAK_DBFS = -0.01


@dataclass(frozen=True)
class Sound:
    """What one audio file holds: frames in samples, rate in Hz, levels in dBFS."""

    frames: int
    rate_hz: int
    peak_dbfs: float
    rms_dbfs: float


@dataclass(frozen=True)
class TakeReport:
    """One take as it was found; sounds are None where the file could not be read."""

    wet: Path
    dry: Path
    setting: Setting
    wet_sound: Sound | None
    dry_sound: Sound | None


@dataclass(frozen=True)
class Finding:
    """Something to know about one file; a fault stops training, a warning does not."""

    severity: str
    file: Path
    message: str
    hint: str


@dataclass
class Report:
    """A checked manifest."""

    manifest: Manifest
    takes: list[TakeReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def faults(self) -> list[Finding]:
        """The findings that stop training."""
        return [finding for finding in self.findings if finding.severity == "fault"]

    def to_json(self) -> dict:
        """The report as plain data."""
        plain = {"wet": str, "dry": str}
        return {
            "schema": "zoo.check/1",
            "manifest": str(self.manifest.path),
            "device": self.manifest.device,
            "knobs": [knob.model_dump() for knob in self.manifest.knobs.knobs],
            "takes": [{k: plain.get(k, lambda v: v)(v) for k, v in asdict(take).items()} for take in self.takes],
            "findings": [{**asdict(finding), "file": str(finding.file)} for finding in self.findings],
        }


def check(path: Path) -> Report:
    """Read a manifest and every file it names.

    A manifest that cannot be read raises `UserError`; what is wrong with single takes becomes findings, all of them.
    """
    report = Report(read_manifest(path))
    sounds: dict[Path, Sound | None] = {}
    for take in report.manifest.takes:
        for file in (take.dry, take.wet):
            if file not in sounds:
                sounds[file] = _listen(file, report)
        report.takes.append(TakeReport(take.wet, take.dry, take.setting, sounds[take.wet], sounds[take.dry]))
        _compare(take, sounds[take.dry], sounds[take.wet], report)
    _check_rates(report)
    _check_settings(report)
    return report


def measure(path: Path) -> Sound:
    """Listen to a whole file block by block; raises `UserError` when it is not finite mono audio."""
    with open_audio(path) as file:
        rate = file.samplerate
    frames, peak, energy = 0, 0.0, 0.0
    for block_T in read_blocks(path):
        frames += len(block_T)
        peak = max(peak, float(np.abs(block_T).max()))
        energy += float(np.square(block_T, dtype=np.float64).sum())
    return Sound(frames, rate, _db(peak), _db((energy / frames) ** 0.5))


def _listen(file: Path, report: Report) -> Sound | None:
    try:
        sound = measure(file)
    except UserError as problem:
        report.findings.append(Finding("fault", file, problem.message, problem.hint))
        return None
    if sound.rms_dbfs < SILENT_DBFS:
        hint = "Record it again, or leave this setting out: no error can be measured against silence."
        report.findings.append(Finding("fault", file, f"{file} is silent ({sound.rms_dbfs:.0f} dBFS)", hint))
    elif sound.peak_dbfs > CLIP_PEAK_DBFS:
        report.findings.append(Finding("warning", file, f"{file} touches full scale", "Listen for clipping."))
    return sound


def _compare(take: Take, dry: Sound | None, wet: Sound | None, report: Report) -> None:
    if dry is None or wet is None:
        return
    if dry.rate_hz != wet.rate_hz:
        message = f"{take.wet} is at {wet.rate_hz} Hz but its dry {take.dry.name} is at {dry.rate_hz} Hz"
        report.findings.append(Finding("fault", take.wet, message, "Resample one of them so that both agree."))
    elif dry.frames != wet.frames:
        message = f"{take.wet} has {wet.frames - dry.frames:+d} samples against its dry {take.dry.name}"
        hint = 'Its start or end was cut: set "align": true in the data config.'
        report.findings.append(Finding("warning", take.wet, message, hint))


def _check_rates(report: Report) -> None:
    stated = report.manifest.sample_rate
    for take in report.takes:
        if take.wet_sound and stated and take.wet_sound.rate_hz != stated:
            message = f"{take.wet} is at {take.wet_sound.rate_hz} Hz but the manifest says {stated} Hz"
            report.findings.append(Finding("fault", take.wet, message, "Correct sample_rate or resample the file."))
    rates = sorted({take.wet_sound.rate_hz for take in report.takes if take.wet_sound})
    if len(rates) > 1 and not stated:
        message = f"{report.manifest.path}: takes are at {' and '.join(map(str, rates))} Hz"
        report.findings.append(Finding("fault", report.manifest.path, message, "Resample all takes to one rate."))


def _check_settings(report: Report) -> None:
    seen: dict[tuple, Take] = {}
    for take in report.manifest.takes:
        key = (take.dry, *take.setting.values())
        if key in seen:
            message = f"{take.wet} has the same setting and dry signal as {seen[key].wet.name}"
            report.findings.append(Finding("warning", take.wet, message, "Is one of them mislabelled?"))
        seen.setdefault(key, take)


def _db(value: float) -> float:
    return round(20 * float(np.log10(max(value, 1e-10))), 2)
