"""The history of a training run: one line per report."""

import json
from pathlib import Path
from typing import Any

from models.artifacts.names import HISTORY
from models.core.errors import UserError
from models.core.reading import decode_text, read_document_bytes

MAX_HISTORY_BYTES = 64 << 20


def read_history(folder: Path) -> list[dict]:
    """Return the reports of a run: step, loss, validation ESR, seconds of training.

    Raises `UserError` for a line that is no report.
    """
    path = folder / HISTORY
    text = decode_text(read_document_bytes(path, MAX_HISTORY_BYTES, "history of a training", follow=False), str(path))
    return [_parse_report(line, f"{path}, line {number}") for number, line in enumerate(text.splitlines(), 1)]


def _parse_report(text: str, where: str) -> dict:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        line = None
    if not isinstance(line, dict) or not _is_count(line.get("step")) or not _is_number(line.get("seconds")):
        raise UserError(f"{where} is no report of a training", "The file is damaged; train into a new folder.")
    return line


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
