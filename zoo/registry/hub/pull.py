"""Fetches an amp from a hub: one commit, checked before it appears, and whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from models.core.errors import Incompatible, IntegrityError, UserError
from models.core.files import LFS_POINTER, staged_folder
from zoo.names import Ref
from zoo.package.layout import ATTRIBUTES, MANIFEST, NOT_COVERED, SIGNATURE, check_listing, select_files
from zoo.package.manifest import PackageManifest, check_pin, check_target, file_entry, parse_package_document
from zoo.package.signing import check_signature
from zoo.registry.folders import remove_stale
from zoo.registry.hub.client import HubClient, Listing, RemoteFile
from zoo.registry.origins import Origin, note_origin
from zoo.registry.protocol import Pulled, TransferProgress, no_progress

WORKERS = 4

MAX_POINTER_BYTES = 1024  # of a Git LFS pointer

HINT_TELL_OWNER = "Nothing was saved. Report it to the amp's owner."


@dataclass
class _Download:
    """The files of one pull. It counts the bytes that were fetched, from several threads.

    `target` may hold an earlier pull; its files are used where they are the same. `total` is the size of all files.
    """

    hub: HubClient
    ref: Ref
    listing: Listing
    target: Path
    on_progress: TransferProgress
    total: int
    bytes_moved: int = 0
    _lock: Lock = field(default_factory=Lock)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file, from the earlier pull or from the hub."""
        earlier = _read_earlier(self.target / name, self.listing.files[name])
        return earlier or self.hub.fetch(self.ref, self.listing, name, self._count)

    def _count(self, count: int) -> None:
        with self._lock:
            self.bytes_moved += count
            self.on_progress(self.bytes_moved, self.total)


def pull_from_hub(
    hub: HubClient,
    ref: Ref,
    to: Path,
    tier: str = "",
    on_progress: TransferProgress = no_progress,
    pin: str = "",
    max_peak_dbfs: float | None = None,
) -> Pulled:
    """Fetch an amp, or one `tier` of it, at one commit into the folder `to`.

    It is verified before it appears there. `pin` is the sha256 that its manifest must have, empty for any. Raises
    `NotFound`, `IntegrityError`, `Incompatible` and what `HubClient.fetch` raises.
    """
    check_target(to)
    listing = hub.listing(ref)
    where = f"{ref.name} on {hub.label}"
    allowed = [name for name in check_listing(listing.sizes, where) if name != ATTRIBUTES]
    download = _Download(hub, ref, listing, to, on_progress, sum(listing.files[name].size for name in allowed))
    with staged_folder(to) as staged:
        first = {name: download.read(name) for name in (MANIFEST, SIGNATURE) if name in allowed}
        sha256 = file_entry(first[MANIFEST]).sha256
        check_pin(ref.name, sha256, pin)
        signer = check_signature(ref.name, first[MANIFEST], first.get(SIGNATURE))
        manifest = parse_package_document(first[MANIFEST], PackageManifest, f"{ref.name}: {MANIFEST}")
        _check_announced(manifest, download, allowed)
        names = select_files(allowed, tier, manifest.tier, where)
        download.total = sum(listing.files[name].size for name in names)
        _write_files(staged, names, first, download)
        _verify_staged(staged, ref, not tier, max_peak_dbfs)
    remove_stale(to.resolve().parent)
    note_origin(Origin(manifest=sha256, zoo=hub.label, name=ref.name, commit=listing.commit))
    ignored = len(set(listing.files) - {*allowed, ATTRIBUTES})
    return Pulled(listing.commit, sha256, len(names), download.bytes_moved, ignored, signer)


def _write_files(staged: Path, names: list[str], first: dict[str, bytes], download: _Download) -> None:
    """Fetch and write files on several threads; `first` has the content of those that are here already."""

    def write(name: str) -> None:
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).write_bytes(first.get(name) or download.read(name))

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            list(pool.map(write, names))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _verify_staged(staged: Path, ref: Ref, whole: bool, max_peak_dbfs: float | None) -> None:
    """Verify what was fetched; an error names the amp in place of the staged folder."""
    from zoo.package.loudness import HINT_EARS
    from zoo.package.verify import verify  # loads torch

    try:
        verify(staged, whole, max_peak_dbfs)
    except UserError as problem:
        hint = problem.hint if isinstance(problem, Incompatible) or problem.hint == HINT_EARS else HINT_TELL_OWNER
        raise type(problem)(problem.message.replace(str(staged), ref.name), hint) from None


def _check_announced(manifest: PackageManifest, download: _Download, allowed: list[str]) -> None:
    """Check before any large file moves that the manifest has the files, sizes and hashes that the hub announces."""
    ref, listing = download.ref, download.listing
    for name in sorted(set(manifest.files) | set(allowed) - set(NOT_COVERED)):
        entry, remote = manifest.files.get(name), listing.files.get(name)
        if entry is None or remote is None or name not in allowed:
            word = "is not listed in its manifest" if entry is None else "is missing"
            raise IntegrityError(f"{ref.name}: {name} {word}", HINT_TELL_OWNER)
        if remote.size != entry.size:
            if remote.size <= MAX_POINTER_BYTES and download.read(name).startswith(LFS_POINTER):
                raise IntegrityError(
                    f"{ref.name}: {name} on the hub is a Git LFS pointer, not the file itself",
                    "Nothing was saved. Its owner must push it with zoo push, or with Git LFS installed.",
                )
            raise IntegrityError(
                f"{ref.name}: {name} has {remote.size:,} bytes on the hub, the manifest says {entry.size:,}",
                HINT_TELL_OWNER,
            )
        if remote.sha256 and remote.sha256 != entry.sha256:
            raise IntegrityError(
                f"{ref.name}: {name} has sha256 {remote.sha256[:12]} on the hub, the manifest says {entry.sha256[:12]}",
                HINT_TELL_OWNER,
            )


def _read_earlier(path: Path, remote: RemoteFile) -> bytes | None:
    """Return the bytes of a file that an earlier pull left, None where they are not the announced ones."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != remote.size:
        return None
    content = path.read_bytes()
    return content if remote.matches(content) else None
