"""Checks a knob dataset before any training: measures every take, then applies the rules.

Takes are decoded one after the other. What stays of each is its numbers and `EXCERPT_SECONDS` of its sound, so 243
takes of three minutes need little more memory than one of them. Shapes: T time, N takes, S samples of an excerpt, P
level features, D coordinates of a setting.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.audio.error_ratio import error_ratio
from models.audio.interpolation import read_between
from models.audio.io import open_audio
from models.core.errors import UserError
from models.knobs.schema import Knobs
from models.recordings.alignment import Lag, TakeResponse, reconcile_lags
from models.recordings.checks.content_rules import check_effects, check_jumps, check_presence, check_roles
from models.recordings.checks.contents import DryLevels, measure_contents, measure_dry_levels
from models.recordings.checks.grid import ComparableTake, check_statements, measure_grid, read_part
from models.recordings.checks.measurements import Sound, find_repeat, measure_noise_floor, measure_sound, silent_spans
from models.recordings.checks.mislabels import level_features
from models.recordings.checks.report import Finding, Report, TakeReport, takes_by_dry
from models.recordings.checks.rules import (
    SILENT_DBFS,
    check_belonging,
    check_clock,
    check_duplicates,
    check_file,
    check_labels,
    check_lengths,
    check_rates,
    check_sessions,
    check_settings,
    check_sounds,
    check_take,
)
from models.recordings.checks.similarity import KnobStep, distances, knob_steps
from models.recordings.manifest import Manifest, Take, read_manifest
from models.recordings.output_files import output_of
from models.recordings.response_cache import recall_response
from models.recordings.session_delays import SessionDelays
from models.recordings.take_reader import DrySignal, TakeReader

EXCERPT_SECONDS, EXCERPT_PARTS = 2.0, 16

MIN_FRAMES = 256  # of a file, to estimate a lag from it

COMMON_LAG_SECONDS = 0.00025  # takes whose lags differ by less are compared at one lag


def check(path: Path, on_take: Callable[[int, int], None] | None = None) -> Report:
    """Read a manifest and every file it names; `on_take(done, total)` is called after each take.

    What is wrong with takes becomes findings, all of them. Raises `UserError` for a manifest that cannot be read.
    """
    manifest = read_manifest(path)
    inspection, total = Inspection(manifest), len(manifest.takes) + len(manifest.held_takes)
    for done, (take, held) in enumerate(
        [*((take, False) for take in manifest.takes), *((take, True) for take in manifest.held_takes)], 1
    ):
        inspection.add(take, held)
        if on_take:
            on_take(done, total)
    return inspection.report()


class Inspection:
    """Takes of one manifest that are measured as they are added, and judged together by the rules of `check`.

    Takes to train on and held takes are aligned apart from each other, as training does.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest, self._measurer = manifest, _TakeMeasurer()
        self._measured: dict[bool, list[tuple[TakeReport, TakeResponse | None]]] = {False: [], True: []}

    def add(self, take: Take, held: bool = False) -> None:
        """Measure one more take."""
        report, response = self._measurer.measure(take)
        report = replace(report, output=output_of(self._manifest.knobs, take.setting))
        self._measured[held].append((report, response))

    def discard(self, wet: Path) -> None:
        """Forget the takes that were recorded in a file, and the file."""
        for held, measured in self._measured.items():
            self._measured[held] = [(take, response) for take, response in measured if take.wet != wet]
        self._measurer.forget(wet)

    def rename(self, wet: Path, new: Path) -> None:
        """Follow a recorded file to its new name."""
        for held, measured in self._measured.items():
            self._measured[held] = [
                (replace(take, wet=new) if take.wet == wet else take, response) for take, response in measured
            ]
        self._measurer.rename(wet, new)

    def report(self, complete: bool = True) -> Report:
        """Judge the takes; without `complete`, what only the whole of a session can show is not looked for."""
        manifest = self._manifest
        takes = [take for measured in self._measured.values() for take in _reconcile(measured, manifest.delays)]
        findings, spoiled = _check_each(takes, self._measurer, manifest.sample_rate)
        sound = [take for take in takes if take not in spoiled]
        faulty = {finding.file for finding in findings}
        for take in sound:
            findings += check_clock(take)
        findings += check_lengths(sound, manifest.path, complete)
        findings += check_duplicates(sound)
        if complete:
            findings += check_settings(takes, manifest)
        findings += check_sessions(sound, manifest.path)
        steps: list[KnobStep] = []
        excerpts: dict[Path, np.ndarray] = {}
        groups: list[list[ComparableTake]] = []
        for members in takes_by_dry(sound):
            comparable = [take for take in members if take.lag and take.wet_sound]
            if len(comparable) > 1:
                lags = _comparison_lags(comparable)
                excerpts_NS = np.stack([_excerpt(take, lag) for take, lag in zip(comparable, lags, strict=True)])
                groups.append(list(map(ComparableTake, comparable, lags, excerpts_NS)))
                excerpts.update(zip((take.wet for take in comparable), excerpts_NS, strict=True))
                found_steps, found = _compare_takes(comparable, excerpts_NS, manifest.knobs, faulty)
                steps += found_steps
                findings += found
        grid = measure_grid(manifest.knobs, groups) if complete else []
        findings += check_statements(manifest.knobs, grid, manifest.path)
        return Report(manifest, takes, findings, steps, excerpts, grid)


def _check_each(
    takes: list[TakeReport], measured: "_TakeMeasurer", stated_hz: int | None
) -> tuple[list[Finding], set[TakeReport]]:
    """Check every take by itself; returns the findings, and the takes that are not what they should be.

    Of such a take nothing else is told: its delay, its drift and its sound are consequences.
    """
    spoiling = check_roles(takes)
    exchanged = {finding.file for finding in spoiling}
    spoiled = {take for take in takes if take.dry in exchanged}
    for take in takes:
        if take not in spoiled and (found := check_presence(take) or check_belonging(take)):
            spoiling += found
            spoiled.add(take)
    whole = [take for take in takes if take not in spoiled]
    jumps = check_jumps(whole, measured.dry_levels)
    jumped = {finding.file for finding in jumps}
    spoiled |= {take for take in whole if take.wet in jumped}
    findings = measured.check_files({take.wet for take in spoiled}) + spoiling + jumps
    for take in takes:
        findings += check_rates(take, stated_hz)
        if take not in spoiled:
            findings += check_take(take) + check_effects(take)
    return findings, spoiled


def _reconcile(
    measured: list[tuple[TakeReport, TakeResponse | None]], delays: SessionDelays | None
) -> list[TakeReport]:
    """Give every take the lag that training would align it by."""
    lags: dict[TakeReport, Lag] = {}
    responses = {take: response for take, response in measured if response}
    for members in takes_by_dry(responses):
        lags.update(zip(members, reconcile_lags([responses[take] for take in members], delays), strict=True))
    return [replace(take, lag=lags.get(take)) for take, _ in measured]


class _TakeMeasurer:
    """Measures takes one by one, and each file once; `dry_levels` are by `TakeReport.dry_key`."""

    def __init__(self) -> None:
        self.dry_levels: dict[tuple, DryLevels] = {}
        self._files: list[Finding | tuple[Path, Sound, bool]] = []  # unreadable, or read and whether it is dry
        self._reader = TakeReader()
        self._sounds: dict[tuple[Path, int | None], Sound | None] = {}  # None: cannot be read
        self._dry: DrySignal | None = None  # that the next two belong to
        self._silent_spans: list[tuple[int, int]] = []
        self._repeat: tuple[int, int, int] | None = None

    def check_files(self, spoiled: set[Path]) -> list[Finding]:
        """Check each file by itself; dropouts of takes that are `spoiled` are no findings of their own."""
        found: list[Finding] = []
        for file in self._files:
            if isinstance(file, Finding):
                found.append(file)
                continue
            path, sound, is_dry = file
            found += check_file(path, replace(sound, dropouts=()) if path in spoiled else sound, is_dry=is_dry)
        return found

    def measure(self, take: Take) -> tuple[TakeReport, TakeResponse | None]:
        """Measure one take; without a response where the file or its dry signal cannot be used."""
        dry, wet_T = self._read_dry(take), self._read_wet(take)
        dry_sound, wet_sound = self._sounds[take.dry, take.channel], self._sounds[take.wet, take.channel]
        report = TakeReport(take.wet, take.dry, take.setting, take.channel, take.delay_samples, wet_sound, dry_sound)
        if dry is None or wet_T is None or dry_sound is None or wet_sound is None:
            return report, None
        if wet_sound.rate_hz != dry_sound.rate_hz or min(wet_sound.frames, dry_sound.frames) < MIN_FRAMES:
            return report, None
        if min(wet_sound.rms_dbfs, dry_sound.rms_dbfs) < SILENT_DBFS:
            return report, None
        response = recall_response(dry.x_T, wet_T, wet_sound.rate_hz, take.delay_samples)
        lag = response.lag
        if report.dry_key not in self.dry_levels:
            self.dry_levels[report.dry_key] = measure_dry_levels(dry.x_T, dry.rate_hz)
        contents = measure_contents(dry.x_T, wet_T, self.dry_levels[report.dry_key], lag, dry.rate_hz)
        noise = measure_noise_floor(wet_T, self._silent_spans, round(lag.delay_samples), wet_sound.rate_hz)
        repeat_esr = _repeat_esr(wet_T, lag, self._repeat) if self._repeat else None
        return replace(report, noise_floor=noise, repeat_esr=repeat_esr, contents=contents), response

    def forget(self, file: Path) -> None:
        """Forget a file, which will be another one when it is measured again."""
        self._files = [item for item in self._files if self._file_of(item) != file]
        self._sounds = {key: sound for key, sound in self._sounds.items() if key[0] != file}

    def rename(self, file: Path, new: Path) -> None:
        """Follow a file that was read to its new name."""
        self._files = [
            (new, *item[1:]) if isinstance(item, tuple) and item[0] == file else item for item in self._files
        ]
        self._sounds = {(new if key[0] == file else key[0], key[1]): sound for key, sound in self._sounds.items()}

    @staticmethod
    def _file_of(item: "Finding | tuple[Path, Sound, bool]") -> Path:
        return item.file if isinstance(item, Finding) else item[0]

    def _read_dry(self, take: Take) -> DrySignal | None:
        key = (take.dry, take.channel)
        if key in self._sounds and self._sounds[key] is None:
            return None
        try:
            dry = self._reader.read_dry(take)
        except UserError as problem:
            return self._unreadable(take.dry, take.channel, problem)
        self._add(take.dry, take.channel, dry.x_T, dry.rate_hz, is_dry=True)
        if dry is not self._dry:
            self._dry = dry
            self._silent_spans = silent_spans(dry.x_T, dry.rate_hz)
            self._repeat = find_repeat(dry.x_T, dry.rate_hz)
        return dry

    def _read_wet(self, take: Take) -> np.ndarray | None:
        try:
            wet_T, rate_hz = self._reader.read_wet(take)
        except UserError as problem:
            return self._unreadable(take.wet, take.channel, problem)
        self._add(take.wet, take.channel, wet_T, rate_hz)
        return wet_T

    def _add(self, file: Path, channel: int | None, x_T: np.ndarray, rate_hz: int, is_dry: bool = False) -> None:
        if (file, channel) not in self._sounds:
            self._sounds[file, channel] = sound = measure_sound(x_T, rate_hz)
            self._files.append((file, sound, is_dry))

    def _unreadable(self, file: Path, channel: int | None, problem: UserError) -> None:
        if (file, channel) not in self._sounds:
            self._files.append(Finding("fault", file, problem.message, problem.hint))
        self._sounds[file, channel] = None


def _repeat_esr(wet_T: np.ndarray, lag: Lag, repeat: tuple[int, int, int]) -> float | None:
    """ESR between the two recordings of a passage that the dry signal plays twice; None where the first is silent."""
    first, again, length = repeat
    skipped = length // 4  # what was played before still rings
    parts = [
        read_between(wet_T, lag.delay_samples + lag.step * (start + skipped), lag.step, length - skipped)
        for start in (first, again)
    ]
    energy = float(np.square(parts[0]).sum())
    return error_ratio(float(np.square(parts[1] - parts[0]).sum()), energy) if energy > 0 else None


def _compare_takes(
    takes: list[TakeReport], excerpts_NS: np.ndarray, knobs: Knobs, faulty: set[Path]
) -> tuple[list[KnobStep], list[Finding]]:
    """Compare the takes of one dry signal with each other; their labels only where the files have no findings."""
    apart = distances(excerpts_NS)
    levels_ND = np.array([knobs.encode(take.setting) for take in takes]).reshape(len(takes), -1)
    steps = knob_steps(apart, {name: [take.setting[name] for take in takes] for name in knobs.names})
    findings = check_sounds(takes, apart, levels_ND, steps)
    rate_hz = next(take.wet_sound.rate_hz for take in takes if take.wet_sound)
    good = [number for number, take in enumerate(takes) if take.wet not in faulty]
    if good:
        level_NP = level_features(excerpts_NS[good], EXCERPT_PARTS, rate_hz)
        findings += check_labels([takes[number] for number in good], level_NP, knobs)
    return steps, findings


def _comparison_lags(takes: list[TakeReport]) -> list[Lag]:
    """The lag to compare each take at: the median where all are nearly equal, so that a knob's own delay stays in."""
    lags = [take.lag for take in takes if take.lag]
    delays = [lag.delay_samples for lag in lags]
    rate_hz = max(take.wet_sound.rate_hz for take in takes if take.wet_sound)
    if max(delays) - min(delays) > COMMON_LAG_SECONDS * rate_hz or len({lag.polarity for lag in lags}) > 1:
        return lags
    return [replace(lag, delay_samples=float(np.median(delays))) for lag in lags]


def _excerpt(take: TakeReport, lag: Lag) -> np.ndarray:
    """`EXCERPT_PARTS` parts from all over a take, aligned with its dry signal, `(S,)` float32."""
    wet, dry = take.wet_sound, take.dry_sound
    assert wet and dry
    length = min(int(EXCERPT_SECONDS * wet.rate_hz), dry.frames) // EXCERPT_PARTS
    out_S = np.empty(length * EXCERPT_PARTS, np.float32)
    with open_audio(take.wet) as file:
        for part, start in enumerate(np.linspace(0, dry.frames - length, EXCERPT_PARTS).astype(int)):
            out_S[part * length : (part + 1) * length] = read_part(file, take, lag, int(start), length)
    return out_S
