"""Several files of one take, such as a DI and microphones: positions of a switch that nobody sets.

They show one setting of the device, so a split never parts them.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from models.core.errors import UserError
from models.knobs.schema import MAX_POSITIONS, POSITION_PATTERN, POSITION_WORDS, Knobs, Setting, Value
from models.recordings.manifest_formats import RawManifest, RawTake

OUTPUT_SWITCH = "output"  # name of the switch, unless the manifest lists another one with "files": true


def with_outputs(raw: RawManifest, where: str) -> RawManifest:
    """Return a manifest that lists the switch of its files; the same where no entry has several.

    Raises `UserError` for names that no position can have, and for an entry of which it is not clear which file it is.
    """
    named = [take for take in raw.takes if take.output is not None]
    listed = next((knob for knob in raw.knobs or () if isinstance(knob, dict) and knob.get("files") is True), None)
    name = str(listed.get("name")) if listed else OUTPUT_SWITCH
    if not named:
        return raw
    for take in raw.takes:
        if (take.output is None) == (name not in take.setting):
            problem = "states no output" if take.output is None else f"states '{name}', and has output_files"
            raise UserError(
                f"{take.where} {problem}", f'Write "output_files": {{"NAME": "{take.wet}"}}, and no value of {name}.'
            )
    if listed:
        return raw
    switch = _describe_switch(name, named, where)
    occurring = dict.fromkeys(knob for take in raw.takes for knob in take.setting if knob != name)
    knobs = [*occurring] if raw.knobs is None else [knob for knob in raw.knobs if _name_of(knob) != name]
    if len(knobs) < len(raw.knobs or knobs) and name not in (raw.knobs or ()):
        raise UserError(
            f"{where}: '{name}' is a knob, and the switch of output_files is called so, too",
            'Rename the knob, or add "files": true to it if its positions are these files.',
        )
    return replace(raw, knobs=[*knobs, switch])


def same_take(knobs: Knobs, values: Sequence[Value]) -> tuple[Value, ...]:
    """Return what is equal for all files of one take: the values of a setting but for that of the file."""
    if knobs.outputs is None:
        return tuple(values)
    at = knobs.names.index(knobs.outputs.name)
    return (*values[:at], *values[at + 1 :])


def output_of(knobs: Knobs, setting: Setting) -> Value | None:
    """Return which of the files of a take a setting stands for; None where a take is one file."""
    return setting[knobs.outputs.name] if knobs.outputs else None


def _describe_switch(name: str, named: Sequence[RawTake], where: str) -> dict[str, Any]:
    positions = list(dict.fromkeys(take.output for take in named))
    for take in named:
        if not re.fullmatch(POSITION_PATTERN, take.output or ""):
            raise UserError(
                f"{take.where}: no file of a take can be called {take.output!r:.40}", f"Use {POSITION_WORDS}."
            )
    if not 2 <= len(positions) <= MAX_POSITIONS:
        raise UserError(
            f"{where}: output_files names {len(positions)}, 2 to {MAX_POSITIONS} can be",
            "Use output_file where each take is one file.",
        )
    return {"name": name, "positions": positions, "files": True}


def _name_of(knob: str | dict[str, Any]) -> Any:
    return knob.get("name") if isinstance(knob, dict) else knob
