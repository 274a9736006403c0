"""What a Hugging Face hub has: lists, listings of one commit, documents and files."""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import disable_progress_bars
from pydantic import BaseModel, Field

from models.core.errors import IntegrityError, NotFound, UserError
from models.core.schema import Document
from zoo.names import Address, Ref
from zoo.package.card_schema import LIBRARY, AmpSummary, read_summary
from zoo.package.layout import ATTRIBUTES, check_listing
from zoo.package.manifest import file_entry, parse_package_document
from zoo.registry.hub.http import HINT_HOSTILE_HUB, fetch, get_json
from zoo.registry.index import known_names
from zoo.version import __version__

PAGE, MAX_PAGES = 1000, 100

MAX_PAGE_BYTES, MAX_INFO_BYTES = 64 << 20, 8 << 20

FIELDS = ("cardData", "sha", "downloads", "lastModified")

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Lfs(BaseModel):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Sibling(BaseModel):
    rfilename: str
    size: int | None = None
    blobId: str | None = None
    lfs: _Lfs | None = None


class _Info(BaseModel):
    sha: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    private: bool = False
    cardData: dict[str, Any] | None = None
    siblings: list[_Sibling] = []


@dataclass(frozen=True)
class RemoteFile:
    """One file as the hub announces it: its size, the sha256 of a large one, the git blob id of a small one."""

    size: int
    sha256: str
    blob: str

    def holds(self, content: bytes) -> bool:
        """True when these are the announced bytes."""
        if self.sha256:
            return hashlib.sha256(content).hexdigest() == self.sha256
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == self.blob


@dataclass(frozen=True)
class Listing:
    """A repository at one commit."""

    commit: str
    files: dict[str, RemoteFile]
    front: dict[str, Any]
    private: bool

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> bytes."""
        return {name: remote.size for name, remote in self.files.items()}


class HubClient:
    """Reads from a hub, through `huggingface_hub`'s session; a revision is a branch, a tag or a commit."""

    def __init__(self, address: Address) -> None:
        """Only the endpoint one is logged in to, and this machine, are ever sent the person's token; never over plain HTTP to another."""
        self.address, self.label = address, address.label
        url = urlsplit(address.endpoint)
        own = address.endpoint == constants.ENDPOINT.rstrip("/") and url.scheme == "https"
        self.api = HfApi(
            endpoint=address.endpoint,
            token=None if own or url.hostname in LOOPBACK else False,
            library_name=LIBRARY,
            library_version=__version__,
        )
        self._looked: dict[Ref, Listing] = {}
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        disable_progress_bars()

    @cached_property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return self.api._build_hf_headers()

    def list(self, skipped: Callable[[str], None]) -> list[AmpSummary]:
        """Every amp of this part of the hub, one request per thousand; `skipped` hears of each one that cannot be read."""
        members = self._members() if self.address.collection else None
        rows = []
        for model in self._pages():
            name = str(model.get("id"))
            if members is not None and name not in members:
                continue
            try:
                rows.append(
                    read_summary(
                        name,
                        str(model.get("sha") or ""),
                        model.get("cardData"),
                        model.get("downloads"),
                        model.get("lastModified"),
                    )
                )
            except UserError as problem:
                skipped(f"warning: {problem.message}")
        return rows

    def _pages(self) -> Iterable[dict[str, Any]]:
        params = [("filter", LIBRARY), ("limit", str(PAGE)), *(("expand", field) for field in FIELDS)]
        if self.address.owner:
            params.append(("author", self.address.owner))
        url = f"{self.api.endpoint}/api/models"
        for _ in range(MAX_PAGES):
            page, following = get_json(url, self.headers, MAX_PAGE_BYTES, params)
            yield from (model for model in (page if isinstance(page, list) else []) if isinstance(model, dict))
            if not following:
                return
            if not following.startswith(f"{self.api.endpoint}/"):
                raise IntegrityError(
                    f"{self.label} leads to another host for its next page: {following}", HINT_HOSTILE_HUB
                )
            url, params = following, []

    def _members(self) -> set[str]:
        url = f"{self.api.endpoint}/api/collections/{self.address.collection}"
        value, _ = get_json(url, self.headers, MAX_INFO_BYTES)
        items = value.get("items") if isinstance(value, dict) else None
        return {str(item.get("id")) for item in items or [] if isinstance(item, dict) and item.get("type") == "model"}

    def listing(self, ref: Ref) -> Listing:
        """What the hub has under a name, at one commit; asked for once."""
        if ref not in self._looked:
            try:
                self._looked[ref] = self.look(ref)
            except RepositoryNotFoundError as problem:
                near = get_close_matches(ref.name, known_names(self.label), 1, 0.5)
                guess = f"Did you mean {near[0]}? " if near else ""
                raise NotFound(
                    f"not found, or private: no amp '{ref.name}' on {self.label}",
                    f"{guess}See what there is with zoo list, or log in with 'hf auth login'.",
                ) from problem
        return self._looked[ref]

    def look(self, ref: Ref) -> Listing:
        """The same, asked for now."""
        if self.address.owner and ref.name.split("/")[0] != self.address.owner:
            raise NotFound(f"no amp '{ref.name}' at {self.label}", f"Its amps are called {self.address.owner}/...")
        if self.address.collection and ref.name not in self._members():
            raise NotFound(f"no amp '{ref.name}' at {self.label}", "See what there is with zoo list.")
        at = f"/revision/{ref.revision}" if ref.revision else ""
        url = f"{self.api.endpoint}/api/models/{ref.name}{at}"
        value, _ = get_json(url, self.headers, MAX_INFO_BYTES, [("blobs", "True")])
        try:
            info = _Info.model_validate(value)
        except ValueError:
            raise IntegrityError(
                f"{self.label} describes '{ref.name}' in a way we do not know", HINT_HOSTILE_HUB
            ) from None
        files = {
            s.rfilename: RemoteFile(s.size or 0, s.lfs.sha256 if s.lfs else "", s.blobId or "") for s in info.siblings
        }
        return Listing(info.sha, files, info.cardData or {}, info.private)

    def sizes(self, ref: Ref) -> dict[str, int]:
        """The files of an amp, name -> bytes; what is not a package's is left out."""
        listing = self.listing(ref)
        kept = check_listing(listing.sizes, f"{ref.name} on {self.label}")
        return {name: listing.files[name].size for name in kept if name != ATTRIBUTES}

    def front_matter(self, ref: Ref) -> dict[str, Any]:
        """What the card of an amp says at its top."""
        return self.listing(ref).front

    def revision(self, ref: Ref) -> str:
        """The commit that a name stands for."""
        return self.listing(ref).commit

    def document(self, ref: Ref, file: str, kind: type[Document]) -> Document:
        """One JSON document of an amp, checked; its size is known before it is fetched, and nothing of it stays behind."""
        listing = self.listing(ref)
        where = f"{ref.name}: {file}"
        check_listing(listing.sizes, f"{ref.name} on {self.label}")
        return parse_package_document(self.fetch(ref, listing, file, lambda count: None), kind, where)

    def fetch(self, ref: Ref, listing: Listing, name: str, on_bytes: Callable[[int], None]) -> bytes:
        """A file's bytes as the hub announced them; a body that is not is asked for once more."""
        remote, url = listing.files[name], f"{self.api.endpoint}/{ref.name}/resolve/{listing.commit}/{quote(name)}"
        for _ in range(2):
            content = fetch(url, self.headers, remote.size, on_bytes)
            if remote.holds(content):
                return content
            on_bytes(-len(content))
        found, promised = file_entry(content).sha256, remote.sha256 or f"git blob {remote.blob}"
        raise IntegrityError(
            f"{ref.name}: {name} has sha256 {found[:12]}, the hub announced {promised[:24]}",
            "It was damaged on its way, twice; nothing was kept. Pull it again.",
        )
