"""`split.json`: which pieces of which recordings a run was trained, validated and scored on."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from models.artifacts.names import SPLIT
from models.core.schema import SHA256_TEXT, Frozen, check_document, read_json
from models.knobs.schema import WrittenSetting


class StoredPiece(Frozen):
    """The samples `start` to `stop` of a take at a setting; `dry` is the number of its dry signal."""

    model_config = ConfigDict(extra="ignore")

    dry: Annotated[int, Field(ge=0)]
    start: Annotated[int, Field(ge=0)]
    stop: Annotated[int, Field(ge=0)]
    setting: WrittenSetting


class StoredSplit(Frozen):
    """What other code reads of `split.json`."""

    model_config = ConfigDict(extra="ignore")

    data: dict[str, Any] = Field(default_factory=dict)
    dry_sha256: tuple[Annotated[str, SHA256_TEXT], ...]
    pieces: dict[str, tuple[StoredPiece, ...]]

    @model_validator(mode="after")
    def _dry_signals_exist(self) -> Self:
        if any(piece.dry >= len(self.dry_sha256) for pieces in self.pieces.values() for piece in pieces):
            raise ValueError("a piece names a dry signal that is not listed")
        return self


def read_split(folder: Path) -> dict[str, Any] | None:
    """Return the `split.json` of a run folder as it is, once it is checked; None where there is none.

    Raises `UserError` for a damaged one.
    """
    path = folder / SPLIT
    if not path.exists():
        return None
    document = read_json(path, follow=False)
    check_document(document, StoredSplit, str(path))
    return document
