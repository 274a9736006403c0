"""A knob dataset JSON, isolated or joint, becomes one list of takes."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from pydantic import Field

from models.errors import UserError
from models.files import Frozen, check_document, read_json
from models.knobs import Knobs, Setting, Value


class IsolatedEntry(Frozen):
    """One knob moved, the rest at their default: the form knob-conditioned NAM began with."""

    input_file: str
    output_file: str
    knob_type: str
    knob_level: Value


class JointEntry(Frozen):
    """Any number of knobs moved at once."""

    input_file: str
    output_file: str
    knobs: dict[str, Value]


class _Document(Frozen):
    entries: list[dict[str, Any]]
    knobs: list[str | dict[str, Any]] | None = None
    device: str = ""
    description: str = ""
    note: str = ""
    license: str = ""
    sample_rate: Annotated[int, Field(ge=8000, le=192000)] | None = None


@dataclass(frozen=True)
class Take:
    """One recording: what went in, what came out, and where every knob stood."""

    dry: Path
    wet: Path
    setting: Setting


@dataclass(frozen=True)
class Manifest:
    """A knob dataset: its takes, its knobs, and what its owner says of it."""

    path: Path
    knobs: Knobs
    takes: list[Take]
    device: str
    license: str
    sample_rate: int | None


def read_manifest(path: Path) -> Manifest:
    """Read a manifest: `{"entries": [...]}` or a bare list, each entry isolated or joint.

    Knobs are listed at the top under `"knobs"`, as names (range 0 to 1) or as `{"name", "min", "max", "default"}`; where they are not,
    they are those the entries name. In isolated form a knob without a stated default takes the level at which one file
    is listed under several knobs (that file is the recording with everything at rest), in joint form, where every take states
    it, the level that most of them share; else the middle of its range.

    Raises `UserError` naming the file and the entry; the audio files themselves are not opened.
    """
    value = read_json(path)
    document = check_document({"entries": value} if isinstance(value, list) else value, _Document, str(path))
    if not document.entries:
        raise UserError(f"{path} lists no takes", "Add at least one entry with input_file, output_file and its knobs.")
    entries = [_read_entry(entry, f"{path}: entry {number}") for number, entry in enumerate(document.entries, 1)]
    knobs = _knob_schema(document.knobs, entries, str(path))
    takes: dict[tuple[str, str, tuple[Value, ...]], Take] = {}
    for number, entry in enumerate(entries, 1):
        moved = {entry.knob_type: entry.knob_level} if isinstance(entry, IsolatedEntry) else entry.knobs
        setting = knobs.complete(moved, f"{path}: entry {number} ({entry.output_file})")
        take = Take(path.parent / entry.input_file, path.parent / entry.output_file, setting)
        takes[entry.input_file, entry.output_file, tuple(setting.values())] = take
    return Manifest(path, knobs, list(takes.values()), document.device, document.license, document.sample_rate)


def _read_entry(entry: dict[str, Any], where: str) -> IsolatedEntry | JointEntry:
    isolated = "knob_type" in entry or "knob_level" in entry
    return check_document(entry, IsolatedEntry if isolated else JointEntry, where)


def _knob_schema(
    stated: list[str | dict[str, Any]] | None, entries: list[IsolatedEntry | JointEntry], where: str
) -> Knobs:
    if stated is None:
        moved = ([e.knob_type] if isinstance(e, IsolatedEntry) else list(e.knobs) for e in entries)
        stated = list(dict.fromkeys(name for names in moved for name in names))
    resting = _resting_levels(entries)
    named = [{"name": knob} if isinstance(knob, str) else knob for knob in stated]
    described = [{"default": resting.get(str(knob.get("name"))), **knob} for knob in named]
    return check_document({"knobs": described}, Knobs, where)


def _resting_levels(entries: list[IsolatedEntry | JointEntry]) -> Setting:
    isolated: dict[str, Setting] = {}
    joint: dict[str, list[Value]] = {}
    for entry in entries:
        if isinstance(entry, IsolatedEntry):
            isolated.setdefault(entry.output_file, {})[entry.knob_type] = entry.knob_level
        else:
            for name, level in entry.knobs.items():
                joint.setdefault(name, []).append(level)
    stated = {name: levels for name, levels in joint.items() if len(set(levels)) < len(levels) == len(entries)}
    shared = {name: _most_common(levels) for name, levels in stated.items()}
    return next((found for found in isolated.values() if len(found) > 1), shared)


def _most_common(levels: list[Value]) -> Value:
    """The level most takes share; of several, the number nearest the median."""
    numbers = [level for level in levels if not isinstance(level, str)]
    middle, counts = median(numbers or [0.0]), Counter(levels)
    return max(counts, key=lambda level: (counts[level], 0.0 if isinstance(level, str) else -abs(level - middle)))
