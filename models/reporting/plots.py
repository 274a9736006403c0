"""One chart style: figures, colors, ticks, the chart of ESR per setting, and saving as SVG or PNG.

Importing Matplotlib takes a second, so commands that may draw nothing import this module inside a function.

Shapes: F frequency bands.
"""

import math
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator

from models.artifacts.evaluation import Score
from models.core.files import staged_file
from models.core.plain_text import plain_text
from models.knobs.text import format_setting

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")  # Okabe and Ito
GRAY = "0.6"

WIDTH_IN = 7.2  # of a chart that fills a page

PNG_DPI, RASTER_DPI = 130, 150

FLOOR_DBFS = -120.0

TICKS = (tuple(range(1, 10)), (1, 2, 5), (1, 3), (1,))  # multiples of each power of ten, the densest first

CHART_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ampzoo",
    "text.parse_math": False,  # names of files, knobs and trials may have dollar signs
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
}

styled = rc_context(CHART_STYLE)  # decorator of a function that draws: whatever it adds to a figure is in our style


@styled
def make_figure(charts: int, width_in: float, height_in: float, across: int | None = None) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of that size in inches, and its charts: side by side, at most `across` in a row."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    across = across or charts
    rows = math.ceil(charts / across)
    panels = [figure.add_subplot(rows, across, place + 1) for place in range(charts)]
    for axes in panels:
        axes.grid(alpha=0.25, which="major")
    return figure, panels


def make_chart(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """Return an empty figure of one chart, of that size in inches."""
    figure, (axes,) = make_figure(1, width_in, height_in)
    return figure, axes


@styled
def to_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG document; the same figure gives the same bytes.

    Characters that XML forbids or that cannot be seen become question marks.
    """
    out = BytesIO()
    _save_figure(figure, out, format="svg", dpi=RASTER_DPI, metadata={"Date": None})
    return plain_text(out.getvalue().decode(), keep="\n\r\t").encode()


@styled
def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, whole or not at all; the same figure gives the same bytes."""
    with staged_file(path) as staged:
        _save_figure(figure, staged, format="png", dpi=PNG_DPI, metadata={"Software": None})


def _save_figure(figure: Figure, out: Path | BytesIO, **options: Any) -> None:
    """Save a figure whose texts are taken letter for letter, whatever their characters."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)  # a browser has other fonts
        figure.savefig(out, **options)


@styled
def draw_spectra(axes: Axes, centers_hz: np.ndarray, levels_dbfs: Mapping[str, np.ndarray]) -> None:
    """Draw one spectrum per value of a knob, from light to dark; levels below `FLOOR_DBFS` are drawn there.

    `levels_dbfs` has a label and levels `(F,)` per spectrum, `centers_hz` is `(F,)`.
    """
    ramp = LinearSegmentedColormap.from_list("shades", ("#a6cee8", COLORS[0], "#00253a"))
    for number, (value, levels_F) in enumerate(levels_dbfs.items()):
        color = ramp(number / max(len(levels_dbfs) - 1, 1))
        axes.semilogx(centers_hz, np.maximum(levels_F, FLOOR_DBFS), color=color, label=value)
    plain_ticks(axes, y=False)
    axes.set_xlabel("Hz")
    axes.legend(ncols=2)


def label_text(text: str, most: int = 60) -> str:
    """Return free text, such as the name of a file, as a label."""
    return plain_text(" ".join(text.split()), max_length=most)


def plain_ticks(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Label logarithmic axes with plain numbers (0.05, not 5e-2), as many as there is room for."""
    for axis, wanted, scale, most in ((axes.xaxis, x, axes.get_xscale(), 6), (axes.yaxis, y, axes.get_yscale(), 8)):
        if wanted and scale == "log":
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


@styled
def plot_setting_errors(score: Score, label: str, title: str = "", most: int | None = None) -> Figure:
    """Draw the ESR at each setting, the worst on top, beside that of the nearest recorded setting.

    `label` names the ESR axis. Of more than `most` settings the best are left out.
    """
    settings = sorted(score.settings, key=lambda setting: setting.esr)[-(most or 0) :]
    figure, axes = make_chart(WIDTH_IN, 1.0 + 0.24 * len(settings))
    rows = range(len(settings))
    nearest = [(row, s.esr, s.baseline_esr) for row, s in enumerate(settings) if s.baseline_esr]
    if nearest:
        at, ours, theirs = zip(*nearest, strict=True)
        axes.hlines(at, ours, theirs, color="0.85", linewidth=1)
        axes.plot(theirs, at, "|", color=COLORS[1], markersize=9, markeredgewidth=2, label="nearest recorded setting")
    axes.plot([s.esr for s in settings], rows, "o", color=COLORS[0], markersize=5, label="this model")
    axes.set_yticks(rows, [label_text(format_setting(s.setting)) for s in settings], size=7)
    axes.set_ylim(-0.6, len(settings) - 0.4)
    axes.set(xscale="log", xlabel=label)
    plain_ticks(axes, y=False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    if title:
        figure.suptitle(label_text(title), size=9, x=0.01, ha="left")
    return figure
