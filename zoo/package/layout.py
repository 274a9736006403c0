"""What lies where in a package: the files that may be there, how large they may be, and the documents that only packages have."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from models.artifacts.names import CONFIG, EVAL, WEIGHTS
from models.core.errors import IntegrityError, NotFound

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

HINT_NO_PACKAGE = "This is not a package of ampzoo's, or it was damaged; nothing was kept."


def tier_of(name: str) -> str:
    """`nano` for a file below `tiers/nano/`, empty for one of the amp itself."""
    parts = name.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "tiers" else ""


def tier_names(names: Iterable[str]) -> list[str]:
    """The tiers among the files of a package, sorted."""
    return sorted({tier for name in names if (tier := tier_of(name))})


def select_files(names: Iterable[str], tier: str, root: str, where: str) -> list[str]:
    """Of the files of a package, whose own tier is `root`, those to pull: all, or with a `tier` all but the other tiers.

    Raises `NotFound` naming the tiers there are.
    """
    names = list(names)
    known = sorted({*tier_names(names), root} - {""})
    if tier and tier not in known:
        hint = f"Its tiers: {', '.join(known) or 'none'}. Leave out --tier for the amp as it is."
        raise NotFound(f"{where} has no tier '{tier}'", hint)
    return files_of_tier(names, tier)


def files_of_tier(names: Iterable[str], tier: str) -> list[str]:
    """All, or with a `tier` all but the other tiers' files."""
    return [name for name in names if not tier or tier_of(name) in ("", tier)]


def check_names(names: Iterable[str], where: str) -> None:
    """Raise `IntegrityError` for a listing that no package has: paths that lead outside, or names that some disk takes for one another."""
    folded: dict[str, str] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        outside = ".." in name.split("/") or name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name)
        if outside or UNPRINTABLE.search(name):
            raise IntegrityError(f"{where} lists {name!r}, a path that leads outside", HINT_NO_PACKAGE)
        if len(name) > MAX_PATH or any(RESERVED.fullmatch(part) for part in parts):
            raise IntegrityError(f"{where} lists {name[:MAX_PATH]!r}, which not every disk can hold", HINT_NO_PACKAGE)
        twin = folded.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if twin != name:
            raise IntegrityError(f"{where} lists both {twin!r} and {name!r}, one file on some disks", HINT_NO_PACKAGE)


def check_listing(sizes: Mapping[str, int], where: str) -> list[str]:
    """The files of a listing (name -> bytes) that belong to a package.

    Raises `IntegrityError` when some are missing, or they are too many or too large.
    """
    check_names(sizes, where)
    kept = [name for name in sizes if ALLOWED.fullmatch(name)]
    for name in REQUIRED:
        if name not in kept:
            raise IntegrityError(f"{where} lacks {name}", HINT_NO_PACKAGE)
    if len(kept) > MAX_FILES:
        raise IntegrityError(f"{where} has {len(kept)} files, at most {MAX_FILES} are legal", HINT_NO_PACKAGE)
    for name in kept:
        if sizes[name] > max_bytes(name):
            raise IntegrityError(
                f"{where}: {name} is {sizes[name]:,} bytes, at most {max_bytes(name):,} are legal", HINT_NO_PACKAGE
            )
    if (total := sum(sizes[name] for name in kept)) > MAX_TOTAL:
        raise IntegrityError(f"{where} is {total:,} bytes, at most {MAX_TOTAL:,} are legal", HINT_NO_PACKAGE)
    return kept


def max_bytes(name: str) -> int:
    """How large a file of a package may be."""
    return MAX_BYTES[Path(name).suffix or name]


def list_files(folder: Path) -> set[str]:
    """Everything below a folder but folders; links are followed nowhere."""
    paths = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return {path.relative_to(folder).as_posix() for path in paths}
