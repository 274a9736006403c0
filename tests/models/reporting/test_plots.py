"""Charts are legible, and the same figure is saved as the same bytes."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from models.artifacts.evaluation import Score, SettingScore
from models.core.plain_text import plain_text
from models.reporting.plots import (
    FLOOR_DBFS,
    draw_spectra,
    label_text,
    make_chart,
    plain_ticks,
    plot_setting_errors,
    save_png,
    to_svg,
)

SCORES = tuple(
    SettingScore(setting={"gain": float(n)}, esr=0.01 * (n + 1), baseline_esr=None if n == 0 else 0.2)
    for n in range(30)
)
SCORE = Score(mean=0.1, median=0.1, worst=0.3, baseline_mean=None, settings=SCORES)


def lines_by_label(figure: Figure) -> dict[str, np.ndarray]:
    (axes,) = figure.axes
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.get_lines()}


def test_setting_errors_are_sorted_with_the_worst_on_top():
    lines = lines_by_label(plot_setting_errors(SCORE, "ESR"))
    assert lines["this model"].tolist() == [[s.esr, row] for row, s in enumerate(SCORES)]
    assert lines["nearest recorded setting"].tolist() == [[0.2, row] for row in range(1, 30)]


def test_of_many_settings_the_best_are_left_out():
    figure = plot_setting_errors(SCORE, "ESR", most=24)
    assert lines_by_label(figure)["this model"][:, 0].tolist() == [s.esr for s in SCORES[6:]]
    (axes,) = figure.axes
    assert axes.get_yticklabels()[-1].get_text() == "gain=29"


def test_chart_without_nearest_settings_has_no_line_of_them():
    bare = SCORE.model_copy(update={"settings": SCORES[:1]})
    assert list(lines_by_label(plot_setting_errors(bare, "ESR"))) == ["this model"]


def test_silence_is_drawn_at_the_floor():
    figure, axes = make_chart(4, 3)
    draw_spectra(axes, np.array([100.0, 1000.0]), {"0": np.array([-200.0, -20.0])})
    assert lines_by_label(figure)["0"][:, 1].tolist() == [FLOOR_DBFS, -20.0]


def test_same_figure_gives_the_same_bytes(tmp_path: Path):
    assert to_svg(plot_setting_errors(SCORE, "ESR")) == to_svg(plot_setting_errors(SCORE, "ESR"))
    for name in ("a.png", "b.png"):
        save_png(plot_setting_errors(SCORE, "ESR"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("width", [2.6, 4.8])
@pytest.mark.parametrize(
    ("low", "high"), [(0.00331, 0.046), (0.0031, 0.0069), (0.5, 0.9), (0.0101, 0.0103), (1, 3e7), (8e-3, 0.3)]
)
def test_ticks_are_labeled_and_do_not_overlap(low: float, high: float, width: float):
    figure, axes = make_chart(width, 2.6)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    plain_ticks(axes)
    figure.canvas.draw()
    for axis, side in ((axes.xaxis, 0), (axes.yaxis, 1)):
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        shown = [tick.label1 for tick in ticks if tick.label1.get_text() and low <= tick.get_loc() <= high]
        boxes = sorted(tuple(label.get_window_extent().get_points()[:, side]) for label in shown)
        assert len(boxes) >= 2
        assert all(before[1] < after[0] for before, after in pairwise(boxes)), boxes


NAMES = ("a$_{$b0", r"$\frac", "x^$y$", "tone\x1b[31m", "half\udcff", "日本語 🎸", "rtl\u202egpj", "<b>&")


@pytest.mark.parametrize("name", NAMES)
def test_free_text_in_a_picture_is_text_whatever_its_characters(tmp_path: Path, name: str):
    figure, axes = make_chart(4, 3)
    axes.plot([0, 1], [0, 1], label=label_text(name))
    axes.set_title(label_text(name))
    axes.annotate(label_text(name), (0, 0))
    axes.set_xticks([0, 1], [label_text(name)] * 2)
    axes.legend()
    save_png(figure, tmp_path / "chart.png")
    document = ElementTree.fromstring(to_svg(figure))
    texts = ["".join(element.itertext()) for element in document.iter("{http://www.w3.org/2000/svg}text")]
    expected = "".join("?" if c in "\x1b\udcff\u202e" else c for c in name)
    assert texts.count(expected) == 5
    svg = to_svg(figure).decode()
    assert svg == plain_text(svg, keep="\n\r\t")


def test_long_text_is_one_short_line_in_a_picture():
    assert label_text("a\n b" * 30, 10) == "a ba ba..."
    assert label_text("x" * 500) == "x" * 57 + "..."
