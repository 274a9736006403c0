"""A zoo in a plain folder: `SHELF/owner/amp/` is a package. Pulled amps live on the user's own shelf."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from models.core.errors import NotFound, UserError, shell_words
from models.core.files import staged_folder, write_text
from models.core.renames import STAGED, staged_path
from models.core.schema import Document
from zoo.names import Ref
from zoo.package.card import read_front_matter
from zoo.package.card_schema import AmpSummary
from zoo.package.layout import ATTRIBUTES, CARD, MANIFEST, select_files
from zoo.package.manifest import (
    case_twin,
    check_pin,
    check_target,
    digest,
    package_files,
    read_package_document,
    read_package_file,
    read_package_manifest,
)
from zoo.package.signing import describe_signer
from zoo.registry.folders import remove_stale, restore_amps
from zoo.registry.index import zoo_that_lists
from zoo.registry.origins import read_origins, revision_of
from zoo.registry.protocol import Pulled, TransferProgress, no_progress
from zoo.registry.push_plan import KEEP_LINE_ENDS, PushPlan, card_for, read_publishable, stated_esr
from zoo.registry.shelf_index import amps_of, list_shelf


class Shelf:
    """A `Zoo` in a folder. It holds one revision of each amp, named by the sha256 of its manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label = str(folder)

    def names(self) -> list[str]:
        """Return the name of every amp on the shelf, sorted."""
        self._restore()
        return [name for name, _ in amps_of(self.folder)]

    def list(self, on_skip: Callable[[str], None]) -> list[AmpSummary]:
        """Return every amp on the shelf; see `Zoo.list`."""
        self._restore()
        origins = read_origins()
        return [
            row.model_copy(update={"revision": origins[row.revision].commit}) if row.revision in origins else row
            for row in list_shelf(self.folder, on_skip)
        ]

    def _restore(self) -> None:
        """Put back what a killed process moved aside, wherever it left a trace."""
        for left in self.folder.glob(f"[!.]*/{STAGED}*-old"):
            restore_amps(left.parent)

    def find(self, ref: Ref) -> Path:
        """Return the package folder of an amp.

        Raises `NotFound` for an unknown amp, the hint naming a similar one, and for another revision than the one here.
        """
        folder = self.folder / ref.name
        restore_amps(folder.parent)
        if not (folder / MANIFEST).exists():
            similar = get_close_matches(ref.name, self.names(), 1, 0.5)
            guess = (
                f"Did you mean {similar[0]}? Or pull it" if similar else "See what there is with zoo list, or pull it"
            )
            hint = f"{guess}: {shell_words('zoo', 'pull', ref.name, '--zoo', zoo_that_lists(ref.name))}"
            raise NotFound(f"no amp '{ref.name}' on the shelf {self.folder}", hint)
        if twin := case_twin(folder) or case_twin(folder.parent):
            raise NotFound(
                f"no amp '{ref.name}' on the shelf {self.folder}; its disk has one at '{twin}'",
                "Write upper and lower case as zoo list shows them.",
            )
        found = digest(folder)
        if ref.revision and not found.startswith(ref.revision) and not revision_of(found).startswith(ref.revision):
            raise NotFound(
                f"the shelf {self.folder} has '{ref.name}' at revision {revision_of(found)[:12]}, not {ref.revision}",
                "A shelf keeps one revision of an amp; leave out @revision for the one it has.",
            )
        return folder

    def front_matter(self, ref: Ref) -> dict[str, Any]:
        """Return the front matter of an amp's card."""
        return read_front_matter(self.find(ref) / CARD)

    def revision(self, ref: Ref) -> str:
        """Return the sha256 of an amp's manifest."""
        return digest(self.find(ref))

    def sizes(self, ref: Ref) -> dict[str, int]:
        """Return the files of an amp, name -> size in bytes."""
        folder = self.find(ref)
        return {name: (folder / name).stat().st_size for name in package_files(folder)}

    def read(self, ref: Ref, file: str) -> bytes:
        """Return the bytes of one file of an amp."""
        return read_package_file(self.find(ref), file)

    def document(self, ref: Ref, file: str, kind: type[Document]) -> Document:
        """Return one JSON document of an amp, checked."""
        return read_package_document(self.find(ref), file, kind)

    def plan(self, package: Path, name: str, max_peak_dbfs: float | None = None) -> PushPlan:
        """Return what a push of a package under a name would change; raises as `read_publishable` does."""
        ours, target = read_publishable(package, name, max_peak_dbfs), self.folder / name
        check_target(target)
        if twin := case_twin(target.parent):
            raise UserError(f"{target.parent} is called '{twin}' on this disk", "Write the owner so.")
        if not (target / MANIFEST).exists():
            return PushPlan(package, name, ours, max_peak_dbfs=max_peak_dbfs)
        ours[CARD] = card_for("", ours[CARD], read_package_file(target, CARD) if (target / CARD).exists() else None)
        theirs = {file: read_package_file(target, file) for file in package_files(target) if (target / file).exists()}
        writes = {file: body for file, body in ours.items() if theirs.get(file) != body}
        there, here = (read_package_manifest(folder).package for folder in (target, package))
        return PushPlan(
            package,
            name,
            writes,
            removes=tuple(sorted(set(theirs) - set(ours))),
            unchanged=len(ours) - len(writes),
            head=digest(target),
            replaces=there if there != here else "",
            max_peak_dbfs=max_peak_dbfs,
            published_esr=stated_esr(read_front_matter(target / CARD)) if (target / CARD).exists() else None,
        )

    def push(self, plan: PushPlan, private: bool = False, pr: bool = False, tag: str = "") -> str:
        """Make a planned push, replacing an earlier amp whole; returns its revision. Options are for hubs only."""
        if private or pr or tag:
            raise UserError("a shelf is a folder: it has no --private, --pr and --tag", "They are for hubs: --zoo hub.")
        made = copy_package(
            plan.package, self.folder / plan.name, card=plan.writes.get(CARD), max_peak_dbfs=plan.max_peak_dbfs
        )
        if self._is_in_git() and not (self.folder / ATTRIBUTES).exists():
            write_text(self.folder / ATTRIBUTES, KEEP_LINE_ENDS.decode())
        return made.revision

    def _is_in_git(self) -> bool:
        folder = self.folder.resolve()
        return any((place / ".git").exists() for place in (folder, *folder.parents))

    def pull(
        self,
        ref: Ref,
        to: Path,
        tier: str = "",
        on_progress: TransferProgress = no_progress,
        pin: str = "",
        max_peak_dbfs: float | None = None,
    ) -> Pulled:
        """Copy an amp, or one tier of it, into the folder `to`; see `Zoo.pull`."""
        check_pin(ref.name, self.revision(ref), pin)
        signer = describe_signer(self.find(ref), ref.name)
        return replace(copy_package(self.find(ref), to, tier, on_progress, max_peak_dbfs=max_peak_dbfs), signer=signer)

    def remove(self, ref: Ref) -> Path:
        """Remove an amp from the shelf and return the folder that was removed."""
        folder = self.find(ref)
        check_target(folder)
        removed = staged_path(folder)  # a process that is killed now leaves no half of a package under its name
        try:
            folder.replace(removed)
        except OSError:  # an overlay cannot rename a folder of a lower layer
            removed = folder
        shutil.rmtree(removed)
        return folder


def copy_package(
    source: Path,
    target: Path,
    tier: str = "",
    on_progress: TransferProgress = no_progress,
    card: bytes | None = None,
    max_peak_dbfs: float | None = None,
) -> Pulled:
    """Copy a package, verified before and after, in place of an earlier one.

    `tier` selects one tier, empty for all of them; `card` is written in place of the package's own card. Nothing is
    copied where `target` is the source itself.
    """
    from zoo.package.verify import verify  # loads torch

    manifest = verify(source, max_peak_dbfs=max_peak_dbfs)
    check_target(target)
    target = target.resolve()  # the current folder may be the one that is replaced
    names = select_files(package_files(source), tier, manifest.tier, str(source))
    sizes = {name: (source / name).stat().st_size for name in names}
    is_copy = source.resolve() != target  # otherwise the package stays there with all its tiers
    if is_copy:
        with staged_folder(target) as staged:
            for count, name in enumerate(names):
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, staged / name)
                on_progress(sum(sizes[name] for name in names[: count + 1]), sum(sizes.values()))
            if card is not None:
                (staged / CARD).write_bytes(card)
            verify(staged, max_peak_dbfs=max_peak_dbfs)
        remove_stale(target.parent)
    return Pulled(digest(target), digest(target), len(names), sum(sizes.values()) if is_copy else 0)
