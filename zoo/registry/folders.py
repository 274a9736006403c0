"""The folder of the user's own shelf, and the removal of what killed processes left in a shelf."""

import shutil
import time
from pathlib import Path

from models.core.files import STAGED
from models.core.user_folders import stated_folder

STALE_SECONDS = 3600  # a staged folder this old belongs to a process that was killed


def shelf_folder() -> Path:
    """Return the user's own shelf: the folder `$ZOO_HOME`, else `~/.ampzoo/shelf`."""
    return stated_folder("ZOO_HOME") or Path.home() / ".ampzoo" / "shelf"


def remove_stale(folder: Path) -> None:
    """Remove staged folders beside a package that killed processes left."""
    for path in folder.glob(f"{STAGED}*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
