"""Takes lined up with their dry signal, upright and on its clock, in a new folder; the originals stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.align import align, causal_margin, estimate_lag
from models.audio import create_audio, read_audio
from models.errors import UserError
from models.files import staged_folder, write_json
from models.judge import UNRELATED
from models.manifest import Take, read_manifest

MANIFEST, HELD = "manifest.json", "held.json"


def mend(path: Path, folder: Path, on_take: Callable[[int, int], None] | None = None) -> Path:
    """Write aligned takes and their manifest into `folder`, which appears only once whole; returns the new manifest's path.

    Every take is as long as its dry signal and `causal_margin` samples late; where nothing was recorded it is digitally silent, which training
    leaves out. Files are mono 32-bit float WAV, so that nothing is rounded or clipped. Dry signals are copied sample by sample. Takes that
    need nothing are written too: all takes of a session must be late by the same. Takes held back are listed in `held.json` beside the manifest.
    Raises `UserError` when the folder is in use, when a take cannot be read, or when it does not belong to its dry signal.
    """
    manifest = read_manifest(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is in the way", "Name a new or empty folder.")
    stated = {"device": manifest.device, "license": manifest.license, "sample_rate": manifest.sample_rate}
    top: dict[str, Any] = {key: value for key, value in stated.items() if value} | manifest.levels.model_dump()
    top["knobs"] = [knob.model_dump(mode="json") for knob in manifest.knobs.knobs]
    total, done = len(manifest.takes) + len(manifest.held_takes), 0
    with staged_folder(folder) as staged:
        writer = _Writer(staged)
        for name, takes in ((MANIFEST, manifest.takes), (HELD, manifest.held_takes)):
            entries = []
            for take in takes:
                entries.append(writer.write(take))
                done += 1
                if on_take:
                    on_take(done, total)
            if takes:
                write_json(staged / name, {**top, "entries": entries})
    return folder / MANIFEST


@dataclass
class _Writer:
    """Writes takes and the dry signals they need into one folder; holds no more than one dry signal."""

    folder: Path
    dry_names: dict[tuple[Path, int | None], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    dry_key: tuple[Path, int | None] | None = None
    dry_T: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    dry_rate: int = 0

    def write(self, take: Take) -> dict[str, Any]:
        """One take; returns its entry."""
        key = (take.dry, take.channel)
        if key != self.dry_key:
            self.dry_key, (self.dry_T, self.dry_rate) = key, read_audio(take.dry, take.channel)
        if key not in self.dry_names:
            self.dry_names[key] = self._save(take.dry, self.dry_T, self.dry_rate)
        wet_T, rate = read_audio(take.wet, take.channel)
        if rate != self.dry_rate:
            raise UserError(
                f"{take.wet} is at {rate} Hz but its dry {take.dry.name} is at {self.dry_rate} Hz",
                "Resample one of them so that both agree.",
            )
        lag = estimate_lag(self.dry_T, wet_T, rate)
        if lag.confidence < UNRELATED:
            raise UserError(
                f"{take.wet} has little to do with its dry {take.dry.name}",
                "Is it the right file, and the right input_file? Leave it out, or correct the manifest.",
            )
        aligned_T, _, _ = align(wet_T, lag, len(self.dry_T), causal_margin(rate))
        wet = self._save(take.wet, aligned_T, rate)
        return {"input_file": self.dry_names[key], "output_file": wet, "knobs": take.setting}

    def _save(self, path: Path, x_T: np.ndarray, rate_hz: int) -> str:
        """Write under the name the file had, or a numbered one where another folder's file has it already."""
        number, name = 1, f"{path.stem}.wav"
        while name.lower() in self.taken:
            number += 1
            name = f"{path.stem}-{number}.wav"
        self.taken.add(name.lower())
        with create_audio(self.folder / name, rate_hz, "FLOAT") as file:
            file.write(x_T)
        return name
