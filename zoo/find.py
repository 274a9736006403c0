"""What a person names on the command line -> the zoo, the model folder or the document it stands for."""

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import NotFound
from models.files import Document, read_document
from zoo.names import parse_ref
from zoo.shelf import Shelf, home
from zoo.verify import MANIFEST, verify

if TYPE_CHECKING:
    from zoo.hub import Hub


def find_zoo(where: str | None, new: bool = False) -> "Shelf | Hub":
    """`hub` or a URL is a hub, any other word a shelf's folder, nothing one's own shelf.

    Raises `NotFound` when a named shelf is not there, unless a `new` one may be begun.
    """
    if where == "hub" or (where or "").startswith(("http://", "https://")):
        from zoo.hub import Hub

        return Hub(None if where == "hub" else where)
    shelf = Path(where) if where else home()
    if not shelf.is_dir() and (shelf.exists() or (where and not new)):
        raise NotFound(f"there is no shelf at {shelf}", "Name a folder, 'hub', or the URL of a hub.")
    return Shelf(shelf)


def find_model(amp: str, where: str | None) -> Path:
    """Where a model lies: a folder as it is, an amp of a shelf, or an amp of a hub, pulled to one's own shelf."""
    folder = Path(amp)
    if not folder.is_dir():
        ref, zoo = parse_ref(amp), find_zoo(where)
        if isinstance(zoo, Shelf):
            folder = zoo.find(ref)
        else:
            folder = home() / ref.name
            zoo.pull(ref, folder)
    if (folder / MANIFEST).exists():
        verify(folder)
    return folder


def read_of(amp: str, where: str | None, name: str, kind: type[Document]) -> Document:
    """One JSON document of an amp, without fetching the rest of it."""
    if Path(amp).is_dir():
        return read_document(Path(amp) / name, kind)
    return find_zoo(where).document(parse_ref(amp), name, kind)
