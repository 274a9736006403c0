"""Sentences and parts of sentences that several commands print."""

import shutil
import sys
from collections.abc import Sequence, Sized
from pathlib import Path

from models.artifacts.evaluation import (
    FAR_ABOVE,
    GOOD,
    HARD_TO_HEAR,
    Evaluation,
    Score,
    quality_words,
)
from models.knobs.text import format_setting
from models.recordings.config import DataConfig
from models.recordings.knob_filters import KnobFilter

MAX_LISTED = 40  # names in a sentence


def count(things: Sized, name: str) -> str:
    """Return `1 take`, `2 takes`."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def also_in(others: Sequence[Path]) -> str:
    """Return the sentence that names further files with the same finding, or an empty text."""
    return f" The same for {first_names([path.name for path in others])}." if others else ""


def first_names(names: Sequence[str], separator: str = ", ") -> str:
    """Return the first `MAX_LISTED` names, and how many more there are."""
    if len(names) <= MAX_LISTED:
        return separator.join(names)
    return f"{separator.join(names[:MAX_LISTED])} and {len(names) - MAX_LISTED:,} more"


def held_sentence(evaluation: Evaluation) -> str:
    """Return the held-out score of a model, and the score of playing the nearest recorded setting instead."""
    held = evaluation.held
    text = (
        f"held ESR over {count(held.settings, 'setting')} never trained on: "
        f"mean {held.mean:.4f}, median {held.median:.4f}, worst {held.worst:.4f}"
    )
    baseline = held.baseline_mean
    return text if baseline is None else f"{text} (nearest recorded setting: {baseline:.4f})"


def split_sentence(data: DataConfig) -> str:
    """Return how the takes of a manifest are divided where nobody stated it in a data config."""
    held, validation = data.held_settings, data.validation_settings
    parts = [
        "other takes are held" if held == () else f"{held} of the settings held",
        f"{validation} for validation" if validation else "no setting for validation alone",
    ]
    return f"split: {', '.join(parts)}, the rest for training; a data config (--data) states another one"


def fold_sentence(number: int, found: Score) -> str:
    """Return the score of the model of one fold."""
    settings = count(found.settings, "setting")
    return f"fold {number}: ESR over {settings} left out: mean {found.mean:.4f}, worst {found.worst:.4f}"


def folds_sentence(whole: Score, spread: float, folds: int) -> str:
    """Return the score of all settings that a fold left out, and how far the folds are apart."""
    worst = max(whole.settings, key=lambda setting: setting.esr)
    return (
        f"{folds} folds: each of {count(whole.settings, 'recorded setting')} played by a model that was not trained on "
        f"it: mean ESR {whole.mean:.4f}, median {whole.median:.4f}, worst {whole.worst:.4f} at "
        f"{format_setting(worst.setting)}; standard deviation over the folds {spread:.4f}"
    )


def advice_sentences(evaluation: Evaluation) -> list[str]:
    """Return what a person wants to know of a trained model: where it is worst, whether it is good, what helps.

    The thresholds are those of docs/guides/train.md.
    """
    held = evaluation.held
    worst = max(held.settings, key=lambda setting: setting.esr)
    sentences = [f"worst at {format_setting(worst.setting)}: ESR {worst.esr:.4f}, {quality_words(worst.esr)}"]
    if evaluation.held_regions and len(held.settings) > 1:
        region = max(evaluation.held_regions, key=lambda region: region.esr)
        sentences[0] += f"; weakest where {region.knob} is {region.region} (mean {region.esr:.4f})"
    against = ""
    if held.baseline_mean:
        share = held.mean / held.baseline_mean
        against = f"; {share:.2f} times what the nearest recorded setting gives" + (
            ": this amp changes little between takes" if held.baseline_mean < GOOD else ""
        )
    sentences.append(f"the mean {held.mean:.4f} is {quality_words(held.mean)}{against}")
    known = evaluation.seen or evaluation.validation
    if held.mean <= HARD_TO_HEAR:
        return [*sentences, "nothing needs to be done"]
    if held.mean > FAR_ABOVE * known.mean:
        where = format_setting(worst.setting)
        return [*sentences, f"recorded settings are at {known.mean:.4f}: record more takes, near {where} first"]
    comparison = "not much better" if known.mean < held.mean else "no better"
    return [*sentences, f"recorded settings are at {known.mean:.4f}, {comparison}: train longer, or a larger model"]


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
