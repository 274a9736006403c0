"""models/artifacts/history.py."""

import json
from pathlib import Path

from models.artifacts.names import HISTORY
from models.core.errors import UserError


def read_history(folder: Path) -> list[dict]:
    """One line per report of a run: step, loss, validation ESR, seconds of training."""
    try:
        return [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    except ValueError as problem:
        raise UserError(f"{folder / HISTORY} is damaged: {problem}", "Train into a new --out folder.") from None
