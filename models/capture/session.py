"""A recording session on disk: the manifests of takes that are to be recorded, the signal, and the sheet."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.audio.calibration import UNSTATED, AnalogLevels
from models.audio.io import read_length
from models.capture.sheet import SHEET, TRAIN_MANIFEST, make_sheet, name_files
from models.core.errors import UserError
from models.core.files import staged_folder, write_json, write_text
from models.core.system_files import is_empty
from models.knobs.schema import Knobs, Setting, Switch
from models.recordings.align_dataset import HELD_MANIFEST
from models.recordings.manifest import Take
from models.recordings.manifest_formats import MANIFEST_SCHEMA


def write_session(
    folder: Path,
    knobs: Knobs,
    train: Sequence[Setting],
    held: Sequence[Setting],
    signal: Path,
    *,
    device: str = "",
    license_id: str = "",
    levels: AnalogLevels = UNSTATED,
    existing: Sequence[Take] = (),
    outputs: Switch | None = None,
) -> list[Path]:
    """Write `train.json`, `held.json`, `sheet.html` and a copy of the signal into a new folder.

    `held.json` is left out without held settings. The manifests name the files that are to be recorded; `existing`
    takes come first in `train.json` and stay where they are. Each take is one file, or one for every position of
    `outputs`. Returns the paths of manifests and sheet. Raises `UserError` when the signal is not audio or the folder
    is not empty.
    """
    rate_hz = read_length(signal)[1]
    new_folder(folder)
    whole = Knobs(knobs=(*knobs.knobs, outputs)) if outputs else knobs
    top = manifest_top(whole, device, license_id, rate_hz, levels)
    parts = [(TRAIN_MANIFEST, "", train, existing)] + ([(HELD_MANIFEST, "held_", held, ())] if held else [])
    with staged_folder(folder) as staged:
        shutil.copyfile(signal, staged / signal.name)
        for manifest, prefix, settings, before in parts:
            numbered = enumerate(settings, len(before) + 1)
            made = [_planned(signal.name, name_files(prefix, n, s, outputs), s) for n, s in numbered]
            old = [_existing(take, folder) for take in before]
            write_json(staged / manifest, {**top, "entries": old + made})
        sheet = make_sheet(knobs, train, held, signal.name, rate_hz, device, len(existing), outputs)
        write_text(staged / SHEET, sheet)
    return [folder / name for name in (*(part[0] for part in parts), SHEET)]


def new_folder(folder: Path) -> None:
    """Raise `UserError` unless a folder is empty or missing: recordings are never overwritten."""
    if folder.exists() and (not folder.is_dir() or not is_empty(folder)):
        raise UserError(f"{folder} is in the way: it holds something already", "Name a new or empty folder.")


def manifest_top(
    knobs: Knobs, device: str, license_id: str, rate_hz: int, levels: AnalogLevels = UNSTATED
) -> dict[str, Any]:
    """Return a manifest without its entries; empty device and license are left out."""
    identity = {"device": device, "license": license_id}
    return {
        "$schema": MANIFEST_SCHEMA,
        **{key: value for key, value in identity.items() if value},
        "sample_rate": rate_hz,
        **levels.model_dump(),
        "knobs": [knob.model_dump(mode="json") for knob in knobs.knobs],
    }


def entry(dry: str, wet: str, setting: Setting) -> dict[str, Any]:
    """Return one entry of a manifest, in joint form."""
    return {"input_file": dry, "output_file": wet, "knobs": setting}


def _planned(dry: str, files: dict[str | None, str], setting: Setting) -> dict[str, Any]:
    """Return the entry of a take that is to be recorded, as one file or as several."""
    if None in files:
        return entry(dry, files[None], setting)
    return {"input_file": dry, "output_files": files, "knobs": setting}


def _existing(take: Take, folder: Path) -> dict[str, Any]:
    """Return the entry of a take of another manifest, with paths relative to `folder`."""
    dry, wet = (Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix() for path in (take.dry, take.wet))
    more = {"delay_samples": take.delay_samples, "channel": take.channel}
    return {**entry(dry, wet, take.setting), **{key: value for key, value in more.items() if value is not None}}
