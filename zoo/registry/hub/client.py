"""Reads from a Hugging Face hub: lists of amps, the listing of one commit, documents and files."""

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
from pydantic import BaseModel

from models.core.errors import IntegrityError, NotFound, UserError
from models.core.schema import COMMIT_TEXT, SHA256_TEXT, Document
from zoo.names import NAME, Address, Ref
from zoo.package.card_schema import LIBRARY, AmpSummary, read_summary
from zoo.package.layout import ATTRIBUTES, check_listing
from zoo.package.manifest import file_entry, parse_package_document
from zoo.registry.hub.http import HINT_HOSTILE_HUB, fetch, get_json
from zoo.registry.known import known_names
from zoo.version import __version__

PAGE, MAX_PAGES = 1000, 100

MAX_PAGE_BYTES, MAX_INFO_BYTES = 64 << 20, 8 << 20

FIELDS = ("cardData", "sha", "downloads", "lastModified")

Page, RawPage = tuple[list[AmpSummary], str], tuple[list[dict[str, Any]], str]  # and the URL of the next page

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Lfs(BaseModel):
    sha256: Annotated[str, SHA256_TEXT]


class _Sibling(BaseModel):
    rfilename: str
    size: int | None = None
    blobId: str | None = None
    lfs: _Lfs | None = None


class _Info(BaseModel):
    sha: Annotated[str, COMMIT_TEXT]
    id: str = ""
    private: bool = False
    cardData: dict[str, Any] | None = None
    siblings: list[_Sibling] = []


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub announces it: its size, and the sha256 of a large file or the git blob id of a small one."""

    size: int
    sha256: str
    blob: str

    def matches(self, content: bytes) -> bool:
        """Return whether these are the announced bytes."""
        if self.sha256:
            return hashlib.sha256(content).hexdigest() == self.sha256
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == self.blob


@dataclass(frozen=True)
class Listing:
    """A repository at one commit: its files, the front matter of its card, and whether it is private."""

    commit: str
    files: dict[str, RemoteFile]
    front: dict[str, Any]
    private: bool

    @property
    def sizes(self) -> dict[str, int]:
        """The files, name -> size in bytes."""
        return {name: remote.size for name, remote in self.files.items()}


class HubClient:
    """Reads from a hub through `huggingface_hub`'s session; a revision is a branch, a tag or a commit."""

    def __init__(self, address: Address) -> None:
        """Open a hub; no request is made.

        The user's token is sent only to the endpoint that the user is logged in to, over HTTPS, and to this machine.
        """
        self.address, self.label = address, address.label
        url = urlsplit(address.endpoint)
        is_own = address.endpoint == constants.ENDPOINT.rstrip("/") and url.scheme == "https"
        self.api = HfApi(
            endpoint=address.endpoint,
            token=None if is_own or url.hostname in LOOPBACK else False,
            library_name=LIBRARY,
            library_version=__version__,
        )
        self._listings: dict[Ref, Listing] = {}
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        disable_progress_bars()

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return self.api._build_hf_headers()

    def list(self, on_skip: Callable[[str], None]) -> list[AmpSummary]:
        """Return every amp of this part of the hub, with one request per thousand; see `Zoo.list`."""
        return [row for rows, _ in self.pages(on_skip) for row in rows]

    def pages(
        self, on_skip: Callable[[str], None], start: str = "", on_bytes: Callable[[int], None] = lambda count: None
    ) -> Iterable[Page]:
        """Yield the amps of each page of the list and the URL of the next page, from the page at the URL `start` on.

        `on_bytes` is called with the number of bytes whenever some arrive.
        """
        members = self._members() if self.address.collection else None
        for models, following in self._pages(start, on_bytes):
            rows = []
            for model in models:
                name = str(model.get("id"))
                if members is not None and name not in members:
                    continue
                sha, card = str(model.get("sha") or ""), model.get("cardData")
                try:
                    rows.append(read_summary(name, sha, card, model.get("downloads"), model.get("lastModified")))
                except UserError as problem:
                    on_skip(f"warning: {problem.message}")
            yield rows, following

    def _pages(self, start: str, on_bytes: Callable[[int], None]) -> Iterable[RawPage]:
        """Yield the descriptions of models with our library's tag, page by page, and the URL of the next page."""
        params = [("filter", LIBRARY), ("limit", str(PAGE)), *(("expand", field) for field in FIELDS)]
        if self.address.owner:
            params.append(("author", self.address.owner))
        url, params = (start, []) if start else (f"{self.api.endpoint}/api/models", params)
        for _ in range(MAX_PAGES):
            if not url.startswith(f"{self.api.endpoint}/"):
                raise IntegrityError(f"{self.label} leads to another host for its next page: {url}", HINT_HOSTILE_HUB)
            page, following = get_json(url, self.headers, MAX_PAGE_BYTES, params, on_bytes)
            yield [model for model in (page if isinstance(page, list) else []) if isinstance(model, dict)], following
            if not following:
                return
            url, params = following, []

    def _members(self) -> set[str]:
        """Return the names of the models in this collection."""
        url = f"{self.api.endpoint}/api/collections/{self.address.collection}"
        value, _ = get_json(url, self.headers, MAX_INFO_BYTES)
        items = value.get("items") if isinstance(value, dict) else None
        return {str(item.get("id")) for item in items or [] if isinstance(item, dict) and item.get("type") == "model"}

    def listing(self, ref: Ref) -> Listing:
        """Return the listing of an amp; it is fetched once. Raises `NotFound`, the hint naming a similar amp."""
        if ref not in self._listings:
            try:
                self._listings[ref] = self.fetch_listing(ref)
            except RepositoryNotFoundError as problem:
                similar = get_close_matches(ref.name, known_names(self.label), 1, 0.5)
                guess = f"Did you mean {similar[0]}? " if similar else ""
                raise NotFound(
                    f"not found, or private: no amp '{ref.name}' on {self.label}",
                    f"{guess}See what there is with zoo list, or log in with 'hf auth login'.",
                ) from problem
        return self._listings[ref]

    def fetch_listing(self, ref: Ref) -> Listing:
        """Fetch the listing of an amp again.

        Raises `NotFound` for an amp outside this part of the hub or with a new name, `IntegrityError` for an answer of
        another form, `RepositoryNotFoundError` for an unknown amp, and what `get_json` raises.
        """
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
            raise IntegrityError(f"{self.label} describes '{ref.name}' in an unknown form", HINT_HOSTILE_HUB) from None
        if NAME.fullmatch(info.id) and info.id != ref.name:
            raise NotFound(f"'{ref.name}' is called '{info.id}' now on {self.label}", f"Name it so: {info.id}.")
        files = {
            s.rfilename: RemoteFile(s.size or 0, s.lfs.sha256 if s.lfs else "", s.blobId or "") for s in info.siblings
        }
        return Listing(info.sha, files, info.cardData or {}, info.private)

    def sizes(self, ref: Ref) -> dict[str, int]:
        """Return the files of an amp, name -> size in bytes; files that are no part of a package are left out."""
        listing = self.listing(ref)
        names = check_listing(listing.sizes, f"{ref.name} on {self.label}")
        return {name: listing.files[name].size for name in names if name != ATTRIBUTES}

    def front_matter(self, ref: Ref) -> dict[str, Any]:
        """Return the front matter of an amp's card."""
        return self.listing(ref).front

    def revision(self, ref: Ref) -> str:
        """Return the commit that a name stands for."""
        return self.listing(ref).commit

    def read(self, ref: Ref, file: str) -> bytes:
        """Return the bytes of one file of an amp; its size is checked before it is fetched."""
        listing = self.listing(ref)
        check_listing(listing.sizes, f"{ref.name} on {self.label}")
        return self.fetch(ref, listing, file)

    def document(self, ref: Ref, file: str, kind: type[Document]) -> Document:
        """Return one JSON document of an amp, checked; nothing is stored."""
        return parse_package_document(self.read(ref, file), kind, f"{ref.name}: {file}")

    def fetch(
        self, ref: Ref, listing: Listing, name: str, on_bytes: Callable[[int], None] = lambda count: None
    ) -> bytes:
        """Fetch a file; one whose bytes are not the announced ones is fetched a second time.

        `on_bytes` is called as by `zoo.registry.hub.http.fetch`. Raises `IntegrityError` when the second body is wrong,
        too, and what `http.fetch` raises.
        """
        remote, url = listing.files[name], f"{self.api.endpoint}/{ref.name}/resolve/{listing.commit}/{quote(name)}"
        for _ in range(2):
            content = fetch(url, self.headers, remote.size, on_bytes)
            if remote.matches(content):
                return content
            on_bytes(-len(content))
        found, announced = file_entry(content).sha256, remote.sha256 or f"git blob {remote.blob}"
        raise IntegrityError(
            f"{ref.name}: {name} has sha256 {found[:12]}, the hub announced {announced[:24]}",
            "It was damaged on its way, twice. Nothing was saved. Pull it again.",
        )
