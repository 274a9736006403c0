"""The append-only record of a study: one JSON line per start, report and end of a trial; everything else is made from it.

A trial that another process had begun is `again` begun in one that it may take with it; what such a process, alive, leaves off, it has `left`.
"""

import json
import os
from pathlib import Path
from typing import Any

Line = dict[str, Any]

START, AGAIN, LEFT, REPORT = "start", "again", "left", "report"

FINISHED, PRUNED, DIVERGED, FAILED = "finished", "pruned", "diverged", "failed"

ENDS = (FINISHED, PRUNED, DIVERGED, FAILED)


def ledger_path(study: Path) -> Path:
    """Where a study keeps its ledger."""
    return study / "ledger.jsonl"


def read_lines(study: Path) -> list[Line]:
    """Every line of a study, oldest first."""
    return parse_lines(ledger_path(study).read_bytes()) if ledger_path(study).exists() else []


def parse_lines(data: bytes) -> list[Line]:
    """The lines of a ledger; one cut off by a crash at the very end is left out."""
    return [by_amp(json.loads(text)) for text in data.split(b"\n")[:-1]]


def by_amp(line: Line) -> Line:
    """A line as it is now written: older ones hold the limits of the amp that fares worst alone, which then are those of all."""
    limits = line.get("limits", {})
    if any(isinstance(value, float) for value in limits.values()):
        line["limits"] = dict.fromkeys(line["amps"], limits)
    return line


def latest(lines: list[Line]) -> list[Line]:
    """What is known of each trial, in order of first arrival: later lines write over earlier ones."""
    trials: dict[str, Line] = {}
    for line in lines:
        trials.setdefault(line["trial"], {}).update(line)
    return list(trials.values())


def read_ledger(study: Path) -> list[Line]:
    """What is known of each trial that has ended."""
    return [line for line in latest(read_lines(study)) if line["state"] in ENDS]


def curves(lines: list[Line], amp: str | None = None) -> dict[str, dict[int, float]]:
    """Trial -> step -> error, of one amp or over all, from its reports."""
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        if line["state"] == REPORT:
            found.setdefault(line["trial"], {})[line["step"]] = line["amps"][amp] if amp else line["esr"]
    return found


def append(study: Path, line: Line) -> None:
    """Add a line and flush it to disk; a line that a crash cut off is taken away first."""
    text = json.dumps(line, allow_nan=False).encode() + b"\n"
    with ledger_path(study).open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read() != b"\n":
                file.seek(0)
                end = file.read().rfind(b"\n") + 1
                file.truncate(end)
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except OSError:  # a full disk may have taken half of it
            os.truncate(file.fileno(), end)
            raise
