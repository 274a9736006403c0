"""What `board.json` must be: it may be damaged, or come from someone else."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search.config.points import check_values
from search.study.lines import (
    NotNegative,
    PositiveNumber,
    TrialName,
    TrialRecord,
    WholeNumber,
    first_fault,
    split_known,
    stated_schema,
)


class _Strict(BaseModel):
    """A part of a board; keys that this version does not know are left out."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


class _TierPart(_Strict):
    budget: PositiveNumber | None
    trial: TrialName | None


class _EffortPart(_Strict):
    trials: WholeNumber
    steps: WholeNumber
    trial_hours: NotNegative


class _SpentPart(_EffortPart):
    steps_unpruned: WholeNumber
    states: dict[str, WholeNumber]
    controls_doomed: WholeNumber
    controls_on_front: WholeNumber
    finals: _EffortPart | None = None


class _BoardPart(_Strict):
    complete: bool
    name: str
    mode: Literal["universal", "per_amp"]
    amps: list[str]
    unit: str
    cpus: list[str] = Field(default_factory=list)
    best: TrialName | None
    best_of: dict[str, TrialName]
    fronts: dict[str, list[TrialName]]
    tiers: dict[str, dict[str, _TierPart]]
    spent: _SpentPart
    trials: list[dict[str, Any]]
    untried: WholeNumber = 0


class _TrialMarks(_Strict):
    feasible: bool
    front: bool
    recipe: str | None = None
    held: dict[str, dict[str, float | None]] = Field(default_factory=dict)


def check_board(document: Any) -> None:
    """Raise `ValueError` that says what is wrong with "it" for a value that is not a board."""
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 (one kind of error for all that is wrong)
    try:
        board = _BoardPart.model_validate(document)
        for trial in board.trials:
            _check_trial(trial)
    except ValidationError as problem:
        raise ValueError(first_fault(problem)) from None
    known = {trial["trial"] for trial in board.trials}
    if unknown := [name for name in _named_choices(board) if name not in known]:
        raise ValueError(f"it names the trial {unknown[0]}, which is not among its trials")
    if strange := [amp for amp in board.best_of if amp not in board.amps]:
        raise ValueError(f"its 'best_of' names {strange[0]}, which is none of its amps")
    if board.best_of and not all(amp in board.tiers or "all" in board.tiers for amp in board.best_of):
        raise ValueError("its 'tiers' are incomplete")


def _check_trial(trial: dict[str, Any]) -> None:
    stated = split_known(TrialRecord, trial)
    del stated["extra"]
    stated_schema(TrialRecord).model_validate(stated)
    marks = _TrialMarks.model_validate(trial)
    check_values(trial["point"])
    rate = trial["point"].get("learning_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ValueError("the 'point' of a trial has no 'learning_rate'")  # noqa: TRY004 (as above)
    if any(scores.get("mean") is None for scores in marks.held.values()):
        raise ValueError("the 'held' scores of a trial have no 'mean'")


def _named_choices(board: _BoardPart) -> Iterator[str]:
    yield from [board.best] if board.best else []
    yield from board.best_of.values()
    for members in board.fronts.values():
        yield from members
    for tiers in board.tiers.values():
        yield from (tier.trial for tier in tiers.values() if tier.trial)
