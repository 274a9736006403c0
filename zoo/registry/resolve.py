"""What a person names on the command line -> the zoo, the model folder or the document it stands for."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG
from models.core.errors import NotFound
from models.core.schema import Document
from zoo.names import Address, parse_address, parse_ref
from zoo.package.card import read_front_matter
from zoo.package.layout import CARD, MANIFEST, select_files
from zoo.package.manifest import digest, package_files, read_package_document, read_package_manifest
from zoo.registry.protocol import Progress, no_progress, shelf_folder
from zoo.registry.shelf import Shelf

if TYPE_CHECKING:
    from zoo.registry.hub.hub import Hub


def warn(message: str) -> None:
    """Issue a Python warning: what happens where nobody gives a callback."""
    warnings.warn(message, stacklevel=4)


def address_of(where: str | None) -> Address | None:
    """The hub that is meant, None for a shelf."""
    address = parse_address(where) if where else None
    return address if isinstance(address, Address) else None


def resolve_zoo(where: str | None, new: bool = False) -> "Shelf | Hub":
    """`hub` or a URL is a hub, any other word a shelf's folder, nothing one's own shelf.

    Raises `NotFound` when a named shelf is not there, unless a `new` one may be begun.
    """
    address = parse_address(where) if where else shelf_folder()
    if isinstance(address, Address):
        from zoo.registry.hub.hub import Hub

        return Hub(address)
    if not address.is_dir() and (address.exists() or (where and not new)):
        raise NotFound(f"there is no shelf at {address}", "Name a folder, 'hub', hub:OWNER, or the URL of a hub.")
    return Shelf(address)


def resolve_package(
    amp: str,
    where: str | None,
    tier: str = "",
    on_progress: Progress = no_progress,
    on_warning: Callable[[str], None] = warn,
) -> Path:
    """Where an amp lies: a folder as it is, an amp of a shelf, or an amp of a hub, pulled to one's own shelf; verified.

    When the hub cannot be reached, the copy on one's own shelf is used, and `on_warning` says so.
    """
    from zoo.package.signing import describe_signer

    folder = Path(amp)
    if not folder.is_dir():
        ref, zoo = parse_ref(amp), resolve_zoo(where)
        if isinstance(zoo, Shelf):
            folder = zoo.find(ref)
            describe_signer(folder, ref.name)
        else:
            folder = shelf_folder() / ref.name
            try:
                zoo.pull(ref, folder, tier, on_progress)
                return folder
            except ConnectionError as problem:  # `Unreachable`, and the hub client's own word for offline mode
                if ref.revision or not (folder / MANIFEST).exists():
                    raise
                describe_signer(folder, ref.name)
                reason = str(problem).splitlines()[0]
                on_warning(
                    f"the hub cannot be reached: {reason}; using the copy on your shelf, revision {digest(folder)[:12]}"
                )
    if (folder / MANIFEST).exists():
        from zoo.package.verify import verify

        verify(folder)
    return folder


def resolve_model(
    amp: str,
    where: str | None,
    tier: str = "",
    on_progress: Progress = no_progress,
    on_warning: Callable[[str], None] = warn,
) -> Path:
    """The folder of a model to play: what `resolve_package` finds, or one tier of it."""
    folder = resolve_package(amp, where, tier, on_progress, on_warning)
    root = read_package_manifest(folder).tier if tier else ""
    if tier:
        select_files(package_files(folder), tier, root, amp)
    return folder if tier == root else folder / "tiers" / tier


def resolve_config(amp: str, where: str | None, tier: str = "") -> ModelConfig | None:
    """What an amp on this machine says it is, not verified yet; None for one that would have to be fetched, or that says nothing."""
    folder = Path(amp)
    if not folder.is_dir():
        zoo = resolve_zoo(where)
        if not isinstance(zoo, Shelf):
            return None
        folder = zoo.find(parse_ref(amp))
    place = folder / "tiers" / tier if (folder / "tiers" / tier).is_dir() and tier else folder
    return read_package_document(place, CONFIG, ModelConfig) if (place / CONFIG).exists() else None


class AmpView:
    """An amp looked at without fetching all of it: a folder, or an amp of a zoo at one revision."""

    def __init__(self, amp: str, where: str | None) -> None:
        self.amp, self.folder = amp, Path(amp) if Path(amp).is_dir() else None
        self.ref, self.zoo = (None, None) if self.folder else (parse_ref(amp), resolve_zoo(where))

    def document(self, name: str, kind: type[Document]) -> Document:
        """One JSON document of it."""
        if self.zoo is None or self.ref is None:
            return read_package_document(self._folder, name, kind)
        return self.zoo.document(self.ref, name, kind)

    def front_matter(self) -> dict[str, Any]:
        """What its card says at its top; empty for a run folder, which has none."""
        if self.zoo is None or self.ref is None:
            return read_front_matter(self._folder / CARD) if (self._folder / CARD).exists() else {}
        return self.zoo.front_matter(self.ref)

    @property
    def revision(self) -> str:
        """Commit of a hub, sha256 of a package's manifest, empty for a run folder."""
        if self.zoo is None or self.ref is None:
            return digest(self._folder) if (self._folder / MANIFEST).exists() else ""
        return self.zoo.revision(self.ref)

    @property
    def _folder(self) -> Path:
        assert self.folder is not None
        return self.folder
