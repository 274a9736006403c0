"""The lines of a ledger as types, and what all lines of one trial state together."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from models.core.errors import UserError
from search.config.space import Point

START, AGAIN, LEFT, REPORT = "start", "again", "left", "report"

FINISHED, PRUNED, DIVERGED, FAILED = "finished", "pruned", "diverged", "failed"

ENDS = (FINISHED, PRUNED, DIVERGED, FAILED)

TrialLimits = dict[str, dict[str, float]]  # amp -> limit -> by how much it is broken (above 0) or respected


@dataclass(frozen=True, kw_only=True)
class TrialStart:
    """A trial starts: its point, its training, and the size of its model.

    `control` is true where the trial trains to the end whatever the pruner decides. A final has no `control`; `of`
    names the trial that it trains again. `extra` holds keys that this version does not know.
    """

    trial: str
    number: int
    point: Point
    label: str
    form: str
    steps: int
    seed: int
    control: bool | None = None
    of: str | None = None
    cost: float
    macs: int
    parameters: int
    receptive_field: int
    columns: int
    rate_hz: int
    state: str = START
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """A trial reports the errors it has reached at a step.

    `esr` is the validation error, the geometric mean over amps; `relative` is the same divided by the error of the
    nearest recorded setting; `amps` and `worst` are each amp's mean and its worst setting; `limits` come with the
    last report. `checkpoint` is the place to continue from, `survives` the pruner's answer.
    """

    trial: str
    step: int
    esr: float
    relative: float | None = None
    amps: dict[str, float]
    worst: dict[str, float] | None = None
    seconds: float | None = None
    limits: TrialLimits | None = None
    checkpoint: str | None = None
    survives: bool | None = None
    state: str = REPORT
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """A trial ends: `state` is one of `ENDS`; `reason` states why it diverged or failed."""

    trial: str
    state: str
    step: int | None = None
    reason: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRestart:
    """A trial of another process continues training in this one, for the `starts`-th time without a new report."""

    trial: str
    starts: int
    state: str = AGAIN
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRelease:
    """A process stops training a trial without dying: the start does not count as failed."""

    trial: str
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


def parse_line(document: Mapping[str, Any]) -> LedgerLine:
    """Read a line from its JSON object; raises `UserError` for an unknown state or a missing key."""
    kind = KINDS.get(document.get("state", ""))
    if kind is None:
        raise UserError(f"the ledger has a line of state {document.get('state')!r}", "Update the zoo that reads it.")
    try:
        return kind(**split_known(kind, document))
    except TypeError as problem:
        raise UserError(f"the ledger has a broken line: {problem}", "Restore the ledger from a backup.") from None


def split_known(kind: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a dataclass from a JSON object; unknown keys go into `extra`.

    Older `limits` are of the amp with the largest excess; they are given to each amp.
    """
    names = {one.name for one in fields(kind)} - {"extra", "keys"}
    known = {key: value for key, value in document.items() if key in names}
    known["extra"] = {key: value for key, value in document.items() if key not in names}
    limits = known.get("limits") or {}
    if any(isinstance(value, float) for value in limits.values()):
        known["limits"] = dict.fromkeys(known["amps"], limits)
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

    step: int = 0
    esr: float = math.inf
    relative: float | None = None
    amps: dict[str, float] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    limits: TrialLimits = field(default_factory=dict)
    checkpoint: str | None = None
    survives: bool | None = None
    reason: str | None = None
    starts: int | None = None
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
