"""The folder of the user's own shelf; what killed processes left in a shelf is put back or removed."""

from contextlib import suppress
from pathlib import Path

from models.core.errors import UserError
from models.core.files import LOCKLESS_SECONDS, STALE_SECONDS
from models.core.holding import remove_left_behind
from models.core.renames import STAGED, is_only_copy, restore_folders
from models.core.schema import read_document
from models.core.user_folders import home_folder, stated_folder
from zoo.package.layout import MANIFEST
from zoo.package.manifest import PackageManifest


def shelf_folder() -> Path:
    """Return the user's own shelf: the folder `$ZOO_HOME`, else `~/.ampzoo/shelf`."""
    return stated_folder("ZOO_HOME") or home_folder() / ".ampzoo" / "shelf"


def restore_amps(folder: Path) -> None:
    """Put back the packages of one owner that a killed process moved away and did not replace; see `core.renames`."""
    restore_folders(folder)
    for path in folder.glob(f"{STAGED}*-old"):
        if is_only_copy(path) and (name := _name_in_manifest(path)) and not (folder / name).exists():
            with suppress(OSError):  # a shelf that is read-only
                path.replace(folder / name)


def remove_stale(folder: Path) -> None:
    """Remove what killed processes left beside a package; what may be the only copy of one is put back, or stays."""
    restore_amps(folder)
    for path in folder.glob(f"{STAGED}*"):
        if not is_only_copy(path):
            remove_left_behind(path, STALE_SECONDS, LOCKLESS_SECONDS)


def _name_in_manifest(folder: Path) -> str:
    """Return the name in the manifest of a package, empty where it has none."""
    try:
        return read_document(folder / MANIFEST, PackageManifest).package
    except UserError:
        return ""
