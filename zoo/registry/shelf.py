"""A zoo in a plain folder: `SHELF/owner/amp/` is a package. The embedded default, and where pulled amps live."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from models.core.errors import NotFound, UserError
from models.core.files import staged_folder
from models.core.schema import Document
from zoo.names import Ref
from zoo.package.card import read_front_matter
from zoo.package.card_schema import AmpSummary, read_summary
from zoo.package.layout import CARD, MANIFEST, select_files
from zoo.package.manifest import (
    check_pin,
    check_target,
    digest,
    package_files,
    read_package_document,
    read_package_manifest,
)
from zoo.registry.protocol import Progress, Pulled, no_progress, remove_stale
from zoo.registry.push_plan import PushPlan


class Shelf:
    """The verbs of a zoo on a folder. A shelf keeps one revision of each amp, named by its manifest's sha256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label = str(folder)

    def names(self) -> list[str]:
        """Every amp on the shelf, sorted."""
        return sorted(
            path.parent.relative_to(self.folder).as_posix() for path in self.folder.glob(f"[!.]*/[!.]*/{MANIFEST}")
        )

    def list(self, skipped: Callable[[str], None]) -> list[AmpSummary]:
        """Every amp on the shelf with what its card says; `skipped` hears of each one that cannot be read."""
        rows = []
        for name in self.names():
            folder = self.folder / name
            try:
                put = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
                rows.append(read_summary(name, digest(folder), read_front_matter(folder / CARD), updated=put))
            except UserError as problem:
                skipped(f"warning: {problem.message}")
        return rows

    def find(self, ref: Ref) -> Path:
        """The package folder of an amp; raises `NotFound`, naming near matches, or when it is another revision."""
        folder = self.folder / ref.name
        if not (folder / MANIFEST).exists():
            near = get_close_matches(ref.name, self.names(), 1, 0.5)
            hint = (
                f"Did you mean {near[0]}?"
                if near
                else f"See what there is with zoo list, or: zoo pull {ref.name} --zoo hub."
            )
            raise NotFound(f"no amp '{ref.name}' on the shelf {self.folder}", hint)
        found = digest(folder)
        if ref.revision and not found.startswith(ref.revision):
            raise NotFound(
                f"the shelf {self.folder} has '{ref.name}' at revision {found[:12]}, not {ref.revision}",
                "A shelf keeps one revision of an amp; leave out @revision for the one it has.",
            )
        return folder

    def front_matter(self, ref: Ref) -> dict[str, Any]:
        """What the card of an amp says at its top."""
        return read_front_matter(self.find(ref) / CARD)

    def revision(self, ref: Ref) -> str:
        """The sha256 of the manifest that a name stands for."""
        return digest(self.find(ref))

    def sizes(self, ref: Ref) -> dict[str, int]:
        """The files of an amp, name -> bytes."""
        folder = self.find(ref)
        return {name: (folder / name).stat().st_size for name in package_files(folder)}

    def document(self, ref: Ref, file: str, kind: type[Document]) -> Document:
        """One JSON document of an amp, checked."""
        return read_package_document(self.find(ref), file, kind)

    def plan(self, package: Path, name: str) -> "PushPlan":
        """What a push of this package would change."""
        from zoo.registry.push_plan import PushPlan, card_for, read_publishable

        files, there = read_publishable(package, name), self.folder / name
        check_target(there)
        if not (there / MANIFEST).exists():
            return PushPlan(package, name, files)
        files[CARD] = card_for("", files[CARD], (there / CARD).read_bytes() if (there / CARD).exists() else None)
        old = {file: (there / file).read_bytes() for file in package_files(there) if (there / file).exists()}
        writes = {file: body for file, body in files.items() if old.get(file) != body}
        theirs, ours = (read_package_manifest(folder).package for folder in (there, package))
        gone = tuple(sorted(set(old) - set(files)))
        return PushPlan(
            package, name, writes, gone, len(files) - len(writes), digest(there), theirs if theirs != ours else ""
        )

    def push(self, plan: "PushPlan", private: bool = False, pr: bool = False, tag: str = "") -> str:
        """Make a planned push, replacing an earlier amp whole; returns its revision."""
        if private or pr or tag:
            raise UserError("a shelf is a folder: it has no --private, --pr and --tag", "They are for hubs: --zoo hub.")
        return copy_package(plan.package, self.folder / plan.name, card=plan.writes.get(CARD)).revision

    def pull(self, ref: Ref, to: Path, tier: str = "", on_progress: Progress = no_progress, pinned: str = "") -> Pulled:
        """Copy an amp into the folder `to`, verified; of its tiers all, or one. With `pinned`, the sha256 of its manifest."""
        from zoo.package.signing import describe_signer

        check_pin(ref.name, self.revision(ref), pinned)
        signed = describe_signer(self.find(ref), ref.name)
        return replace(copy_package(self.find(ref), to, tier, on_progress), signer=signed)

    def remove(self, ref: Ref) -> Path:
        """Take an amp off the shelf; returns the folder that is gone."""
        folder = self.find(ref)
        check_target(folder)
        shutil.rmtree(folder)
        return folder


def copy_package(
    source: Path, target: Path, tier: str = "", on_progress: Progress = no_progress, card: bytes | None = None
) -> Pulled:
    """Copy a package, verified before and after, replacing an earlier one whole; its card may be another."""
    from zoo.package.verify import verify

    manifest = verify(source)
    check_target(target)
    target = target.resolve()  # the current folder may be the one that is replaced
    names = select_files(package_files(source), tier, manifest.tier, str(source))
    sizes = {name: (source / name).stat().st_size for name in names}
    new = source.resolve() != target  # what lies there already keeps all its tiers
    if new:
        with staged_folder(target) as staged:
            for count, name in enumerate(names):
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, staged / name)
                on_progress(sum(sizes[name] for name in names[: count + 1]), sum(sizes.values()))
            if card is not None:
                (staged / CARD).write_bytes(card)
            verify(staged)
        remove_stale(target.parent)
    return Pulled(digest(target), digest(target), len(names), sum(sizes.values()) if new else 0)
