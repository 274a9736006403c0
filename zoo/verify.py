"""What a package must be before we trust it: the files its manifest lists, byte for byte, and nothing else."""

import re
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Annotated, Literal

from pydantic import Field

from models.documents import CONFIG, EVAL, WEIGHTS, read_evaluation
from models.errors import IntegrityError, NotFound, UserError
from models.files import Frozen, read_document, write_json

MANIFEST, CARD, PRESETS = "manifest.json", "README.md", "presets.json"
REQUIRED = (CONFIG, WEIGHTS, EVAL, MANIFEST, CARD)
NOT_COVERED = (MANIFEST, CARD, ".gitattributes")  # owners edit cards on the hub's website
ALLOWED = re.compile(
    r"(README\.md|config\.json|eval\.json|presets\.json|manifest\.json|model\.safetensors|audio/[a-z0-9_-]{1,48}\.flac|\.gitattributes)"
)
MAX_BYTES = {
    ".json": 256 << 10,
    ".md": 1 << 20,
    ".safetensors": 64 << 20,
    ".flac": 20 << 20,
    ".gitattributes": 64 << 10,
}
MAX_FILES = 64


class FileEntry(Frozen):
    """What a manifest says of one file."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class PackageManifest(Frozen):
    """`manifest.json`."""

    schema_name: Annotated[Literal["ampzoo.manifest/1"], Field(alias="schema")] = "ampzoo.manifest/1"
    package: str
    tool: str
    files: dict[str, FileEntry]


def write_manifest(folder: Path, name: str, tool: str) -> None:
    """Write `manifest.json` over every file in the folder that it covers."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {path: _entry(folder / path) for path in paths if path not in NOT_COVERED}
    manifest = PackageManifest(package=name, tool=tool, files=files)
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", by_alias=True))


def digest(folder: Path) -> str:
    """A package's revision: the sha256 of its manifest, 64 hex digits."""
    try:
        return sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError as problem:
        raise UserError(
            f"{folder / MANIFEST} cannot be read: {problem.strerror}", "Push or pull the amp again."
        ) from None


def package_files(folder: Path) -> list[str]:
    """The files of a package as its manifest lists them, with those it does not cover."""
    manifest = read_document(folder / MANIFEST, PackageManifest)
    return sorted({*manifest.files, *(name for name in NOT_COVERED if (folder / name).exists())})


def check_listing(names: list[str], sizes: dict[str, int], where: str) -> list[str]:
    """The files of a listing that belong to a package; raises `IntegrityError` when they are too large or some are missing."""
    kept = [name for name in names if ALLOWED.fullmatch(name)]
    hint = "This is not a package of ampzoo's, or it was damaged; nothing was kept."
    for name in REQUIRED:
        if name not in kept:
            raise IntegrityError(f"{where} lacks {name}", hint)
    if len(kept) > MAX_FILES:
        raise IntegrityError(f"{where} has {len(kept)} files, at most {MAX_FILES} are legal", hint)
    for name in kept:
        limit = MAX_BYTES[Path(name).suffix or name]
        if sizes[name] > limit:
            raise IntegrityError(f"{where}: {name} is {sizes[name]:,} bytes, at most {limit:,} are legal", hint)
    return kept


def verify(folder: Path) -> PackageManifest:
    """Check every file of a package against its manifest and load the model.

    Raises `NotFound` when the folder is no package, `IntegrityError` naming the first file that is missing, is extra or differs.
    """
    if not (folder / MANIFEST).exists():
        raise NotFound(f"{folder} is not a package ({MANIFEST} is missing)", "Make one: zoo package RUN --license ID.")
    if not S_ISREG(mode := (folder / MANIFEST).lstat().st_mode) and not S_ISDIR(mode):
        raise IntegrityError(f"{folder / MANIFEST} is a link or a device; packages hold files only", "Pull it again.")
    manifest = read_document(folder / MANIFEST, PackageManifest)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not _is_folder(path)}
    sizes = {name: (folder / name).lstat().st_size for name in present}
    hint = "Pull or package it again."
    for name in sorted(present - set(check_listing(sorted(present), sizes, str(folder)))):
        raise IntegrityError(f"{folder / name} does not belong in a package", "Remove it, or package again.")
    for name in sorted(present):
        if not S_ISREG((folder / name).lstat().st_mode):
            raise IntegrityError(f"{folder / name} is a link or a device; packages hold files only", hint)
    for name in sorted(set(manifest.files) ^ (present - set(NOT_COVERED))):
        word = "is missing" if name in manifest.files else f"is not listed in {MANIFEST}"
        raise IntegrityError(f"{folder / name} {word}", hint)
    for name, entry in manifest.files.items():
        found = _entry(folder / name)
        if found.size != entry.size:
            raise IntegrityError(f"{folder / name} has {found.size:,} bytes, the manifest says {entry.size:,}", hint)
        if found.sha256 != entry.sha256:
            raise IntegrityError(
                f"{folder / name} has sha256 {found.sha256[:12]}, the manifest says {entry.sha256[:12]}", hint
            )
    from models.run import load_model

    load_model(folder)
    read_evaluation(folder)
    return manifest


def is_package(folder: Path) -> bool:
    """True when a folder holds nothing but what a package of ours may hold, so that it may be replaced."""
    try:
        read_document(folder / MANIFEST, PackageManifest)
    except UserError:
        return False
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not _is_folder(path))
    return all(ALLOWED.fullmatch(path) for path in paths)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _entry(path: Path) -> FileEntry:
    content = path.read_bytes()
    return FileEntry(sha256=sha256(content).hexdigest(), size=len(content))
