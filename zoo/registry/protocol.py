"""zoo/registry/protocol.py."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.core.files import STAGED

Progress = Callable[[float, float], None]  # bytes done, bytes in all

STALE_SECONDS = 3600  # a staged folder this old belongs to a process that was killed


def no_progress(done: float, total: float) -> None:
    """The progress nobody asked for."""


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: revision, sha256 of the manifest, files, bytes that moved, files left out, and who signed it, in words."""

    revision: str
    manifest: str
    files: int
    bytes_moved: int
    ignored: int = 0
    signer: str = ""


def shelf_folder() -> Path:
    """One's own shelf: the folder `ZOO_HOME` names, else `~/.ampzoo/shelf`."""
    return Path(os.environ.get("ZOO_HOME") or Path.home() / ".ampzoo" / "shelf")


def remove_stale(folder: Path) -> None:
    """Remove what killed processes left beside a package."""
    for path in folder.glob(f"{STAGED}*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
