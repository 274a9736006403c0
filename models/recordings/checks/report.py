"""models/recordings/checks/report.py."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from models.knobs.schema import Setting
from models.recordings.alignment import Lag
from models.recordings.checks.measurements import NoiseFloor, Sound
from models.recordings.checks.similarity import Step
from models.recordings.manifest import Manifest


@dataclass(frozen=True)
class Finding:
    """Something to know about one file; a fault stops training, a warning does not."""

    severity: str
    file: Path
    message: str
    hint: str

    def to_json(self) -> dict:
        """The finding as plain data."""
        return {**asdict(self), "file": str(self.file)}


def group_findings(findings: Iterable[Finding]) -> list[tuple[Finding, list[Path]]]:
    """What is said of several files alike, but for its numbers, once: the first finding, and the other files."""
    groups: dict[tuple, list[Finding]] = {}
    for finding in findings:
        said = finding.message.replace(str(finding.file), "")
        groups.setdefault((finding.severity, finding.hint, re.sub(r"[-+]?\d[\d.]*", "#", said)), []).append(finding)
    return [(first, [finding.file for finding in others]) for first, *others in groups.values()]


@dataclass(frozen=True)
class TakeReport:
    """One take as it was found; None stands for what could not be heard."""

    wet: Path
    dry: Path
    setting: Setting
    channel: int | None = None
    stated_delay: float | None = None
    wet_sound: Sound | None = None
    dry_sound: Sound | None = None
    lag: Lag | None = None
    rest: NoiseFloor | None = None
    repeat_esr: float | None = None

    @property
    def session(self) -> tuple:
        """Equal for takes of one dry signal, whatever its files are called."""
        return (self.dry_sound.sha256, self.dry_sound.rate_hz) if self.dry_sound else (self.dry,)

    def to_json(self) -> dict:
        """The take as plain data."""
        lag = dict.fromkeys(("delay_samples", "polarity", "drift_ppm", "confidence"))
        return {
            "output_file": str(self.wet),
            "input_file": str(self.dry),
            "setting": self.setting,
            **(asdict(self.lag) if self.lag else lag),
            "stated_delay_samples": self.stated_delay,
            "repeat_esr": self.repeat_esr,
            "rest": self.rest and asdict(self.rest),
            "wet": self.wet_sound and asdict(self.wet_sound),
            "dry": self.dry_sound and asdict(self.dry_sound),
        }


@dataclass
class Report:
    """A checked manifest; `excerpts` are a few seconds of each take, lined up."""

    manifest: Manifest
    takes: list[TakeReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    excerpts: dict[Path, np.ndarray] = field(default_factory=dict)

    @property
    def faults(self) -> list[Finding]:
        """The findings that stop training."""
        return [finding for finding in self.findings if finding.severity == "fault"]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that cost something."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def to_json(self) -> dict:
        """The report as plain data."""
        return {
            "schema": "zoo.check/2",
            "manifest": str(self.manifest.path),
            "device": self.manifest.device,
            "knobs": [knob.model_dump(mode="json") for knob in self.manifest.knobs.knobs],
            "takes": [take.to_json() for take in self.takes],
            "steps": [asdict(step) for step in self.steps],
            "faults": [finding.to_json() for finding in self.faults],
            "warnings": [finding.to_json() for finding in self.warnings],
        }
