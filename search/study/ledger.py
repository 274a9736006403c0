"""The file `ledger.jsonl`: an append-only record of a study, one JSON line per start, report and end of a trial."""

import json
import os
from pathlib import Path
from typing import Any

from models.core.errors import SchemaError, UserError
from models.core.files import open_regular, refuse_link
from models.core.schema import parse_json
from search.config.study import SearchConfig
from search.study.lines import (
    ENDS,
    FINISHED,
    PRUNED,
    LedgerLine,
    TrialRecord,
    TrialReport,
    TrialStart,
    latest,
    parse_line,
    to_json,
)


def ledger_path(study: Path) -> Path:
    """Return the path of a study's ledger."""
    return study / "ledger.jsonl"


def read_lines(study: Path, config: SearchConfig | None = None) -> list[LedgerLine]:
    """Return every line of a study, oldest first; empty without a ledger.

    Raises `UserError` naming the file and the line where one is damaged or, with `config`, of another search.
    """
    return parse_lines(read_ledger_bytes(study), str(ledger_path(study)), config)


def read_ledger_bytes(study: Path, start: int = 0) -> bytes:
    """Return the bytes of a study's ledger from one on; none without a ledger.

    Raises `UserError` for a ledger that is a link, a device or a pipe.
    """
    path = ledger_path(study)
    try:
        with open_regular(path, "ledger", follow=False) as file:
            file.seek(start)
            return file.read()
    except FileNotFoundError:
        return b""


def parse_lines(data: bytes, where: str = "the ledger", config: SearchConfig | None = None) -> list[LedgerLine]:
    """Return the lines in the bytes of a ledger, without an unfinished one that a crash left at the end.

    Lines of a trial whose start is not there are left out, and so is an end whose last report is not there: who has
    taken a damaged line out goes on with the other trials, and trains this one to its end again. Errors begin with
    `where`; they are those of `read_lines`.
    """
    lines, steps, reached = list[LedgerLine](), dict[str, int](), dict[str, int]()
    for number, text in enumerate(data.split(b"\n")[:-1], 1):
        try:
            line = parse_line(_parse_line_text(text))
            if config:
                check_line(line, config)
        except SchemaError as problem:
            raise UserError(
                f"{where}: line {number} is damaged: {problem.message}",
                "Restore the file from a backup, or delete that line: what the other lines state is kept.",
            ) from None
        if isinstance(line, TrialStart):
            steps[line.trial] = line.steps
        elif isinstance(line, TrialReport):
            reached[line.trial] = line.step
        needed = {FINISHED: steps.get(line.trial, 0), PRUNED: 1}.get(line.state, 0)
        if line.trial in steps and reached.get(line.trial, 0) >= needed:
            lines.append(line)
    return lines


def _parse_line_text(text: bytes) -> Any:
    """Return the JSON value of a line; raises `SchemaError` in our words."""
    if not text.strip():
        raise SchemaError("it is empty")
    try:
        return parse_json(text, "it")
    except UserError:
        reason = "NUL characters stand in it, as after a power cut" if b"\0" in text else "it is not valid JSON"
        raise SchemaError(reason) from None


def check_line(line: LedgerLine, config: SearchConfig) -> None:
    """Raise `SchemaError` for a line that no search with this config writes: its point or its amps are others."""
    if isinstance(line, TrialStart):
        try:
            config.check_point(line.point)
        except ValueError as problem:
            raise SchemaError(f"its 'point' stands for no model of this search: {problem}") from None
    elif isinstance(line, TrialReport):
        names = {data.name for data in config.datasets}
        for key in ("amps", "worst", "limits"):
            if (amps := getattr(line, key)) is not None and amps.keys() != names:
                raise SchemaError(f"its '{key}' are of other amps than {', '.join(sorted(names))}")


def read_ledger(study: Path) -> list[TrialRecord]:
    """Return the record of each trial that has ended."""
    return [record for record in latest(read_lines(study)) if record.state in ENDS]


def check_in_place(study: Path) -> None:
    """Raise `UserError` where a study in which something was written is not there any more."""
    if not ledger_path(study).exists():
        raise UserError(
            f"{study} was moved or removed while it was searched",
            "Where it was moved: continue it there with --out and --resume. What stands at its old place can go.",
        )


def append(study: Path, line: LedgerLine) -> None:
    """Add a line and flush it to disk; first remove an unfinished line that a crash left.

    Raises `OSError` where the disk refuses it; the ledger is then as before. Raises `UserError` where the study was
    moved or removed (only the first trial begins a ledger), and for a ledger that is a link.
    """
    if not (isinstance(line, TrialStart) and line.number == 0):
        check_in_place(study)
    text = json.dumps(to_json(line), allow_nan=False).encode() + b"\n"
    refuse_link(ledger_path(study))
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
        except OSError:  # a full disk may have written a part of it
            os.truncate(file.fileno(), end)
            raise
