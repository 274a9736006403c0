"""The pictures of a board, each a small chart of one question."""

import math
from collections.abc import Container, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from models.artifacts.evaluation import Score
from models.core.files import staged_file
from models.knobs.text import format_setting
from search.config.named_recipes import PEER
from search.config.study import ALL
from search.optimizer.pareto import is_feasible
from search.study.board import Board, BoardTrial, Tier
from search.study.lines import FINISHED, PRUNED
from search.study.objectives import error_of, limits_on

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")  # Okabe and Ito

MARKERS = "o^sDvPX*"

GREY = "0.6"

RINGS = (("o", "stock shape, FiLM"), ("s", "peer's recipe"))

TICKS = (tuple(range(1, 10)), (1, 2, 5), (1, 3), (1,))  # in each decade, the most that there is room for

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ampzoo",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_front(board: Board, path: Path) -> None:
    """Draw the front as a PNG, for cards and READMEs."""
    with rc_context(STYLE), staged_file(path) as staged:
        front_figure(board).savefig(staged, format="png", dpi=130)


def to_svg(figure: Figure) -> bytes:
    """A figure as an SVG document, the same bytes each time."""
    with rc_context(STYLE):
        out = BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        return out.getvalue()


def count_trials(board: Board) -> str:
    """Return what a board is of: `30 trials on muff, rat; 4 more trained the best again`."""
    again = sum(trial.is_final for trial in board.trials)
    text = f"{len(board.trials) - again} trials on {', '.join(board.amps)}"
    return f"{text}; {again} more trained the best again" if again else text


def front_figure(board: Board) -> Figure:
    """Draw validation ESR against cost, both logarithmic, one chart for each front.

    Colour and shape mark where the knobs enter, rings mark published recipes, dashed lines the tiers.
    """
    fronts, several = board.fronts, len(board.fronts) > 1
    across = 2 if several else 1
    rows = math.ceil(len(fronts) / across)
    figure, panels = figure_row(len(fronts), *((10.4, 0.4 + 3.6 * rows) if several else (7.2, 4.6)), across=across)
    finished = [trial for trial in board.trials if trial.state == FINISHED]
    looks = dict(zip(_forms(finished), zip(COLOURS, MARKERS, strict=True), strict=False))
    for axes, front in zip(panels, fronts, strict=True):
        _draw_front(axes, board, front, looks)
        if several:
            axes.set_title(front, size=9)
    figure.suptitle(f"{board.name}: {count_trials(board)}", size=10)
    shown: dict[str, Any] = {}
    for axes in panels:
        shown |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    order = [label for label in (*looks, "pruned", *(label for _, label in RINGS), "Pareto front") if label in shown]
    look = {"title": "knobs enter at", "fontsize": 7, "title_fontsize": 7, "frameon": False}
    figure.legend([shown[label] for label in order], order, loc="outside right upper", **look)
    return figure


def _draw_front(axes: Axes, board: Board, front: str, looks: Mapping[str, tuple[str, str]]) -> None:
    """Draw the trials of a board with the errors and limits of one front."""
    by_name = board.by_name
    members = [by_name[trial] for trial in board.fronts[front]]
    finished = [trial for trial in board.trials if trial.state == FINISHED]
    trials = [trial for trial in finished if is_feasible(limits_on(trial, front)) or trial in members]

    def points(some: list[BoardTrial]) -> tuple[list[float], list[float]]:
        return [trial.cost for trial in some], [error_of(trial, front) for trial in some]

    for form, (colour, marker) in looks.items():
        group = [trial for trial in trials if _form(trial, looks) == form]
        axes.scatter(*points(group), c=colour, marker=marker, s=28, label=form, zorder=3)
    pruned = [trial for trial in board.trials if trial.state == PRUNED]
    if pruned:
        axes.scatter(*points(pruned), c=GREY, marker=".", s=18, label="pruned", zorder=1)
    for marker, label in RINGS:
        peers = label == RINGS[1][1]
        named = [trial for trial in trials if trial.recipe and trial.recipe.startswith(PEER) == peers]
        if named:
            ring = {"facecolors": "none", "edgecolors": "0.3", "s": 90, "linewidths": 0.8, "zorder": 2}
            axes.scatter(*points(named), marker=marker, label=label, **ring)
        for trial in named:
            where = {"xytext": (6, -3), "textcoords": "offset points", "size": 7, "color": "0.3"}
            name = (trial.recipe or "").removeprefix(PEER).removesuffix("-film")
            axes.annotate(name, (trial.cost, error_of(trial, front)), **where)
    axes.plot(*points(members), color=GREY, linewidth=1, zorder=2, label="Pareto front")
    _tiers(axes, board.tiers.get(front, {}), trials)
    best = members[0].cost, error_of(members[0], front)
    axes.annotate("best", best, xytext=(-6, -10), textcoords="offset points", ha="right", weight="bold")
    axes.set(xscale="log", yscale="log", xlabel=f"cost ({board.unit})", ylabel="validation ESR")
    plain_ticks(axes)


def curves_figure(
    board: Board, curves: Mapping[str, Mapping[str, Mapping[int, float]]], rungs: Iterable[int]
) -> Figure:
    """Draw ESR against steps, one chart for each front: its trials in colour, others grey; pruned ones end in a cross.

    Args:
        board: the trials.
        curves: front -> trial -> step -> ESR.
        rungs: the steps at which trials are pruned.
    """
    figure, panels = figure_row(len(curves), 7.2, 3.6 * len(curves), across=1)
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
    ahead = {trial.partition("-")[0] for trial in board.fronts[front]}
    colours = iter(COLOURS * 20)
    for trial in sorted(board.trials, key=lambda trial: trial.trial in ahead):
        curve = curves.get(trial.trial, {})
        if trial.is_final or not curve:
            continue
        look: dict[str, Any] = {"color": GREY, "linewidth": 0.7, "alpha": 0.7}
        if trial.trial in ahead:
            look = {"color": next(colours), "linewidth": 1.6, "label": f"{trial.label}, {trial.form}"}
        elif trial.state == PRUNED:
            last = max(curve)
            axes.plot([last], [curve[last]], "x", color="0.4", markersize=3)
        axes.plot(list(curve), list(curve.values()), **look)
    if ahead & curves.keys():
        axes.legend(
            title="front", fontsize=7, title_fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1)
        )


def strips_figure(groups: Mapping[str, list[float]], label: str, what: str) -> Figure:
    """Draw a dot per trial at its error (`what`), a row per group, the best groups on top; a bar at each median."""
    figure, axes = _figure(7.2, 0.9 + 0.32 * len(groups))
    ordered = sorted(groups.items(), key=lambda item: sorted(item[1])[len(item[1]) // 2], reverse=True)
    for row, (_, values) in enumerate(ordered):
        axes.plot(values, [row] * len(values), "o", color=COLOURS[0], alpha=0.6, markersize=4)
        axes.plot([sorted(values)[len(values) // 2]], [row], "|", color=COLOURS[1], markersize=14, markeredgewidth=2)
    axes.set(xscale="log", xlabel=f"{what} of finished trials (bar: median)")
    axes.set_yticks(range(len(ordered)), [f"{name} ({len(values)})" for name, values in ordered])
    axes.set_ylabel(label)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    plain_ticks(axes, y=False)
    return figure


def bars_figure(values: Mapping[str, float], label: str) -> Figure:
    """Draw a bar per name, the longest on top."""
    figure, axes = _figure(7.2, 0.9 + 0.26 * len(values))
    ordered = sorted(values.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=COLOURS[0], height=0.6)
    axes.set(xlabel=label)
    return figure


def settings_figure(score: Score, title: str) -> Figure:
    """ESR at every setting, worst on top, beside what the nearest recorded setting would give."""
    settings = sorted(score.settings, key=lambda s: s.esr)
    figure, axes = _figure(7.2, 1.0 + 0.24 * len(settings))
    rows = range(len(settings))
    axes.barh(rows, [s.esr for s in settings], color=COLOURS[0], height=0.6, label="this model")
    nearest = [(row, s.baseline_esr) for row, s in zip(rows, settings, strict=True) if s.baseline_esr]
    if nearest:
        axes.plot(
            [esr for _, esr in nearest],
            [row for row, _ in nearest],
            "|",
            color=COLOURS[1],
            markersize=10,
            markeredgewidth=2,
            label="nearest recorded setting",
        )
    axes.set_yticks(rows, [format_setting(s.setting) for s in settings], size=7)
    axes.set(xscale="log", xlabel="ESR")
    axes.set_title(title, size=9)
    plain_ticks(axes, y=False)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def figure_row(count: int, width: float, height: float, across: int | None = None) -> tuple[Figure, list[Axes]]:
    """An empty figure (inches) of so many charts beside each other, or at most `across`, the others below."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        across = across or count
        rows = math.ceil(count / across)
        panels = [figure.add_subplot(rows, across, place + 1) for place in range(count)]
        for axes in panels:
            axes.grid(alpha=0.25, which="major")
        return figure, panels


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = figure_row(1, width, height)
    return figure, axes


def _forms(trials: list[BoardTrial]) -> list[str]:
    """Return the most frequent forms of injection, and `other` for the rest."""
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.form] = counts.get(trial.form, 0) + 1
    ordered = sorted(counts, key=lambda form: (-counts[form], form))
    return ordered if len(ordered) <= len(MARKERS) else [*ordered[: len(MARKERS) - 1], "other"]


def _form(trial: BoardTrial, known: Container[str]) -> str:
    return trial.form if trial.form in known else "other"


def _tiers(axes: Axes, tiers: Mapping[str, Tier], trials: list[BoardTrial]) -> None:
    """Draw a line at each tier's budget that lies inside the chart."""
    costs = [trial.cost for trial in trials]
    for tier, found in tiers.items():
        if costs and found.budget and min(costs) / 2 < found.budget < max(costs) * 2:
            axes.axvline(found.budget, color="0.85", linestyle="--", linewidth=0.8, zorder=0)
            axes.annotate(
                tier,
                (found.budget, 1),
                xycoords=("data", "axes fraction"),
                size=7,
                color="0.5",
                ha="right",
                va="top",
                rotation=90,
            )


def plain_ticks(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Numbers as people write them, as many as there is room for."""
    for axis, wanted, log, most in ((axes.xaxis, x, axes.get_xscale(), 6), (axes.yaxis, y, axes.get_yscale(), 8)):
        if wanted and log == "log":
            low, high = axis.get_view_interval()
            decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            inside = {
                steps: sum(low <= step * 10.0**decade <= high for decade in decades for step in steps)
                for steps in TICKS
            }
            steps = next((steps for steps in TICKS if inside[steps] <= most), TICKS[-1])
            axis.set_major_locator(LogLocator(subs=steps) if inside[steps] > 2 else MaxNLocator(most // 2 + 1))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
