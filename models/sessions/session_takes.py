"""The takes of a session folder, in the order in which they are recorded, and which of them exist.

A take is recorded if its file exists. A file appears whole or not at all, and one that is recorded anew moves into
`replaced/`, so nothing that was kept is lost. Shapes: T time in samples.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.audio.io import SUFFIXES, read_audio, read_length, write_audio
from models.capture.sheet import TRAIN_MANIFEST
from models.core.errors import NotFound, UserError
from models.core.files import staged_file, write_json
from models.core.locations import find_written, is_there
from models.core.schema import read_json
from models.knobs.schema import Knobs, Setting
from models.recordings.align_dataset import HELD_MANIFEST
from models.recordings.manifest import Manifest, Take, interpret_manifest, read_manifest

REPLACED, UNKEPT = "replaced", ".unkept"  # folders in a session


@dataclass(frozen=True)
class PlannedTake:
    """One take of a session; `number` counts from 1 over the whole session."""

    number: int
    take: Take
    held: bool

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.take.wet.name

    @property
    def is_recorded(self) -> bool:
        """Whether its file exists."""
        return is_there(self.take.wet)


class SessionTakes:
    """A session folder, read: its manifests and their takes."""

    def __init__(self, folder: Path) -> None:
        """Read `train.json` and, where it is there, `held.json`.

        Raises `NotFound` where there is no session, `UserError` for a manifest or a signal that cannot be read, and for
        takes that would be written outside the folder.
        """
        if not (folder / TRAIN_MANIFEST).is_file():
            raise NotFound(f"{folder} is no session: it has no {TRAIN_MANIFEST}", "Plan one into a new folder first.")
        self.folder = folder
        self.manifests: dict[bool, Manifest] = {False: read_manifest(folder / TRAIN_MANIFEST)}
        if (folder / HELD_MANIFEST).is_file():
            self.manifests[True] = read_manifest(folder / HELD_MANIFEST)
        listed = [(take, held) for held, manifest in self.manifests.items() for take in manifest.takes]
        self.takes = [PlannedTake(number, take, held) for number, (take, held) in enumerate(listed, 1)]
        rates = {read_length(dry)[1] for dry in dict.fromkeys(planned.take.dry for planned in self.takes)}
        if len(rates) > 1:
            raise UserError(
                f"{folder}: its signals are at {' and '.join(map(str, sorted(rates)))} Hz", "A session has one rate."
            )
        self.rate_hz = rates.pop()
        self._dry: tuple[Path, np.ndarray] | None = None

    @property
    def knobs(self) -> Knobs:
        """The knobs of the device."""
        return self.manifests[False].knobs

    @property
    def device(self) -> str:
        """The name of the device."""
        return self.manifests[False].device

    @property
    def missing(self) -> list[PlannedTake]:
        """The takes that are not recorded yet."""
        return [planned for planned in self.takes if not planned.is_recorded]

    @property
    def seconds(self) -> float:
        """The length of the signal of the first take."""
        return read_length(self.takes[0].take.dry)[0] / self.rate_hz

    def read_signal(self, planned: PlannedTake) -> np.ndarray:
        """Return the signal to play for a take, float32 `(T,)`."""
        if self._dry is None or self._dry[0] != planned.take.dry:
            self._dry = planned.take.dry, read_audio(planned.take.dry, planned.take.channel)[0]
        return self._dry[1]

    def write_unkept(self, planned: PlannedTake, x_T: np.ndarray) -> Path:
        """Write a take that nobody decided on yet, and return its file; see `keep`."""
        self._refuse_outside(planned)
        path = self._own_folder(UNKEPT) / planned.name
        write_audio(path, np.clip(x_T, -1, 1), self.rate_hz)
        return path

    def keep(self, planned: PlannedTake, unkept: Path) -> None:
        """Make an unkept file the take; a take that was there before moves into `replaced/`."""
        self._refuse_outside(planned)
        if planned.is_recorded:
            self._put_aside(planned)
        unkept.replace(planned.take.wet)
        _flush_folder(planned.take.wet.parent)
        self.clean()

    def clean(self) -> None:
        """Remove what nobody kept; raises `UserError` where that folder leads elsewhere."""
        unkept = self._own_folder(UNKEPT)
        for path in unkept.glob("*"):
            if path.is_symlink() or path.is_file():
                path.unlink()
        if unkept.is_dir() and not any(unkept.iterdir()):
            unkept.rmdir()

    def leave_out(self, names: Sequence[str]) -> None:
        """Take these takes out of the manifests; a manifest keeps one take at least, else `UserError` is raised."""
        for manifest in self.manifests.values():
            document = read_json(manifest.path)
            if not isinstance(document, dict) or not isinstance(document.get("entries"), list):
                raise UserError(
                    f"{manifest.path} is not of the form of a planned session", "Take its entries out by hand."
                )
            left = [_without_files(item, names, manifest.path.parent) for item in document["entries"]]
            entries = [item for item in left if item is not None]
            if entries and entries != document["entries"]:
                changed = {**document, "entries": entries}
                interpret_manifest(changed, manifest.path)
                write_json(manifest.path, changed)
            elif not entries and manifest is self.manifests[False]:
                raise UserError(f"{manifest.path} would have no takes", "Record at least one.")
            elif not entries:
                manifest.path.unlink()

    def _put_aside(self, planned: PlannedTake) -> None:
        """Copy the present take into `replaced/`, before another one gets its name."""
        aside, wet, number = self._own_folder(REPLACED), planned.take.wet, 1
        while (target := aside / f"{wet.stem}-{number}{wet.suffix}").exists():
            number += 1
        with staged_file(target) as copy:
            shutil.copyfile(wet, copy)

    def _own_folder(self, name: str) -> Path:
        """Return a folder of the session, which need not exist; raises `UserError` for a link to another one."""
        folder = self.folder / name
        if folder.is_symlink():
            raise UserError(f"{folder} is a link, which may lead anywhere", "Remove the link; nothing of it is needed.")
        return folder

    def _refuse_outside(self, planned: PlannedTake) -> None:
        wet = planned.take.wet
        if wet.resolve().parent != self.folder.resolve() or wet.suffix.lower() not in SUFFIXES:
            raise UserError(
                f"{wet} cannot be recorded into {self.folder}",
                f"A session records files of its own folder, whose names end in {' or '.join(SUFFIXES)}.",
            )


def turned_knobs(knobs: Knobs, before: Setting | None, setting: Setting, unsure: Sequence[str] = ()) -> Setting:
    """Return the knobs to turn, in the order of the device: those that differ, and those of which nobody is sure."""
    return {
        name: setting[name] for name in knobs.names if before is None or before[name] != setting[name] or name in unsure
    }


def _without_files(item: dict[str, Any], names: Sequence[str], folder: Path) -> dict[str, Any] | None:
    """Return an entry of a manifest without the files of these names; None where none is left."""
    for key in ("output_file", "output_path"):
        if isinstance(item.get(key), str):
            return None if find_written(folder, item[key]).name in names else item
    files = {output: wet for output, wet in item["output_files"].items() if find_written(folder, wet).name not in names}
    return {**item, "output_files": files} if files else None


def _flush_folder(folder: Path) -> None:
    """Have the system write a renaming to the disk, where it can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
