"""The manifest of a package: the sha256 and size of its files; and how a package's JSON documents are read."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.core.errors import Incompatible, IntegrityError, NotFound, SchemaError, UserError
from models.core.files import read_regular, write_json
from models.core.schema import SHA256_TEXT, Document, Frozen, check_document, parse_json, read_document, spelled
from models.core.system_files import is_empty
from zoo.package.layout import ALLOWED, MANIFEST, NOT_COVERED, SLUG, SLUG_WORDS, list_files, max_bytes, tier_of


class FileEntry(Frozen):
    """The sha256 and the size in bytes of one file."""

    sha256: Annotated[str, SHA256_TEXT]
    size: Annotated[int, Field(ge=0)]


class PackageManifest(Frozen):
    """`manifest.json`; `tier` names the tier of the model at the root, empty where the amp has no tiers."""

    schema_name: Annotated[Literal["ampzoo.manifest/1"], Field(alias="schema")] = "ampzoo.manifest/1"
    package: Annotated[str, Field(max_length=64)]
    tool: Annotated[str, Field(max_length=64)]
    tier: Annotated[str, spelled(rf"^({SLUG})?$", f"empty, or {SLUG_WORDS}")] = ""
    files: dict[str, FileEntry]


def write_manifest(folder: Path, name: str, tool: str, tier: str = "") -> None:
    """Write `manifest.json` over every file in the folder that it covers."""
    paths = sorted(list_files(folder))
    files = {path: file_entry((folder / path).read_bytes()) for path in paths if path not in NOT_COVERED}
    manifest = PackageManifest(package=name, tool=tool, tier=tier, files=files)
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", by_alias=True))


def file_entry(content: bytes) -> FileEntry:
    """Return the manifest entry for these bytes."""
    return FileEntry(sha256=sha256(content).hexdigest(), size=len(content))


def digest(folder: Path) -> str:
    """Return a package's revision: the sha256 of its manifest, 64 hexadecimal digits.

    Raises `UserError` when the manifest cannot be read.
    """
    try:
        return sha256(read_package_file(folder, MANIFEST)).hexdigest()
    except OSError as problem:
        raise UserError(
            f"{folder / MANIFEST} cannot be read: {problem.strerror}", "Push or pull the amp again."
        ) from None


def read_package_file(folder: Path, name: str) -> bytes:
    """Read one file of a package on disk.

    Raises `IntegrityError` for a link, a pipe or a device, and for a file that is larger than a package may have.
    """
    try:
        return read_regular(folder / name, max_bytes(name), follow=False)
    except UserError as problem:
        raise as_package_error(problem) from None


def read_package_document(folder: Path, name: str, kind: type[Document]) -> Document:
    """Read one JSON document of a package on disk.

    Raises `IntegrityError` when it cannot be read or is not JSON, `Incompatible` where it does not fit its schema.
    """
    try:
        return read_document(folder / name, kind)
    except UserError as problem:
        raise as_package_error(problem) from None


def parse_package_document(content: bytes, kind: type[Document], where: str) -> Document:
    """Parse one JSON document of a package; raises as `read_package_document` does. `where` names it in errors."""
    try:
        return check_document(parse_json(content, where), kind, where)
    except UserError as problem:
        raise as_package_error(problem) from None


def as_package_error(problem: UserError) -> UserError:
    """Turn an error about a document into one about its package, which the reader can only fetch again."""
    if isinstance(problem, Incompatible | IntegrityError):
        return problem
    kind = Incompatible if isinstance(problem, SchemaError) else IntegrityError
    return kind(problem.message, "Pull the amp again. If the error stays, report it to the amp's owner.")


def read_package_manifest(folder: Path) -> PackageManifest:
    """Read the manifest of a package. Raises `NotFound` when the folder is not a package."""
    if not (folder / MANIFEST).exists():
        raise NotFound(f"{folder} is not a package ({MANIFEST} is missing)", "Make one: zoo package RUN --license ID.")
    return read_package_document(folder, MANIFEST, PackageManifest)


def package_files(folder: Path) -> list[str]:
    """List the files of a package: those in its manifest and those that a manifest does not cover, sorted.

    Files of tiers that were not pulled are left out.
    """
    listed = read_package_manifest(folder).files
    present = {name for name in listed if not tier_of(name) or (folder / name).exists()}
    return sorted({*present, *(name for name in NOT_COVERED if (folder / name).exists())})


def check_pin(where: str, manifest: str, expected: str) -> None:
    """Raise `IntegrityError` when an amp's manifest is not the pinned one (sha256 each; an empty pin fits all)."""
    if expected and manifest != expected:
        raise IntegrityError(
            f"{where} has a manifest of sha256 {manifest[:12]}, pinned is {expected[:12]}",
            "The amp differs from its pin. Nothing was saved. Accept the new one with zoo pull --lock.",
        )


def check_target(target: Path) -> None:
    """Raise `UserError` when `target` holds anything but a package, which may be replaced, or is a twin by case."""
    if twin := case_twin(target):
        raise UserError(f"{target} is called '{twin}' on this disk", "Write it so, or choose another name.")
    empty = not target.exists() or (target.is_dir() and is_empty(target))
    if not empty and not _is_package(target):
        raise UserError(f"{target} exists and is not a package", "Choose another folder.")


def case_twin(path: Path) -> str:
    """Return the name of a file or folder as its disk has it where that differs in case only, else an empty text.

    Such a disk takes `Tiny` and `tiny` for one.
    """
    try:
        names = os.listdir(path.parent)
    except OSError:  # there is no such folder, or it may not be read
        return ""
    if not path.name or path.name in names or not path.exists():
        return ""
    return next((name for name in names if name.casefold() == path.name.casefold()), "")


def _is_package(folder: Path) -> bool:
    """Return whether a folder holds only files that a package may have, so that it may be replaced."""
    try:
        read_document(folder / MANIFEST, PackageManifest)
    except UserError:
        return False
    return all(ALLOWED.fullmatch(name) for name in list_files(folder))
