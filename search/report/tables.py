"""The tables of a report: the best in each tier, and every trial."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from models.network.architecture import SLOTS
from models.reporting.html import paragraph, table
from search.config.space import Point
from search.config.study import ALL
from search.optimizer.pareto import is_feasible
from search.study.board import Board, BoardTier, BoardTrial
from search.study.objectives import error_of, limits_on

# Axes that a trial's label states
LABEL = {"shape", "arrays", "depth", "dilations", "kernel_size", "channels", "activation", "gating"}

SHOWN = LABEL | {"inject", "encoding", "learning_rate"}  # in columns of their own

AT = "at_"  # prefix of the axes of `inject: any`


def tier_table(board: Board) -> str:
    """Return the best trial of each front within each budget, with its error and held scores; one row per trial."""
    by_name = board.by_name
    universal = ALL in board.fronts
    amps = board.amps if universal else [None]
    rows: list[tuple[str, ...]] = []
    for front, tiers in board.tiers.items():
        for trial_name, names in group_tiers(tiers).items():
            budget = tiers[names[-1]].budget
            name = (", ".join(names), "any" if budget is None else f"{budget:.4g}")
            name = name if universal else (front, *name)
            trial = by_name.get(trial_name or "")
            if trial is None:
                rows.append((*name, "none", *[""] * (3 + len(amps))))
                continue
            held = trial.held
            scores = (f"{held[amp or front]['mean']:.4f}" if (amp or front) in held else "" for amp in amps)
            what = trial.trial, trial.label, trial.form, f"{error_of(trial, front):.4f}"
            rows.append((*name, *what, *scores))
    whose = [f"held ESR {amp}" if len(amps) > 1 else "held ESR" for amp in amps]
    names = ("tier", f"cost up to ({board.unit})", "trial", "layers", "knobs at", "ESR")
    return table((*([] if universal else ["amp"]), *names, *whose), rows)


def group_tiers(tiers: Mapping[str, BoardTier]) -> dict[str | None, list[str]]:
    """Return trial -> the tiers it is the best of: tiers with one model are one."""
    found: dict[str | None, list[str]] = {}
    for name, tier in tiers.items():
        found.setdefault(tier.trial, []).append(name)
    return found


def trial_table(board: Board) -> str:
    """Return every trial with its error on each amp and, where there is one front of all, over all amps."""
    errors = {"ESR": ALL} if ALL in board.fronts else {}
    if len(board.amps) > 1 or not errors:
        errors |= {f"ESR {amp}": amp for amp in board.amps}
    usual = _usual(board.trials)
    header = ("trial", "state", *errors, "worst", "cost", "parameters", "layers", "knobs at", "rate", "also", "steps")
    rows: list[tuple[str, ...]] = [
        (
            trial.trial + ("*" if trial.front else ""),
            _state(trial, board.fronts),
            *(f"{error_of(trial, front):.4f}" if trial.amps else "" for front in errors.values()),
            f"{max(trial.worst.values()):.4f}" if trial.worst else "",
            f"{trial.cost:.4g}",
            str(trial.parameters),
            trial.label,
            trial.form,
            f"{trial.point['learning_rate']:.4g}",
            _unlike(trial.point, usual),
            str(trial.step),
        )
        for trial in board.trials
    ]
    most = ", ".join(f"{axis} {word}" for axis, word in usual.items())
    note = paragraph(f"Where a trial does not say otherwise: {most}.") + "\n" if most else ""
    return note + table(header, rows)


def _state(trial: BoardTrial, fronts: Iterable[str]) -> str:
    """Return `finished, breaks a limit on muff`, or why a trial failed."""
    broken = [front for front in fronts if not is_feasible(limits_on(trial, front))]
    where = "" if broken == [ALL] else f" on {', '.join(broken)}"
    return (
        trial.state
        + (f", breaks a limit{where}" if broken else "")
        + (f": {trial.reason}" if trial.reason is not None else "")
    )


def _usual(trials: list[BoardTrial]) -> dict[str, str]:
    """Return axis -> the most frequent choice, for axes in which trials differ and that have no column."""
    chosen: dict[str, Counter[str]] = {}
    for axis, value in (pair for trial in trials for pair in trial.point.items()):
        chosen.setdefault(axis, Counter())[_word(value)] += 1
    varied = {axis: found for axis, found in chosen.items() if axis not in SHOWN and not axis.startswith(AT)}
    return {axis: found.most_common(1)[0][0] for axis, found in varied.items() if len(found) > 1}


def _unlike(point: Point, usual: dict[str, str]) -> str:
    """Return how a point differs from the usual choices, and its FiLM slots: `batch 4, at conv_pre`."""
    unlike = [
        f"{axis} {_word(point[axis])}" for axis, most in usual.items() if axis in point and _word(point[axis]) != most
    ]
    places = [axis.removeprefix(AT) for axis, chosen in point.items() if axis.startswith(AT) and chosen]
    places = places or point["inject"].split("+")
    if set(places) & set(SLOTS):
        unlike.append(f"at {'+'.join(places)}")
    return ", ".join(unlike)


def _word(value: Any) -> str:
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)
