"""What is known of amps without a network: those of the user's own shelf and of the stored lists of hubs."""

from models.core.errors import UserError
from models.core.schema import read_document
from zoo.registry.folders import shelf_folder
from zoo.registry.index import Index, read_index
from zoo.registry.shelf import Shelf


def known_knobs(label: str | None) -> list[str]:
    """Return the names of the knobs of amps that are known without a network, sorted; `label` as in `known_names`."""
    if label is not None:
        index = read_index(label)
        rows = index.amps if index else ()
    else:
        rows = Shelf(shelf_folder()).list(lambda text: None)
    return sorted({knob.name for row in rows for knob in row.amp.knobs})


def known_names(label: str | None) -> list[str]:
    """Return the names of amps that are known without a network, sorted.

    With a hub's `label` they are those of its stored list; with None, those of the user's own shelf and of all stored
    lists.
    """
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
