"""The amps of a zoo as folders with their configs and scores, for the first points of a search's warm start."""

from collections.abc import Callable
from pathlib import Path

from models.artifacts.names import CONFIG, EVAL, TRAINING
from models.core.errors import NotFound, UserError
from zoo.names import Ref
from zoo.registry.protocol import TransferProgress, Zoo, no_progress
from zoo.registry.resolve import resolve_zoo
from zoo.registry.shelf import Shelf

MAX_HUB_AMPS = 16  # each takes a few requests


def is_shelf(folder: Path) -> bool:
    """Return whether a folder holds packages as a shelf does."""
    return bool(Shelf(folder).names())


def collect_amps(
    owner: str,
    where: str | None,
    knobs: int | None,
    to: Path,
    on_note: Callable[[str], None],
    on_progress: TransferProgress = no_progress,
) -> list[Path]:
    """Return the folders of the amps of a zoo: a shelf's own packages, of a hub the documents, fetched into `to`.

    Args:
        owner: Only this owner's amps, empty for all.
        where: The zoo, as on the command line.
        knobs: A number of knobs. Of a hub at most `MAX_HUB_AMPS` amps are fetched, those nearest to this number; None
            for the first in the order of names.
        to: The folder for what is fetched.
        on_note: Called with a sentence about each amp that is left out.
        on_progress: Called with the amps done and the amps in all.

    Raises `NotFound` where there are none.
    """
    zoo = resolve_zoo(where)
    if isinstance(zoo, Shelf):
        found = [zoo.folder / name for name in zoo.names() if _is_of(owner, name)]
    else:
        found = _fetch_nearest(zoo, owner, knobs, to, on_note, on_progress)
    if not found:
        raise NotFound(f"no amps{f' of {owner!r}' if owner else ''} on {zoo.label}", "See what there is with zoo list.")
    return found


def _fetch_nearest(
    zoo: Zoo, owner: str, knobs: int | None, to: Path, on_note: Callable[[str], None], on_progress: TransferProgress
) -> list[Path]:
    """Fetch the documents of the amps whose number of knobs is nearest to `knobs`; see `collect_amps`."""
    rows = [row for row in zoo.list(on_note) if _is_of(owner, row.name)]
    rows.sort(key=lambda row: (0 if knobs is None else abs(len(row.amp.knobs) - knobs), row.name))
    if len(rows) > MAX_HUB_AMPS:
        on_note(f"of {len(rows)} amps on {zoo.label} the {MAX_HUB_AMPS} nearest by their number of knobs are read")
    found = []
    for row in rows[:MAX_HUB_AMPS]:
        try:
            found.append(_fetch_documents(zoo, Ref(row.name), to / row.name))
        except UserError as problem:
            on_note(f"{row.name} is left out: {problem.message}")
        on_progress(len(found), min(len(rows), MAX_HUB_AMPS))
    return found


def _is_of(owner: str, name: str) -> bool:
    return owner in ("", name.split("/")[0])


def _fetch_documents(zoo: Zoo, ref: Ref, to: Path) -> Path:
    """Fetch the config, the scores and the provenance of an amp and of its tiers."""
    for name in zoo.sizes(ref):
        if name.rpartition("/")[2] in (CONFIG, EVAL, TRAINING):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes(zoo.read(ref, name))
    return to
