"""Fetching an amp from a hub: one commit, checked before it appears, whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from models.core.errors import Incompatible, IntegrityError, UserError
from models.core.files import staged_folder
from zoo.names import Ref
from zoo.package.layout import ATTRIBUTES, MANIFEST, NOT_COVERED, SIGNATURE, check_listing, select_files
from zoo.package.manifest import PackageManifest, check_pin, check_target, file_entry, parse_package_document
from zoo.package.signing import check_signature
from zoo.registry.hub.client import HubClient, Listing, RemoteFile
from zoo.registry.protocol import Progress, Pulled, no_progress, remove_stale

WORKERS = 4

HINT_TELL_OWNER = "Tell the owner of the amp; nothing was kept."


def pull(
    hub: HubClient, ref: Ref, to: Path, tier: str = "", on_progress: Progress = no_progress, pinned: str = ""
) -> Pulled:
    """Fetch an amp at one commit into the folder `to`, verified before it appears there; of its tiers all, or one.

    With `pinned`, the sha256 that its manifest must have.
    """
    check_target(to)
    listing = hub.listing(ref)
    where = f"{ref.name} on {hub.label}"
    allowed = [name for name in check_listing(listing.sizes, where) if name != ATTRIBUTES]
    moved, total, lock = 0, sum(listing.files[name].size for name in allowed), Lock()

    def heard(count: int) -> None:
        nonlocal moved
        with lock:
            moved += count
            on_progress(moved, total)

    def get(name: str) -> bytes:
        return _kept(to / name, listing.files[name]) or hub.fetch(ref, listing, name, heard)

    from zoo.package.verify import verify

    with staged_folder(to) as staged:
        first = {name: get(name) for name in (MANIFEST, SIGNATURE) if name in allowed}
        content = first[MANIFEST]
        check_pin(ref.name, file_entry(content).sha256, pinned)
        signed = check_signature(ref.name, content, first.get(SIGNATURE))
        manifest = parse_package_document(content, PackageManifest, f"{ref.name}: {MANIFEST}")
        _agree(manifest, listing, allowed, ref)
        wanted = select_files(allowed, tier, manifest.tier, where)
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
            hint = problem.hint if isinstance(problem, Incompatible) else HINT_TELL_OWNER
            raise type(problem)(problem.message.replace(str(staged), ref.name), hint) from None
    remove_stale(to.resolve().parent)
    return Pulled(
        listing.commit,
        file_entry(content).sha256,
        len(wanted),
        moved,
        len(set(listing.files) - {*allowed, ATTRIBUTES}),
        signed,
    )


def _agree(manifest: PackageManifest, listing: Listing, allowed: list[str], ref: Ref) -> None:
    """Before any large byte moves: the manifest lists what the hub has, with the sizes and hashes that the hub announces."""
    for name in sorted(set(manifest.files) | set(allowed) - set(NOT_COVERED)):
        entry, remote = manifest.files.get(name), listing.files.get(name)
        if entry is None or remote is None or name not in allowed:
            word = "is not listed in its manifest" if entry is None else "is missing"
            raise IntegrityError(f"{ref.name}: {name} {word}", HINT_TELL_OWNER)
        if remote.size != entry.size:
            raise IntegrityError(
                f"{ref.name}: {name} has {remote.size:,} bytes on the hub, the manifest says {entry.size:,}",
                HINT_TELL_OWNER,
            )
        if remote.sha256 and remote.sha256 != entry.sha256:
            raise IntegrityError(
                f"{ref.name}: {name} has sha256 {remote.sha256[:12]} on the hub, the manifest says {entry.sha256[:12]}",
                HINT_TELL_OWNER,
            )


def _kept(path: Path, remote: RemoteFile) -> bytes | None:
    """The bytes of a file that an earlier pull left, if they are the wanted ones."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != remote.size:
        return None
    content = path.read_bytes()
    return content if remote.holds(content) else None
