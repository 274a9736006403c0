"""From what a person names to what it stands for: a zoo, a package, a model's folder, or a view of an amp."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, is_nam_file
from models.core.errors import NotFound, UserError, first_line
from models.core.schema import Document
from models.core.user_folders import expand_home
from zoo.names import Address, Ref, parse_address, parse_ref
from zoo.package.card import read_front_matter
from zoo.package.layout import CARD, MANIFEST, package_of, refuse_nam_file, select_files
from zoo.package.manifest import digest, package_files, read_package_document, read_package_manifest
from zoo.package.provenance import run_inside
from zoo.package.signing import describe_signer
from zoo.registry.errors import RateLimited
from zoo.registry.folders import shelf_folder
from zoo.registry.origins import Origin, read_origins, revision_of
from zoo.registry.protocol import TransferProgress, Zoo, no_progress
from zoo.registry.shelf import Shelf


def address_of(where: str | Path | None) -> Address | None:
    """Return the address of a hub, None for a shelf."""
    address = parse_address(where) if where else None
    return address if isinstance(address, Address) else None


def resolve_zoo(where: str | Path | None, new: bool = False) -> Zoo:
    """Open a zoo: `hub` or a URL is a hub, any other word a shelf's folder, None the user's own shelf.

    Raises `NotFound` when a named shelf does not exist, unless a `new` one may be made.
    """
    address = parse_address(where) if where else shelf_folder()
    if isinstance(address, Address):
        from zoo.registry.hub.hub import Hub

        return Hub(address)
    if not address.is_dir() and (address.exists() or (where and not new)):
        raise NotFound(f"there is no shelf at {address}", "Name a folder, 'hub', hub:OWNER, or the URL of a hub.")
    return Shelf(address)


@dataclass(frozen=True)
class FetchOptions:
    """Where an amp comes from, and what is asked of it.

    Args:
        where: The zoo, as on the command line.
        tier: The tier to pull and to play; empty pulls all of them and plays the amp itself.
        on_progress: Called with the bytes done and the bytes in all.
        on_warning: Called when a copy is used because the hub cannot be reached.
        max_peak_dbfs: The highest peak that is allowed, None for what the amp claims.
    """

    where: str | Path | None = None
    tier: str = ""
    on_progress: TransferProgress = no_progress
    on_warning: Callable[[str], None] = warnings.warn
    max_peak_dbfs: float | None = None


def resolve_package(amp: str, options: FetchOptions) -> Path:
    """Return the folder of an amp, verified where it is a package or a tier of one.

    `amp` is the folder of a run, of a trial of one amp or of a package, or an amp `owner/amp[@revision]` of the zoo.
    One of a hub is pulled to the user's own shelf; when the hub cannot be reached, the copy there is used.

    Raises `NotFound`, `IntegrityError` or another `UserError`; `ConnectionError` where there is no hub and no copy.
    """
    folder = expand_home(amp)
    refuse_nam_file(folder)
    if not folder.is_dir():
        ref, zoo = _parse_amp(amp), resolve_zoo(options.where)
        if not isinstance(zoo, Shelf):
            return _pull_to_shelf(zoo, ref, options)
        folder = _find_amp(zoo, ref, amp)
        describe_signer(folder, ref.name)
    folder = run_inside(folder)
    if (package := package_of(folder)) is not None:
        _verify_folder(package, options.max_peak_dbfs)
    return folder


def resolve_model(amp: str, options: FetchOptions) -> Path:
    """Return a model to play: the folder of the amp itself or of one of its tiers, or a `.nam` file.

    See `resolve_package`. Raises `NotFound` for a tier of a `.nam` file, which has none.
    """
    if is_nam_file(path := expand_home(amp)):
        if options.tier:
            raise NotFound(f"{amp} is a .nam file, which has no tiers", "Leave out --tier.")
        return path
    return select_tier(resolve_package(amp, options), options.tier, amp)


def resolve_for_ears(amp: str, options: FetchOptions) -> Path:
    """Return a model, as `resolve_model` does, that is played at once, or leaves for other players.

    A run folder or a `.nam` file, which claim less than a package, are checked as well: a package without its manifest
    looks like a run.
    """
    from zoo.package.loudness import check_model_loudness

    model, place = resolve_model(amp, options), expand_home(amp)
    if place.exists() and not (place / MANIFEST).exists():
        check_model_loudness(model, options.max_peak_dbfs)
    return model


def select_tier(folder: Path, tier: str, amp: str) -> Path:
    """Return the folder of a tier of a package, the package itself where `tier` is empty; `amp` is for errors.

    Raises `NotFound` for a tier that the package does not have.
    """
    root = read_package_manifest(folder).tier if tier else ""
    if tier:
        select_files(package_files(folder), tier, root, amp)
    return folder if tier == root else folder / "tiers" / tier


def resolve_config(amp: str, where: str | None, tier: str = "") -> ModelConfig | None:
    """Read the config of an amp on this machine, not verified yet.

    None for one that must be fetched or has none, and for a `.nam` file, which is read whole, and once.
    """
    folder = expand_home(amp)
    if is_nam_file(folder):
        return None
    if not folder.is_dir():
        zoo = resolve_zoo(where)
        if not isinstance(zoo, Shelf):
            return None
        folder = _find_amp(zoo, _parse_amp(amp), amp)
    place = folder / "tiers" / tier if (folder / "tiers" / tier).is_dir() and tier else folder
    return read_package_document(place, CONFIG, ModelConfig) if (place / CONFIG).exists() else None


@dataclass(frozen=True)
class FolderView:
    """A run folder or a package, read in place."""

    folder: Path

    def document(self, name: str, kind: type[Document]) -> Document:
        """Return one JSON document, checked; raises `NotFound` for one that a run does not have yet."""
        if not (self.folder / MANIFEST).exists() and not (self.folder / name).exists():
            raise NotFound(
                f"{self.folder} has no {name}; its training has not ended",
                "Scores are written at the end. The knobs are known before: zoo knobs AMP.",
            )
        return read_package_document(self.folder, name, kind)

    def front_matter(self) -> dict[str, Any]:
        """Return the front matter of the card, empty for a run folder, which has no card."""
        return read_front_matter(self.folder / CARD) if (self.folder / CARD).exists() else {}

    @property
    def revision(self) -> str:
        """The commit where the package is known to be on a hub, else its manifest's sha256; empty for a run folder."""
        return revision_of(digest(self.folder)) if (self.folder / MANIFEST).exists() else ""

    @property
    def origin(self) -> Origin | None:
        """Where the package is published, None where that is not known."""
        return read_origins().get(digest(self.folder)) if (self.folder / MANIFEST).exists() else None


@dataclass(frozen=True)
class ZooView:
    """An amp of a zoo at one revision; only the documents that are asked for are fetched."""

    zoo: Zoo
    ref: Ref

    def document(self, name: str, kind: type[Document]) -> Document:
        """Return one JSON document, checked."""
        return self.zoo.document(self.ref, name, kind)

    def front_matter(self) -> dict[str, Any]:
        """Return the front matter of the card."""
        return self.zoo.front_matter(self.ref)

    @property
    def revision(self) -> str:
        """The commit on a hub; on a shelf the commit where it is known, else the sha256 of the manifest."""
        found = self.zoo.revision(self.ref)
        return revision_of(found) if isinstance(self.zoo, Shelf) else found

    @property
    def origin(self) -> Origin | None:
        """Where an amp of a shelf is published, None where that is not known, and for an amp of a hub."""
        return read_origins().get(self.zoo.revision(self.ref)) if isinstance(self.zoo, Shelf) else None


AmpView = FolderView | ZooView


def view_amp(amp: str, where: str | None) -> AmpView:
    """Open a view of a folder, or of an amp of a zoo.

    Raises as `parse_ref`, `resolve_zoo` and `Shelf.find` do, and `NotFound` for a folder without a model.
    """
    if (folder := expand_home(amp)).is_dir():
        from models.artifacts.folder import check_holds_model  # brings numpy, which a list need not wait for

        folder = run_inside(folder)
        if not (folder / MANIFEST).exists():
            check_holds_model(folder)
        return FolderView(folder)
    refuse_nam_file(folder)
    view = ZooView(ref=_parse_amp(amp), zoo=resolve_zoo(where))
    if isinstance(view.zoo, Shelf):
        _find_amp(view.zoo, view.ref, amp)
    return view


def _parse_amp(amp: str) -> Ref:
    """Parse the name of an amp where a folder would do as well, and there is none."""
    try:
        return parse_ref(amp)
    except UserError as problem:
        if expand_home(amp).is_file():
            raise UserError(f"{amp} is a file, and neither a package nor a .nam file", problem.hint) from None
        raise UserError(f"{problem.message}, and there is no such file or folder here", problem.hint) from None


def _find_amp(shelf: Shelf, ref: Ref, amp: str) -> Path:
    """Return the folder of an amp on a shelf; the error for a name that could be a folder's says that there is none."""
    try:
        return shelf.find(ref)
    except NotFound as problem:
        if ref.revision:
            raise
        raise NotFound(f"{problem.message}, and there is no such file or folder here", problem.hint) from None


def _pull_to_shelf(zoo: Zoo, ref: Ref, options: FetchOptions) -> Path:
    """Pull an amp to the user's own shelf; without a connection use the copy there, if no revision was named."""
    folder = shelf_folder() / ref.name
    try:
        zoo.pull(ref, folder, options.tier, options.on_progress, max_peak_dbfs=options.max_peak_dbfs)
    except ConnectionError as problem:  # `Unreachable`, and the hub client's own error of its offline mode
        if ref.revision or not (folder / MANIFEST).exists():
            raise
        describe_signer(folder, ref.name)
        reason = first_line(problem)
        told = reason if isinstance(problem, RateLimited) else f"the hub cannot be reached: {reason}"
        options.on_warning(f"{told}; using the copy on your shelf, revision {digest(folder)[:12]}")
        _verify_folder(folder, options.max_peak_dbfs)
    return folder


def _verify_folder(folder: Path, max_peak_dbfs: float | None) -> None:
    from zoo.package.verify import verify  # loads torch

    verify(folder, max_peak_dbfs=max_peak_dbfs)
