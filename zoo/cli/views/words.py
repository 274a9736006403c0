"""Sentences and parts of sentences that several commands print."""

import shutil
import sys
from collections.abc import Sequence, Sized
from pathlib import Path

from models.artifacts.evaluation import Evaluation
from models.recordings.knob_filters import KnobFilter


def count(things: Sized, name: str) -> str:
    """Return `1 take`, `2 takes`."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def also_in(others: Sequence[Path]) -> str:
    """Return the sentence that names further files with the same finding, or an empty text."""
    return f" The same for {', '.join(path.name for path in others)}." if others else ""


def held_sentence(evaluation: Evaluation) -> str:
    """Return the held-out score of a model, and the score of playing the nearest recorded setting instead."""
    held = evaluation.held
    text = (
        f"held-out ESR over {len(held.settings)} settings never trained on: "
        f"mean {held.mean:.4f}, median {held.median:.4f}, worst {held.worst:.4f}"
    )
    baseline = held.baseline_mean
    return text if baseline is None else f"{text} (nearest recorded setting: {baseline:.4f})"


def composed_sentences(filters: Sequence[KnobFilter]) -> list[str]:
    """Return a sentence for each knob by which training composed takes."""
    stated = {True: "; as stated", False: ""}
    return [f"composed takes: {found.sentence}{stated[found.stated]}" for found in filters]


def program() -> str:
    """Return the way to call `zoo` from the current folder."""
    return "zoo" if shutil.which("zoo") else relative(Path(sys.argv[0]).resolve())


def relative(path: Path) -> str:
    """Return a path relative to the current folder if it is inside it, else as it is."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
