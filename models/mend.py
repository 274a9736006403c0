"""Takes lined up with their dry signal, upright and on its clock, in a new folder; the originals stay as they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf

from models.align import align, causal_margin, estimate_lag
from models.audio import read_audio
from models.errors import UserError
from models.files import staged_folder, write_json
from models.judge import UNRELATED
from models.manifest import read_manifest

MANIFEST = "manifest.json"


def mend(path: Path, folder: Path, on_take: Callable[[int, int], None] | None = None) -> Path:
    """Write aligned takes and their manifest into `folder`, which appears only once whole; returns the new manifest's path.

    Every take is as long as its dry signal and `causal_margin` samples late; where nothing was recorded it is digitally silent, which training
    leaves out. Files are 32-bit float WAV, so that nothing is rounded or clipped. Dry signals are copied sample by sample. Takes that need
    nothing are written too: all takes of a session must be late by the same. Raises `UserError` when the folder is in use, when a take cannot
    be read, or when it does not belong to its dry signal.
    """
    manifest = read_manifest(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is in the way", "Name a new or empty folder.")
    names: dict[Path, str] = {}
    taken: set[str] = set()
    entries = []
    with staged_folder(folder) as staged:
        dry_path, dry_T, dry_rate = None, np.zeros(0, np.float32), 0
        for done, take in enumerate(manifest.takes, 1):
            if take.dry != dry_path:
                dry_path, (dry_T, dry_rate) = take.dry, read_audio(take.dry)
            if take.dry not in names:
                names[take.dry] = _name(take.dry, taken)
                _write(staged / names[take.dry], dry_T, dry_rate)
            wet_T, rate = read_audio(take.wet)
            if rate != dry_rate:
                raise UserError(
                    f"{take.wet} is at {rate} Hz but its dry {take.dry.name} is at {dry_rate} Hz",
                    "Resample one of them.",
                )
            lag = estimate_lag(dry_T, wet_T, rate)
            if lag.confidence < UNRELATED:
                hint = "Is it the right file, and the right input_file? Leave it out, or correct the manifest."
                raise UserError(f"{take.wet} has little to do with its dry {take.dry.name}", hint)
            name = _name(take.wet, taken)
            _write(staged / name, align(wet_T, lag, len(dry_T), causal_margin(rate))[0], rate)
            entries.append({"input_file": names[take.dry], "output_file": name, "knobs": take.setting})
            if on_take:
                on_take(done, len(manifest.takes))
        stated = {"device": manifest.device, "license": manifest.license, "sample_rate": manifest.sample_rate}
        document = {key: value for key, value in stated.items() if value}
        document["knobs"] = [knob.model_dump(mode="json") for knob in manifest.knobs.knobs]
        write_json(staged / MANIFEST, {**document, "entries": entries})
    return folder / MANIFEST


def _name(path: Path, taken: set[str]) -> str:
    """A file name in one folder for a file that may come from another, where its name may be used too."""
    number, name = 1, f"{path.stem}.wav"
    while name.lower() in taken:
        number += 1
        name = f"{path.stem}-{number}.wav"
    taken.add(name.lower())
    return name


def _write(path: Path, x_T: np.ndarray, rate_hz: int) -> None:
    try:
        sf.write(path, x_T, rate_hz, subtype="FLOAT")
    except sf.LibsndfileError as problem:
        raise UserError(f"{path} cannot be written: {problem}", "Is the disk full, or the folder read-only?") from None
