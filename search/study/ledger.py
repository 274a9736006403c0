"""The file `ledger.jsonl`: an append-only record of a study, one JSON line per start, report and end of a trial."""

import json
import os
from pathlib import Path

from search.study.lines import ENDS, LedgerLine, TrialRecord, latest, parse_line, to_json


def ledger_path(study: Path) -> Path:
    """Return the path of a study's ledger."""
    return study / "ledger.jsonl"


def read_lines(study: Path) -> list[LedgerLine]:
    """Return every line of a study, oldest first; empty without a ledger. Raises `UserError` for a broken line."""
    return parse_lines(ledger_path(study).read_bytes()) if ledger_path(study).exists() else []


def parse_lines(data: bytes) -> list[LedgerLine]:
    """Return the lines in the bytes of a ledger, without an unfinished one that a crash left at the end."""
    return [parse_line(json.loads(text)) for text in data.split(b"\n")[:-1]]


def read_ledger(study: Path) -> list[TrialRecord]:
    """Return the record of each trial that has ended."""
    return [record for record in latest(read_lines(study)) if record.state in ENDS]


def append(study: Path, line: LedgerLine) -> None:
    """Add a line and flush it to disk; first remove an unfinished line that a crash left.

    Raises `OSError` where the disk refuses it; the ledger is then as before.
    """
    text = json.dumps(to_json(line), allow_nan=False).encode() + b"\n"
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
