"""Rules that turn measurements into findings: faults (the check exits with code 1) and warnings.

Shapes: N takes, P level features, D coordinates of a setting, M candidate settings.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from models.knobs.schema import AnyKnob, Knob, Knobs, Value
from models.knobs.text import format_setting
from models.recordings.alignment import UNRELATED
from models.recordings.checks.measurements import FLAT_TOPS, Sound
from models.recordings.checks.mislabels import find_mislabels, label_candidates
from models.recordings.checks.report import Finding, TakeReport, takes_by_dry
from models.recordings.checks.similarity import (
    ALIKE_ESR,
    COLOR_STEP,
    SHORT_RANGE,
    WIDE_END,
    WIDE_STEP,
    Distances,
    KnobStep,
    confounded_knobs,
    group_similar,
)
from models.recordings.manifest import Manifest

SILENT_DBFS, FAINT_DBFS, CLIP_PEAK_DBFS = -90.0, -50.0, -0.01

DC_DBFS, DC_BELOW_DB = -46.0, 26.0  # an offset above this level that is less than so far below the RMS

NOISE_DB, HUM_DB = 30.0, 40.0  # below the RMS: noise alone at 30 dB is an ESR of 0.001

REPEAT_ESR, REPEAT_ABOVE_NOISE = 0.01, 4.0  # of a passage, whose level may be lower than that of the take

SAME_DELAY_SECONDS, SAME_DELAY_SPREADS = (
    0.0001,
    9.0,
)  # between takes of one dry signal; a tone stack moves the peak by less

LEAD_SECONDS, LATE_SECONDS = 0.00005, 0.002

FEW_FILES = 3  # more findings of one kind become one finding of the manifest

CLIPPED_WET_HINT = "Record it again with less input gain, or the model learns the converter's clipping as the amp's."
CLIPPED_DRY_HINT = (
    "It must be the signal that was played. If that signal is not clipped, use its file here; "
    "otherwise lower its level and record the takes again."
)

ALIGN_HINT = 'Write aligned copies of the takes, or set "align": true in the data config.'


def check_file(file: Path, sound: Sound, is_dry: bool = False) -> list[Finding]:
    """Check one file by itself; a dry signal may have gaps."""
    if sound.rms_dbfs < SILENT_DBFS:
        hint = "Record it again, or leave this setting out: no error can be measured against silence."
        return [Finding("fault", file, f"{file} is silent ({sound.rms_dbfs:.0f} dBFS)", hint)]
    found = []
    if sound.flat_tops >= FLAT_TOPS:
        message = f"{file} is clipped: {sound.flat_tops} flat tops at {sound.peak_dbfs:.1f} dBFS"
        hint = CLIPPED_DRY_HINT if is_dry else CLIPPED_WET_HINT
        found.append(Finding("warning", file, message, hint, again=True))
    elif sound.peak_dbfs > CLIP_PEAK_DBFS:
        found.append(Finding("warning", file, f"{file} touches full scale", "Listen for clipping.", again=True))
    if sound.dropouts and not is_dry:
        where = f"at {sound.dropouts[0] / sound.rate_hz:.3f} s"
        count = len(sound.dropouts)
        message = f"{file} has {f'{count} dropouts, the first {where}' if count > 1 else f'a dropout {where}'}"
        hint = "Record it again: no amp has dropouts, and a model would learn them."
        found.append(Finding("warning", file, message, hint, again=True))
    if sound.dc_dbfs > DC_DBFS and sound.rms_dbfs - sound.dc_dbfs < DC_BELOW_DB:
        message = f"{file} has an offset of {sound.dc_dbfs:.0f} dBFS (DC)"
        hint = "Look for its cause in the interface, or high-pass all takes at 10 Hz: it adds error to every sample."
        found.append(Finding("warning", file, message, hint))
    if sound.peak_dbfs < FAINT_DBFS:
        hint = "Record it louder: at 16 bit its rounding is an error that no model can remove."
        message = f"{file} is faint: it peaks at {sound.peak_dbfs:.0f} dBFS"
        found.append(Finding("warning", file, message, hint, again=True))
    return found


def check_rates(take: TakeReport, stated_hz: int | None) -> list[Finding]:
    """Check the rate of one take against its dry signal and against `stated_hz`, which the manifest states."""
    wet, dry, found = take.wet_sound, take.dry_sound, []
    if wet and stated_hz and wet.rate_hz != stated_hz:
        message = f"{take.wet} is at {wet.rate_hz} Hz but the manifest says {stated_hz} Hz"
        found.append(Finding("fault", take.wet, message, "Correct sample_rate or resample the file."))
    if wet and dry and dry.rate_hz != wet.rate_hz:
        message = f"{take.wet} is at {wet.rate_hz} Hz but its dry {take.dry.name} is at {dry.rate_hz} Hz"
        found.append(Finding("fault", take.wet, message, "Resample one of them so that both agree."))
    return found


def check_belonging(take: TakeReport) -> list[Finding]:
    """Check that one take answers its dry signal at any delay."""
    if take.lag is None or take.lag.confidence >= UNRELATED:
        return []
    message = f"{take.wet} has little to do with its dry {take.dry.name} (confidence {take.lag.confidence:.2f})"
    hint = "It was searched from start to end. Is it the right file, and the right input_file?"
    return [Finding("fault", take.wet, message, hint)]


def check_take(take: TakeReport) -> list[Finding]:
    """Check one take for noise, and for a passage that does not repeat itself."""
    if take.wet_sound is None or take.dry_sound is None:
        return []
    found = _check_noise(take, take.wet_sound)
    if take.repeat_esr is not None and take.repeat_esr > max(REPEAT_ESR, REPEAT_ABOVE_NOISE * _noise_esr(take)):
        message = f"{take.wet} does not repeat itself: the same passage differs by ESR {take.repeat_esr:.3f}"
        hint = "The amp warmed up, or a knob moved: no model can reach a lower error."
        found.append(Finding("warning", take.wet, message, hint, again=True))
    return found


def _noise_esr(take: TakeReport) -> float:
    """Return by what error (ESR) two recordings of a passage differ by the noise of the take alone."""
    if take.noise_floor is None or take.wet_sound is None:
        return 0.0
    return 2 * 10 ** ((take.noise_floor.noise_dbfs - take.wet_sound.rms_dbfs) / 10)


def _check_noise(take: TakeReport, wet: Sound) -> list[Finding]:
    if take.noise_floor is None:
        return []
    noise, mains_hz = take.noise_floor, take.noise_floor.mains_hz
    below = wet.rms_dbfs - noise.noise_dbfs
    if below < NOISE_DB:
        mostly_hum = noise.noise_dbfs - noise.hum_dbfs < 3
        what = f"hum at {mains_hz:.0f} Hz and its harmonics" if mostly_hum else "noise"
        limit = 10 ** (-below / 10)
        message = f"{take.wet} has {what} {below:.0f} dB below its sound: no model can reach an ESR below {limit:.4f}"
        return [Finding("warning", take.wet, message, "Lower the noise, or leave the take out.")]
    if wet.rms_dbfs - noise.hum_dbfs < HUM_DB:
        message = f"{take.wet} hums at {mains_hz:.0f} Hz, {wet.rms_dbfs - noise.hum_dbfs:.0f} dB below its sound"
        return [Finding("warning", take.wet, message, "Look for a ground loop; a model would learn the hum.")]
    return []


def check_clock(take: TakeReport) -> list[Finding]:
    """Check one take for clock drift and a wrong stated delay, beyond a short delay of the amp's own."""
    lag, wet, dry, found = take.lag, take.wet_sound, take.dry_sound, []
    if wet is None or dry is None or lag is None or lag.confidence < UNRELATED:
        return found
    late = lag.delay_samples - (take.stated_delay or 0)
    if take.stated_delay is not None and not -_lead_samples(wet) <= late <= LATE_SECONDS * wet.rate_hz:
        message = (
            f"{take.wet} is late by {lag.delay_samples:+.2f} samples, "
            f"but the manifest states a delay of {take.stated_delay:+g}"
        )
        hint = 'Correct it, or set "align": true in the data config; without that, training removes the stated delay.'
        found.append(Finding("warning", take.wet, message, hint))
    if lag.drift_ppm:
        total = lag.drift_ppm * 1e-6 * dry.frames
        message = f"{take.wet} drifts: its clock is {lag.drift_ppm:+.1f} ppm off, {total:+.1f} samples by its end"
        found.append(Finding("warning", take.wet, message, f"Record and play on one clock. {ALIGN_HINT}"))
    return found


def _lead_samples(sound: Sound) -> float:
    """By how much a take may seem to lead its dry signal."""
    return max(LEAD_SECONDS * sound.rate_hz, 1)


def check_lengths(takes: list[TakeReport], manifest: Path, complete: bool = True) -> list[Finding]:
    """Check that takes without a stated delay are as long as their dry signals; many are one finding.

    Without `complete`, takes that are too long are passed over: they have all of their signal.
    """
    missing = {
        take.wet: (take.wet_sound.frames - take.dry_sound.frames, take.dry.name)
        for take in takes
        if take.stated_delay is None
        and take.wet_sound
        and take.dry_sound
        and take.wet_sound.rate_hz == take.dry_sound.rate_hz
    }
    missing = {wet: found for wet, found in missing.items() if found[0] < 0 or (found[0] and complete)}
    if len(missing) > FEW_FILES:
        low, high = min(frames for frames, _ in missing.values()), max(frames for frames, _ in missing.values())
        span = f"{low:+d}" if low == high else f"{low:+d} to {high:+d}"
        message = f"{manifest}: {len(missing)} of {len(takes)} takes have {span} samples against their dry signal"
        why = "Their starts or ends were cut." if low < 0 else "They were recorded for longer."
        return [Finding("warning", manifest, message, f"{why} {ALIGN_HINT}")]
    return [
        Finding(
            "warning",
            wet,
            f"{wet} has {frames:+d} samples against its dry {dry}",
            f"{'Its start or end was cut.' if frames < 0 else 'It was recorded for longer.'} {ALIGN_HINT}",
        )
        for wet, (frames, dry) in missing.items()
    ]


def aligning_corrects(finding: Finding) -> bool:
    """Whether takes that are aligned, by a copy or in training, are without a finding."""
    return finding.hint == ALIGN_HINT


def check_settings(takes: list[TakeReport], manifest: Manifest) -> list[Finding]:
    """Check the settings of all takes: one rate, knobs that move together, missing positions."""
    found = []
    rates = sorted({take.wet_sound.rate_hz for take in takes if take.wet_sound})
    if len(rates) > 1 and not manifest.sample_rate:
        message = f"{manifest.path}: takes are at {' and '.join(map(str, rates))} Hz"
        found.append(Finding("fault", manifest.path, message, "Resample all takes to one rate."))
    values = {name: [take.setting[name] for take in takes] for name in manifest.knobs.names}
    for first, second in confounded_knobs(values):
        pairs = set(zip(values[first], values[second], strict=True))
        alone = len(pairs) > min(len(set(column)) for column in zip(*pairs, strict=True))  # one of them moved alone
        told = "move together but for a few takes" if alone else "always move together"
        message = f"{manifest.path}: {first} and {second} {told}, so that their effects cannot be separated"
        hint = f"Add takes that move {first} alone and {second} alone; until then do not offer both as knobs."
        found.append(Finding("warning", manifest.path, message, hint))
    for knob in manifest.knobs.knobs:
        found += _check_positions(knob, values[knob.name], manifest.path)
    return found


def check_duplicates(takes: list[TakeReport]) -> list[Finding]:
    """Check for two takes of one setting, and for two settings with the same audio."""
    found, labels, sounds = [], {}, {}
    for take in takes:
        label = (take.dry_key, *take.setting.values())
        twin = sounds.setdefault((take.dry_key, take.wet_sound.sha256), take) if take.wet_sound else take
        if label in labels:
            message = f"{take.wet} has the same setting and dry signal as {labels[label].wet.name}"
            found.append(Finding("warning", take.wet, message, "Is one of them mislabeled?"))
        elif twin is not take:
            message = f"{take.wet} is the same audio as {twin.wet.name}, though {_difference(take, twin)}"
            hint = "Was one of them exported or named wrongly? If the knob has no effect there, leave one out."
            found.append(Finding("fault", take.wet, message, hint))
        labels.setdefault(label, take)
    return found


def _check_positions(knob: AnyKnob, values: list[Value], manifest: Path) -> Iterator[Finding]:
    """Check a continuous knob for gaps of half its range, and for ends that lie far beyond what was recorded."""
    recorded = sorted({value for value in values if isinstance(value, float)})
    if not isinstance(knob, Knob) or len(recorded) < 2:
        return
    turn = {value: knob.encode(value)[0] for value in recorded}
    for low, high in pairwise(recorded):
        if turn[high] - turn[low] > WIDE_STEP:
            message = f"{manifest}: {knob.name} was not recorded between {low:g} and {high:g}, half its range or more"
            hint = "Record a position between them: the model has no data there."
            yield Finding("warning", manifest, message, hint)
    beyond = (turn[recorded[0]] + 1) / 2, (1 - turn[recorded[-1]]) / 2
    if 1 - sum(beyond) < SHORT_RANGE or max(beyond) > WIDE_END:
        span = f"from {recorded[0]:g} to {recorded[-1]:g} of {knob.min:g} to {knob.max:g}"
        hint = "Record more, or state the range that was recorded: the model has no data beyond it."
        yield Finding("warning", manifest, f"{manifest}: {knob.name} was recorded {span}", hint)


def check_sessions(takes: list[TakeReport], manifest: Path) -> list[Finding]:
    """Check delays (less the stated ones) and polarities of the takes of one dry signal against each other."""
    found = []
    for members in takes_by_dry(takes):
        related = [take for take in members if take.lag and take.lag.confidence >= UNRELATED]
        if related:
            found += _check_delays(related, manifest)
            found += _check_polarities(related)
    return found


def _check_delays(takes: list[TakeReport], manifest: Path) -> list[Finding]:
    """One fault where delays scatter, else one per take that is away from the median or leads its input."""
    sound, dry = takes[0].wet_sound, takes[0].dry
    assert sound
    delays = {take.wet: take.lag.delay_samples - (take.stated_delay or 0) for take in takes if take.lag}
    stated = ", after the delay that the manifest states," if any(take.stated_delay for take in takes) else ""
    middle, one = median(delays.values()), SAME_DELAY_SECONDS * sound.rate_hz
    spread = median(abs(delay - middle) for delay in delays.values())
    tolerance = max(one, 1.0, SAME_DELAY_SPREADS * min(spread, one))
    away = [wet for wet, delay in delays.items() if abs(delay - middle) > tolerance]
    early = [wet for wet, delay in delays.items() if delay < -_lead_samples(sound)]
    if len(away) > len(delays) / 3 or len(early) > 1:
        low, high = min(delays, key=lambda wet: delays[wet]), max(delays, key=lambda wet: delays[wet])
        message = (
            f"{manifest}: takes of {dry.name} are{stated} late by {delays[low]:+.2f} ({low.name}) to "
            f"{delays[high]:+.2f} samples ({high.name})"
            + (f"; {len(early)} of {len(delays)} lead their input, which no amp can" if early else "")
        )
        return [Finding("fault", manifest, message, ALIGN_HINT)]
    found = []
    for wet in dict.fromkeys(away + early):
        lead = " and leads its input, which no amp can" if wet in early else ""
        others = f", the other takes of {dry.name} by {middle:+.2f}" if len(delays) > 1 else ""
        message = f"{wet} is{stated} late by {delays[wet]:+.2f} samples{others}{lead}"
        found.append(Finding("fault", wet, message, ALIGN_HINT))
    if middle > LATE_SECONDS * sound.rate_hz:
        message = f"{manifest}: the takes of {dry.name} are{stated} {middle:.1f} samples late"
        hint = f"The model spends as much of its receptive field on the delay. {ALIGN_HINT}"
        found.append(Finding("warning", manifest, message, hint))
    return found


def _check_polarities(takes: list[TakeReport]) -> list[Finding]:
    majority = 1 if sum(take.lag.polarity for take in takes if take.lag) >= 0 else -1
    return [
        Finding(
            "fault",
            take.wet,
            f"{take.wet} has inverted polarity against the other takes of {takes[0].dry.name}",
            ALIGN_HINT,
        )
        for take in takes
        if take.lag and take.lag.polarity != majority
    ]


def check_sounds(
    takes: list[TakeReport], apart: Distances, levels_ND: np.ndarray, steps: list[KnobStep]
) -> list[Finding]:
    """Check the takes of one dry signal for settings that sound the same, and for large steps of a knob."""
    found = []
    for group in group_similar(apart, levels_ND):
        members = [takes[i] for i in group]
        if len({take.wet_sound.sha256 for take in members if take.wet_sound}) < len(members):
            continue  # the same audio, which `check_settings` reports
        names = ", ".join(take.wet.name for take in members)
        difference = _difference(members[0], members[-1])
        message = f"{names} sound the same (ESR below {ALIKE_ESR:g}), though {difference}"
        hint = "Is the knob at its end there? One of them can be left out, to record another setting instead."
        found.append(Finding("warning", members[-1].wet, message, hint))
    for step in steps:
        if step.color > COLOR_STEP:
            span = f"between {step.low:g} and {step.high:g}"
            message = f"{step.knob} changes the sound by half or more {span} (color {step.color:.2f})"
            hint = f"Record {step.knob} between them: the nearest take is wrong by that much there."
            found.append(Finding("warning", takes[0].wet, message, hint))
    return found


def check_labels(takes: list[TakeReport], level_NP: np.ndarray, knobs: Knobs) -> list[Finding]:
    """Check the takes of one dry signal for sounds that contradict their labels, by their `level_features`."""
    candidates = label_candidates(knobs)
    levels_ND = np.array([knobs.encode(take.setting) for take in takes])
    candidates_MD = np.array([knobs.encode(setting) for setting in candidates])
    found = []
    for mislabel in find_mislabels(level_NP, levels_ND, candidates_MD):
        take = takes[mislabel.take]
        setting = format_setting(take.setting)
        if mislabel.partner is not None:
            other = takes[mislabel.partner]
            message = (
                f"{take.wet} and {other.wet.name} are likely mislabeled: the sound of each fits the setting "
                f"of the other ({setting}; {format_setting(other.setting)})"
            )
            hint = "Compare them; if their names or knobs were exchanged, exchange them back."
        else:
            message = f"{take.wet} is likely mislabeled: its sound does not fit {setting}"
            if mislabel.candidate is not None:
                message += f", but {format_setting(candidates[mislabel.candidate])}"
            hint = "Compare it with takes at similar settings; correct its knobs in the manifest."
        found.append(Finding("warning", take.wet, message, hint))
    return found


def _difference(take: TakeReport, other: TakeReport) -> str:
    moved = [name for name, value in take.setting.items() if other.setting.get(name) != value]
    return f"{' and '.join(moved)} moved" if moved else "they are two files"
