"""What is in a knob dataset and what is wrong with it, before any training.

Takes are heard one after the other; what is kept of each is its numbers and `EXCERPT_SECONDS` of its sound, so that 243 takes of three minutes need
little more memory than one of them. Shapes: T time, N takes, S samples of an excerpt, D levels of a setting.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.audio.decibels import decibels
from models.audio.interpolation import HALF, read_between
from models.audio.io import open_audio, read_audio
from models.core.errors import UserError
from models.recordings.alignment import Lag, TakeResponse, measure_response, reconcile_lags
from models.recordings.checks.measurements import Sound, find_repeat, measure, measure_noise_floor, silent_spans
from models.recordings.checks.mislabels import level_features
from models.recordings.checks.report import Finding, Report, TakeReport
from models.recordings.checks.rules import (
    SILENT_DBFS,
    check_clock,
    check_file,
    check_labels,
    check_lengths,
    check_sessions,
    check_settings,
    check_sounds,
    check_take,
    sessions,
)
from models.recordings.checks.similarity import Distances, distances, knob_steps
from models.recordings.manifest import Take, read_manifest

EXCERPT_SECONDS, EXCERPT_PARTS = 2.0, 16

MIN_FRAMES = 256

IN_STEP_SECONDS = 0.00025


def check(path: Path, on_take: Callable[[int, int], None] | None = None) -> Report:
    """Read a manifest and every file it names; `on_take(done, total)` is called after each take.

    A manifest that cannot be read raises `UserError`; what is wrong with takes becomes findings, all of them.
    """
    report = Report(read_manifest(path))
    ear = _Ear(report)
    total = len(report.manifest.takes) + len(report.manifest.held_takes)
    for takes in (report.manifest.takes, report.manifest.held_takes):
        before = len(report.takes)
        for take in takes:
            report.takes.append(ear.measure_response(take))
            if on_take:
                on_take(len(report.takes), total)
        report.takes[before:] = ear.bring_in_step(report.takes[before:])
    for take in report.takes:
        report.findings += check_take(take, report.manifest.sample_rate)
    spoilt = {finding.file for finding in report.findings}
    for take in report.takes:
        report.findings += check_clock(take)
    report.findings += check_lengths(report.takes, report.manifest.path)
    report.findings += check_settings(report.takes, report.manifest)
    report.findings += check_sessions(report.takes, report.manifest.path)
    for takes in sessions(report.takes):
        _compare(report, [take for take in takes if take.lag and take.wet_sound], spoilt)
    return report


@dataclass
class _Ear:
    """Hears takes one by one; holds no more than one dry signal."""

    report: Report
    sounds: dict[tuple[Path, int | None], Sound | None] = field(default_factory=dict)
    heard: dict[tuple[Path, Path, int | None], TakeResponse] = field(default_factory=dict)
    dry_key: tuple[Path, int | None] | None = None
    dry_T: np.ndarray | None = None
    rests: list[tuple[int, int]] = field(default_factory=list)
    repeat: tuple[int, int, int] | None = None

    def measure_response(self, take: Take) -> TakeReport:
        """Everything that one take says by itself."""
        if (take.dry, take.channel) != self.dry_key:
            self.dry_key, self.dry_T = (take.dry, take.channel), self._listen(take.dry, take.channel, dry=True)
            if (dry := self.sounds[self.dry_key]) and self.dry_T is not None:
                self.rests = silent_spans(self.dry_T, dry.rate_hz)
                self.repeat = find_repeat(self.dry_T, dry.rate_hz)
        wet_T, dry_T = self._listen(take.wet, take.channel), self.dry_T
        wet, dry = self.sounds[take.wet, take.channel], self.sounds[take.dry, take.channel]
        found = TakeReport(take.wet, take.dry, take.setting, take.channel, take.delay_samples, wet, dry)
        if wet is None or dry is None or wet_T is None or dry_T is None or wet.rate_hz != dry.rate_hz:
            return found
        if min(wet.frames, dry.frames) < MIN_FRAMES or min(wet.rms_dbfs, dry.rms_dbfs) < SILENT_DBFS:
            return found
        heard = self.heard[take.wet, take.dry, take.channel] = measure_response(dry_T, wet_T, wet.rate_hz)
        lag = heard.lag
        rest = measure_noise_floor(wet_T, self.rests, round(lag.delay_samples), wet.rate_hz)
        return replace(found, lag=lag, rest=rest, repeat_esr=self._repeat_esr(wet_T, lag))

    def bring_in_step(self, takes: list[TakeReport]) -> list[TakeReport]:
        """The same takes, each with the lag that it has beside the others of its dry signal: what training lines it up by."""
        lags: dict[int, Lag] = {}
        for members in sessions(takes):
            lined_up = [take for take in members if take.lag]
            found = reconcile_lags([self.heard[take.wet, take.dry, take.channel] for take in lined_up])
            lags.update((id(take), lag) for take, lag in zip(lined_up, found, strict=True))
        return [replace(take, lag=lags.get(id(take))) for take in takes]

    def _listen(self, file: Path, channel: int | None, dry: bool = False) -> np.ndarray | None:
        heard = (file, channel) in self.sounds
        try:
            x_T, rate = read_audio(file, channel)
        except UserError as problem:
            if not heard:
                self.report.findings.append(Finding("fault", file, problem.message, problem.hint))
            self.sounds[file, channel] = None
            return None
        if not heard:
            self.sounds[file, channel] = sound = measure(x_T, rate)
            self.report.findings += check_file(file, sound, played=dry)
        return x_T

    def _repeat_esr(self, wet_T: np.ndarray, lag: Lag) -> float | None:
        if self.repeat is None:
            return None
        first, again, length = self.repeat
        settle = length // 4  # what was played before still rings
        parts = [
            read_between(wet_T, lag.delay_samples + lag.step * (at + settle), lag.step, length - settle)
            for at in (first, again)
        ]
        energy = float(np.square(parts[0]).sum())
        return float(np.square(parts[1] - parts[0]).sum()) / energy if energy > 0 else None


def _compare(report: Report, takes: list[TakeReport], spoilt: set[Path]) -> None:
    """Hear the same excerpt of all takes of a dry signal, lined up, and judge them by each other; labels, where nothing spoils the sound."""
    if len(takes) < 2:
        return
    knobs = report.manifest.knobs
    excerpts_NS = np.stack([_excerpt(take, lag) for take, lag in zip(takes, _shared_lags(takes), strict=True)])
    report.excerpts.update({take.wet: excerpt_S for take, excerpt_S in zip(takes, excerpts_NS, strict=True)})
    apart: Distances = distances(excerpts_NS)
    levels_ND = np.array([knobs.encode(take.setting) for take in takes]).reshape(len(takes), -1)
    found = knob_steps(apart, {name: [take.setting[name] for take in takes] for name in knobs.names})
    report.steps += found
    report.findings += check_sounds(takes, apart, levels_ND, found)
    rate_hz = next(take.wet_sound.rate_hz for take in takes if take.wet_sound)
    good = [number for number, take in enumerate(takes) if take.wet not in spoilt]
    if good:
        level_NP = level_features(excerpts_NS[good], EXCERPT_PARTS, rate_hz)
        report.findings += check_labels([takes[number] for number in good], level_NP, knobs)


def _shared_lags(takes: list[TakeReport]) -> list[Lag]:
    """The lag to compare each take at: one for all where they were recorded in step, for a knob's own shift belongs to its sound."""
    lags = [take.lag for take in takes if take.lag]
    delays = [lag.delay_samples for lag in lags]
    rate = max(take.wet_sound.rate_hz for take in takes if take.wet_sound)
    if max(delays) - min(delays) > IN_STEP_SECONDS * rate or len({lag.polarity for lag in lags}) > 1:
        return lags
    return [replace(lag, delay_samples=float(np.median(delays))) for lag in lags]


def _excerpt(take: TakeReport, lag: Lag) -> np.ndarray:
    """Parts from all over a take, lined up with its dry signal, `(S,)` float32."""
    wet, dry = take.wet_sound, take.dry_sound
    assert wet and dry
    length = min(int(EXCERPT_SECONDS * wet.rate_hz), dry.frames) // EXCERPT_PARTS
    out_S = np.empty(length * EXCERPT_PARTS, np.float32)
    with open_audio(take.wet) as file:
        for part, start in enumerate(np.linspace(0, dry.frames - length, EXCERPT_PARTS).astype(int)):
            position = lag.delay_samples + lag.step * int(start)
            first = min(max(int(position) - HALF, 0), wet.frames)
            file.seek(first)
            near_TC = file.read(length + 3 * HALF, dtype="float32", always_2d=True)
            near_T = near_TC[:, min(take.channel or 0, near_TC.shape[1] - 1)]
            out_S[part * length : (part + 1) * length] = lag.polarity * read_between(
                near_T, position - first, lag.step, length
            )
    return out_S


def band_levels(excerpt_S: np.ndarray, rate_hz: int, edges_hz: np.ndarray) -> np.ndarray:
    """Level of an excerpt between neighbouring edges, in dBFS."""
    power_F = np.abs(np.fft.rfft(excerpt_S)) ** 2 * 2 / len(excerpt_S) ** 2
    hz_F = np.fft.rfftfreq(len(excerpt_S), 1 / rate_hz)
    return np.array(
        [decibels(float(power_F[(hz_F >= low) & (hz_F < high)].sum()) ** 0.5) for low, high in pairwise(edges_hz)]
    )
