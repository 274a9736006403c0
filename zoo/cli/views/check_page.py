"""A checked manifest as one self-contained HTML page: findings, takes, and pictures of delays, spectra and coverage."""

import base64
import html
import io
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.audio.bands import band_levels
from models.core.files import write_text
from models.knobs.schema import Knob, Value
from models.knobs.text import format_setting, format_value
from models.recordings.checks.report import Report, TakeReport, group_findings
from zoo.cli.views.words import also_in, count

EDGES_HZ = 40 * 2 ** (np.arange(28) / 3)  # thirds of an octave, 40 Hz to 20 kHz

MAX_SPECTRA = 9

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}img{max-width:100%}table{border-collapse:collapse;font-size:.85rem}
td,th{padding:.15rem .7rem .15rem 0;text-align:right;white-space:nowrap}td:nth-child(-n+2),th:nth-child(-n+2){text-align:left}
.wide{overflow-x:auto}.finding{border-left:4px solid #b8860b;padding:.2rem .8rem;margin:.6rem 0}.fault{border-color:#b22222}
.hint{color:#555}"""


def write_report(report: Report, path: Path) -> Path:
    """Write the page whole or not at all."""
    manifest = report.manifest
    title = html.escape(f"{manifest.device or manifest.path.stem}: {len(report.takes)} takes")
    findings = "".join(
        f'<div class="finding {finding.severity}"><b>{finding.severity}</b> {html.escape(finding.message)}.'
        f'{html.escape(also_in(others))}<div class="hint">{html.escape(finding.hint)}</div></div>'
        for finding, others in group_findings([*report.faults, *report.warnings])
    )
    pictures = [
        ("Delay of each take", _delays(report)),
        ("Where the knobs were recorded", _coverage(report)),
        *((f"Spectra along {name}", _spectra(report, name)) for name in manifest.knobs.names),
    ]
    shown = "".join(f"<h2>{html.escape(name)}</h2>{picture}" for name, picture in pictures if picture)
    write_text(
        path,
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{count(report.faults, 'fault')}, {count(report.warnings, 'warning')}.</p>{findings}{shown}"
        f'<h2>Takes</h2><div class="wide">{_table(report.takes)}</div></body></html>\n',
    )
    return path


def _table(takes: list[TakeReport]) -> str:
    head = "".join(
        f"<th>{name}</th>" for name in ("take", "setting", "delay", "way up", "drift ppm", "peak", "RMS dBFS")
    )
    rows = []
    for take in takes:
        lag, wet = take.lag, take.wet_sound
        cells = [take.wet.name, format_setting(take.setting)]
        cells += [f"{lag.delay_samples:.2f}", f"{lag.polarity:+d}", f"{lag.drift_ppm:.1f}"] if lag else ["-"] * 3
        cells += [f"{wet.peak_dbfs:.1f}", f"{wet.rms_dbfs:.1f}"] if wet else ["-"] * 2
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _delays(report: Report) -> str:
    takes = [take for take in report.takes if take.lag]
    if not takes:
        return ""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for way, mark in ((1, "o"), (-1, "v")):
        at = [i for i, take in enumerate(takes) if take.lag and take.lag.polarity == way]
        delay = [takes[i].lag.delay_samples for i in at]  # type: ignore[union-attr]
        if at:
            axes.plot(at, delay, mark, markersize=5, label="upright" if way == 1 else "upside down")
    axes.axhline(0, color="0.7", linewidth=0.8)
    axes.set_ylabel("samples late")
    axes.set_xlabel("take")
    axes.legend(frameon=False)
    if len(takes) <= 16 and all(len(take.wet.stem) < 24 for take in takes):
        axes.set_xticks(range(len(takes)), [take.wet.stem for take in takes], rotation=30, ha="right", fontsize=7)
    return _picture(figure, "delay per take")


def _coverage(report: Report) -> str:
    names = [n for n in report.manifest.knobs.names if len({take.setting[n] for take in report.takes}) > 1]
    if not names:
        return ""
    count = max(len(names), 2)
    figure = Figure(figsize=(2.2 * count, 2.0 * count), layout="constrained")
    for row, second in enumerate(names):
        for column, first in enumerate(names[: row + 1]):
            axes = figure.add_subplot(len(names), len(names), row * len(names) + column + 1)
            x, y = ([_place(report, name, take.setting[name]) for take in report.takes] for name in (first, second))
            if first == second:
                axes.hist(x, bins=20, range=(0, 1), color="0.5")
                axes.set_yticks([])
            else:
                axes.plot(x, y, "o", markersize=4, alpha=0.6)
                axes.set_ylim(-0.05, 1.05)
            axes.set_xlim(-0.05, 1.05)
            axes.set_xlabel(first if row == len(names) - 1 else "", fontsize=8)
            axes.set_ylabel(second if column == 0 else "", fontsize=8)
            axes.tick_params(labelsize=6)
    return _picture(figure, "recorded settings, each knob from 0 to 1 of its turn")


def _place(report: Report, name: str, value: Value) -> float:
    """Where a value stands in its knob's turn, 0 to 1; the positions of a switch are spread over it."""
    knob = report.manifest.knobs.find(name)
    if isinstance(knob, Knob):
        return (knob.encode(value)[0] + 1) / 2
    values = sorted({str(take.setting[name]) for take in report.takes})
    return values.index(str(value)) / max(len(values) - 1, 1)


def _spectra(report: Report, name: str) -> str:
    takes = _along(report, name)
    if len(takes) < 2:
        return ""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for index, take in enumerate(takes):
        assert take.wet_sound
        levels = band_levels(report.excerpts[take.wet], take.wet_sound.rate_hz, EDGES_HZ)
        shade = str(round(0.75 * (1 - index / (len(takes) - 1)), 2))
        label = format_value(take.setting[name])
        axes.semilogx(np.sqrt(EDGES_HZ[1:] * EDGES_HZ[:-1]), np.maximum(levels, -120), color=shade, label=label)
    axes.set_xlabel("Hz")
    axes.set_ylabel("dBFS in a third of an octave")
    axes.legend(title=name, frameon=False, fontsize=8, ncols=3)
    return _picture(figure, f"spectra along {name}")


def _along(report: Report, name: str) -> list[TakeReport]:
    """The longest line of takes in which only this knob moves, at most `MAX_SPECTRA` of them."""
    lines: dict[tuple, dict[object, TakeReport]] = {}
    for take in report.takes:
        if take.wet in report.excerpts:
            rest = (take.dry, *(value for other, value in take.setting.items() if other != name))
            lines.setdefault(rest, {}).setdefault(take.setting[name], take)
    line = max(lines.values(), key=len, default={})
    takes = [line[value] for value in sorted(line, key=lambda value: (isinstance(value, str), value))]  # type: ignore[arg-type]
    keep = np.unique(np.linspace(0, len(takes) - 1, min(len(takes), MAX_SPECTRA)).astype(int)) if takes else []
    return [takes[i] for i in keep]


def _picture(figure: Figure, alt: str) -> str:
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
