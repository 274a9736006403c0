"""The append-only record of a study: one JSON line per ended trial, the truth from which the board is made."""

import json
import os
from pathlib import Path
from typing import Any


def ledger_path(study: Path) -> Path:
    """Where a study keeps its ledger."""
    return study / "ledger.jsonl"


def read_ledger(study: Path) -> list[dict[str, Any]]:
    """The last line of every trial, in order of first arrival; a line cut off by a crash at the very end is left out."""
    if not ledger_path(study).exists():
        return []
    lines: dict[str, dict[str, Any]] = {}
    texts = ledger_path(study).read_text(encoding="utf-8").split("\n")
    for text in texts[:-1]:
        line = json.loads(text)
        lines[line["trial"]] = line
    return list(lines.values())


def append(study: Path, line: dict[str, Any]) -> None:
    """Add a line and flush it to disk; a line that a crash cut off is taken away first."""
    with ledger_path(study).open("a+b") as file:
        file.seek(0)
        written = file.read()
        if not written.endswith(b"\n"):
            file.truncate(written.rfind(b"\n") + 1)
        file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
