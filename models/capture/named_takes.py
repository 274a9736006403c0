"""A manifest from a folder of recordings whose file names state the knobs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.audio.io import read_length
from models.capture.session import entry
from models.capture.take_names import compile_pattern, guess_pattern, refuse_twins
from models.core.errors import NotFound, UserError
from models.core.schema import check_document
from models.knobs.schema import Knobs, Setting
from models.recordings.manifest_formats import MANIFEST_SCHEMA

RECORDED_SUFFIXES = (".wav", ".flac", ".aif", ".aiff")

SCALES = (1.0, 10.0, 12.0, 100.0)  # usual highest numbers of a faceplate

DRY_WORDS = ("di", "dry", "input", "in")  # names of a dry signal


@dataclass(frozen=True)
class KnobRange:
    """The range of a knob on the faceplate, and the lowest and highest number in the names.

    `assumed` says that nobody stated the range; `default` is None where nobody stated it.
    """

    low: float
    high: float
    seen: tuple[float, float]
    assumed: bool
    default: float | None = None


@dataclass(frozen=True)
class NamedTakes:
    """The takes of a folder: pattern, the setting of each file, dry signal, and the audio files that do not fit."""

    folder: Path
    pattern: str
    knobs: Knobs
    ranges: dict[str, KnobRange]
    settings: dict[Path, Setting]
    dry: Path
    left_out: list[Path]

    def manifest(self, device: str) -> dict[str, Any]:
        """Return the manifest, for a file in the folder.

        Where nobody stated the default of a knob, a reader takes the value that most takes share, else the middle.
        """
        stated = {name for name, knob in self.ranges.items() if knob.default is not None}
        knobs = [
            knob.model_dump(mode="json", exclude=set() if knob.name in stated else {"default"})
            for knob in self.knobs.knobs
        ]
        dry = Path(os.path.relpath(self.dry.resolve(), self.folder.resolve())).as_posix()
        entries = [entry(dry, path.name, setting) for path, setting in self.settings.items()]
        rate_hz = read_length(self.dry)[1]
        return {
            "$schema": MANIFEST_SCHEMA,
            "device": device,
            "sample_rate": rate_hz,
            "knobs": knobs,
            "entries": entries,
        }


def read_take_names(
    folder: Path,
    pattern: str | None = None,
    dry: Path | None = None,
    stated: Mapping[str, Mapping[str, Any]] | None = None,
) -> NamedTakes:
    """Read the setting of each recording in a folder from its name; see `NamePattern`, and `guess_pattern` without one.

    `stated` describes knobs as a manifest does: a range, or the positions of a switch. The range of another knob is the
    smallest usual one that has its numbers. Without `dry`, it is the only other audio file, or the only one with a name
    such as `di.wav`. Raises `UserError` for a pattern that fits no file, for two files at one setting, for a knob that
    never turns, and where the dry signal is not clear.
    """
    stated = stated or {}
    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder", "Name the folder that holds the recordings.")
    positions = {name: knob["positions"] for name, knob in stated.items() if "positions" in knob}
    sounds = sorted(path for path in folder.glob("*") if _is_recording(path, dry))
    pattern = pattern or guess_pattern(sounds, str(folder))
    wanted = compile_pattern(pattern, positions)
    if unknown := next((name for name in stated if name not in wanted.names), None):
        raise UserError(
            f"'{pattern}': no knob is called '{unknown}'", f"The pattern has the knobs {', '.join(wanted.names)}."
        )
    matches = {path: wanted.find(path) for path in sounds}
    found = {path: settings[0] for path, settings in matches.items() if len(settings) == 1}
    if not found:
        example = f"the first is {sounds[0].name}" if sounds else "it has no WAV, FLAC or AIFF file"
        raise UserError(
            f"no file name in {folder} fits '{pattern}'; {example}",
            "Write what all names have, with each number as {knob}: 'DS1 drive{drive} tone{tone}.wav'.",
        )
    ranges = {
        name: _range_of(wanted.numbers(name, found.values(), str(folder)), stated.get(name))
        for name in wanted.names
        if name not in positions
    }
    described = [
        {"name": name, "min": ranges[name].low, "max": ranges[name].high, **stated.get(name, {})}
        if name in ranges
        else {"name": name, **stated[name]}
        for name in wanted.names
    ]
    knobs = check_document({"knobs": described}, Knobs, str(folder))
    complete = {path: knobs.complete(setting, path.name) for path, setting in found.items()}
    settings = dict(sorted(complete.items(), key=lambda take: knobs.encode(take[1])))
    refuse_twins(settings)
    others = [path for path in sounds if path not in found]
    signal = dry or _find_dry(folder, others)
    return NamedTakes(folder, pattern, knobs, ranges, settings, signal, [path for path in others if path != signal])


def parse_ranges(texts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return the knobs of `["drive=0:10", "channel=clean,lead"]`, each described as in a manifest.

    Raises `UserError` for what is neither a range nor a list of positions.
    """
    stated: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if name in stated:
            raise UserError(f"knob '{name}' has two ranges", "State each knob once.")
        positions = [word.strip() for word in value.split(",")]
        if name and len(positions) > 1 and all(positions):
            stated[name] = {"positions": positions}
        else:
            stated[name] = parse_range(name, value)
    return stated


def parse_range(name: str, text: str) -> dict[str, Any]:
    """Return the range `0:10`, or `0:10:5` with the usual number, as `min`, `max` and `default` of a knob.

    Raises `UserError` for any other text.
    """
    words = text.split(":")
    try:
        found = dict(zip(("min", "max", "default"), map(float, words), strict=False)) if len(words) in (2, 3) else {}
    except ValueError:
        found = {}
    if not name or not found or not found["min"] <= found.get("default", found["min"]) <= found["max"] > found["min"]:
        raise UserError(
            f"'{name}={text}' is no range of a knob",
            "Write the lowest and the highest number, drive=0:10, and perhaps the usual one, drive=0:10:4; or the "
            "positions of a switch, channel=clean,lead.",
        )
    return found


def _is_recording(path: Path, dry: Path | None) -> bool:
    """Return whether a file may be a take; names that begin with a dot are notes of other systems."""
    listed = path.suffix.lower() in RECORDED_SUFFIXES and not path.name.startswith(".") and path.is_file()
    return listed and not (dry and dry.exists() and path.samefile(dry))


def _range_of(numbers: list[float], stated: Mapping[str, Any] | None) -> KnobRange:
    """Return the stated range, or the smallest of `SCALES` that has the numbers, to both sides if one is negative."""
    seen = min(numbers), max(numbers)
    if stated:
        return KnobRange(stated["min"], stated["max"], seen, False, stated.get("default"))
    farthest = max(abs(number) for number in seen)
    high = next((scale for scale in SCALES if farthest <= scale), farthest)
    return KnobRange(-high if seen[0] < 0 else 0.0, high, seen, True)


def _find_dry(folder: Path, others: list[Path]) -> Path:
    """Return the dry signal among the files that are no takes; raises `UserError` where it is not clear."""
    named = [path for path in others if path.stem.lower() in DRY_WORDS]
    for choices in (named, others):
        if len(choices) == 1:
            return choices[0]
    several = f"it may be one of {len(others)} files" if others else "every audio file fits the pattern"
    raise UserError(
        f"{folder}: the dry signal, which was played through the device, is not clear; {several}",
        "Say which file it is, or call it di.wav.",
    )
