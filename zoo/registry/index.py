"""The last list of a hub, stored on disk so that `zoo list` answers at once, also offline. Light to import."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field

from models.core.errors import IntegrityError, NotFound, UserError
from models.core.files import write_text
from models.core.schema import Frozen, read_document
from zoo.package.card_schema import AmpSummary
from zoo.registry.errors import Unreachable
from zoo.registry.folders import shelf_folder

DEADLINE_SECONDS = 5.0

FRESH_SECONDS = 600.0  # or $ZOO_INDEX_TTL

MAX_CLOCK_ERROR_SECONDS = 60.0  # of another computer that shares the folder


class Index(Frozen):
    """The amps of a hub, or of a part of it.

    `fetched` is the time of the answer in Unix seconds; `following` is the URL of the page at which the list stopped,
    empty for a whole one.
    """

    schema_name: Annotated[Literal["zoo.index/1"], Field(alias="schema")] = "zoo.index/1"
    zoo: str
    fetched: float
    amps: tuple[AmpSummary, ...]
    following: Annotated[str, Field(max_length=4096)] = ""

    @property
    def age_seconds(self) -> float:
        """Seconds since the hub answered."""
        return max(0.0, time.time() - self.fetched)

    @property
    def is_fresh(self) -> bool:
        """True while the list need not be fetched again; one that is not whole goes on within the same time."""
        stated = os.environ.get("ZOO_INDEX_TTL", "")
        if self.fetched > time.time() + MAX_CLOCK_ERROR_SECONDS:  # fetched while a clock was wrong
            return False
        return self.age_seconds < (float(stated) if re.fullmatch(r"\d+(\.\d+)?", stated) else FRESH_SECONDS)


def index_path(label: str) -> Path:
    """Return the file of a zoo's index."""
    return shelf_folder() / ".index" / f"{sha256(label.encode()).hexdigest()[:16]}.json"


def read_index(label: str) -> Index | None:
    """Read the index of a zoo, None when there is none or it cannot be read."""
    try:
        index = read_document(index_path(label), Index)
    except UserError:
        return None
    return index if index.zoo == label else None


def forget_lists(endpoint: str) -> None:
    """Remove the stored lists of a hub and of its parts: what it has was changed from here."""
    for path in (shelf_folder() / ".index").glob("*.json"):
        try:
            label = read_document(path, Index).zoo
        except UserError:
            continue
        if label == endpoint or label.startswith(f"{endpoint}/"):
            path.unlink(missing_ok=True)


def require_index(label: str) -> Index:
    """Read the index of a zoo. Raises `NotFound` when there is none."""
    if (index := read_index(label)) is None:
        raise NotFound(f"no list of {label} is cached", "Ask for it once without --cached.")
    return index


class PagedZoo(Protocol):
    """A zoo that lists its amps page by page."""

    def pages(
        self, on_skip: Callable[[str], None], start: str = "", on_bytes: Callable[[int], None] = ...
    ) -> Iterable[tuple[list[AmpSummary], str]]:
        """Yield `(rows, URL of the next page)` from the page `start` on, the first one where it is empty.

        `on_bytes` is called whenever a part of a page arrives.
        """
        ...


@dataclass
class ListFetch:
    """A list that is fetched on another thread, page by page, given up when nothing came for `DEADLINE_SECONDS`.

    A slow line is waited for as long as bytes come; `zoo.registry.hub.watch` says how slow it may be. `label` names the
    hub that `open_hub` opens; `on_skip` is called as by `Zoo.list`, `on_page` with the amps so far. A `begun` list goes
    on where it stopped. Every page that came is stored.
    """

    label: str
    open_hub: Callable[[], PagedZoo]
    on_skip: Callable[[str], None]
    begun: Index | None = None
    on_page: Callable[[int], None] = lambda amps: None
    index: Index | None = None
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self._renew_deadline()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> Index:
        """Return the new index, with `following` where only a part came; `failure` then says why.

        Raises what the hub raised, or `Unreachable` when it is too slow, where no page came; an `IntegrityError`
        always.
        """
        while self._thread.is_alive() and (left := self._deadline - time.monotonic()) > 0:
            self._thread.join(left)
        if self.failure is None and (self.index is None or self.index.following):
            self.failure = Unreachable(f"{self.label} did not answer within {DEADLINE_SECONDS:g} s")
        if self.failure is not None and (self.index is None or isinstance(self.failure, IntegrityError)):
            raise self.failure
        assert self.index is not None
        return self.index

    def _renew_deadline(self, count: int = 0) -> None:
        """Wait anew, since `count` bytes came."""
        self._deadline = time.monotonic() + DEADLINE_SECONDS

    def _run(self) -> None:
        try:
            rows, start = (list(self.begun.amps), self.begun.following) if self.begun else ([], "")
            for page, following in self.open_hub().pages(self.on_skip, start, self._renew_deadline):
                rows += page
                index = Index(zoo=self.label, fetched=time.time(), amps=tuple(rows), following=following)
                write_text(index_path(self.label), index.model_dump_json(by_alias=True))
                self.index = index
                self._renew_deadline()
                self.on_page(len(rows))
        except BaseException as problem:  # noqa: BLE001 (`wait` raises it)
            self.failure = problem


def format_age(seconds: float) -> str:
    """Format a duration in the largest unit that fits: `3 minutes`."""
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word}{'s' if round(seconds / size) != 1 else ''}"
    return f"{seconds:.0f} s"


def zoo_that_lists(name: str) -> str:
    """Return the label of a hub whose stored list has an amp, else `hub`."""
    for path in sorted((shelf_folder() / ".index").glob("*.json")):
        try:
            index = read_document(path, Index)
        except UserError:
            continue
        if any(row.name == name for row in index.amps):
            return index.zoo
    return "hub"
