"""Trials as tables and sentences: the board of a study, its progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean
from typing import TYPE_CHECKING, Any

from models.artifacts.evaluation import AUDIBLE, gap_warning, quality_words
from zoo.cli import output

if TYPE_CHECKING:
    from search.config.study import SearchConfig
    from search.study.board import Board, BoardTrial
    from search.study.lines import TrialRecord


def show_board(board: Board, sort: str | None = None, top: int | None = None, *, driven: bool = True) -> None:
    """Print the board as a table, with a legend on stderr; `sort` and `top` as in `select_trials`.

    `driven` as in `board_table`.
    """
    output.data_table(*board_table(board, sort, top, driven=driven))
    output.info()
    if top is not None and (others := len(board.trials) - top) > 0:
        output.info(f"{others} more trials: zoo board without --top shows all {len(board.trials)}.")
    over = ", geometric mean over amps" if board.mode == "universal" else " on each amp"
    output.info(f"ESR: on validation takes{over}; COST: {board.unit}.")
    if any(trial.held for trial in board.trials):
        output.info(
            "HELD ESR: on settings and audio that no trial used; only for the Pareto front (*), after the choice."
        )
    elif any(trial.front for trial in board.trials):
        output.info(f"*: on the Pareto front{'' if board.complete else ' so far'}.")
    if any(trial.is_final for trial in board.trials):
        output.info(
            "NAME-0, NAME-1: NAME trained again with more steps and other seeds. Only these are on the front, and "
            "models cheaper than all of them."
        )
    if board.untried:
        output.info(exhausted_sentence(board))
    for amp, name in board.best_of.items():
        _show_best(board, amp, board.by_name[name])


def _show_best(board: Board, amp: str, best: BoardTrial) -> None:
    """Print on stderr whether the best model of an amp is good, what helps if not, and a gap to its validation."""
    mean = best.held[amp]["mean"] if amp in best.held else None
    if mean is None:
        return
    searched = [trial for trial in board.trials if not trial.is_final]
    helps = ""
    if mean > AUDIBLE:
        steps = max(trial.steps for trial in searched)
        count = f"{len(searched)} trial{'' if len(searched) == 1 else 's'}"
        wider = "a wider space" if board.untried else "more trials"
        helps = f"; {count} of {steps:,} steps: more steps, {wider} or more takes help"
    output.info(f"best for {amp}: {best.trial}, held ESR {mean:.4f}, {quality_words(mean)}{helps}")
    if amp in best.amps and (warning := gap_warning(best.amps[amp], mean)):
        output.warn(f"{amp}: {warning}")


def exhausted_sentence(board: Board) -> str:
    """Return that the space of a finished search had too few points for its trials."""
    tried = board.spent.searched.trials
    return f"the space has no further point: {tried:,} of {tried + board.untried:,} trials"


def board_table(
    board: Board, sort: str | None = None, top: int | None = None, *, driven: bool = True
) -> tuple[tuple[str, ...], list[tuple[str, ...]], int]:
    """Return the header and the rows of a board, and how many columns a narrow terminal shows at least.

    `driven` says whether a process drives the study: otherwise trials that have not ended are interrupted.
    """
    amps, universal = board.amps, board.mode == "universal"
    errors = ["ESR"] if universal or len(amps) == 1 else [f"ESR {amp}" for amp in amps]
    held = ["HELD ESR"] if len(amps) == 1 else [f"HELD ESR {amp}" for amp in amps]
    header = ("TRIAL", *errors, "COST", *held, "KNOBS AT", "STATE", "STEPS", "LAYERS", "LEARNING RATE")
    rows = [_board_row(trial, amps, universal, driven) for trial in select_trials(board, sort, top)]
    return header, rows, header.index("STATE") + 1 if len(amps) == 1 else 3


def select_trials(board: Board, sort: str | None = None, top: int | None = None) -> list[BoardTrial]:
    """Return the first `top` trials (None: all) by one of `ORDERS`, the smallest first; None for the board's order.

    Trials without such a value come last.
    """
    trials = sorted(board.trials, key=ORDERS[sort]) if sort else board.trials
    return trials[:top]


def _held_order(trial: BoardTrial) -> float:
    means = [held["mean"] for held in trial.held.values() if held["mean"]]
    return fmean(means) if means else math.inf


ORDERS: dict[str, Callable[[BoardTrial], Any]] = {  # word -> what trials are ordered by
    "trial": lambda trial: trial.number,
    "esr": lambda trial: trial.esr,
    "cost": lambda trial: trial.cost,
    "held": _held_order,
    "knobs": lambda trial: (trial.form, trial.esr),
    "state": lambda trial: (trial.state, trial.esr),
    "steps": lambda trial: trial.step,
    "layers": lambda trial: (trial.label, trial.esr),
    "rate": lambda trial: trial.point["learning_rate"],
}


def _board_row(trial: BoardTrial, amps: list[str], universal: bool, driven: bool) -> tuple[str, ...]:
    errors = [trial.esr] if universal else [trial.amps.get(amp, math.inf) for amp in amps]
    return (
        trial.trial + ("*" if trial.front else ""),
        *(f"{error:.4f}" if math.isfinite(error) else "-" for error in errors),
        f"{trial.cost:.3g}" if trial.cost < 1 else f"{trial.cost:.0f}",
        *(f"{trial.held[amp]['mean']:.4f}" if amp in trial.held else "" for amp in amps),
        trial.form,
        _outcome(trial, driven),
        f"{trial.step:,} of {trial.steps:,}",
        trial.label,
        f"{trial.point['learning_rate']:.4f}",
    )


def _outcome(trial: BoardTrial, driven: bool) -> str:
    """Return how a trial ended and why, or whether it runs."""
    if not trial.has_ended:
        return "running" if driven else "interrupted"
    if trial.reason is not None:
        return f"{trial.state}: {trial.reason}"
    return trial.state + _broken_limits(trial)


def _broken_limits(trial: TrialRecord) -> str:
    """Return the limits that a trial breaks, with the amp if there are several."""
    broken = ((name, amp) for amp, found in trial.limits.items() for name, excess in found.items() if excess > 0)
    several = len(trial.limits) > 1
    return "".join(f", breaks {name}" + (f" on {amp}" if several else "") for name, amp in broken)


def trial_sentence(trial: TrialRecord) -> str:
    """Return one line about an ended trial."""
    what = f"{trial.form}, {trial.label}"
    name = f"trial {trial.trial}"
    if trial.state == "finished":
        return f"{name} ESR {trial.esr:.4f} cost {trial.cost:>6.4g} ({what}{_broken_limits(trial)})"
    if trial.state == "pruned":
        return f"{name} ESR {trial.esr:.4f} pruned at step {trial.step} ({what})"
    return f"{name} {trial.state}: {trial.reason or 'no reason given'} ({what})"


def duration(seconds: float) -> str:
    """Return a time in the unit that reads best: `90 s`, `30 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def search_sentence(config: SearchConfig) -> str:
    """Return one line about what a search will train."""
    amps, count = len(config.datasets), sum(count for count, _ in config.trainings)
    where = f"each of {amps} amps" if amps > 1 else "one amp"
    if config.minutes is not None:
        text = f"{duration(60 * config.minutes)} on {where}: as many trials of {config.learning.steps:,} steps as fit"
        return text + (f", then the best {config.finals} again, {config.final_steps:,} steps" if config.final else "")
    text = f"at most {count:,} trainings on {where}: {config.trials:,} trials of {config.learning.steps:,} steps"
    if not config.final:
        return text
    seeds = f"{config.final.seeds} seed{'s' if config.final.seeds > 1 else ''} of {config.final_steps:,} steps"
    return f"{text}, then the best {config.finals} again, {seeds}"
