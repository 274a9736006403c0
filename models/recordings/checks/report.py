"""What a check returns: reports on takes, findings, and the whole as plain data."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from models.knobs.schema import Setting, Value
from models.recordings.alignment import UNRELATED, Lag
from models.recordings.checks.contents import Contents
from models.recordings.checks.measurements import NoiseFloor, Sound
from models.recordings.checks.similarity import KnobStep
from models.recordings.knob_filters import KnobFilter
from models.recordings.manifest import Manifest
from models.recordings.response_length import GOOD_ESR, USELESS_ESR, needed_field
from models.recordings.take_reader import group_by_dry


@dataclass(frozen=True)
class Finding:
    """A problem of one file; `severity` is "fault" (the check exits with code 1) or "warning".

    `again` says of a warning that a new recording would be without it, where the device itself is not the cause.
    """

    severity: str
    file: Path
    message: str
    hint: str
    again: bool = False

    def to_json(self) -> dict:
        """Return the finding as plain data."""
        told = {name: value for name, value in asdict(self).items() if name != "again"}
        return {**told, "file": str(self.file)}


def group_findings(findings: Iterable[Finding]) -> list[tuple[Finding, list[Path]]]:
    """Group findings that differ in file and numbers alone: the first of each group, and the files of the others."""
    groups: dict[tuple, list[Finding]] = {}
    for finding in findings:
        text = finding.message.replace(str(finding.file), "")
        groups.setdefault((finding.severity, finding.hint, re.sub(r"[-+]?\d[\d.]*", "#", text)), []).append(finding)
    return [(first, [finding.file for finding in others]) for first, *others in groups.values()]


@dataclass(frozen=True, eq=False)
class TakeReport:
    """Measurements of one take; None stands for what could not be measured.

    `lag` is None unless both files can be used. `repeat_esr` is the ESR between two recordings of one passage.
    `output` is which of several files of a take it is.
    """

    wet: Path
    dry: Path
    setting: Setting
    channel: int | None = None
    stated_delay: float | None = None
    wet_sound: Sound | None = None
    dry_sound: Sound | None = None
    lag: Lag | None = None
    noise_floor: NoiseFloor | None = None
    repeat_esr: float | None = None
    contents: Contents | None = None
    output: Value | None = None

    @property
    def dry_key(self) -> tuple:
        """Equal for takes of one dry signal, whatever its files are called."""
        return (self.dry_sound.sha256, self.dry_sound.rate_hz) if self.dry_sound else (self.dry,)

    @property
    def known_lag(self) -> Lag | None:
        """The lag where the take has to do with its dry signal; that of another take tells nothing."""
        return self.lag if self.lag and self.lag.confidence >= UNRELATED else None

    def to_json(self) -> dict:
        """Return the take as plain data."""
        lag = dict.fromkeys(("delay_samples", "polarity", "drift_ppm", "confidence"))
        return {
            "output_file": str(self.wet),
            "input_file": str(self.dry),
            "setting": self.setting,
            **(asdict(self.lag) if self.lag else lag),
            "stated_delay_samples": self.stated_delay,
            "repeat_esr": self.repeat_esr,
            "rest": self.noise_floor and asdict(self.noise_floor),
            "wet": self.wet_sound and asdict(self.wet_sound),
            "dry": self.dry_sound and asdict(self.dry_sound),
        }


def takes_by_dry(takes: Iterable[TakeReport]) -> list[list[TakeReport]]:
    """Group takes by their dry signal; a DI and a microphone of the same takes are two groups."""
    return group_by_dry(takes, lambda take: (take.dry_key, take.output))


@dataclass(frozen=True)
class Miss:
    """What the best blend of a take's two neighbors along one knob misses of it (ESR), at its position."""

    position: Value
    esr: float


@dataclass(frozen=True)
class KnobGrid:
    """What the takes tell about one knob.

    `filter` is None where no takes differ in the knob alone, or are too short for it; `misses` is empty where no three
    takes do.
    """

    knob: str
    filter: KnobFilter | None
    misses: tuple[Miss, ...]

    @property
    def mean(self) -> float | None:
        """The mean of what neighbors miss."""
        return fmean(miss.esr for miss in self.misses) if self.misses else None

    @property
    def worst(self) -> Miss | None:
        """Where neighbors miss most."""
        return max(self.misses, key=lambda miss: miss.esr, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "knob": self.knob,
            "filter": self.filter and self.filter.model_dump(mode="json") | {"accepted": self.filter.is_accepted},
            "neighbors": {"mean_esr": self.mean, "worst": self.worst and asdict(self.worst), "takes": len(self.misses)},
        }


@dataclass(frozen=True, eq=False)
class Report:
    """A checked manifest; `excerpts` are a few seconds of each comparable take, `(S,)`, aligned with its dry signal."""

    manifest: Manifest
    takes: list[TakeReport]
    findings: list[Finding]
    steps: list[KnobStep]
    excerpts: dict[Path, np.ndarray]
    grid: Sequence[KnobGrid] = ()

    @property
    def faults(self) -> list[Finding]:
        """The findings with severity "fault"."""
        return [finding for finding in self.findings if finding.severity == "fault"]

    @property
    def warnings(self) -> list[Finding]:
        """The findings with severity "warning"."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def needed_field(self, esr: float) -> int | None:
        """Return the receptive field in samples that misses no more than this of any take; None if unknown."""
        lengths = [take.contents.length for take in self.takes if take.contents and take.contents.length]
        rates = [take.wet_sound.rate_hz for take in self.takes if take.wet_sound]
        return needed_field(lengths, esr, rates[0]) if lengths else None

    def to_json(self) -> dict:
        """Return the report as plain data, schema `zoo.check/3`."""
        return {
            "schema": "zoo.check/3",
            "manifest": str(self.manifest.path),
            "device": self.manifest.device,
            "knobs": [knob.model_dump(mode="json") for knob in self.manifest.knobs.knobs],
            "takes": [take.to_json() for take in self.takes],
            "steps": [asdict(step) for step in self.steps],
            "grid": [knob.to_json() for knob in self.grid],
            "receptive_field": {f"{esr:g}": self.needed_field(esr) for esr in (USELESS_ESR, GOOD_ESR)},
            "faults": [finding.to_json() for finding in self.faults],
            "warnings": [finding.to_json() for finding in self.warnings],
        }
