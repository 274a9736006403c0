"""Parses each manifest format into one plain list of entries.

`input_file/output_file` with `knob_type/knob_level` is the isolated format; with `knobs` it is the joint format, which
is our own. `x_path/y_path` with a `"type"` at the top are the data files of NAM trainers with knobs: `multi_knob`
(https://github.com/sdatkinson/neural-amp-modeler extensions) and `parametric`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from models.audio.calibration import AnalogLevels
from models.core.errors import UserError, raise_together
from models.core.schema import Frozen, check_document
from models.knobs.schema import Knob, KnobName, Setting, Switch, Written, WrittenSetting
from models.recordings.session_delays import SessionDelays

MANIFEST_SCHEMA = "urn:ampzoo:manifest:1"

Rate = Annotated[int, Field(ge=8000, le=192000)]

Delay = Annotated[float, Field(ge=-1e7, le=1e7)]

Channel = Literal[0, 1, "left", "right"]

CHANNELS: dict[Channel, int] = {0: 0, 1: 1, "left": 0, "right": 1}

# Keys of trainers that cut windows; they do not describe the recordings.
WINDOWING = {
    "ny", "nx", "start", "stop", "start_samples", "stop_samples", "start_seconds", "stop_seconds",
    "delay_interpolation_method", "allow_unequal_lengths", "require_input_pre_silence",
}  # fmt: skip


class _Entry(Frozen):
    input_file: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("input_file", "input_path"),
            description="Dry audio file, relative to the manifest.",
        ),
    ]
    output_file: Annotated[
        str | None,
        Field(
            validation_alias=AliasChoices("output_file", "output_path"),
            description="Recorded audio file, relative to the manifest.",
        ),
    ] = None
    output_files: Annotated[
        dict[str, str] | None,
        Field(
            min_length=1,
            description="In place of `output_file`: files of one take by name, such as a DI and microphones. They are "
            "positions of the switch `output`.",
        ),
    ] = None
    delay_samples: Annotated[
        Delay | None, Field(description="Samples by which the recording is late; negative when its start was cut.")
    ] = None
    channel: Annotated[Channel | None, Field(description="Channel of a stereo file; null requires both to agree.")] = (
        None
    )

    @model_validator(mode="after")
    def _has_one_output(self) -> Self:
        if self.output_file is None and self.output_files is None:
            raise ValueError("'output_file' is missing, or 'output_files', names by microphone")
        if self.output_file is not None and self.output_files is not None:
            raise ValueError("'output_file' and 'output_files' are both given; leave one out")
        return self


class IsolatedEntry(_Entry):
    """A take of the isolated form: one knob moved, the others at their default."""

    knob_type: Annotated[str, Field(description="Name of the knob that was moved.")]
    knob_level: Annotated[Written, Field(description="Its value: a number, or the name of a position.")]


class JointEntry(_Entry):
    """A take of the joint form: any number of knobs moved at once."""

    knobs: Annotated[
        WrittenSetting, Field(description="Value of each knob that is stated; the others rest at their default.")
    ]


class _Top(AnalogLevels):
    device: Annotated[str, Field(description="Name of the device, for people.")] = ""
    description: Annotated[str, Field(description="Free text.")] = ""
    note: Annotated[str, Field(description="Free text.")] = ""
    license: Annotated[str, Field(description="License of the recordings, such as `cc-by-4.0`.")] = ""
    sample_rate: Annotated[
        Rate | None, Field(description="Rate of the audio files in Hz; null reads it from them.")
    ] = None
    channel: Annotated[Channel | None, Field(description="Channel of stereo files, where an entry states none.")] = None
    delays: Annotated[
        SessionDelays | None,
        Field(description="Whether all takes are late by the same (`common`) or `each` by its own; null finds it."),
    ] = None


class _OwnDocument(_Top):
    knobs: list[str | dict[str, Any]] | None = None
    entries: list[dict[str, Any]]


class ManifestDocument(_Top):
    """A knob dataset in ampzoo's own form."""

    knobs: Annotated[
        list[KnobName | Knob | Switch] | None,
        Field(description="Knobs and switches, as objects or names; null takes those that the entries mention."),
    ] = None
    entries: Annotated[list[JointEntry | IsolatedEntry], Field(min_length=1, description="The takes.")]


class _TrainerDocument(_Top):
    type: Literal["multi_knob", "parametric"]
    knobs: list[str | dict[str, Any]] | None = None
    train: dict[str, Any] | list[dict[str, Any]]
    validation: dict[str, Any] | list[dict[str, Any]] = Field(default_factory=list)
    common: dict[str, Any] = Field(default_factory=dict)


class _TrainerEntry(Frozen):
    x_path: str
    y_path: str
    settings: Annotated[WrittenSetting, Field(validation_alias=AliasChoices("knob_settings", "params", "parameters"))]
    delay: Delay | None = None
    channel: Channel | None = None


class _TrainerKnob(Frozen):
    type: Literal["continuous"] = "continuous"
    default_value: float | None = None
    minimum_value: float = 0.0
    maximum_value: float = 1.0


@dataclass(frozen=True)
class RawTake:
    """A recorded file of any format. `isolated`: it states one knob only; `where` names it in error messages.

    `output` is its name where it is one of several files of a take.
    """

    dry: str
    wet: str
    setting: Setting
    isolated: bool
    held: bool
    delay_samples: float | None
    channel: int | None
    where: str
    output: str | None = None


@dataclass(frozen=True)
class RawManifest:
    """A manifest of any format: its top, and its entries. `any_range`: knob values need not lie within 0 to 1."""

    top: _Top
    knobs: list[str | dict[str, Any]] | None
    takes: list[RawTake]
    any_range: bool
    sample_rate: int | None
    levels: AnalogLevels


def parse_manifest(value: Any, where: str) -> RawManifest:
    """Parse the JSON value of a manifest; raises `UserError` that names `where`, the entry and the key."""
    if isinstance(value, dict) and "type" in value:
        return _parse_trainer(value, where)
    document = check_document({"entries": value} if isinstance(value, list) else value, _OwnDocument, where)
    channel = None if document.channel is None else CHANNELS[document.channel]
    takes, problems = list[RawTake](), list[UserError]()
    for number, entry in enumerate(document.entries, 1):
        try:
            takes += _parse_entry(entry, channel, f"{where}: entry {number}")
        except UserError as problem:
            problems.append(problem)
    raise_together(problems, where)
    return RawManifest(document, document.knobs, takes, False, document.sample_rate, document.levels)


def _parse_entry(value: dict[str, Any], channel: int | None, where: str) -> list[RawTake]:
    """Return an entry as a take, or as one take for each of its files."""
    isolated = "knob_type" in value or "knob_level" in value
    entry = check_document(value, IsolatedEntry if isolated else JointEntry, where)
    setting = {entry.knob_type: entry.knob_level} if isinstance(entry, IsolatedEntry) else entry.knobs
    channel = channel if entry.channel is None else CHANNELS[entry.channel]
    files = entry.output_files or {None: entry.output_file or ""}
    rest = (setting, isolated, False, entry.delay_samples, channel)
    return [RawTake(entry.input_file, wet, *rest, f"{where} ({wet})", output) for output, wet in files.items()]


def _parse_trainer(value: dict[str, Any], where: str) -> RawManifest:
    """Parse a trainer's data file.

    `"train"` and `"validation"` are each one entry or a list of them, and `"common"` has the keys of all entries; or
    all entries are in `common.data`. `delay`, in samples, is how late the output is in the parametric format. In the
    multi-knob format it is how much of the output's start was cut, so its sign is inverted (the extension's README).
    Names of knobs become lower case.
    """
    document = check_document(value, _TrainerDocument, where)
    common = {key: item for key, item in document.common.items() if key not in WINDOWING}
    data, described = common.pop("data", None), common.pop("parameters", None) if "data" in document.common else None
    known = ("sample_rate", *AnalogLevels.model_fields)
    shared = {key: item for key in known if (item := common.pop(key, None)) is not None}
    top = document.model_copy(update=check_document(shared, _Top, f"{where}: common").model_dump(include=set(shared)))
    parts = {"train": document.train, "validation": document.validation} if data is None else {"common.data": data}
    takes = [
        _parse_trainer_entry({**common, **entry}, document, part == "validation", at)
        for part, listed in parts.items()
        for at, entry in _entries(listed, f"{where}: {part}")
    ]
    knobs = document.knobs if described is None else _trainer_knobs(described, f"{where}: common.parameters")
    return RawManifest(document, knobs, takes, True, top.sample_rate, top.levels)


def _entries(part: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, entry in enumerate(part if isinstance(part, list) else [part], 1):
        at = f"{where} {number}" if isinstance(part, list) else where
        if not isinstance(entry, dict):
            raise UserError(f"{at} is not an object", "List one object per recording.")
        yield at, {key: item for key, item in entry.items() if key not in WINDOWING}


def _parse_trainer_entry(value: dict[str, Any], document: _TrainerDocument, held: bool, where: str) -> RawTake:
    entry = check_document(value, _TrainerEntry, where)
    names = [_plain_name(name) for name in entry.settings]
    if len(set(names)) < len(names):
        raise UserError(f"{where}: two knobs share a name: {', '.join(names)}", "Rename one of them.")
    delay = -entry.delay if entry.delay is not None and document.type == "multi_knob" else entry.delay
    channel = document.channel if entry.channel is None else entry.channel
    setting: Setting = dict(zip(names, entry.settings.values(), strict=True))
    number = None if channel is None else CHANNELS[channel]
    return RawTake(entry.x_path, entry.y_path, setting, False, held, delay, number, where)


def _trainer_knobs(value: Any, where: str) -> list[str | dict[str, Any]]:
    if not isinstance(value, dict):
        raise UserError(f"{where} is not an object", "Describe each knob under its name.")
    knobs = {name: check_document(item, _TrainerKnob, f"{where}.{name}") for name, item in value.items()}
    return [
        {"name": _plain_name(name), "min": k.minimum_value, "max": k.maximum_value, "default": k.default_value}
        for name, k in knobs.items()
    ]


def _plain_name(name: str) -> str:
    """`"Gain Knob"` -> `"gain_knob"`."""
    return re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("_")
