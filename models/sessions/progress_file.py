"""What a session remembers between two evenings: the card, the levels, and the takes that were skipped."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.core.files import write_json
from models.core.schema import Frozen, check_document, read_json

PROGRESS = "record.json"

PROGRESS_SCHEMA = "urn:ampzoo:record:1"

Channel1 = Annotated[int, Field(ge=1, le=1024)]


class SessionProgress(Frozen):
    """The document `record.json` of a session; which takes are recorded, their files tell."""

    schema_: Annotated[Literal["urn:ampzoo:record:1"], Field(alias="$schema")] = PROGRESS_SCHEMA
    card: str | None = None
    input: Channel1 = 1
    output: Channel1 = 1
    send_db: Annotated[float, Field(ge=-120, le=0)] = 0.0
    round_trip_samples: Annotated[float, Field(ge=0, le=1e7)] | None = None
    noise_dbfs: float | None = None
    skipped: tuple[str, ...] = ()


def read_progress(folder: Path) -> SessionProgress:
    """Return what a session remembers, an empty document for a new one; raises `UserError` for a damaged one."""
    path = folder / PROGRESS
    return check_document(read_json(path), SessionProgress, str(path)) if path.exists() else SessionProgress()


def write_progress(folder: Path, progress: SessionProgress) -> None:
    """Write what a session is to remember, whole or not at all."""
    write_json(folder / PROGRESS, progress.model_dump(mode="json", by_alias=True))
