"""The lines of a ledger as types, and what all lines of one trial state together."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from typing import Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as PydanticField

from models.core.errors import SchemaError
from models.core.schema import short_repr, spelled
from search.config.space import Point

START, AGAIN, LEFT, REPORT = "start", "again", "left", "report"

FINISHED, PRUNED, DIVERGED, FAILED = "finished", "pruned", "diverged", "failed"

ENDS = (FINISHED, PRUNED, DIVERGED, FAILED)

TrialLimits = dict[str, dict[str, float]]  # amp -> limit -> by how much it is broken (above 0) or respected

WholeNumber = Annotated[int, PydanticField(ge=0, lt=1 << 53)]

PositiveWhole = Annotated[int, PydanticField(ge=1, lt=1 << 53)]

PositiveNumber = Annotated[float, PydanticField(gt=0)]

NotNegative = Annotated[float, PydanticField(ge=0)]

TrialName = Annotated[str, spelled(r"^[A-Za-z0-9_-]{1,64}$", "up to 64 letters, digits, - and _")]  # names a folder

CheckpointPlace = Annotated[str, spelled(r"^[^\x00]+$", "a place, without NUL characters")]


@dataclass(frozen=True, kw_only=True)
class TrialStart:
    """A trial starts: its point, its training, and the size of its model.

    `control` is true where the trial trains to the end whatever the pruner decides. A final has no `control`; `of`
    names the trial that it trains again. `extra` holds keys that this version does not know.
    """

    trial: TrialName
    number: WholeNumber
    point: Point
    label: str
    form: str
    steps: PositiveWhole
    seed: WholeNumber
    control: bool | None = None
    of: TrialName | None = None
    cost: PositiveNumber
    macs: PositiveWhole
    parameters: PositiveWhole
    receptive_field: PositiveWhole
    columns: WholeNumber
    rate_hz: PositiveWhole
    state: str = START
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """A trial reports the errors it has reached at a step.

    `esr` is the validation error, the geometric mean over amps; `relative` is the same divided by the error of the
    nearest recorded setting; `amps` and `worst` are each amp's mean and its worst setting; `limits` come with the
    last report. `checkpoint` is the place to continue from, `survives` the pruner's answer.
    """

    trial: TrialName
    step: WholeNumber
    esr: NotNegative
    relative: NotNegative | None = None
    amps: dict[str, NotNegative]
    worst: dict[str, NotNegative] | None = None
    seconds: NotNegative | None = None
    limits: TrialLimits | None = None
    checkpoint: CheckpointPlace | None = None
    survives: bool | None = None
    state: str = REPORT
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """A trial ends: `state` is one of `ENDS`; `reason` states why it diverged or failed.

    `at` are the seconds that the search had taken, where its budget is stated in minutes.
    """

    trial: TrialName
    state: str
    step: WholeNumber | None = None
    reason: str | None = None
    at: NotNegative | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRestart:
    """A trial of another process continues training in this one, for the `starts`-th time without a new report."""

    trial: TrialName
    starts: WholeNumber
    state: str = AGAIN
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRelease:
    """A process stops training a trial without dying: the start does not count as failed."""

    trial: TrialName
    state: str = LEFT
    extra: Mapping[str, Any] = field(default_factory=dict)


LedgerLine = TrialStart | TrialReport | TrialEnd | TrialRestart | TrialRelease

KINDS: dict[str, type[LedgerLine]] = {
    START: TrialStart,
    REPORT: TrialReport,
    AGAIN: TrialRestart,
    LEFT: TrialRelease,
    **dict.fromkeys(ENDS, TrialEnd),
}


def parse_line(document: Any) -> LedgerLine:
    """Read a line from its JSON value; raises `SchemaError` that says what is wrong with "it"."""
    if not isinstance(document, dict):
        raise SchemaError("it is no JSON object")
    state = document.get("state")
    kind = KINDS.get(state) if isinstance(state, str) else None
    if kind is None:
        raise SchemaError(f"its 'state' is {short_repr(state)}, which this zoo does not know")
    known = split_known(kind, document)
    try:
        stated_schema(kind).model_validate({name: value for name, value in known.items() if name != "extra"})
    except ValidationError as problem:
        raise SchemaError(first_fault(problem)) from None
    return kind(**known)


@cache
def stated_schema(kind: type) -> type[BaseModel]:
    """Return what the keys of a line or a record must be: numbers are finite, and no text is taken for a number."""
    hints = get_type_hints(kind, include_extras=True)
    names = [one for one in fields(kind) if one.name not in ("extra", "keys")]
    known: dict[str, Any] = {one.name: (hints[one.name], _field_default(one)) for one in names}
    return create_model(kind.__name__, __config__=ConfigDict(strict=True, allow_inf_nan=False), **known)


def _field_default(one: Field[Any]) -> Any:
    return ... if one.default is MISSING and one.default_factory is MISSING else None


def first_fault(problem: ValidationError) -> str:
    """Return what is wrong with a JSON object, in our words."""
    first = problem.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    return f"its '{key}' is missing" if first["type"] == "missing" else f"its '{key}' is {short_repr(first['input'])}"


def split_known(kind: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a dataclass from a JSON object; unknown keys go into `extra`.

    Older `limits` are of the amp with the largest excess; they are given to each amp.
    """
    names = {one.name for one in fields(kind)} - {"extra", "keys"}
    known = {key: value for key, value in document.items() if key in names}
    known["extra"] = {key: value for key, value in document.items() if key not in names}
    limits, amps = known.get("limits"), known.get("amps")
    if isinstance(limits, dict) and isinstance(amps, dict) and any(isinstance(one, float) for one in limits.values()):
        known["limits"] = dict.fromkeys(amps, limits)
    return known


def to_json(line: LedgerLine) -> dict[str, Any]:
    """Return the JSON object of a line: state and trial first; what is None is not written."""
    return {"state": line.state, "trial": line.trial, **_stated(line), **line.extra}


def _stated(line: LedgerLine) -> dict[str, Any]:
    names = (one.name for one in fields(line) if one.name not in ("state", "trial", "extra"))
    return {name: value for name in names if (value := getattr(line, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class TrialRecord(TrialStart):
    """All that the ledger states of one trial: its start, its latest report, and its end.

    `state` is that of the latest line. Before the first report `step` is 0, `esr` infinite, and `amps` empty.
    `keys` are the JSON keys in the order in which the lines stated them first.
    """

    step: WholeNumber = 0
    esr: NotNegative = math.inf
    relative: NotNegative | None = None
    amps: dict[str, NotNegative] = field(default_factory=dict)
    worst: dict[str, NotNegative] = field(default_factory=dict)
    seconds: NotNegative = 0.0
    limits: TrialLimits = field(default_factory=dict)
    checkpoint: str | None = None
    survives: bool | None = None
    reason: str | None = None
    starts: WholeNumber | None = None
    at: NotNegative | None = None
    keys: tuple[str, ...] = ()

    @classmethod
    def of_start(cls, line: TrialStart) -> Self:
        """Begin the record of a trial."""
        return cls(**vars(line), keys=tuple(to_json(line)))

    def merged(self, line: LedgerLine) -> Self:
        """Return the record with a later line: what it states replaces what was stated before."""
        keys = tuple(dict.fromkeys((*self.keys, *to_json(line))))
        return replace(
            self, **{**_stated(line), "state": line.state, "extra": {**self.extra, **line.extra}, "keys": keys}
        )

    @property
    def is_final(self) -> bool:
        """Whether the trial trains one of the best again."""
        return self.of is not None

    @property
    def has_ended(self) -> bool:
        """Whether the trial has ended, well or not."""
        return self.state in ENDS

    @property
    def is_trained(self) -> bool:
        """Whether the trial has reported its last step."""
        return self.step >= self.steps

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of all lines of the trial merged."""
        return {key: self.extra[key] if key in self.extra else getattr(self, key) for key in self.keys}


def latest(lines: Iterable[LedgerLine]) -> list[TrialRecord]:
    """Return the record of each trial, in the order in which they started."""
    records: dict[str, TrialRecord] = {}
    for line in lines:
        known = records.get(line.trial)
        if known is not None:
            records[line.trial] = known.merged(line)
        elif isinstance(line, TrialStart):
            records[line.trial] = TrialRecord.of_start(line)
    return list(records.values())


def curves(lines: Iterable[LedgerLine], amp: str | None = None) -> dict[str, dict[int, float]]:
    """Return trial -> step -> validation ESR from the reports, of one amp or (None) the mean over all."""
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        if isinstance(line, TrialReport):
            found.setdefault(line.trial, {})[line.step] = line.amps[amp] if amp else line.esr
    return found


def trained_seconds(lines: Iterable[LedgerLine]) -> dict[str, float]:
    """Return trial -> the seconds of its training and validation, from its reports."""
    found: dict[str, float] = {}
    for line in lines:
        if isinstance(line, TrialReport):
            found[line.trial] = found.get(line.trial, 0.0) + (line.seconds or 0.0)
    return found
