"""The rows of a shelf, kept so that a list need not read every card again; checked by cheap stamps.

The stamp of an amp is what the file system says of its folder, its manifest and its card: sizes, inodes, times of
change. A row is taken from the index only if the stamp is the same and nothing changed in the last moments before the
row was read, when a second change could leave the same stamp.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from models.core.cache import cache_folder
from models.core.errors import UserError
from models.core.files import write_text
from models.core.schema import Frozen
from zoo.package.card import read_front_matter
from zoo.package.card_schema import AmpSummary, read_summary
from zoo.package.layout import CARD, MANIFEST
from zoo.package.manifest import digest

SETTLED_NS = 2 * 10**9  # a file that changed later than this before it was read may change again unseen

Stamp = tuple[int, ...]


class IndexedRow(Frozen):
    """One row, the stamp of its files, and when they were read, in nanoseconds."""

    stamp: Stamp
    read_ns: int
    row: AmpSummary


class ShelfRows(Frozen):
    """The index of a shelf."""

    schema_name: Annotated[Literal["zoo.shelf-index/1"], Field(alias="schema")] = "zoo.shelf-index/1"
    shelf: str
    rows: dict[str, IndexedRow]


def amps_of(shelf: Path) -> list[tuple[str, Stamp]]:
    """Return name and stamp of every amp of a shelf, `SHELF/owner/amp/`, in order."""
    found = []
    for owner in _subfolders(shelf):
        for amp in _subfolders(owner):
            if (stamp := _stamp(amp)) is not None:
                found.append((f"{owner.name}/{amp.name}", stamp))
    return sorted(found)


def list_shelf(shelf: Path, on_skip: Callable[[str], None]) -> list[AmpSummary]:
    """Return a row for each amp of a shelf; `on_skip` is called with a sentence for a card that cannot be read."""
    place_name = _place_name(shelf)
    path = cache_folder() / "shelves" / f"{sha256(place_name.encode()).hexdigest()[:16]}.json"
    kept, rows = _read_rows(path, place_name), {}
    for name, stamp in amps_of(shelf):
        known = kept.get(name)
        if known is not None and known.stamp == stamp and _newest(stamp) + SETTLED_NS < known.read_ns:
            rows[name] = known
            continue
        try:
            rows[name] = IndexedRow(stamp=stamp, read_ns=time.time_ns(), row=_read_row(shelf / name, name))
        except UserError as problem:
            on_skip(f"warning: {problem.message}")
    if rows != kept:
        try:
            index = ShelfRows(shelf=place_name, rows=rows)
            write_text(path, index.model_dump_json(by_alias=True))
        except OSError:  # a cache that cannot be written: the next list reads the cards again
            pass
    return [entry.row for entry in rows.values()]


def _place_name(shelf: Path) -> str:
    """Return the path of a shelf as text, also where it is none."""
    return os.fsencode(shelf.resolve()).decode("utf-8", "backslashreplace")


def _read_rows(path: Path, place_name: str) -> dict[str, IndexedRow]:
    """Return the kept rows, none where the index is missing, damaged or another shelf's."""
    try:
        index = ShelfRows.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}
    return index.rows if index.shelf == place_name else {}


def _read_row(folder: Path, name: str) -> AmpSummary:
    updated = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return read_summary(name, digest(folder), read_front_matter(folder / CARD), updated=updated)


def _subfolders(place: Path) -> list[Path]:
    """Return the folders in a folder, without those whose names begin with a dot."""
    try:
        with os.scandir(place) as entries:
            return [place / entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def _stamp(folder: Path) -> Stamp | None:
    """Return the stamp of an amp's folder, None where it holds no manifest. The times of change come first."""
    times, sizes = [], []
    for path in (str(folder), f"{folder}/{MANIFEST}", f"{folder}/{CARD}"):
        try:
            found = os.stat(path)
        except OSError:
            if path.endswith(MANIFEST):
                return None
            continue
        times += [found.st_ctime_ns, found.st_mtime_ns]
        sizes += [found.st_size, found.st_ino]
    return (len(times), *times, *sizes)


def _newest(stamp: Stamp) -> int:
    return max(stamp[1 : 1 + stamp[0]])
