"""A knob dataset JSON, in any of its forms, becomes one list of takes."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from models.audio.calibration import UNSTATED, AnalogLevels
from models.core.errors import UserError
from models.core.schema import check_document, read_json
from models.knobs.schema import Knobs, Setting, Value
from models.recordings.manifest_formats import RawManifest, RawTake, parse_manifest


@dataclass(frozen=True)
class Take:
    """One recording: what went in, what came out, and where every knob stood.

    `delay_samples`, as its owner states it, is counted at the rate of the files: `wet[n + delay_samples]` answers `dry[n]`. Training
    takes it off, unless it is to find delays itself. `channel` is
    which of a stereo file (0 is left); None where both must agree.
    """

    dry: Path
    wet: Path
    setting: Setting
    delay_samples: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class Manifest:
    """A knob dataset: its takes, its knobs, and what its owner says of it; `held_takes` are not to be trained on."""

    path: Path
    knobs: Knobs
    takes: list[Take]
    device: str
    license: str
    sample_rate: int | None
    held_takes: list[Take] = field(default_factory=list)
    levels: AnalogLevels = UNSTATED


def read_manifest(path: Path) -> Manifest:
    """Read a manifest in any form of `models/manifest_forms.py`; what it lists as validation become the held takes.

    Knobs are listed at the top under `"knobs"`, as names or in full. One that is listed by name alone or not at all is
    described by the entries: two or more words make it a switch, whose positions are those that occur; numbers make it a knob from 0
    to 1. In a trainer's form numbers beyond that make it a knob of the range that occurs; there, an undeclared knob
    that stands at one word or one such number in all takes is left out.

    In isolated form a knob without a stated default takes the level at which one file is listed under several knobs (that file is the
    recording with everything at rest), otherwise, where every take states it, the level that most of them share; else the
    middle of its range.

    Raises `UserError` naming the file and the entry; the audio files themselves are not opened.
    """
    raw = parse_manifest(read_json(path), str(path))
    knobs = _knob_schema(raw, str(path))
    takes: dict[bool, dict[tuple, Take]] = {False: {}, True: {}}
    for entry in raw.takes:
        setting = knobs.complete({name: entry.moved[name] for name in _known(entry, knobs, raw)}, entry.where)
        take = Take(path.parent / entry.dry, path.parent / entry.wet, setting, entry.delay_samples, entry.channel)
        takes[entry.held][entry.dry, entry.wet, entry.channel, *setting.values()] = take
    if not takes[False]:
        raise UserError(f"{path} lists no takes", "Add at least one entry with input_file, output_file and its knobs.")
    train, held = (list(takes[group].values()) for group in (False, True))
    return Manifest(path, knobs, train, raw.top.device, raw.top.license, raw.sample_rate, held, raw.levels)


def _known(entry: RawTake, knobs: Knobs, raw: RawManifest) -> list[str]:
    """The knobs an entry names, but for those left out of a trainer's form."""
    left_out = raw.faceplate and raw.stated is None
    return [name for name in entry.moved if name in knobs.names or not left_out]


def _knob_schema(raw: RawManifest, where: str) -> Knobs:
    occurring: dict[str, list[Value]] = {}
    for entry in raw.takes:
        for name, value in entry.moved.items():
            occurring.setdefault(name, []).append(value)
    stated = list(occurring) if raw.stated is None else raw.stated
    resting = _resting_levels(raw.takes)
    named = [_describe(k, occurring.get(k, []), raw) if isinstance(k, str) else k for k in stated]
    described = [{"default": resting.get(str(knob.get("name"))), **knob} for knob in named if knob]
    return check_document({"knobs": described}, Knobs, where)


def _describe(name: str, values: list[Value], raw: RawManifest) -> dict[str, Any] | None:
    """A knob as the entries show it; None where it is to be left out."""
    leave_out = raw.faceplate and raw.stated is None and len(set(values)) == 1
    words = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    if words and not numbers:
        positions = list(dict.fromkeys(words))
        return None if leave_out else {"name": name} | ({"positions": positions} if len(positions) > 1 else {})
    if raw.faceplate and numbers and (min(numbers) < 0 or max(numbers) > 1):
        return None if leave_out else {"name": name, "min": min(numbers), "max": max(numbers)}
    return {"name": name}


def _resting_levels(entries: list[RawTake]) -> Setting:
    isolated: dict[str, Setting] = {}
    joint: dict[str, list[Value]] = {}
    for entry in entries:
        for name, level in entry.moved.items():
            if entry.isolated:
                isolated.setdefault(entry.wet, {})[name] = level
            else:
                joint.setdefault(name, []).append(level)
    stated = {name: levels for name, levels in joint.items() if len(set(levels)) < len(levels) == len(entries)}
    shared = {name: _most_common(levels) for name, levels in stated.items()}
    return next((found for found in isolated.values() if len(found) > 1), shared)


def _most_common(levels: list[Value]) -> Value:
    """The level most takes share; of several, the number nearest the median."""
    numbers = [level for level in levels if not isinstance(level, str)]
    middle, counts = median(numbers or [0.0]), Counter(levels)
    return max(counts, key=lambda level: (counts[level], 0.0 if isinstance(level, str) else -abs(level - middle)))
