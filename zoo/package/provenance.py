"""`training.json`: where a model came from, without the paths of its maker's machine."""

import json
from pathlib import Path
from typing import Any

from models.artifacts.names import CONFIG, MACHINE, TRAINING
from models.artifacts.split_file import read_split
from models.core.errors import NotFound, shell_words
from models.core.schema import read_object
from models.recordings.knob_filters import FILTERS_KEY
from zoo.package.manifest import file_entry

RANGES_KEY = "recorded_ranges"  # knob -> lowest and highest number of the takes that the model was made from

STUDY_FILE, TRIALS_FOLDER = "study.json", "trials"


def find_study(run: Path) -> Path | None:
    """Return the study that a run folder `STUDY/trials/TRIAL/AMP` belongs to, None for any other run."""
    trials = run.resolve().parent.parent
    return trials.parent if trials.name == TRIALS_FOLDER and (trials.parent / STUDY_FILE).exists() else None


def run_inside(folder: Path) -> Path:
    """Return the run of a trial's folder `STUDY/trials/TRIAL`; any other folder is returned as it is.

    Raises `NotFound` for a trial of several amps, and for a study.
    """
    if (folder / CONFIG).exists():
        return folder
    if (folder / STUDY_FILE).exists():
        raise NotFound(
            f"{folder} is a study, which holds many models",
            f"Name the run folder of one; its trials: {shell_words('zoo', 'board', folder)}",
        )
    runs = sorted(place.parent for place in folder.glob(f"*/{CONFIG}") if find_study(place.parent))
    if len(runs) > 1:
        raise NotFound(f"{folder} is a trial of {len(runs)} amps", f"Name one: {', '.join(map(str, runs))}.")
    return runs[0] if runs else folder


def read_provenance(run: Path, recipe: dict[str, Any] | None, seconds: float) -> dict[str, Any] | None:
    """Collect the content of `training.json`; a package that is packaged again has it already.

    Args:
        run: A run folder or a package.
        recipe: The content of the run's `recipe.json`, None where there is none.
        seconds: How long the training took.

    Returns None for a run without a recipe or a split. Raises `UserError` for a file that is damaged.
    """
    if (run / TRAINING).exists():
        return read_object(run / TRAINING, follow=False)
    if recipe is None or (split := read_split(run)) is None:
        return None
    document: dict[str, Any] = {
        "schema": "ampzoo.training/1",
        "data": _describe_data(recipe, split),
        "takes": {group: len(pieces) for group, pieces in split["pieces"].items()},
        RANGES_KEY: _recorded_ranges(split),
        "model": recipe["model"],
        "learning": recipe["learning"],
        **({FILTERS_KEY: split[FILTERS_KEY]} if FILTERS_KEY in split else {}),
        "seconds": seconds,
        **(read_object(run / MACHINE, follow=False) if (run / MACHINE).exists() else {}),
    }
    if study := find_study(run):
        name = read_object(study / STUDY_FILE, follow=False).get("name")
        document["search"] = {"study": name, "trial": run.resolve().parent.name}
    return document


def parse_recorded_ranges(provenance: dict[str, Any] | None) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest recorded number of each knob; empty for a package from before they were stated."""
    stated = (provenance or {}).get(RANGES_KEY)
    found = stated.items() if isinstance(stated, dict) else ()
    return {
        name: (float(ends[0]), float(ends[1]))
        for name, ends in found
        if isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends)
    }


def _recorded_ranges(split: dict[str, Any]) -> dict[str, list[float]]:
    """Return the ends between which each knob was recorded for training and validation; switches are left out."""
    numbers: dict[str, list[float]] = {}
    for piece in [*split["pieces"].get("train", ()), *split["pieces"].get("validation", ())]:
        for name, value in piece["setting"].items():
            if isinstance(value, int | float):
                numbers.setdefault(name, []).append(value)
    return {name: [min(values), max(values)] for name, values in numbers.items()}


def _describe_data(recipe: dict[str, Any], split: dict[str, Any]) -> dict[str, Any]:
    """Describe the data set by its settings and by hashes: no path of the maker is in it."""
    settings = {key: value for key, value in recipe["data"].items() if key not in ("train", "held")}
    takes = {"dry_sha256": split["dry_sha256"], "pieces": split["pieces"]}
    sha256 = file_entry(json.dumps(takes, sort_keys=True).encode()).sha256
    return {**settings, "sha256": sha256, "dry_sha256": split["dry_sha256"]}
