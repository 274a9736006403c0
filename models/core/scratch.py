"""Temporary folders, all in one place: each is locked by its process, and what killed ones left goes with the next."""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.core.holding import hold_path, release_path, remove_left_behind

PREFIX = "ampzoo-tmp-"

LOCKLESS_AGE_S = 86_400.0  # a folder that nothing can lock is removed when it has not changed for so long

SCRATCH_ATTEMPTS, REMOVE_ATTEMPTS = 10, 50


class Scratch:
    """A new temporary folder that only this user can enter; whoever makes it removes it."""

    def __init__(self, place: Path | None = None) -> None:
        """Make a folder in `place`, else in the system's temporary folder, once what killed processes left is gone."""
        place = place or Path(tempfile.gettempdir())
        sweep_scratch(place)
        for attempt in range(SCRATCH_ATTEMPTS):
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))  # mode 0700
            try:
                self._handle = hold_path(self.folder)
                return
            except FileNotFoundError:  # another process swept just now
                if attempt == SCRATCH_ATTEMPTS - 1:
                    raise

    def remove(self) -> None:
        """Remove the folder; processes that are just ending may still write to it."""
        for attempt in range(REMOVE_ATTEMPTS):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                break
            time.sleep(0.1 if attempt else 0.01)
        else:
            logging.getLogger(__name__).warning("%s cannot be removed", self.folder)
        release_path(self._handle)
        self._handle = None


@contextmanager
def scratch_folder(place: Path | None = None) -> Iterator[Path]:
    """Yield a new temporary folder, see `Scratch`, and remove it afterwards."""
    scratch = Scratch(place)
    try:
        yield scratch.folder
    finally:
        scratch.remove()


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Have libraries, and programs that are started, put their temporary files into a folder. Not for threads."""
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        os.environ.pop("TMPDIR")
        os.environ.update({} if variable is None else {"TMPDIR": variable})


def sweep_scratch(place: Path | None = None) -> None:
    """Remove the temporary folders of this user's killed processes, where there are any."""
    with suppress(OSError):  # no temporary folder at all
        for folder in (place or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
            remove_left_behind(folder, 0.0, LOCKLESS_AGE_S)
