"""What lies where in a package: the files that may be there, how large they may be, and the documents that only packages have."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from models.documents import CONFIG, EVAL, WEIGHTS
from models.errors import Incompatible, IntegrityError, NotFound, SchemaError, UserError
from models.files import Document, Frozen, check_document, parse_json, read_document, write_json
from models.knobs import Setting

MANIFEST, CARD, PRESETS, TRAINING, LIVE = "manifest.json", "README.md", "presets.json", "training.json", "live.nam"
LICENSE_FILE, ATTRIBUTES, SIGNATURE = "LICENSE", ".gitattributes", "manifest.json.sig"
REQUIRED = (CONFIG, WEIGHTS, EVAL, MANIFEST, CARD)
NOT_COVERED = (MANIFEST, SIGNATURE, CARD, ATTRIBUTES)  # owners edit cards on the hub's website
SLUG = r"[a-z0-9][a-z0-9_-]{0,47}"
ALLOWED = re.compile(
    r"README\.md|LICENSE|\.gitattributes|(config|eval|presets|training|manifest)\.json|manifest\.json\.sig|model\.safetensors|live\.nam"
    rf"|audio/{SLUG}(\.target)?\.flac|baked/{SLUG}\.nam|images/{SLUG}\.png"
    rf"|tiers/{SLUG}/((config|eval|training)\.json|model\.safetensors|live\.nam)",
    re.ASCII,
)
MAX_BYTES = {
    ".json": 256 << 10,
    ".sig": 4 << 10,
    ".md": 1 << 20,
    ".safetensors": 64 << 20,
    ".flac": 20 << 20,
    ".nam": 32 << 20,
    ".png": 4 << 20,
    LICENSE_FILE: 256 << 10,
    ATTRIBUTES: 64 << 10,
}
MAX_TOTAL, MAX_FILES, MAX_PATH = 256 << 20, 64, 200
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
NO_PACKAGE = "This is not a package of ampzoo's, or it was damaged; nothing was kept."


class FileEntry(Frozen):
    """What a manifest says of one file."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class PackageManifest(Frozen):
    """`manifest.json`; `tier` is which one the model at the root is, empty where an amp has no tiers."""

    schema_name: Annotated[Literal["ampzoo.manifest/1"], Field(alias="schema")] = "ampzoo.manifest/1"
    package: Annotated[str, Field(max_length=64)]
    tool: Annotated[str, Field(max_length=64)]
    tier: Annotated[str, Field(pattern=rf"^({SLUG})?$")] = ""
    files: dict[str, FileEntry]


class Preset(Frozen):
    """A named setting, and the dry clip played at it, turned up by `gain_db` to be as loud as the other clips.

    One that was recorded and never trained on has a `dry` clip of its own, and as `target` what the amp itself made of it.
    """

    id: Annotated[str, Field(pattern=rf"^{SLUG}$")]
    knobs: Annotated[Setting, Field(max_length=32)]
    audio: Annotated[str, Field(pattern=rf"^audio/{SLUG}\.flac$")]
    gain_db: Annotated[float, Field(ge=-120, le=120)] = 0.0
    dry: Annotated[str, Field(pattern=rf"^audio/{SLUG}\.flac$")] | None = None
    target: Annotated[str, Field(pattern=rf"^audio/{SLUG}\.target\.flac$")] | None = None


class Presets(Frozen):
    """`presets.json`."""

    schema_version: Literal["1.0"] = "1.0"
    dry: Literal["audio/di.flac"] = "audio/di.flac"
    presets: Annotated[tuple[Preset, ...], Field(max_length=16)] = ()


def write_manifest(folder: Path, name: str, tool: str, tier: str = "") -> None:
    """Write `manifest.json` over every file in the folder that it covers."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {path: entry_of((folder / path).read_bytes()) for path in paths if path not in NOT_COVERED}
    manifest = PackageManifest(package=name, tool=tool, tier=tier, files=files)
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", by_alias=True))


def entry_of(content: bytes) -> FileEntry:
    """What a manifest says of these bytes."""
    return FileEntry(sha256=sha256(content).hexdigest(), size=len(content))


def digest(folder: Path) -> str:
    """A package's revision: the sha256 of its manifest, 64 hex digits."""
    try:
        return sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError as problem:
        raise UserError(
            f"{folder / MANIFEST} cannot be read: {problem.strerror}", "Push or pull the amp again."
        ) from None


def read_part(folder: Path, name: str, kind: type[Document]) -> Document:
    """One JSON document of a package on disk; raises `IntegrityError`, or `Incompatible` where it does not fit its schema."""
    try:
        return read_document(folder / name, kind)
    except UserError as problem:
        raise as_part(problem) from None


def parse_part(content: bytes, kind: type[Document], where: str) -> Document:
    """One JSON document of a package from its bytes; raises as `read_part` does."""
    try:
        return check_document(parse_json(content, where), kind, where)
    except UserError as problem:
        raise as_part(problem) from None


def as_part(problem: UserError) -> UserError:
    """What was wrong with a document, said of a package, whose reader cannot mend it."""
    if isinstance(problem, Incompatible | IntegrityError):
        return problem
    kind = Incompatible if isinstance(problem, SchemaError) else IntegrityError
    return kind(problem.message, "Get the amp again; if it stays so, tell its owner.")


def read_package_manifest(folder: Path) -> PackageManifest:
    """The manifest of a package; raises `NotFound` when the folder is none."""
    if not (folder / MANIFEST).exists():
        raise NotFound(f"{folder} is not a package ({MANIFEST} is missing)", "Make one: zoo package RUN --license ID.")
    return read_part(folder, MANIFEST, PackageManifest)


def package_files(folder: Path) -> list[str]:
    """The files of a package as its manifest lists them, with those it does not cover; of tiers only those that are there."""
    listed = read_package_manifest(folder).files
    there = {name for name in listed if not tier_of(name) or (folder / name).exists()}
    return sorted({*there, *(name for name in NOT_COVERED if (folder / name).exists())})


def tier_of(name: str) -> str:
    """`nano` for a file below `tiers/nano/`, empty for one of the amp itself."""
    parts = name.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "tiers" else ""


def tiers(names: Iterable[str]) -> list[str]:
    """The tiers among the files of a package, sorted."""
    return sorted({tier for name in names if (tier := tier_of(name))})


def choose(names: Iterable[str], tier: str, root: str, where: str) -> list[str]:
    """Of the files of a package, whose own tier is `root`, those to pull: all, or with a `tier` all but the other tiers.

    Raises `NotFound` naming the tiers there are.
    """
    names = list(names)
    known = sorted({*tiers(names), root} - {""})
    if tier and tier not in known:
        hint = f"Its tiers: {', '.join(known) or 'none'}. Leave out --tier for the amp as it is."
        raise NotFound(f"{where} has no tier '{tier}'", hint)
    return of_tier(names, tier)


def of_tier(names: Iterable[str], tier: str) -> list[str]:
    """All, or with a `tier` all but the other tiers' files."""
    return [name for name in names if not tier or tier_of(name) in ("", tier)]


def check_pinned(where: str, manifest: str, pinned: str) -> None:
    """Raise `IntegrityError` when an amp's manifest is not the one that was pinned (sha256 each; an empty pin fits all)."""
    if pinned and manifest != pinned:
        raise IntegrityError(
            f"{where} has a manifest of sha256 {manifest[:12]}, pinned is {pinned[:12]}",
            "It is not what was pinned; nothing was kept. Accept it with zoo pull --lock.",
        )


def check_names(names: Iterable[str], where: str) -> None:
    """Raise `IntegrityError` for a listing that no package has: paths that lead outside, or names that some disk takes for one another."""
    folded: dict[str, str] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        outside = ".." in name.split("/") or name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name)
        if outside or UNPRINTABLE.search(name):
            raise IntegrityError(f"{where} lists {name!r}, a path that leads outside", NO_PACKAGE)
        if len(name) > MAX_PATH or any(RESERVED.fullmatch(part) for part in parts):
            raise IntegrityError(f"{where} lists {name[:MAX_PATH]!r}, which not every disk can hold", NO_PACKAGE)
        twin = folded.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if twin != name:
            raise IntegrityError(f"{where} lists both {twin!r} and {name!r}, one file on some disks", NO_PACKAGE)


def check_listing(sizes: Mapping[str, int], where: str) -> list[str]:
    """The files of a listing (name -> bytes) that belong to a package.

    Raises `IntegrityError` when some are missing, or they are too many or too large.
    """
    check_names(sizes, where)
    kept = [name for name in sizes if ALLOWED.fullmatch(name)]
    for name in REQUIRED:
        if name not in kept:
            raise IntegrityError(f"{where} lacks {name}", NO_PACKAGE)
    if len(kept) > MAX_FILES:
        raise IntegrityError(f"{where} has {len(kept)} files, at most {MAX_FILES} are legal", NO_PACKAGE)
    for name in kept:
        if sizes[name] > max_bytes(name):
            raise IntegrityError(
                f"{where}: {name} is {sizes[name]:,} bytes, at most {max_bytes(name):,} are legal", NO_PACKAGE
            )
    if (total := sum(sizes[name] for name in kept)) > MAX_TOTAL:
        raise IntegrityError(f"{where} is {total:,} bytes, at most {MAX_TOTAL:,} are legal", NO_PACKAGE)
    return kept


def max_bytes(name: str) -> int:
    """How large a file of a package may be."""
    return MAX_BYTES[Path(name).suffix or name]


def check_target(target: Path) -> None:
    """Raise `UserError` when a package may not be put at `target`: only another package, or nothing, may be there."""
    empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not empty and not _is_package(target):
        raise UserError(f"{target} exists and is not a package", "Choose another folder.")


def _is_package(folder: Path) -> bool:
    """True when a folder holds nothing but what a package of ours may hold, so that it may be replaced."""
    try:
        read_document(folder / MANIFEST, PackageManifest)
    except UserError:
        return False
    return all(ALLOWED.fullmatch(name) for name in present_files(folder))


def present_files(folder: Path) -> set[str]:
    """Everything below a folder but folders; links are followed nowhere."""
    paths = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return {path.relative_to(folder).as_posix() for path in paths}
