"""Reads a manifest, in any of its formats, as knobs and a list of takes."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from models.audio.calibration import UNSTATED, AnalogLevels
from models.core.errors import UserError, raise_together
from models.core.locations import find_written
from models.core.schema import check_document, read_json
from models.knobs.schema import (
    KNOB_PATTERN,
    KNOB_WORDS,
    MAX_FACEPLATE,
    MAX_KNOBS,
    MAX_POSITIONS,
    POSITION_PATTERN,
    POSITION_WORDS,
    AnyKnob,
    Knobs,
    Setting,
    Value,
)
from models.recordings.manifest_formats import RawManifest, RawTake, parse_manifest
from models.recordings.output_files import with_outputs
from models.recordings.session_delays import SessionDelays

LIST_KNOBS = 'Describe the knobs under "knobs" at the top.'


@dataclass(frozen=True)
class Take:
    """One recording: its dry and wet file, and the setting of every knob.

    `delay_samples`, which the manifest may state, is counted at the rate of the files: `wet[n + delay_samples]` answers
    `dry[n]`. `channel` selects one of a stereo file (0 is left); None requires that both agree.
    """

    dry: Path
    wet: Path
    setting: Setting
    delay_samples: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class Manifest:
    """A knob dataset: its knobs, its takes, and its description.

    `held_takes` must not be trained on. `delays` states whether the takes have one delay; None leaves it to be found.
    """

    path: Path
    knobs: Knobs
    takes: list[Take]
    device: str
    license: str
    sample_rate: int | None
    held_takes: list[Take] = field(default_factory=list)
    levels: AnalogLevels = UNSTATED
    delays: SessionDelays | None = None


def read_manifest(path: Path) -> Manifest:
    """Read a manifest in any format of `manifest_formats`; its validation part becomes the held takes.

    Knobs are listed at the top under `"knobs"`, as names or in full. A knob that is listed by name alone, or not at
    all, is described by the entries: two or more words make a switch with these positions, numbers make a knob from 0
    to 1. In a trainer's format, numbers beyond that make a knob with the range that occurs. There an undeclared knob
    that has the same word, or the same number outside 0 to 1, in all takes is left out.

    In the isolated format, a knob without a stated default takes the level at which one file is listed under several
    knobs, because that file is the recording with every knob at its default. Otherwise, where every take states the
    knob, the default is the level that most takes share, else the middle of the range.

    Files that one entry lists by name (`output_files`) are takes at the positions of a switch: the one that is listed
    with `"files": true`, or `output`, which gets the names in order of first appearance.

    Raises `UserError` naming the file and the first entries that are wrong; the audio files are not opened.
    """
    return interpret_manifest(read_json(path), path)


def interpret_manifest(document: Any, path: Path) -> Manifest:
    """Return what `read_manifest` reads, from the document that `path` holds or is to hold."""
    raw = with_outputs(parse_manifest(document, str(path)), str(path))
    knobs = _knob_schema(raw, str(path))
    takes: dict[bool, dict[tuple, Take]] = {False: {}, True: {}}
    problems: list[UserError] = []
    for entry in raw.takes:
        stated = {name: entry.setting[name] for name in _listed_knobs(entry, knobs, raw)}
        if entry.output is not None and knobs.outputs:
            stated[knobs.outputs.name] = entry.output
        try:
            setting = knobs.complete(stated, entry.where)
        except UserError as problem:
            problems.append(problem)
            continue
        dry, wet = (find_written(path.parent, name) for name in (entry.dry, entry.wet))
        take = Take(dry, wet, setting, entry.delay_samples, entry.channel)
        takes[entry.held][entry.dry, entry.wet, entry.channel, *setting.values()] = take
    raise_together(problems, str(path))
    if not takes[False]:
        raise UserError(f"{path} lists no takes", "Add at least one entry with input_file, output_file and its knobs.")
    train, held = (list(takes[group].values()) for group in (False, True))
    return Manifest(
        path, knobs, train, raw.top.device, raw.top.license, raw.sample_rate, held, raw.levels, raw.top.delays
    )


def _listed_knobs(entry: RawTake, knobs: Knobs, raw: RawManifest) -> list[str]:
    """Return the knobs that an entry names, without those left out of a trainer's format."""
    left_out = raw.any_range and raw.knobs is None
    return [name for name in entry.setting if name in knobs.names or not left_out]


def _knob_schema(raw: RawManifest, where: str) -> Knobs:
    """Complete the listed knobs from the entries; raises `UserError` that begins with `where`."""
    occurring: dict[str, list[Value]] = {}
    for entry in raw.takes:
        for name, value in entry.setting.items():
            occurring.setdefault(name, []).append(value)
    stated = list(occurring) if raw.knobs is None else raw.knobs
    if raw.knobs is None:
        _check_knob_names(raw.takes)
        if len(stated) > MAX_KNOBS:
            raise UserError(f"{where}: its entries name {len(stated)} knobs, at most {MAX_KNOBS} can be", LIST_KNOBS)
    named = [_describe(k, occurring.get(k, []), raw, where) if isinstance(k, str) else k for k in stated]
    knobs = check_document({"knobs": [knob for knob in named if knob]}, Knobs, where)
    described = {str(knob.get("name")): knob for knob in named if knob}
    defaults = {
        name: value
        for name, value in _default_levels(raw.takes).items()
        if described.get(name, {}).get("default") is None
    }
    return Knobs(knobs=tuple(_rest_at(knob, defaults.get(knob.name)) for knob in knobs.knobs))


def _rest_at(knob: AnyKnob, default: Value | None) -> AnyKnob:
    """Return a knob with a default that its takes show; one that it cannot have is told where a take has it."""
    try:
        return knob if default is None else knob.model_copy(update={"default": knob.check(default, "")})
    except UserError:
        return knob


def _check_knob_names(takes: list[RawTake]) -> None:
    """Raise `UserError`, which names the entry, for a name that no knob can have."""
    for take in takes:
        for name in take.setting:
            if not re.fullmatch(KNOB_PATTERN, name):
                raise UserError(
                    f"{take.where}: {name[:40]!r} cannot be the name of a knob", f"Name it by {KNOB_WORDS}."
                )


def _describe(name: str, values: list[Value], raw: RawManifest, where: str) -> dict[str, Any] | None:
    """Describe a knob by the values in the entries; None for a knob to leave out.

    Raises `UserError` where words in the entries cannot be positions of one switch.
    """
    leave_out = raw.any_range and raw.knobs is None and len(set(map(str, values))) == 1
    words = [_as_word(value) for value in values if isinstance(value, bool) or _is_word(value)]
    numbers = [float(value) for value in values if not isinstance(value, bool) and not _is_word(value)]
    if words and not numbers:
        positions = list(dict.fromkeys(words))
        if leave_out or len(positions) == 1:
            return None if leave_out else {"name": name}
        if len(positions) > MAX_POSITIONS:
            raise UserError(
                f"{where}: knob '{name}' has {len(positions)} different words, at most {MAX_POSITIONS} can be",
                LIST_KNOBS,
            )
        if illegal := next((word for word in positions if not re.fullmatch(POSITION_PATTERN, word)), None):
            raise UserError(
                f"{_where_set(name, illegal, raw)}: knob '{name}' is {illegal[:40]!r}, which no position can be called",
                f"Use {POSITION_WORDS}.",
            )
        return {"name": name, "positions": positions}
    if raw.any_range and numbers and (min(numbers) < 0 or max(numbers) > 1):
        if leave_out:
            return None
        if (highest := max(map(abs, numbers))) > MAX_FACEPLATE:
            raise UserError(f"{where}: knob '{name}' is {highest:g}, at most {MAX_FACEPLATE:g} can be", LIST_KNOBS)
        return {"name": name, "min": min(numbers), "max": max(numbers)}
    return {"name": name}


def _is_word(value: Value) -> bool:
    """Return whether a value is text that is no number; "7" in quotes is one."""
    if not isinstance(value, str):
        return False
    try:
        return not math.isfinite(float(value))
    except ValueError:
        return True


def _as_word(value: Value) -> str:
    return value if isinstance(value, str) else "on" if value else "off"


def _where_set(name: str, word: str, raw: RawManifest) -> str:
    """Return the entry that sets a knob to a word, for a message."""
    return next(take.where for take in raw.takes if name in take.setting and take.setting[name] == word)


def _default_levels(entries: list[RawTake]) -> Setting:
    """Derive defaults from the entries; see `read_manifest`."""
    isolated: dict[str, Setting] = {}
    joint: dict[str, list[Value]] = {}
    for entry in entries:
        for name, level in entry.setting.items():
            if entry.isolated:
                isolated.setdefault(entry.wet, {})[name] = level
            else:
                joint.setdefault(name, []).append(level)
    stated = {name: levels for name, levels in joint.items() if len(set(levels)) < len(levels) == len(entries)}
    shared = {name: _most_common(levels) for name, levels in stated.items()}
    return next((found for found in isolated.values() if len(found) > 1), shared)


def _most_common(levels: list[Value]) -> Value:
    """Return the level that most takes share; of several, the number nearest the median."""
    numbers = [level for level in levels if not isinstance(level, str)]
    middle, counts = median(numbers or [0.0]), Counter(levels)
    return max(counts, key=lambda level: (counts[level], 0.0 if isinstance(level, str) else -abs(level - middle)))
