"""The best model of a study that can be played, also while the search runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj

from models.artifacts.names import CONFIG, WEIGHTS
from models.core.errors import NotFound, shell_words
from models.core.files import open_regular
from models.core.locations import is_uri
from models.core.scratch import scratch_folder
from search.config.study import ALL
from search.optimizer.pareto import is_feasible
from search.study.board import Board, BoardTrial
from search.study.cost import read_costs
from search.study.lines import FINISHED
from search.study.lock import is_driven, is_starting
from search.study.objectives import error_of, limits_on
from search.study.summary import current_board

COPY_ATTEMPTS = 5  # to copy a model that its search replaces meanwhile


@dataclass(frozen=True)
class StudyModel:
    """A trial of a study, the folder that holds its model, and how many trials of the study have ended.

    `driven` says whether a process drives the study.
    """

    amp: str
    trial: BoardTrial
    folder: Path
    ended: int
    complete: bool
    driven: bool

    @property
    def esr(self) -> float:
        """The validation ESR on the amp."""
        return self.trial.amps[self.amp]


@contextmanager
def best_so_far(study: Path, amp: str = "", tier: str = "") -> Iterator[StudyModel]:
    """Yield the best model of a study that has weights: of its board, or of what has trained so far.

    While the search runs that is the trial with the lowest validation error among the finished ones and those that
    still train, which are saved at each report; trials that break a limit come last. Their files are copied, and stay
    as they are while they are used. A checkpoint at a URI is not looked at.

    Args:
        study: the study folder.
        amp: which amp; may be empty for a study of one amp.
        tier: only models of this tier; empty for any.

    Raises `NotFound` where there is none yet, and for an amp or a tier that the study does not have.
    """
    if is_starting(study):
        raise NotFound(
            f"{study} is reading its recordings; nothing is trained", f"zoo board {shell_words(study)} --follow waits."
        )
    with scratch_folder() as scratch:
        for attempt in range(COPY_ATTEMPTS):
            board = current_board(study)
            amp = _choose_amp(board, study, amp)
            found = _find_best(board, study, amp, tier)
            if found.trial.state == FINISHED:
                break
            try:
                for name in (CONFIG, WEIGHTS):
                    with open_regular(found.folder / name) as file, (scratch / name).open("wb") as copy:
                        copyfileobj(file, copy)
            except FileNotFoundError:  # the next report came
                if attempt == COPY_ATTEMPTS - 1:
                    raise
                continue
            found = replace(found, folder=scratch)
            break
        yield found


def _choose_amp(board: Board, study: Path, amp: str) -> str:
    if amp in board.amps or (not amp and len(board.amps) == 1):
        return amp or board.amps[0]
    several = ", ".join(f"{study}/{name}" for name in board.amps)
    raise NotFound(
        f"{study} has no amp '{amp}'" if amp else f"{study} is of {len(board.amps)} amps", f"Name one: {several}."
    )


def _find_best(board: Board, study: Path, amp: str, tier: str) -> StudyModel:
    """Return the best model with weights; that of an unfinished trial may be replaced at any time."""
    ended = sum(trial.has_ended for trial in board.trials)
    front = amp if amp in board.fronts else ALL
    if board.complete:
        if tier and tier not in board.tiers.get(front, {}):
            raise _no_tier(study, tier, list(board.tiers.get(front, {})))
        name = board.tiers[front][tier].trial if tier else board.best_of.get(amp)
        trial = board.by_name.get(name or "")
        folder = _model_folder(study, trial, amp) if trial else None
    else:
        trial, folder = _best_with_weights(board, study, amp, front, _budget(study, tier))
    if trial is None or folder is None:
        raise NotFound(
            f"{study} has no model{f' of tier {tier}' if tier else ''} to play",
            f"zoo board {shell_words(study)} shows its trials.",
        )
    return StudyModel(amp, trial, folder, ended, board.complete, is_driven(study))


def _best_with_weights(
    board: Board, study: Path, amp: str, front: str, budget: float | None
) -> tuple[BoardTrial | None, Path | None]:
    """Return the best trial of a running study within a budget of cost, and its folder."""

    def order(trial: BoardTrial) -> tuple[bool, float]:
        return not is_feasible(limits_on(trial, front)), error_of(trial, front)

    trained = [trial for trial in board.trials if trial.step and (trial.state == FINISHED or not trial.has_ended)]
    for trial in sorted(trained, key=order):
        if (budget is None or trial.cost <= budget) and (folder := _model_folder(study, trial, amp)):
            return trial, folder
    return None, None


def _model_folder(study: Path, trial: BoardTrial, amp: str) -> Path | None:
    """Return where the weights of a trial are: its run folder, or its last checkpoint; None where there are none."""
    places = [study / "trials" / trial.trial]
    if trial.checkpoint and not is_uri(trial.checkpoint):
        places.append(Path(trial.checkpoint))
    return next((place / amp for place in places if (place / amp / WEIGHTS).is_file()), None)


def _budget(study: Path, tier: str) -> float | None:
    """Return the highest cost of a tier, None for no limit."""
    costs = read_costs(study)
    tiers = costs.tiers if costs else {}
    if tier and tier not in tiers:
        raise _no_tier(study, tier, list(tiers))
    return tiers.get(tier)


def _no_tier(study: Path, tier: str, known: list[str]) -> NotFound:
    return NotFound(
        f"{study} has no tier '{tier}'", f"Choose one of: {', '.join(known)}." if known else "Leave it out."
    )
