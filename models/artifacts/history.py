"""The history of a training run: one line per report."""

import json
from pathlib import Path

from models.artifacts.names import HISTORY
from models.core.errors import UserError


def read_history(folder: Path) -> list[dict]:
    """Return the reports of a run: step, loss, validation ESR, seconds of training.

    Raises `UserError` when a line is not JSON.
    """
    try:
        return [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    except ValueError as problem:
        raise UserError(f"{folder / HISTORY} is damaged: {problem}", "Train into a new folder.") from None
