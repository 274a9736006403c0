"""A zoo on a Hugging Face hub: one repository per amp, read at one commit."""

import hashlib
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import disable_progress_bars
from pydantic import BaseModel, Field

from models.errors import Incompatible, IntegrityError, NotFound, UserError
from models.files import Document, staged_folder
from zoo import __version__, hub_push
from zoo.card import LIBRARY, Listed, read_row
from zoo.index import known_names
from zoo.layout import (
    ATTRIBUTES,
    MANIFEST,
    NOT_COVERED,
    SIGNATURE,
    PackageManifest,
    check_listing,
    check_pinned,
    check_target,
    choose,
    entry_of,
    parse_part,
)
from zoo.names import Address, Ref
from zoo.publish import Plan
from zoo.shelf import Progress, Pulled, silent, sweep
from zoo.transfer import HOSTILE, fetch, get_json
from zoo.trust import check_signed

PAGE, MAX_PAGES = 1000, 100
MAX_PAGE_BYTES, MAX_INFO_BYTES = 64 << 20, 8 << 20
FIELDS = ("cardData", "sha", "downloads", "lastModified")
WORKERS = 4
TELL = "Tell the owner of the amp; nothing was kept."
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
class Remote:
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
    files: dict[str, Remote]
    front: dict[str, Any]
    private: bool

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> bytes."""
        return {name: remote.size for name, remote in self.files.items()}


class Hub:
    """The verbs of a zoo on a hub, through `huggingface_hub`'s session; a revision is a branch, a tag or a commit."""

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

    def list(self, skipped: Callable[[str], None]) -> list[Listed]:
        """Every amp of this part of the hub, one request per thousand; `skipped` hears of each one that cannot be read."""
        members = self._members() if self.address.collection else None
        rows = []
        for model in self._pages():
            name = str(model.get("id"))
            if members is not None and name not in members:
                continue
            try:
                rows.append(
                    read_row(
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
                raise IntegrityError(f"{self.label} leads to another host for its next page: {following}", HOSTILE)
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
            raise IntegrityError(f"{self.label} describes '{ref.name}' in a way we do not know", HOSTILE) from None
        files = {s.rfilename: Remote(s.size or 0, s.lfs.sha256 if s.lfs else "", s.blobId or "") for s in info.siblings}
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
        return parse_part(self.fetch(ref, listing, file, lambda count: None), kind, where)

    def fetch(self, ref: Ref, listing: Listing, name: str, on_bytes: Callable[[int], None]) -> bytes:
        """A file's bytes as the hub announced them; a body that is not is asked for once more."""
        remote, url = listing.files[name], f"{self.api.endpoint}/{ref.name}/resolve/{listing.commit}/{quote(name)}"
        for _ in range(2):
            content = fetch(url, self.headers, remote.size, on_bytes)
            if remote.holds(content):
                return content
            on_bytes(-len(content))
        found, promised = entry_of(content).sha256, remote.sha256 or f"git blob {remote.blob}"
        raise IntegrityError(
            f"{ref.name}: {name} has sha256 {found[:12]}, the hub announced {promised[:24]}",
            "It was damaged on its way, twice; nothing was kept. Pull it again.",
        )

    def pull(self, ref: Ref, to: Path, tier: str = "", on_progress: Progress = silent, pinned: str = "") -> Pulled:
        """Fetch an amp at one commit into the folder `to`, verified before it appears there; of its tiers all, or one.

        With `pinned`, the sha256 that its manifest must have.
        """
        check_target(to)
        listing = self.listing(ref)
        where = f"{ref.name} on {self.label}"
        allowed = [name for name in check_listing(listing.sizes, where) if name != ATTRIBUTES]
        moved, total, lock = 0, sum(listing.files[name].size for name in allowed), Lock()

        def heard(count: int) -> None:
            nonlocal moved
            with lock:
                moved += count
                on_progress(moved, total)

        def get(name: str) -> bytes:
            return _kept(to / name, listing.files[name]) or self.fetch(ref, listing, name, heard)

        from zoo.verify import verify  # loads torch, which a list need not

        with staged_folder(to) as staged:
            first = {name: get(name) for name in (MANIFEST, SIGNATURE) if name in allowed}
            content = first[MANIFEST]
            check_pinned(ref.name, entry_of(content).sha256, pinned)
            signed = check_signed(ref.name, content, first.get(SIGNATURE))
            manifest = parse_part(content, PackageManifest, f"{ref.name}: {MANIFEST}")
            _agree(manifest, listing, allowed, ref)
            wanted = choose(allowed, tier, manifest.tier, where)
            total = sum(listing.files[name].size for name in wanted)

            def put(name: str) -> None:
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).write_bytes(first.get(name) or get(name))

            with ThreadPoolExecutor(WORKERS) as pool:
                try:
                    list(pool.map(put, wanted))
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
            try:
                verify(staged, whole=not tier)
            except UserError as problem:
                hint = problem.hint if isinstance(problem, Incompatible) else TELL
                raise type(problem)(problem.message.replace(str(staged), ref.name), hint) from None
        sweep(to.resolve().parent)
        return Pulled(
            listing.commit,
            entry_of(content).sha256,
            len(wanted),
            moved,
            len(set(listing.files) - {*allowed, ATTRIBUTES}),
            signed,
        )

    def plan(self, package: Path, name: str) -> Plan:
        """What a push of this package would change."""
        return hub_push.plan(self, package, name)

    def push(self, plan: Plan, private: bool = False, pr: bool = False, tag: str = "") -> str:
        """Make a planned push; returns the commit."""
        return hub_push.push(self, plan, private, pr, tag)


def _agree(manifest: PackageManifest, listing: Listing, allowed: list[str], ref: Ref) -> None:
    """Before any large byte moves: the manifest lists what the hub has, with the sizes and hashes that the hub announces."""
    for name in sorted(set(manifest.files) | set(allowed) - set(NOT_COVERED)):
        entry, remote = manifest.files.get(name), listing.files.get(name)
        if entry is None or remote is None or name not in allowed:
            word = "is not listed in its manifest" if entry is None else "is missing"
            raise IntegrityError(f"{ref.name}: {name} {word}", TELL)
        if remote.size != entry.size:
            raise IntegrityError(
                f"{ref.name}: {name} has {remote.size:,} bytes on the hub, the manifest says {entry.size:,}", TELL
            )
        if remote.sha256 and remote.sha256 != entry.sha256:
            raise IntegrityError(
                f"{ref.name}: {name} has sha256 {remote.sha256[:12]} on the hub, the manifest says {entry.sha256[:12]}",
                TELL,
            )


def _kept(path: Path, remote: Remote) -> bytes | None:
    """The bytes of a file that an earlier pull left, if they are the wanted ones."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != remote.size:
        return None
    content = path.read_bytes()
    return content if remote.holds(content) else None
