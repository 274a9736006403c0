"""The board of a study as types: its trials, Pareto fronts, tiers, and what was spent; how it is written and read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from models.core.errors import NotFound, UserError
from models.core.schema import check_document, read_json
from models.training.config import upgrade_stored
from search.config.study import ALL, SearchConfig
from search.study.board_schema import check_board
from search.study.files import BOARD, STUDY
from search.study.lines import FINISHED, TrialRecord, split_known

BOARD_SCHEMA = "zoo.board/1"

COMPARED = 4  # models of a study, at most, whose disagreement is measured

Held = dict[str, dict[str, float | None]]  # amp -> held scores: mean, median, worst, baseline_mean


@dataclass(frozen=True, kw_only=True)
class BoardTrial(TrialRecord):
    """A trial on a board.

    `feasible` is true where it respects all limits on some front, `front` where it is on one. `recipe` is the name
    of the published recipe it is, if any. `held` are its scores on held settings and audio, for trials on a front
    alone.
    """

    feasible: bool
    front: bool
    recipe: str | None = None
    held: Held = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: TrialRecord, *, feasible: bool, front: bool, recipe: str | None) -> Self:
        """Put a trial on a board."""
        keys = (*record.keys, "feasible", "front", *(["recipe"] if recipe else []))
        known: dict[str, Any] = {**vars(record), "keys": keys}
        return cls(**known, feasible=feasible, front=front, recipe=recipe)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read a trial of `board.json`."""
        return cls(**split_known(cls, document), keys=tuple(document))

    def scored(self, held: Held) -> Self:
        """Return the trial with its held scores."""
        return replace(self, held=held, keys=tuple(dict.fromkeys((*self.keys, "held"))))


@dataclass(frozen=True)
class BoardTier:
    """The best trial whose cost is within a budget (None: any cost); None where there is no such trial."""

    budget: float | None
    trial: str | None


@dataclass(frozen=True)
class Effort:
    """What some trials took: their number, training steps, and hours."""

    trials: int = 0
    steps: int = 0
    trial_hours: float = 0.0

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read an effort of `board.json`; what a later version adds is left out."""
        return cls(document["trials"], document["steps"], document["trial_hours"])


@dataclass(frozen=True)
class Spent:
    """What a search took, what pruning saved, and what it may have missed.

    `searched` counts the search proper, `finals` the trials trained again. `steps_unpruned` are the steps without
    pruning, `states` the number of trials that ended in each state. Of the controls that the pruner would have
    stopped, so many finished (`controls_doomed`), and so many of these are on a front (`controls_on_front`).
    """

    searched: Effort
    steps_unpruned: int
    states: dict[str, int]
    controls_doomed: int
    controls_on_front: int
    finals: Effort = Effort()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read `spent` of `board.json`; before there were finals it had none."""
        rest = {key: document[key] for key in ("steps_unpruned", "states", "controls_doomed", "controls_on_front")}
        finals = document.get("finals")
        return cls(Effort.parse(document), **rest, finals=Effort.parse(finals) if finals else Effort())

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object: the numbers of `searched` stand at its top."""
        document = asdict(self)
        return {**document.pop("searched"), **document}


@dataclass(frozen=True)
class Board:
    """The board of a search, chosen by validation alone.

    `fronts` maps a front to its trials, the best first; `best_of` an amp to its best trial; `tiers` a front to its
    tiers; `cpus` are the machines on which costs were measured. `complete` is true once the search is over. `untried`
    are the trials for which the space had no further point.
    """

    complete: bool
    name: str
    mode: str
    amps: list[str]
    unit: str
    cpus: list[str]
    best: str | None
    best_of: dict[str, str]
    fronts: dict[str, list[str]]
    tiers: dict[str, dict[str, BoardTier]]
    spent: Spent
    trials: list[BoardTrial]
    untried: int = 0

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read `board.json`; older ones have no `cpus` and no `untried`."""
        known: dict[str, Any] = {"cpus": []}
        known |= {key: document[key] for key in cls.__dataclass_fields__ if key in document}
        tiers = {
            front: {name: BoardTier(found["budget"], found["trial"]) for name, found in of_front.items()}
            for front, of_front in document["tiers"].items()
        }
        trials = [BoardTrial.parse(trial) for trial in document["trials"]]
        known |= {"tiers": tiers, "trials": trials, "spent": Spent.parse(document["spent"])}
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of `board.json`."""
        tiers = {front: {name: asdict(tier) for name, tier in found.items()} for front, found in self.tiers.items()}
        trials = [trial.to_json() for trial in self.trials]
        rest = {"tiers": tiers, "spent": self.spent.to_json(), "trials": trials}
        return {"schema": BOARD_SCHEMA, **vars(self), **rest}

    @property
    def by_name(self) -> dict[str, BoardTrial]:
        """The trials by their names."""
        return {trial.trial: trial for trial in self.trials}


def read_study(study: Path) -> SearchConfig:
    """Return the config a study began with; raises `NotFound` where the folder holds no study."""
    if not (study / STUDY).exists():
        raise NotFound(f"{study} holds no study ({STUDY} is missing)", "Name the folder that zoo search wrote.")
    document = upgrade_stored(read_json(study / STUDY, follow=False))
    if isinstance(document, dict):
        document.pop("prior", None)  # results of other searches, which earlier versions used and stored
    return check_document(document, SearchConfig, str(study / STUDY))


def read_board(study: Path) -> Board:
    """Return the board of a finished study; raises `NotFound` without one, `UserError` for a damaged one."""
    if not (study / BOARD).exists():
        raise NotFound(f"{study} has no board yet", "Finish the search first: zoo search CONFIG --resume.")
    document = read_json(study / BOARD, follow=False)
    try:
        check_board(document)
    except ValueError as problem:
        raise UserError(
            f"{study / BOARD} is not a board: {problem}", "Remove it and resume the search: the board is made again."
        ) from None
    return Board.parse(document)


def best_runs(study: Path) -> list[Path]:
    """Return the run folder of the best trial for each amp."""
    return [study / "trials" / trial / amp for amp, trial in read_board(study).best_of.items()]


def compared_runs(study: Path, manifest: Path) -> list[Path]:
    """Return the run folders of the models of one amp whose disagreement tells what they do not know.

    They are the seeds of its best trial where that was trained again with several, else the best of its front; where
    fewer than two are on it, the best trials of all. The amp is the one that was trained on `manifest`, or the only
    one. Raises `UserError` where no amp of the study is, and as `read_board` does.
    """
    datasets, board = read_study(study).datasets, read_board(study)
    trained = [data.name for data in datasets if Path(str(data.train)).resolve() == manifest.resolve()]
    amps = trained or [data.name for data in datasets]
    if len(amps) > 1 or not board.best_of:
        raise UserError(
            f"{study}: none of its amps ({', '.join(board.amps)}) was trained on {manifest}",
            "Name two run folders of the amp instead.",
        )
    best, finished = board.by_name[board.best_of[amps[0]]], [t for t in board.trials if t.state == FINISHED]
    seeds = [trial.trial for trial in finished if trial.of == best.of and best.of is not None]
    front = board.fronts.get(amps[0], board.fronts.get(ALL, []))
    chosen = seeds if len(seeds) > 1 else front if len(front) > 1 else [trial.trial for trial in finished]
    return [study / "trials" / trial / amps[0] for trial in chosen[:COMPARED]]


def tier_runs(study: Path) -> dict[str, dict[str, Path]]:
    """Return amp -> tier -> run folder, from the cheapest trial to the best; a trial is in its smallest tier alone."""
    board, found = read_board(study), {}
    for amp in board.best_of:
        tiers = board.tiers[amp if amp in board.tiers else ALL]
        smallest = {tier.trial: name for name, tier in reversed(tiers.items()) if tier.trial}
        found[amp] = {name: study / "trials" / trial / amp for trial, name in reversed(smallest.items())}
    return found
