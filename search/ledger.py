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
    """Add a line and flush it to disk."""
    with ledger_path(study).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
