"""zoo/cli/views/words.py."""

import shutil
import sys
from collections.abc import Sequence, Sized
from pathlib import Path

from models.artifacts.evaluation import Evaluation


def count(things: Sized, name: str) -> str:
    """`1 take`, `2 takes`."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def likewise(others: Sequence[Path]) -> str:
    """The files of which the same is to be said."""
    return f" Likewise {', '.join(path.name for path in others)}." if others else ""


def held_sentence(evaluation: Evaluation) -> str:
    """How good a model is, beside what playing the nearest recorded setting would give."""
    held = evaluation.held
    text = (
        f"held-out ESR over {len(held.settings)} settings never trained on: "
        f"mean {held.mean:.4f}, median {held.median:.4f}, worst {held.worst:.4f}"
    )
    baseline = held.baseline_mean
    return text if baseline is None else f"{text} (nearest recorded setting: {baseline:.4f})"


def _program() -> str:
    """How to call this command again from here."""
    return "zoo" if shutil.which("zoo") else relative(Path(sys.argv[0]).resolve())


def relative(path: Path) -> str:
    """A path as short as it can be written from the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
