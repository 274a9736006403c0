"""Takes as tables: checked and aligned."""

from collections.abc import Sequence
from typing import Any

from models.knobs.text import format_setting, format_value
from zoo.cli import output
from zoo.cli.views.words import also_in, count, first_names

GRID_HEADER = ("KNOB", "FILTER", "RESIDUAL", "BETWEEN", "NEIGHBORS", "WORST", "AT")

GRID_LEGEND = (
    "FILTER: where the knob only filters after the distortion; training composes takes along it. RESIDUAL: ESR of the "
    "filter. BETWEEN: ESR at a position left out. NEIGHBORS: what the best blend of the two takes beside a take misses "
    "of it (ESR); where there is no filter, a model has to bridge about that."
)

LEGEND = "DELAY: samples behind the dry signal, as recorded. POLARITY: -1 is inverted."

MAX_UNREADABLE = 3  # rows of takes without a measurement

MAX_FINDINGS = 100


def show_check(report: Any) -> None:
    """Print a checked manifest: a row for each take, then its knobs and the findings."""
    from models.recordings.checks.report import group_findings

    unreadable = [take for take in report.takes if not take.wet_sound]
    left_out = set(map(id, unreadable[MAX_UNREADABLE:]))
    rows = []
    for take in report.takes:
        if id(take) in left_out:
            continue
        wet, lag = take.wet_sound, take.known_lag
        alignment = (f"{lag.delay_samples:.2f}", f"{lag.polarity:+d}", f"{lag.drift_ppm:.1f}") if lag else ("-",) * 3
        levels = (f"{wet.peak_dbfs:.1f}", f"{wet.rms_dbfs:.1f}") if wet else ("-",) * 2
        length = (f"{wet.frames / wet.rate_hz:.2f} s", f"{wet.rate_hz}") if wet else ("-",) * 2
        rows.append((take.wet.name, format_setting(take.setting), *alignment[:2], *levels, *length, alignment[2]))
    output.data_table(
        ("TAKE", "SETTING", "DELAY", "POLARITY", "PEAK dBFS", "RMS dBFS", "LENGTH", "RATE", "DRIFT ppm"), rows
    )
    if left_out:
        output.info(f"and {len(left_out):,} more take{'s' if len(left_out) > 1 else ''} that cannot be read")
    knobs = report.manifest.knobs
    output.info()
    output.info(LEGEND)
    for knob in knobs.knobs:
        values = {take.setting[knob.name] for take in report.takes}
        shown = first_names([format_value(value) for value in sorted(values, key=knob.encode)], " ")
        output.info(f"{knob.name}: {knob.legal}, default {format_value(knob.default)}, recorded at {shown}")
    show_grid(report.grid)
    show_needed_field(report)
    groups = group_findings([*report.faults, *report.warnings])
    for finding, others in groups[:MAX_FINDINGS]:
        output.info(f"{finding.severity}: {finding.message}.{also_in(others)} {finding.hint}")
    if len(groups) > MAX_FINDINGS:
        output.info(f"and {len(groups) - MAX_FINDINGS:,} more findings, which --json lists")
    output.info(
        f"{count(report.takes, 'take')}, {count(knobs.names, 'knob')}, {count(report.faults, 'fault')}, "
        f"{count(report.warnings, 'warning')}"
    )


def show_needed_field(report: Any) -> None:
    """Print what receptive field the takes need."""
    from models.recordings.response_length import GOOD_ESR, USELESS_ESR

    good, least = report.needed_field(GOOD_ESR), report.needed_field(USELESS_ESR)
    if good is not None:
        rate_hz = next(take.wet_sound.rate_hz for take in report.takes if take.wet_sound)
        output.info()
        output.info(
            f"receptive field that a model needs: {good:,} samples ({1000 * good / rate_hz:.0f} ms) to miss no more "
            f"than {GOOD_ESR:g} of the takes' response (ESR), {least:,} for {USELESS_ESR:g}"
        )


def show_grid(grid: Sequence[Any]) -> None:
    """Print what the takes tell about each knob: whether it filters after the distortion, and what neighbors miss."""
    rows = grid_rows(grid)
    if any(cell != "-" for row in rows for cell in row[1:]):
        output.info()
        output.info_table(GRID_HEADER, rows)
        output.info(GRID_LEGEND)


def grid_rows(grid: Sequence[Any]) -> list[tuple[str, ...]]:
    """Return a row of text for each knob."""
    rows: list[tuple[str, ...]] = []
    for knob in grid:
        found, worst, cells = knob.filter, knob.worst, ("-",) * 3
        if found:
            where = f" ({format_setting(found.fixed)})" if found.fixed else ""
            span = f"{found.span}{where}" if found.is_accepted else "no"
            stated = ", stated" if found.stated else ""
            between = f"{max(found.between.values()):.1e}" if found.is_accepted and found.between else "-"
            cells = (f"{span}{stated}", f"{found.worst:.1e}", between)
        missed = (f"{knob.mean:.4f}", f"{worst.esr:.4f}", format_value(worst.position)) if worst else ("-",) * 3
        rows.append((str(knob.knob), *cells, *missed))
    return rows


def show_dry_signals(report: Any) -> None:
    """Name the dry signals of a checked manifest that are known ones."""
    from models.capture.excitation import describe_signal

    for dry in dict.fromkeys(take.dry for take in report.takes if take.dry_sound):
        if known := describe_signal(dry):
            output.info(f"{dry.name} is {known}")


def show_aligned(takes: Sequence[Any]) -> None:
    """Print a row for each aligned take on stderr: what was wrong with it before."""
    rows = []
    for found in takes:
        lag, missing = found.lag, f"{found.head}+{found.tail}" if found.head or found.tail else "-"
        delay, drift = f"{lag.delay_samples:.2f}", f"{lag.drift_ppm:.1f}"
        rows.append(
            (found.take.wet.name, format_setting(found.take.setting), delay, f"{lag.polarity:+d}", drift, missing)
        )
    output.info_table(("TAKE", "SETTING", "DELAY", "POLARITY", "DRIFT ppm", "MISSING"), rows)
    output.info()
    output.info(
        f"{LEGEND} MISSING: samples that were not recorded at the head and the tail of the dry signal; they are silent "
        "now."
    )
