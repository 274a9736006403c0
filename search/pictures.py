"""The pictures of a board, each a small chart of one question."""

import math
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.documents import Score
from models.files import staged_file
from models.knobs import format_setting
from search.ledger import FINISHED, PRUNED, Line

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")  # Okabe and Ito
MARKERS = "o^sDvPX*"
GREY = "0.6"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ampzoo",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_front(board: dict[str, Any], path: Path) -> None:
    """The front as a PNG, for cards and READMEs."""
    with rc_context(STYLE), staged_file(path) as staged:
        front_figure(board).savefig(staged, format="png", dpi=130)


def to_svg(figure: Figure) -> bytes:
    """A figure as an SVG document, the same bytes each time."""
    with rc_context(STYLE):
        out = BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        return out.getvalue()


def front_figure(board: dict[str, Any]) -> Figure:
    """Validation ESR against cost, both logarithmic: colour and shape tell where the knobs enter, rings a stock shape, lines the tiers."""
    figure, axes = _figure(7.2, 4.6)
    trials = [trial for trial in board["trials"] if trial["state"] == FINISHED and trial["feasible"]]
    trials = trials or [trial for trial in board["trials"] if trial["state"] == FINISHED]
    for form, colour, marker in zip(_forms(trials), COLOURS, MARKERS, strict=False):
        group = [trial for trial in trials if _form(trial, trials) == form]
        axes.scatter(_of(group, "cost"), _of(group, "esr"), c=colour, marker=marker, s=28, label=form, zorder=3)
    pruned = [trial for trial in board["trials"] if trial["state"] == PRUNED]
    if pruned:
        axes.scatter(_of(pruned, "cost"), _of(pruned, "esr"), c=GREY, marker=".", s=18, label="pruned", zorder=1)
    stock = [trial for trial in trials if trial["point"]["shape"] != "free"]
    if stock:
        ring = {"facecolors": "none", "edgecolors": "0.3", "s": 90, "linewidths": 0.8, "zorder": 2}
        axes.scatter(_of(stock, "cost"), _of(stock, "esr"), label="stock or peers' shape", **ring)
        best_of = {trial["label"]: trial for trial in sorted(stock, key=lambda trial: -trial["esr"])}
        for label, trial in best_of.items():
            where = {"xytext": (6, -3), "textcoords": "offset points", "size": 7, "color": "0.3"}
            axes.annotate(label, (trial["cost"], trial["esr"]), **where)
    by_name = {trial["trial"]: trial for trial in trials}
    for name, members in board["fronts"].items():
        line = [by_name[trial] for trial in members]
        label = "Pareto front" if name == "all" else f"front of {name}"
        axes.plot(_of(line, "cost"), _of(line, "esr"), color=GREY, linewidth=1, zorder=2, label=label)
    _tiers(axes, board, trials)
    best = by_name.get(board["best"])
    if best:
        axes.annotate(
            "best", (best["cost"], best["esr"]), xytext=(-6, -10), textcoords="offset points", ha="right", weight="bold"
        )
    axes.set(xscale="log", yscale="log", xlabel=f"cost ({board['unit']})", ylabel="validation ESR")
    axes.set_title(f"{board['name']}: {len(board['trials'])} trials on {', '.join(board['amps'])}", size=10)
    plain_ticks(axes)
    axes.legend(
        title="knobs enter at", fontsize=7, title_fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1)
    )
    return figure


def curves_figure(board: dict[str, Any], curves: Mapping[str, Mapping[int, float]], rungs: Iterable[int]) -> Figure:
    """ESR against steps: the front in colour, other finished trials grey, pruned ones up to where they were stopped."""
    figure, axes = _figure(7.2, 3.6)
    ahead = {trial.get("of", trial["trial"]) for trial in board["trials"] if trial["front"]}
    colours = iter(COLOURS * 20)
    for trial in sorted(board["trials"], key=lambda trial: trial["trial"] in ahead):
        curve = curves.get(trial["trial"], {})
        if "of" in trial or not curve:
            continue
        look: dict[str, Any] = {"color": GREY, "linewidth": 0.7, "alpha": 0.7}
        if trial["trial"] in ahead:
            look = {"color": next(colours), "linewidth": 1.6, "label": f"{trial['label']}, {trial['form']}"}
        elif trial["state"] == PRUNED:
            last = max(curve)
            axes.plot([last], [curve[last]], "x", color="0.4", markersize=3)
        axes.plot(list(curve), list(curve.values()), **look)
    for rung in rungs:
        axes.axvline(rung, color="0.8", linestyle=":", zorder=0)
        axes.annotate(
            "rung", (rung, 1), xycoords=("data", "axes fraction"), size=6, color="0.5", ha="center", va="bottom"
        )
    axes.set(yscale="log", xlabel="step", ylabel="validation ESR")
    plain_ticks(axes, x=False)
    if ahead & curves.keys():
        axes.legend(
            title="front", fontsize=7, title_fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1)
        )
    return figure


def strips_figure(groups: Mapping[str, list[float]], label: str) -> Figure:
    """One dot per trial, one row per group, the best groups on top; a bar at each median."""
    figure, axes = _figure(7.2, 0.9 + 0.32 * len(groups))
    ordered = sorted(groups.items(), key=lambda item: sorted(item[1])[len(item[1]) // 2], reverse=True)
    for row, (_, values) in enumerate(ordered):
        axes.plot(values, [row] * len(values), "o", color=COLOURS[0], alpha=0.6, markersize=4)
        axes.plot([sorted(values)[len(values) // 2]], [row], "|", color=COLOURS[1], markersize=14, markeredgewidth=2)
    axes.set(xscale="log", xlabel="validation ESR of finished trials (bar: median)")
    axes.set_yticks(range(len(ordered)), [f"{name} ({len(values)})" for name, values in ordered])
    axes.set_ylabel(label)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    plain_ticks(axes, y=False)
    return figure


def bars_figure(values: Mapping[str, float], label: str) -> Figure:
    """A bar per name, the longest on top."""
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


def figure_row(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """An empty figure (inches) of so many charts beside each other."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = [figure.add_subplot(1, count, place + 1) for place in range(count)]
        for axes in panels:
            axes.grid(alpha=0.25, which="major")
        return figure, panels


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = figure_row(1, width, height)
    return figure, axes


def _of(trials: list[Line], key: str) -> list[float]:
    return [trial[key] for trial in trials]


def _forms(trials: list[Line]) -> list[str]:
    """The commonest forms of injection, and `other` for the rest."""
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial["form"]] = counts.get(trial["form"], 0) + 1
    ordered = sorted(counts, key=lambda form: (-counts[form], form))
    return ordered if len(ordered) <= len(MARKERS) else [*ordered[: len(MARKERS) - 1], "other"]


def _form(trial: Line, trials: list[Line]) -> str:
    return trial["form"] if trial["form"] in _forms(trials) else "other"


def _tiers(axes: Axes, board: dict[str, Any], trials: list[Line]) -> None:
    """A line at each tier's budget inside the picture."""
    costs = _of(trials, "cost")
    for tiers in list(board["tiers"].values())[:1]:
        for tier, found in tiers.items():
            if costs and found["budget"] and min(costs) / 2 < found["budget"] < max(costs) * 2:
                axes.axvline(found["budget"], color="0.85", linestyle="--", linewidth=0.8, zorder=0)
                axes.annotate(
                    tier,
                    (found["budget"], 1),
                    xycoords=("data", "axes fraction"),
                    size=7,
                    color="0.5",
                    ha="right",
                    va="top",
                    rotation=90,
                )


def plain_ticks(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Numbers as people write them, and between the decades only where there is room."""
    for axis, wanted, log in ((axes.xaxis, x, axes.get_xscale()), (axes.yaxis, y, axes.get_yscale())):
        if wanted and log == "log":
            low, high = axis.get_view_interval()
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("{x:g}" if math.log10(high / low) < 1.3 else "")
            axis.set_tick_params(which="minor", labelsize="xx-small")
