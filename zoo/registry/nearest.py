"""All amps of a zoo as folders that hold what tells how they were made: of a shelf as they lie there, of a hub their documents alone."""

from pathlib import Path
from typing import TYPE_CHECKING

from models.documents import CONFIG, EVAL
from models.errors import NotFound, UserError
from zoo import output
from zoo.find import find_zoo
from zoo.layout import TRAINING
from zoo.names import Ref
from zoo.shelf import Shelf

if TYPE_CHECKING:
    from zoo.hub import Hub

MOST = 16  # amps of a hub: each takes a few requests


def is_shelf(folder: Path) -> bool:
    """Whether packages lie in a folder as on a shelf."""
    return bool(Shelf(folder).names())


def gather(owner: str, where: str | None, knobs: int | None, to: Path) -> list[Path]:
    """The amps of a zoo, or of one `owner` there.

    Of a hub they are at most `MOST`, those whose number of knobs is nearest to `knobs` first, and what is fetched is put into the folder `to`.
    Raises `NotFound` where there are none.
    """
    zoo = find_zoo(where)
    if isinstance(zoo, Shelf):
        found = [zoo.folder / name for name in zoo.names() if owner in ("", name.split("/")[0])]
    else:
        rows = [row for row in zoo.list(output.say) if owner in ("", row.name.split("/")[0])]
        rows.sort(key=lambda row: (0 if knobs is None else abs(len(row.amp.knobs) - knobs), row.name))
        if len(rows) > MOST:
            output.say(f"of {len(rows)} amps on {zoo.label} the {MOST} nearest by their number of knobs are read")
        with output.progress("reading") as bar:
            found = []
            for row in rows[:MOST]:
                try:
                    found.append(_documents(zoo, Ref(row.name), to / row.name))
                except UserError as problem:
                    output.say(f"{row.name} is left out: {problem.message}")
                bar(len(found), min(len(rows), MOST))
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
