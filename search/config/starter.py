"""The files to start with: manifest, data config and search config beside the recordings of a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.capture.named_takes import NamedTakes
from models.core.errors import UserError
from models.core.files import write_json
from models.core.schema import check_document
from models.recordings.config import DataConfig
from models.recordings.default_split import amp_name, default_split
from models.recordings.manifest import interpret_manifest
from search.config.study import SearchConfig

STARTER_STEPS, STARTER_TRIALS = 2000, 16  # of a trial; of the search

STARTER_NAMES = ("takes.json", "data.json", "search.json")


@dataclass(frozen=True)
class StartingFiles:
    """The files that `write_starting_files` writes."""

    manifest: Path
    data: Path
    search: Path


def write_starting_files(takes: NamedTakes, *, device: str = "", overwrite: bool = False) -> StartingFiles:
    """Write the manifest, the data config and a search config beside the recordings of a folder.

    The device is called as the folder where no name is given. Raises `UserError`, and writes nothing, when one of the
    files exists and `overwrite` is false, or when the takes cannot be split.
    """
    folder, device = takes.folder, device or takes.folder.resolve().name
    made = StartingFiles(*(folder / name for name in STARTER_NAMES))
    there = [path for path in (made.manifest, made.data, made.search) if path.exists()]
    if there and not overwrite:
        raise UserError(
            f"{' and '.join(map(str, there))} exist{'s' if len(there) == 1 else ''} already",
            "Move what you want to keep, then use --force to write these files anew.",
        )
    document = takes.manifest(device)
    manifest = interpret_manifest(document, made.manifest)
    data = default_split(manifest, amp_name(device), Path(made.manifest.name))
    search = starting_search(data)
    write_json(made.manifest, document)
    write_json(made.data, {"$schema": "urn:ampzoo:data:1", **document_of(data)})
    write_json(made.search, search)
    return made


def starting_search(data: DataConfig) -> dict[str, Any]:
    """Return a search over one amp as a document to edit; all that it does not state has its default."""
    document = {
        "$schema": "urn:ampzoo:search:1",
        "name": data.name,
        "datasets": [document_of(data)],
        "learning": {"steps": STARTER_STEPS},
        "trials": STARTER_TRIALS,
    }
    check_document(document, SearchConfig, "the search config")
    return document


def document_of(data: DataConfig) -> dict[str, Any]:
    """Return a data config as people write it: without what has its default."""
    return data.model_dump(mode="json", exclude_defaults=True)
