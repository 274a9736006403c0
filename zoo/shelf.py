"""A zoo in a plain folder: `SHELF/owner/amp/` is a package. The embedded default, and where pulled amps live."""

import os
import shutil
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from models.errors import NotFound, UserError
from models.files import Document, read_document, staged_folder
from zoo.card import Listed, read_front_matter, read_row
from zoo.names import Ref
from zoo.verify import CARD, MANIFEST, digest, is_package, package_files, verify


def home() -> Path:
    """One's own shelf: the folder `ZOO_HOME` names, else `~/.ampzoo/shelf`."""
    return Path(os.environ.get("ZOO_HOME") or Path.home() / ".ampzoo" / "shelf")


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

    def list(self, skipped: Callable[[str], None]) -> list[Listed]:
        """Every amp on the shelf with what its card says; `skipped` hears of each one that cannot be read."""
        rows = []
        for name in self.names():
            folder = self.folder / name
            try:
                rows.append(read_row(name, digest(folder), read_front_matter(folder / CARD)))
            except UserError as problem:
                skipped(f"warning: {problem.message}")
        return rows

    def find(self, ref: Ref) -> Path:
        """The package folder of an amp; raises `NotFound`, naming near matches, or when it is another revision."""
        folder = self.folder / ref.name
        if not (folder / MANIFEST).exists():
            near = get_close_matches(ref.name, self.names(), 1, 0.5)
            hint = f"Did you mean {near[0]}?" if near else "See what there is with zoo list."
            raise NotFound(f"no amp '{ref.name}' on the shelf {self.folder}", hint)
        found = digest(folder)
        if ref.revision and not found.startswith(ref.revision):
            raise NotFound(
                f"the shelf {self.folder} has '{ref.name}' at revision {found[:12]}, not {ref.revision}",
                "A shelf keeps one revision of an amp; leave out @revision for the one it has.",
            )
        return folder

    def document(self, ref: Ref, file: str, kind: type[Document]) -> Document:
        """One JSON document of an amp, checked."""
        return read_document(self.find(ref) / file, kind)

    def push(self, package: Path, name: str) -> str:
        """Put a verified package on the shelf, replacing an earlier one whole; returns its revision."""
        return copy_package(package, self.folder / name)

    def pull(self, ref: Ref, to: Path) -> str:
        """Copy an amp into the folder `to`, verified; returns its revision."""
        return copy_package(self.find(ref), to)


def copy_package(source: Path, target: Path) -> str:
    """Copy a package, verified before and after, replacing an earlier one whole; returns its revision."""
    verify(source)
    check_target(target)
    target = target.resolve()  # the current folder may be the one that is replaced
    if source.resolve() != target:
        with staged_folder(target) as staged:
            for name in package_files(source):
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, staged / name)
            verify(staged)
    return digest(target)


def check_target(target: Path) -> None:
    """Raise `UserError` when a package may not be put at `target`: only another package, or nothing, may be there."""
    empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not empty and not is_package(target):
        raise UserError(f"{target} exists and is not a package", "Choose another folder.")
