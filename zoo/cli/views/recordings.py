"""Takes as tables: checked and aligned."""

from collections.abc import Sequence
from typing import Any

from models.knobs.text import format_setting, format_value
from zoo.cli import output
from zoo.cli.views.words import also_in, count, first_names

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
        wet, lag = take.wet_sound, take.lag
        alignment = (f"{lag.delay_samples:.2f}", f"{lag.polarity:+d}", f"{lag.drift_ppm:.1f}") if lag else ("-",) * 3
        levels = (f"{wet.peak_dbfs:.1f}", f"{wet.rms_dbfs:.1f}") if wet else ("-",) * 2
        length = (f"{wet.frames / wet.rate_hz:.2f} s", f"{wet.rate_hz}") if wet else ("-",) * 2
        rows.append((take.wet.name, format_setting(take.setting), *alignment[:2], *levels, *length, alignment[2]))
    output.data_table(
        ("TAKE", "SETTING", "DELAY", "POLARITY", "PEAK dBFS", "RMS dBFS", "LENGTH", "RATE", "DRIFT ppm"), rows
    )
    if left_out:
        output.info(f"and {len(left_out):,} more takes that cannot be read")
    knobs = report.manifest.knobs
    output.info()
    output.info_wrapped(LEGEND)
    for knob in knobs.knobs:
        values = {take.setting[knob.name] for take in report.takes}
        shown = first_names([format_value(value) for value in sorted(values, key=knob.encode)], " ")
        output.info_wrapped(f"{knob.name}: {knob.legal}, default {format_value(knob.default)}, recorded at {shown}")
    groups = group_findings([*report.faults, *report.warnings])
    for finding, others in groups[:MAX_FINDINGS]:
        output.info_wrapped(f"{finding.severity}: {finding.message}.{also_in(others)} {finding.hint}")
    if len(groups) > MAX_FINDINGS:
        output.info(f"and {len(groups) - MAX_FINDINGS:,} more findings, which --json lists")
    output.info(
        f"{count(report.takes, 'take')}, {count(knobs.names, 'knob')}, {count(report.faults, 'fault')}, "
        f"{count(report.warnings, 'warning')}"
    )


def show_dry_signals(report: Any) -> None:
    """Name the dry signals of a checked manifest that are known ones."""
    from models.capture.excitation import describe_signal

    for dry in dict.fromkeys(take.dry for take in report.takes if take.dry_sound):
        if known := describe_signal(dry):
            output.info_wrapped(f"{dry.name} is {known}")


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
    output.info_wrapped(
        f"{LEGEND} MISSING: samples that were not recorded at the head and the tail of the dry signal; they are silent "
        "now."
    )
