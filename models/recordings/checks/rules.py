"""From what was measured to what a person should know: faults, which stop training, and warnings, which say what they cost."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from models.knobs.schema import Knob, Knobs
from models.knobs.text import format_setting
from models.recordings.checks.measurements import FLAT_TOPS, Sound
from models.recordings.checks.mislabels import find_mislabels, label_candidates
from models.recordings.checks.report import Finding
from models.recordings.checks.similarity import (
    ALIKE_ESR,
    COLOUR_STEP,
    SHORT_RANGE,
    WIDE_STEP,
    Distances,
    Step,
    confounded_knobs,
    group_similar,
)
from models.recordings.manifest import Manifest

if TYPE_CHECKING:
    from models.recordings.checks.report import TakeReport


SILENT_DBFS, FAINT_DBFS, CLIP_PEAK_DBFS = -90.0, -50.0, -0.01

DC_DBFS, DC_SHARE_DB = -46.0, 26.0  # an offset that is loud, and not far below the sound

NOISE_DB, HUM_DB = 30.0, 40.0  # below the sound: 30 dB of noise alone is an ESR of 0.001

REPEAT_ESR = 0.01

UNRELATED = 0.5  # confidence of a take that is not its dry signal's

AGREE_SECONDS, AGREE_SPREADS = 0.0001, 9.0  # delays of one session: a tone stack moves the peak by less

LEAD_SECONDS, LATE_SECONDS = 0.00005, 0.002

FEW_FILES = 3

ALIGN_HINT = 'Mend the takes with "zoo align MANIFEST --out FOLDER", or set "align": true in the data config.'


def check_file(file: Path, sound: Sound, played: bool = False) -> list[Finding]:
    """What one file says by itself; one that is `played` into the amp may stop as abruptly as it likes."""
    if sound.rms_dbfs < SILENT_DBFS:
        hint = "Record it again, or leave this setting out: no error can be measured against silence."
        return [Finding("fault", file, f"{file} is silent ({sound.rms_dbfs:.0f} dBFS)", hint)]
    found = []
    if sound.flat_tops >= FLAT_TOPS:
        message = f"{file} is clipped: {sound.flat_tops} flat tops at {sound.peak_dbfs:.1f} dBFS"
        hint = (
            "Record it again with less input gain: the model learns the converter's clipping as if it were the amp's."
        )
        found.append(Finding("warning", file, message, hint))
    elif sound.peak_dbfs > CLIP_PEAK_DBFS:
        found.append(Finding("warning", file, f"{file} touches full scale", "Listen for clipping."))
    if sound.dropouts and not played:
        where = f"at {sound.dropouts[0] / sound.rate_hz:.3f} s"
        count = (
            f"{len(sound.dropouts)} dropouts, the first {where}" if len(sound.dropouts) > 1 else f"a dropout {where}"
        )
        hint = "Record it again: no amp does this, and a model spends itself on it."
        found.append(Finding("warning", file, f"{file} has {count}", hint))
    if sound.dc_dbfs > DC_DBFS and sound.rms_dbfs - sound.dc_dbfs < DC_SHARE_DB:
        message = f"{file} has an offset of {sound.dc_dbfs:.0f} dBFS (DC)"
        hint = "Look for it in the interface, or filter all takes below 10 Hz: it counts as error at every sample."
        found.append(Finding("warning", file, message, hint))
    if sound.peak_dbfs < FAINT_DBFS:
        hint = "Record it louder: at 16 bit its own rounding is an error the model cannot beat."
        found.append(Finding("warning", file, f"{file} is faint: it peaks at {sound.peak_dbfs:.0f} dBFS", hint))
    return found


def check_take(take: "TakeReport", stated_hz: int | None) -> list[Finding]:
    """What one take says beside its dry signal."""
    wet, dry, found = take.wet_sound, take.dry_sound, []
    if wet and stated_hz and wet.rate_hz != stated_hz:
        message = f"{take.wet} is at {wet.rate_hz} Hz but the manifest says {stated_hz} Hz"
        found.append(Finding("fault", take.wet, message, "Correct sample_rate or resample the file."))
    if wet is None or dry is None:
        return found
    if dry.rate_hz != wet.rate_hz:
        message = f"{take.wet} is at {wet.rate_hz} Hz but its dry {take.dry.name} is at {dry.rate_hz} Hz"
        found.append(Finding("fault", take.wet, message, "Resample one of them so that both agree."))
    if take.lag and take.lag.confidence < UNRELATED:
        message = f"{take.wet} has little to do with its dry {take.dry.name} (confidence {take.lag.confidence:.2f})"
        found.append(Finding("fault", take.wet, message, "Is it the right file, and the right input_file?"))
    if take.rest and wet.rms_dbfs - take.rest.noise_dbfs < NOISE_DB:
        below = wet.rms_dbfs - take.rest.noise_dbfs
        hummed = take.rest.noise_dbfs - take.rest.hum_dbfs < 3
        what = f"hum at {take.rest.mains_hz:.0f} Hz and its harmonics" if hummed else "noise"
        message = (
            f"{take.wet} has {what} {below:.0f} dB below its sound: no model gets under ESR {10 ** (-below / 10):.4f}"
        )
        found.append(Finding("warning", take.wet, message, "Lower the noise, or leave the take out."))
    elif take.rest and wet.rms_dbfs - take.rest.hum_dbfs < HUM_DB:
        message = f"{take.wet} hums at {take.rest.mains_hz:.0f} Hz, {wet.rms_dbfs - take.rest.hum_dbfs:.0f} dB below its sound"
        found.append(Finding("warning", take.wet, message, "Look for a ground loop; a model would learn the hum."))
    if take.repeat_esr is not None and take.repeat_esr > REPEAT_ESR:
        message = f"{take.wet} does not repeat itself: the same passage differs by ESR {take.repeat_esr:.3f}"
        hint = "The amp warmed up, or a knob moved: no model gets under that."
        found.append(Finding("warning", take.wet, message, hint))
    return found


def check_clock(take: "TakeReport") -> list[Finding]:
    """Drift, and a stated delay that is not what is found; an amp and its speaker may take a little while of their own."""
    lag, wet, dry, found = take.lag, take.wet_sound, take.dry_sound, []
    if wet is None or dry is None or lag is None or lag.confidence < UNRELATED:
        return found
    late = lag.delay_samples - (take.stated_delay or 0)
    if take.stated_delay is not None and not -max(LEAD_SECONDS * wet.rate_hz, 1) <= late <= LATE_SECONDS * wet.rate_hz:
        message = f"{take.wet} is late by {lag.delay_samples:+.2f} samples, but the manifest states a delay of {take.stated_delay:+g}"
        hint = 'Correct it, or set "align": true in the data config; without that, training takes off what is stated.'
        found.append(Finding("warning", take.wet, message, hint))
    if lag.drift_ppm:
        total = lag.drift_ppm * 1e-6 * dry.frames
        message = f"{take.wet} drifts: its clock is {lag.drift_ppm:+.1f} ppm off, {total:+.1f} samples by its end"
        found.append(Finding("warning", take.wet, message, f"Record and play on one clock. {ALIGN_HINT}"))
    return found


def check_lengths(takes: "list[TakeReport]", manifest: Path) -> list[Finding]:
    """Takes that are not as long as their dry signal: each, or all in one sentence where they are many."""
    missing = {
        take.wet: (take.wet_sound.frames - take.dry_sound.frames, take.dry.name)
        for take in takes
        if take.wet_sound and take.dry_sound and take.wet_sound.rate_hz == take.dry_sound.rate_hz
    }
    missing = {wet: found for wet, found in missing.items() if found[0]}
    hint = f"Its start or end was cut. {ALIGN_HINT}"
    if len(missing) > FEW_FILES:
        low, high = min(frames for frames, _ in missing.values()), max(frames for frames, _ in missing.values())
        message = f"{manifest}: {len(missing)} of {len(takes)} takes have {low:+d} to {high:+d} samples against their dry signal"
        return [Finding("warning", manifest, message, hint.replace("Its", "Their"))]
    return [
        Finding("warning", wet, f"{wet} has {frames:+d} samples against its dry {dry}", hint)
        for wet, (frames, dry) in missing.items()
    ]


def check_settings(takes: "list[TakeReport]", manifest: Manifest) -> list[Finding]:
    """What the labels say: rates, takes told twice, knobs that never part, positions that are missing."""
    found = []
    rates = sorted({take.wet_sound.rate_hz for take in takes if take.wet_sound})
    if len(rates) > 1 and not manifest.sample_rate:
        message = f"{manifest.path}: takes are at {' and '.join(map(str, rates))} Hz"
        found.append(Finding("fault", manifest.path, message, "Resample all takes to one rate."))
    labels: dict[tuple, TakeReport] = {}
    sounds: dict[tuple, TakeReport] = {}
    for take in takes:
        label = (take.session, *take.setting.values())
        twin = sounds.setdefault((take.session, take.wet_sound.sha256), take) if take.wet_sound else take
        if label in labels:
            message = f"{take.wet} has the same setting and dry signal as {labels[label].wet.name}"
            found.append(Finding("warning", take.wet, message, "Is one of them mislabelled?"))
        elif twin is not take:
            message = f"{take.wet} is the same audio as {twin.wet.name}, though {_moved(take, twin)}"
            hint = "One of the two was exported or named wrongly; if the knob really does nothing there, leave one out."
            found.append(Finding("fault", take.wet, message, hint))
        labels.setdefault(label, take)
    values = {name: [take.setting[name] for take in takes] for name in manifest.knobs.names}
    for first, second in confounded_knobs(values):
        message = (
            f"{manifest.path}: {first} and {second} always move together, so that neither can be told from the other"
        )
        hint = f"Add takes that move {first} alone and {second} alone; until then do not offer both as knobs."
        found.append(Finding("warning", manifest.path, message, hint))
    for knob in manifest.knobs.knobs:
        recorded = sorted({value for value in values[knob.name] if isinstance(value, float)})
        if not isinstance(knob, Knob) or len(recorded) < 2:
            continue
        turn = {value: knob.encode(value)[0] for value in recorded}
        for low, high in pairwise(recorded):
            if turn[high] - turn[low] <= WIDE_STEP:
                continue
            message = (
                f"{manifest.path}: {knob.name} was not recorded between {low:g} and {high:g}, half its turn or more"
            )
            found.append(Finding("warning", manifest.path, message, "The model guesses there; record the middle."))
        if (turn[recorded[-1]] - turn[recorded[0]]) / 2 < SHORT_RANGE:
            message = f"{manifest.path}: {knob.name} was recorded from {recorded[0]:g} to {recorded[-1]:g} of {knob.min:g} to {knob.max:g}"
            hint = "Beyond that the model guesses: record more, or state the range that was recorded."
            found.append(Finding("warning", manifest.path, message, hint))
    return found


def check_sessions(takes: "list[TakeReport]", manifest: Path) -> list[Finding]:
    """Delays, less what the manifest states, and polarities of the takes of one dry signal against each other."""
    found = []
    for members in sessions(takes):
        heard = [take for take in members if take.lag and take.lag.confidence >= UNRELATED]
        if not heard:
            continue
        rate, dry = heard[0].wet_sound.rate_hz, heard[0].dry  # type: ignore[union-attr]
        delays = {take.wet: take.lag.delay_samples - (take.stated_delay or 0) for take in heard if take.lag}
        stated = ", after the delay that the manifest states," if any(take.stated_delay for take in heard) else ""
        middle = median(delays.values())
        spread = median(abs(delay - middle) for delay in delays.values())
        tolerance = max(AGREE_SECONDS * rate, 1.0, AGREE_SPREADS * min(spread, AGREE_SECONDS * rate))
        away = [wet for wet, delay in delays.items() if abs(delay - middle) > tolerance]
        early = [wet for wet, delay in delays.items() if delay < -max(LEAD_SECONDS * rate, 1.0)]
        if len(away) > len(delays) / 3 or len(early) > 1:
            low, high = min(delays, key=lambda wet: delays[wet]), max(delays, key=lambda wet: delays[wet])
            message = (
                f"{manifest}: takes of {dry.name} are{stated} late by {delays[low]:+.2f} ({low.name}) to "
                f"{delays[high]:+.2f} samples ({high.name})"
                + (f"; {len(early)} of {len(delays)} lead their input, which no amp can" if early else "")
            )
            found.append(Finding("fault", manifest, message, ALIGN_HINT))
        else:
            for wet in dict.fromkeys(away + early):
                lead = " and leads its input, which no amp can" if wet in early else ""
                others = f", the other takes of {dry.name} by {middle:+.2f}" if len(delays) > 1 else ""
                message = f"{wet} is{stated} late by {delays[wet]:+.2f} samples{others}{lead}"
                found.append(Finding("fault", wet, message, ALIGN_HINT))
            if middle > LATE_SECONDS * rate:
                message = f"{manifest}: the takes of {dry.name} are{stated} {middle:.1f} samples late"
                hint = f"That much of a model's receptive field is lost on waiting. {ALIGN_HINT}"
                found.append(Finding("warning", manifest, message, hint))
        way_up = 1 if sum(take.lag.polarity for take in heard if take.lag) >= 0 else -1
        for take in heard:
            if take.lag and take.lag.polarity != way_up:
                message = f"{take.wet} is upside down against the other takes of {dry.name}"
                found.append(Finding("fault", take.wet, message, ALIGN_HINT))
    return found


def check_sounds(
    takes: "list[TakeReport]", apart: Distances, levels_ND: np.ndarray, found_steps: list[Step]
) -> list[Finding]:
    """What the takes of one dry signal say of each other's labels."""
    found = []
    for group in group_similar(apart, levels_ND):
        members = [takes[i] for i in group]
        if len({take.wet_sound.sha256 for take in members if take.wet_sound}) < len(members):
            continue  # told already: the same audio
        names = ", ".join(take.wet.name for take in members)
        message = f"{names} sound the same (ESR below {ALIKE_ESR:g}), though {_moved(members[0], members[-1])}"
        hint = "Is the knob at its end there? One of them can be left out; the time is better spent elsewhere."
        found.append(Finding("warning", members[-1].wet, message, hint))
    for step in found_steps:
        if step.colour > COLOUR_STEP:
            message = f"{step.knob} changes the sound by half and more between {step.low:g} and {step.high:g} (colour {step.colour:.2f})"
            hint = f"Record {step.knob} between them: playing the nearest take there errs by that much."
            found.append(Finding("warning", takes[0].wet, message, hint))
    return found


def check_labels(takes: "list[TakeReport]", level_NP: np.ndarray, knobs: Knobs) -> list[Finding]:
    """Takes of one dry signal whose sounds contradict their labels."""
    there, found = label_candidates(knobs), []
    levels_ND, candidates_MD = (
        np.array([knobs.encode(s) for s in group]) for group in ([t.setting for t in takes], there)
    )
    for doubt in find_mislabels(level_NP, levels_ND, candidates_MD):
        take, hint = takes[doubt.take], "Compare it with its neighbours; correct its knobs."
        message = f"{take.wet} is likely mislabelled: it does not sound as its neighbours say of {format_setting(take.setting)}"
        if doubt.place is not None:
            message += f", but much like {format_setting(there[doubt.place])}"
        if doubt.other is not None:
            other = takes[doubt.other]
            message = (
                f"{take.wet} and {other.wet.name} are likely mislabelled: each sounds as its neighbours say of the other's setting "
                f"({format_setting(take.setting)}; {format_setting(other.setting)})"
            )
            hint = "Compare them; if their names or knobs were exchanged, exchange them back."
        found.append(Finding("warning", take.wet, message, hint))
    return found


def sessions(takes: "Iterable[TakeReport]") -> "list[list[TakeReport]]":
    """Takes by the dry signal that they answer."""
    found: dict[tuple, list[TakeReport]] = {}
    for take in takes:
        found.setdefault(take.session, []).append(take)
    return list(found.values())


def _moved(take: "TakeReport", other: "TakeReport") -> str:
    moved = [name for name, value in take.setting.items() if other.setting.get(name) != value]
    return f"{' and '.join(moved)} moved" if moved else "they are two files"
