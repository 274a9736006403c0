"""zoo/package/provenance.py."""

import json
from pathlib import Path
from typing import Any

from models.artifacts.evaluation import read_evaluation
from models.artifacts.names import MACHINE, RECIPE, SPLIT
from models.core.schema import read_json
from zoo.package.layout import TRAINING
from zoo.package.manifest import file_entry


def _study(run: Path) -> Path | None:
    """The study a run is of, if any."""
    trial = run.resolve().parent
    found = trial.parent.name == "trials" and (trial.parents[1] / "study.json").exists()
    return trial.parents[1] if found else None


def _provenance(run: Path) -> dict[str, Any] | None:
    """Where a run came from: recipe without paths, takes by hash, study, trial, time, machine; None for one that says nothing of it."""
    if (run / TRAINING).exists():
        return read_json(run / TRAINING)  # a package that is packaged again
    if not (run / RECIPE).exists() or not (run / SPLIT).exists():
        return None
    recipe, split = read_json(run / RECIPE), read_json(run / SPLIT)
    data = {key: value for key, value in recipe["data"].items() if key not in ("train", "held")}
    heard = {"dry_sha256": split["dry_sha256"], "pieces": split["pieces"]}
    document: dict[str, Any] = {
        "schema": "ampzoo.training/1",
        "data": {
            **data,
            "sha256": file_entry(json.dumps(heard, sort_keys=True).encode()).sha256,
            "dry_sha256": split["dry_sha256"],
        },
        "takes": {group: len(pieces) for group, pieces in split["pieces"].items()},
        "model": recipe["model"],
        "learning": recipe["learning"],
        "seconds": read_evaluation(run).seconds,
        **(read_json(run / MACHINE) if (run / MACHINE).exists() else {}),
    }
    if study := _study(run):
        document["search"] = {"study": read_json(study / "study.json").get("name"), "trial": run.resolve().parent.name}
    return document
