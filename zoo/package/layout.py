"""The layout of a package: the names and sizes that its files may have."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from models.artifacts.names import CONFIG, EVAL, WEIGHTS, is_nam_file
from models.core.errors import IntegrityError, NotFound, UserError
from models.core.system_files import is_system_file

MANIFEST, CARD, PRESETS, LIVE = "manifest.json", "README.md", "presets.json", "live.nam"

LICENSE_FILE, ATTRIBUTES, SIGNATURE = "LICENSE", ".gitattributes", "manifest.json.sig"

FRONT_CHART = "images/front.png"

REQUIRED = (CONFIG, WEIGHTS, EVAL, MANIFEST, CARD)

NOT_COVERED = (MANIFEST, SIGNATURE, CARD, ATTRIBUTES)  # owners edit cards on the hub's website

SLUG = r"[a-z0-9][a-z0-9_-]{0,47}"

SLUG_WORDS = "up to 48 lower-case letters, digits, - and _, for example 'lead'"

ALLOWED = re.compile(
    r"README\.md|LICENSE|\.gitattributes|(config|eval|presets|training|manifest)\.json|manifest\.json\.sig"
    r"|model\.safetensors|live\.nam"
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

HINT_NO_PACKAGE = "This is not an ampzoo package, or it is damaged. Nothing was saved."


def tier_of(name: str) -> str:
    """Return the tier that a file belongs to: `nano` below `tiers/nano/`, empty at the package's root."""
    parts = name.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "tiers" else ""


def tier_names(names: Iterable[str]) -> list[str]:
    """Return the tiers below `tiers/` among the files of a package, sorted."""
    return sorted({tier for name in names if (tier := tier_of(name))})


def select_files(names: Iterable[str], tier: str, root: str, where: str) -> list[str]:
    """Select the files of a package to pull: all of them, or with a `tier` all but the other tiers' files.

    Args:
        names: The package's files.
        tier: The tier to pull, empty for the whole package.
        root: The tier of the model at the package's root, empty where the amp has no tiers.
        where: The package in error messages.

    Raises `NotFound` for an unknown tier; the hint lists the known ones.
    """
    names = list(names)
    known = sorted({*tier_names(names), root} - {""})
    if tier and tier not in known:
        hint = f"Its tiers: {', '.join(known) or 'none'}. Leave out --tier for the amp as it is."
        raise NotFound(f"{where} has no tier '{tier}'", hint)
    return files_of_tier(names, tier)


def files_of_tier(names: Iterable[str], tier: str) -> list[str]:
    """Return all names, or with a `tier` all but the other tiers' files."""
    return [name for name in names if not tier or tier_of(name) in ("", tier)]


def check_names(names: Iterable[str], where: str) -> None:
    """Raise `IntegrityError` for names that are unsafe on some disk.

    These are paths that lead outside the folder, reserved or unprintable names, and two names that differ only in case
    or Unicode form.
    """
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
    """Return the files of a listing (name -> size in bytes) that belong to a package.

    Raises `IntegrityError` when required files are missing, and for files that are too many or too large.
    """
    check_names(sizes, where)
    allowed = [name for name in sizes if ALLOWED.fullmatch(name)]
    for name in REQUIRED:
        if name not in allowed:
            raise IntegrityError(f"{where} lacks {name}", HINT_NO_PACKAGE)
    if len(allowed) > MAX_FILES:
        raise IntegrityError(f"{where} has {len(allowed)} files, at most {MAX_FILES} are legal", HINT_NO_PACKAGE)
    for name in allowed:
        if sizes[name] > max_bytes(name):
            raise IntegrityError(
                f"{where}: {name} is {sizes[name]:,} bytes, at most {max_bytes(name):,} are legal", HINT_NO_PACKAGE
            )
    if (total := sum(sizes[name] for name in allowed)) > MAX_TOTAL:
        raise IntegrityError(f"{where} is {total:,} bytes, at most {MAX_TOTAL:,} are legal", HINT_NO_PACKAGE)
    return allowed


def max_bytes(name: str) -> int:
    """Return the largest size in bytes that a file of a package may have."""
    return MAX_BYTES[Path(name).suffix or name]


def package_of(folder: Path) -> Path | None:
    """Return the package that a model's folder is, or is a tier of; None for a run folder."""
    candidates = [folder, *([folder.parent.parent] if folder.parent.name == "tiers" else [])]
    return next((place for place in candidates if (place / MANIFEST).exists()), None)


def list_files(folder: Path) -> set[str]:
    """Return every path below a folder that is not a folder itself; links are listed and never followed.

    What operating systems add to folders by themselves is left out.
    """
    found = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return {path.as_posix() for path in found if not is_system_file(path)}


def refuse_nam_file(path: Path) -> None:
    """Raise `UserError` for a `.nam` file, where a package or a run is asked for."""
    if is_nam_file(path):
        raise UserError(
            f"{path} is a .nam file and no package",
            "zoo render, play, export, knobs and score take it; a package is made of a run (zoo train).",
        )
