"""What a hub's list said last, kept on disk: so that `zoo list` answers at once, without a network too. Light to import."""

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field

from models.core.errors import NotFound, UserError
from models.core.files import write_text
from models.core.schema import Frozen, read_document
from zoo.package.card_schema import AmpSummary
from zoo.registry.errors import Unreachable
from zoo.registry.protocol import shelf_folder

DEADLINE_SECONDS = 5.0

FRESH_SECONDS = 600.0  # or $ZOO_INDEX_TTL


class Index(Frozen):
    """The amps of a hub, or of a part of it, at a moment (Unix seconds)."""

    schema_name: Annotated[Literal["zoo.index/1"], Field(alias="schema")] = "zoo.index/1"
    zoo: str
    fetched: float
    amps: tuple[AmpSummary, ...]

    @property
    def age_seconds(self) -> float:
        """Seconds since."""
        return max(0.0, time.time() - self.fetched)

    @property
    def is_fresh(self) -> bool:
        """True when it need not be asked for again."""
        stated = os.environ.get("ZOO_INDEX_TTL", "")
        return self.age_seconds < (float(stated) if re.fullmatch(r"\d+(\.\d+)?", stated) else FRESH_SECONDS)


class Lists(Protocol):
    """A zoo that can be listed."""

    def list(self, skipped: Callable[[str], None]) -> list[AmpSummary]:
        """Every amp of it."""


def index_path(label: str) -> Path:
    """Where the index of a zoo lies."""
    return shelf_folder() / ".index" / f"{sha256(label.encode()).hexdigest()[:16]}.json"


def read_index(label: str) -> Index | None:
    """What was kept of a zoo; None when nothing was, or it cannot be read."""
    try:
        index = read_document(index_path(label), Index)
    except UserError:
        return None
    return index if index.zoo == label else None


def require_index(label: str) -> Index:
    """The same; raises `NotFound` when nothing was kept."""
    if (index := read_index(label)) is None:
        raise NotFound(f"no list of {label} is cached", "Ask for it once without --cached.")
    return index


@dataclass
class ListFetch:
    """A list being fetched beside what the person sees, given up after the deadline."""

    label: str
    open_zoo: Callable[[], Lists]
    skipped: Callable[[str], None]
    index: Index | None = None
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self._ends = time.monotonic() + DEADLINE_SECONDS
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> Index:
        """The new index; raises what the hub raised, or `Unreachable` when it is too slow."""
        self._thread.join(max(0.0, self._ends - time.monotonic()))
        if self.failure is not None:
            raise self.failure
        if self.index is None:
            raise Unreachable(f"{self.label} did not answer within {DEADLINE_SECONDS:g} s")
        return self.index

    def _run(self) -> None:
        try:
            index = Index(zoo=self.label, fetched=time.time(), amps=tuple(self.open_zoo().list(self.skipped)))
            write_text(index_path(self.label), index.model_dump_json(by_alias=True))
            self.index = index
        except BaseException as problem:  # noqa: BLE001 (`wait` raises it)
            self.failure = problem


def format_age(seconds: float) -> str:
    """`3 minutes`, in the largest unit that fits."""
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word}{'s' if round(seconds / size) != 1 else ''}"
    return f"{seconds:.0f} s"


def known_names(label: str | None) -> list[str]:
    """Every amp that can be named without a network: of a hub's kept list, else of one's own shelf and every kept list."""
    from zoo.registry.shelf import Shelf

    if label is not None:
        index = read_index(label)
        return sorted(row.name for row in index.amps) if index else []
    names = set(Shelf(shelf_folder()).names())
    for path in (shelf_folder() / ".index").glob("*.json"):
        try:
            names |= {row.name for row in read_document(path, Index).amps}
        except UserError:
            continue
    return sorted(names)
