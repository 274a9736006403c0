"""Which commit of which hub a package is: noted when it is pulled or pushed, found again by its manifest.

A hub names a revision by a commit, a shelf by the sha256 of the manifest. With these notes both show the commit.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from models.core.errors import UserError
from models.core.files import read_regular
from models.core.schema import COMMIT_TEXT, SHA256_TEXT, Frozen
from zoo.registry.folders import shelf_folder

MAX_NOTES_BYTES = 64 << 20  # more are not read


class Origin(Frozen):
    """One published revision: the sha256 of its manifest, the hub's label, the amp's name there, and the commit."""

    manifest: Annotated[str, SHA256_TEXT]
    zoo: Annotated[str, Field(max_length=256)]
    name: Annotated[str, Field(max_length=200)]
    commit: Annotated[str, COMMIT_TEXT]


def note_origin(origin: Origin) -> None:
    """Append a note; where it cannot be written, the shelf shows the manifest's sha256."""
    line = origin.model_dump_json() + "\n"
    try:
        _notes().parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(_notes(), os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
        with os.fdopen(handle, "ab", buffering=0) as file:  # a pipe without a reader cannot be opened so
            file.write(line.encode())
    except OSError:
        return


def read_origins() -> dict[str, Origin]:
    """Return the newest note of each manifest, by its sha256; lines that are no notes are left out."""
    try:
        lines = read_regular(_notes(), MAX_NOTES_BYTES).splitlines()
    except (OSError, UserError):
        return {}
    origins = {}
    for line in lines:
        try:
            origin = Origin.model_validate_json(line)
        except ValidationError:
            continue
        origins[origin.manifest] = origin
    return origins


def revision_of(manifest: str) -> str:
    """Return the commit that a manifest's sha256 is known to be on a hub, else the sha256 itself."""
    origin = read_origins().get(manifest)
    return origin.commit if origin else manifest


def _notes() -> Path:
    return shelf_folder() / ".origins.jsonl"
