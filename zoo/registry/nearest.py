"""All amps of a zoo as folders that hold what tells how they were made: of a shelf as they lie there, of a hub their documents alone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.artifacts.names import CONFIG, EVAL
from models.core.errors import NotFound, UserError
from zoo.names import Ref
from zoo.package.layout import TRAINING
from zoo.registry.protocol import Progress, no_progress
from zoo.registry.resolve import resolve_zoo
from zoo.registry.shelf import Shelf

if TYPE_CHECKING:
    from zoo.registry.hub.hub import Hub


MAX_HUB_AMPS = 16  # amps of a hub: each takes a few requests


def is_shelf(folder: Path) -> bool:
    """Whether packages lie in a folder as on a shelf."""
    return bool(Shelf(folder).names())


def collect_amps(
    owner: str,
    where: str | None,
    knobs: int | None,
    to: Path,
    on_note: Callable[[str], None],
    on_progress: Progress = no_progress,
) -> list[Path]:
    """The amps of a zoo, or of one `owner` there.

    Of a hub they are at most `MAX_HUB_AMPS`, those whose number of knobs is nearest to `knobs` first, and what is fetched is put into the folder `to`; `on_note`
    gets a sentence about what is left out.
    Raises `NotFound` where there are none.
    """
    zoo = resolve_zoo(where)
    if isinstance(zoo, Shelf):
        found = [zoo.folder / name for name in zoo.names() if owner in ("", name.split("/")[0])]
    else:
        rows = [row for row in zoo.list(on_note) if owner in ("", row.name.split("/")[0])]
        rows.sort(key=lambda row: (0 if knobs is None else abs(len(row.amp.knobs) - knobs), row.name))
        if len(rows) > MAX_HUB_AMPS:
            on_note(f"of {len(rows)} amps on {zoo.label} the {MAX_HUB_AMPS} nearest by their number of knobs are read")
        found = []
        for row in rows[:MAX_HUB_AMPS]:
            try:
                found.append(_documents(zoo, Ref(row.name), to / row.name))
            except UserError as problem:
                on_note(f"{row.name} is left out: {problem.message}")
            on_progress(len(found), min(len(rows), MAX_HUB_AMPS))
    if not found:
        raise NotFound(f"no amps{f' of {owner!r}' if owner else ''} on {zoo.label}", "See what there is with zoo list.")
    return found


def _documents(hub: "Hub", ref: Ref, to: Path) -> Path:
    """Fetch what tells how an amp and its tiers were made and what they came to."""
    listing = hub.listing(ref)
    for name in hub.sizes(ref):
        if name.rpartition("/")[2] in (CONFIG, EVAL, TRAINING):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes(hub.fetch(ref, listing, name, lambda count: None))
    return to
