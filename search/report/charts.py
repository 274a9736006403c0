"""The pictures of a board, each a small chart of one question."""

import math
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.reporting.html import TIP
from models.reporting.plots import (
    COLORS,
    GRAY,
    WIDTH_IN,
    label_text,
    make_chart,
    make_figure,
    plain_ticks,
    save_png,
    styled,
)
from search.config.named_recipes import PEER
from search.config.study import ALL
from search.optimizer.pareto import is_feasible
from search.report.tables import group_tiers
from search.study.board import Board, BoardTier, BoardTrial
from search.study.lines import FINISHED, PRUNED
from search.study.objectives import error_of, limits_on

MARKERS = "o^sDvPX*"

MAX_NAMES = 8  # of trials of a front that are written beside their marks

RINGS = (("o", "stock shape, FiLM"), ("s", "another project's recipe"))


def trial_tip(trial: BoardTrial, front: str) -> str:
    """Return what a trial's mark shows under the pointer, as a URL (see `models.reporting.html.drawing`)."""
    what = f"{trial.label}, knobs at {trial.form}, ESR {error_of(trial, front):.4f}, cost {trial.cost:.4g}"
    state = "" if trial.state == FINISHED else f", {trial.state} at step {trial.step}"
    return f"{TIP}{trial.trial}: {what}{state}"


def draw_front(board: Board, path: Path) -> None:
    """Draw the front as a PNG, for cards and READMEs."""
    save_png(front_figure(board), path)


def count_trials(board: Board) -> str:
    """Return what a board is of: `30 trials on muff, rat; 4 more trained the best again`."""
    again = sum(trial.is_final for trial in board.trials)
    text = f"{len(board.trials) - again} trials on {', '.join(board.amps)}"
    return f"{text}; {again} more trained the best again" if again else text


@styled
def front_figure(board: Board) -> Figure:
    """Draw validation ESR against cost, both logarithmic, one chart for each front.

    Color and shape mark where the knobs enter, rings mark published recipes, dashed lines the ends of tiers, a dotted
    line the error of the nearest recorded setting.
    """
    fronts, several = board.fronts, len(board.fronts) > 1
    across = 2 if several else 1
    rows = math.ceil(len(fronts) / across)
    figure, panels = make_figure(
        len(fronts), *((10.4, 0.4 + 3.6 * rows) if several else (WIDTH_IN, 4.6)), across=across
    )
    finished = [trial for trial in board.trials if trial.state == FINISHED]
    looks = dict(zip(_forms(finished), zip(COLORS, MARKERS, strict=True), strict=False))
    for axes, front in zip(panels, fronts, strict=True):
        _draw_front(axes, board, front, looks)
        if several:
            axes.set_title(label_text(front), size=9)
    figure.suptitle(f"{board.name}: {count_trials(board)}", size=10)
    shown: dict[str, Any] = {}
    for axes in panels:
        shown |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    order = [label for label in (*looks, "pruned", *(label for _, label in RINGS), "Pareto front") if label in shown]
    handles = [shown[label] for label in order]
    figure.legend(handles, order, loc="outside right upper", title="knobs enter at")
    return figure


def _draw_front(axes: Axes, board: Board, front: str, looks: Mapping[str, tuple[str, str]]) -> None:
    """Draw the trials of a board with the errors and limits of one front."""
    by_name = board.by_name
    members = [by_name[trial] for trial in board.fronts[front]]
    finished = [trial for trial in board.trials if trial.state == FINISHED]
    trials = [trial for trial in finished if is_feasible(limits_on(trial, front)) or trial in members]

    def points(some: list[BoardTrial]) -> tuple[list[float], list[float]]:
        return [trial.cost for trial in some], [error_of(trial, front) for trial in some]

    for form, (color, marker) in looks.items():
        group = [trial for trial in trials if _marker_form(trial, looks) == form]
        dots = axes.scatter(*points(group), c=color, marker=marker, s=28, label=form, zorder=3)
        dots.set_urls([trial_tip(trial, front) for trial in group])
    pruned = [trial for trial in board.trials if trial.state == PRUNED]
    if pruned:
        dots = axes.scatter(*points(pruned), c=GRAY, marker=".", s=18, label="pruned", zorder=1)
        dots.set_urls([trial_tip(trial, front) for trial in pruned])
    for marker, label in RINGS:
        is_other = label == RINGS[1][1]
        named = [trial for trial in trials if trial.recipe and trial.recipe.startswith(PEER) == is_other]
        if named:
            ring = {"facecolors": "none", "edgecolors": "0.3", "s": 90, "linewidths": 0.8, "zorder": 2}
            axes.scatter(*points(named), marker=marker, label=label, **ring)
        for trial in named:
            where = {"xytext": (6, -3), "textcoords": "offset points", "size": 7, "color": "0.3"}
            name = (trial.recipe or "").removeprefix(PEER).removesuffix("-film")
            axes.annotate(label_text(name), (trial.cost, error_of(trial, front)), **where)
    axes.plot(*points(members), color=GRAY, linewidth=1, zorder=2, label="Pareto front")
    _draw_tiers(axes, board.tiers.get(front, {}), trials)
    for trial in members[:MAX_NAMES]:
        where = {"xytext": (4, 4), "textcoords": "offset points", "size": 6, "color": "0.3"}
        axes.annotate(trial.trial, (trial.cost, error_of(trial, front)), **where)
    _name_tiers(axes, board, front)
    _draw_nearest(axes, board, front)
    axes.set(xscale="log", yscale="log", xlabel=f"cost ({board.unit})", ylabel="validation ESR")
    plain_ticks(axes)


@styled
def curves_figure(
    board: Board, curves: Mapping[str, Mapping[str, Mapping[int, float]]], rungs: Iterable[int]
) -> Figure:
    """Draw ESR against steps, one chart for each front: its trials in color, others gray; pruned ones end in a cross.

    Args:
        board: the trials.
        curves: front -> trial -> step -> ESR.
        rungs: the steps at which trials are pruned.
    """
    figure, panels = make_figure(len(curves), WIDTH_IN, 3.6 * len(curves), across=1)
    for axes, (front, of_front) in zip(panels, curves.items(), strict=True):
        _draw_curves(axes, board, front, of_front)
        for rung in rungs:
            axes.axvline(rung, color="0.8", linestyle=":", zorder=0)
            axes.annotate(
                "rung", (rung, 1), xycoords=("data", "axes fraction"), size=6, color="0.5", ha="center", va="bottom"
            )
        axes.set(yscale="log", xlabel="step", ylabel="validation ESR" if front == ALL else f"validation ESR of {front}")
        plain_ticks(axes, x=False)
    return figure


def _draw_curves(axes: Axes, board: Board, front: str, curves: Mapping[str, Mapping[int, float]]) -> None:
    front_trials = {trial.partition("-")[0] for trial in board.fronts[front]}
    colors = iter(COLORS * 20)
    for trial in sorted(board.trials, key=lambda trial: trial.trial in front_trials):
        curve = curves.get(trial.trial, {})
        if trial.is_final or not curve:
            continue
        look: dict[str, Any] = {"color": GRAY, "linewidth": 0.7, "alpha": 0.7}
        if trial.trial in front_trials:
            look = {"color": next(colors), "linewidth": 1.6, "label": label_text(f"{trial.label}, {trial.form}")}
        elif trial.state == PRUNED:
            last = max(curve)
            axes.plot([last], [curve[last]], "x", color="0.4", markersize=3)
        axes.plot(list(curve), list(curve.values()), url=trial_tip(trial, front), **look)
    if front_trials & curves.keys():
        axes.legend(title="front", loc="upper left", bbox_to_anchor=(1.01, 1))


@styled
def strips_figure(groups: Mapping[str, list[float]], label: str, what: str) -> Figure:
    """Draw a dot per trial at its error (`what`), a row per group, the best groups on top; a bar at each median."""
    figure, axes = make_chart(WIDTH_IN, 0.9 + 0.32 * len(groups))
    ordered = sorted(groups.items(), key=lambda item: sorted(item[1])[len(item[1]) // 2], reverse=True)
    for row, (_, values) in enumerate(ordered):
        axes.plot(values, [row] * len(values), "o", color=COLORS[0], alpha=0.6, markersize=4)
        axes.plot([sorted(values)[len(values) // 2]], [row], "|", color=COLORS[1], markersize=14, markeredgewidth=2)
    axes.set(xscale="log", xlabel=f"{what} of finished trials (bar: median)")
    axes.set_yticks(range(len(ordered)), [f"{name} ({len(values)})" for name, values in ordered])
    axes.set_ylabel(label)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    plain_ticks(axes, y=False)
    return figure


@styled
def bars_figure(values: Mapping[str, float], label: str) -> Figure:
    """Draw a bar per name, the longest on top."""
    figure, axes = make_chart(WIDTH_IN, 0.9 + 0.26 * len(values))
    ordered = sorted(values.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=COLORS[0], height=0.6)
    axes.set(xlabel=label)
    return figure


def _forms(trials: list[BoardTrial]) -> list[str]:
    """Return the most frequent forms of injection, and `other` for the rest."""
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.form] = counts.get(trial.form, 0) + 1
    ordered = sorted(counts, key=lambda form: (-counts[form], form))
    return ordered if len(ordered) <= len(MARKERS) else [*ordered[: len(MARKERS) - 1], "other"]


def _marker_form(trial: BoardTrial, known: Container[str]) -> str:
    return trial.form if trial.form in known else "other"


def _draw_tiers(axes: Axes, tiers: Mapping[str, BoardTier], trials: list[BoardTrial]) -> None:
    """Draw a line at each tier's budget that lies inside the chart."""
    costs = [trial.cost for trial in trials]
    for tier, found in tiers.items():
        if costs and found.budget and min(costs) / 2 < found.budget < max(costs) * 2:
            axes.axvline(found.budget, color="0.85", linestyle="--", linewidth=0.8, zorder=0)
            axes.annotate(
                f"{tier} up to here",
                (found.budget, 1),
                xycoords=("data", "axes fraction"),
                size=7,
                color="0.5",
                ha="right",
                va="top",
                rotation=90,
            )


def _name_tiers(axes: Axes, board: Board, front: str) -> None:
    """Write beside the best trial of each tier which tiers it is the best of, and beside the best that it is."""
    best = board.fronts[front][0]
    names = {trial: ", ".join(tiers) for trial, tiers in group_tiers(board.tiers.get(front, {})).items() if trial}
    for trial in dict.fromkeys([best, *names]):
        text = ": ".join(filter(None, ("best" if trial == best else "", names.get(trial, ""))))
        place = board.by_name[trial].cost, error_of(board.by_name[trial], front)
        weight = "bold" if trial == best else "normal"
        axes.annotate(text, place, xytext=(-6, -10), textcoords="offset points", ha="right", size=8, weight=weight)


def _draw_nearest(axes: Axes, board: Board, front: str) -> None:
    """Draw the error of playing the nearest recorded setting, where it is known."""
    if (esr := nearest_esr(board, front)) is None:
        return
    axes.axhline(esr, color="0.5", linestyle=":", linewidth=0.9, zorder=0)
    where = {"xytext": (-2, 2), "textcoords": "offset points", "size": 7, "color": "0.4", "ha": "right"}
    axes.annotate(f"nearest recorded setting: {esr:.3g}", (1, esr), xycoords=("axes fraction", "data"), **where)


def nearest_esr(board: Board, front: str) -> float | None:
    """Return the validation ESR of playing the nearest recorded setting in place of a model.

    None for one of several amps with fronts of their own, of which the ledger has the mean only, and where an amp has
    no such setting.
    """
    scored = [held for trial in board.trials for held in trial.held.values()]
    has_none = any("baseline_mean" in held and held["baseline_mean"] is None for held in scored)
    if has_none or (front != ALL and len(board.amps) > 1):
        return None
    return next((trial.esr / trial.relative for trial in board.trials if trial.relative), None)
