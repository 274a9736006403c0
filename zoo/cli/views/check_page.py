"""A checked manifest as an HTML page: findings, charts of delays, coverage and spectra, and a table of the takes."""

from pathlib import Path

import numpy as np

from models.audio.bands import band_centers, band_edges, band_levels
from models.core.files import write_text
from models.knobs.schema import Knob, Value
from models.knobs.text import format_setting, format_value
from models.recordings.checks.report import Report, TakeReport, group_findings
from models.reporting.html import figure, heading, notice, page, paragraph, table
from models.reporting.plots import (
    COLORS,
    GRAY,
    WIDTH_IN,
    draw_spectra,
    label_text,
    make_chart,
    make_figure,
    styled,
    to_svg,
)
from zoo.cli.views.recordings import GRID_HEADER, GRID_LEGEND, grid_rows
from zoo.cli.views.words import also_in, count

EDGES_HZ = band_edges(40.0, 20480.0, per_octave=3)

MAX_SPECTRA = 9

MAX_DOTS = 5000  # of a page's coverage drawn as shapes; more are drawn as an image

MAX_NAMED, MAX_LABEL = 100, 40  # the delay chart names up to so many takes, by so many characters

GRID_TITLES = tuple(name.lower() for name in GRID_HEADER)

TAKE_COLUMNS = ("take", "setting", "delay", "way up", "drift ppm", "peak", "RMS dBFS")


def write_check_page(report: Report, path: Path) -> Path:
    """Write the page whole or not at all, and return its path."""
    manifest = report.manifest
    charts = [
        ("Delay of each take", _delays(report)),
        ("Where the knobs were recorded", _coverage(report)),
        *((f"Spectra along {name}", _spectra(report, name)) for name in manifest.knobs.names),
    ]
    parts = [
        paragraph(f"{count(report.faults, 'fault')}, {count(report.warnings, 'warning')}."),
        *(
            notice(finding.severity, f"{finding.message}.{also_in(others)}", finding.hint)
            for finding, others in group_findings([*report.faults, *report.warnings])
        ),
        *(f"{heading(title)}\n{chart}" for title, chart in charts if chart),
        *([heading("Along each knob"), table(GRID_TITLES, grid_rows(report.grid))] if report.grid else []),
        paragraph(GRID_LEGEND) if report.grid else "",
        heading("Takes"),
        table(TAKE_COLUMNS, [_take_row(take) for take in report.takes]),
    ]
    write_text(path, page(f"{manifest.device or manifest.path.stem}: {len(report.takes)} takes", parts))
    return path


def _take_row(take: TakeReport) -> list[str]:
    lag, wet = take.known_lag, take.wet_sound
    return [
        take.wet.name,
        format_setting(take.setting),
        *([f"{lag.delay_samples:.2f}", f"{lag.polarity:+d}", f"{lag.drift_ppm:.1f}"] if lag else ["-"] * 3),
        *([f"{wet.peak_dbfs:.1f}", f"{wet.rms_dbfs:.1f}"] if wet else ["-"] * 2),
    ]


@styled
def _delays(report: Report) -> str:
    takes = [take for take in report.takes if take.known_lag]
    if not takes:
        return ""
    named = len(takes) <= MAX_NAMED
    chart, axes = make_chart(WIDTH_IN, 0.9 + (0.17 * len(takes) if named else 4.0))
    for polarity, mark, label, color in (
        (1, "o", "normal polarity", COLORS[0]),
        (-1, "v", "inverted polarity", COLORS[1]),
    ):
        lags = {i: take.known_lag for i, take in enumerate(takes) if take.known_lag}
        delays = {i: lag.delay_samples for i, lag in lags.items() if lag.polarity == polarity}
        if delays:
            axes.plot(list(delays.values()), list(delays), mark, color=color, markersize=4, label=label)
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set(xlabel="delay in samples", ylabel="" if named else "take, in the order of the table")
    axes.set_ylim(len(takes) - 0.4, -0.6)
    if named:
        axes.set_yticks(range(len(takes)), [label_text(take.wet.stem, MAX_LABEL) for take in takes], fontsize=7)
    chart.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure(to_svg(chart), "delay of each take")


@styled
def _coverage(report: Report) -> str:
    """Each pair of knobs as a scatter of the recorded settings, each knob alone as a histogram."""
    names = [n for n in report.manifest.knobs.names if len({take.setting[n] for take in report.takes}) > 1]
    if not names:
        return ""
    size = len(names)
    chart, panels = make_figure(size * size, 1.9 * max(size, 2), 1.7 * max(size, 2), size)
    for place, axes in enumerate(panels):
        row, column = divmod(place, size)
        if column > row:
            axes.remove()
            continue
        x, y = (
            [_axis(report, name, take.setting[name]) for take in report.takes] for name in (names[column], names[row])
        )
        if column == row:
            axes.hist(x, bins=20, range=(0, 1), color=GRAY)
            axes.set_yticks([])
        else:
            axes.plot(x, y, "o", color=COLORS[0], markersize=3.5, alpha=0.6, rasterized=len(x) * size**2 > MAX_DOTS)
            axes.set_ylim(-0.05, 1.05)
            axes.set_yticks(*_axis_labels(report, names[row]))
        axes.set_xlim(-0.05, 1.05)
        axes.set_xticks(*_axis_labels(report, names[column]))
        axes.set_xlabel(names[column] if row == size - 1 else "", fontsize=8)
        axes.set_ylabel(names[row] if column == 0 else "", fontsize=8)
        axes.tick_params(labelsize=6)
    return figure(to_svg(chart), "recorded settings, each knob from end to end of its turn")


def _axis_labels(report: Report, name: str) -> tuple[list[float], list[str]]:
    """Return places in the range of a knob, 0 to 1, and what the faceplate says there: numbers, or positions."""
    knob = report.manifest.knobs.find(name)
    values: list[Value] = (
        [knob.min, (knob.min + knob.max) / 2, knob.max]
        if isinstance(knob, Knob)
        else sorted({str(take.setting[name]) for take in report.takes})
    )
    return [_axis(report, name, value) for value in values], [label_text(format_value(v), 12) for v in values]


def _axis(report: Report, name: str, value: Value) -> float:
    """Return the position of a value in the range of its knob, 0 to 1; positions of a switch are spread evenly."""
    knob = report.manifest.knobs.find(name)
    if isinstance(knob, Knob):
        return (knob.encode(value)[0] + 1) / 2
    values = sorted({str(take.setting[name]) for take in report.takes})
    return values.index(str(value)) / max(len(values) - 1, 1)


def _spectra(report: Report, name: str) -> str:
    takes = _along(report, name)
    if len(takes) < 2:
        return ""
    chart, axes = make_chart(WIDTH_IN, 2.8)
    levels = {
        format_value(take.setting[name]): band_levels(report.excerpts[take.wet], take.wet_sound.rate_hz, EDGES_HZ)
        for take in takes
        if take.wet_sound
    }
    draw_spectra(axes, band_centers(EDGES_HZ), levels)
    axes.set_ylabel("dBFS in a third of an octave")
    return figure(to_svg(chart), f"spectra along {name}")


def _along(report: Report, name: str) -> list[TakeReport]:
    """Return the longest line of takes in which only this knob moves, at most `MAX_SPECTRA` of them."""
    lines: dict[tuple, dict[object, TakeReport]] = {}
    for take in report.takes:
        if take.wet in report.excerpts:
            rest = (take.dry, *(value for other, value in take.setting.items() if other != name))
            lines.setdefault(rest, {}).setdefault(take.setting[name], take)
    line = max(lines.values(), key=len, default={})
    values = sorted(line, key=lambda value: (isinstance(value, str), value))  # type: ignore[arg-type]
    takes = [line[value] for value in values]
    chosen = np.unique(np.linspace(0, len(takes) - 1, min(len(takes), MAX_SPECTRA)).astype(int)) if takes else []
    return [takes[i] for i in chosen]
