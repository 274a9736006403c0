"""Takes lined up with their dry signal, upright and on its clock, in a new folder; the originals stay as they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from models.audio.io import create_audio, read_audio
from models.core.errors import UserError
from models.core.files import staged_folder, write_json
from models.recordings.alignment import Lag, align, causal_margin, line_up
from models.recordings.checks.rules import UNRELATED
from models.recordings.manifest import Take, read_manifest

MANIFEST, HELD = "manifest.json", "held.json"


@dataclass(frozen=True)
class Mended:
    """One take as it was found, and how many samples of it were not recorded at the head and tail of its dry signal."""

    take: Take
    lag: Lag
    head: int
    tail: int


def mend(path: Path, folder: Path, on_take: Callable[[int, int], None] | None = None) -> tuple[Path, list[Mended]]:
    """Write aligned takes and their manifest into `folder`, which appears only once whole; returns the new manifest's path, and the takes.

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
    total, mended = len(manifest.takes) + len(manifest.held_takes), []
    with staged_folder(folder) as staged:
        mender = _Mender(staged, lambda done: on_take(done, total) if on_take else None)
        for name, takes in ((MANIFEST, manifest.takes), (HELD, manifest.held_takes)):
            lags = mender.line_up(takes)
            entries = []
            for take, lag in zip(takes, lags, strict=True):
                found, written = mender.write(take, lag)
                mended.append(found)
                entries.append(written)
            if takes:
                write_json(staged / name, {**top, "entries": entries})
    return folder / MANIFEST, mended


@dataclass
class _Mender:
    """Lines takes up and writes them, with the dry signals they need, into one folder; holds no more than one dry signal."""

    folder: Path
    on_take: Callable[[int], None]
    heard: int = 0
    dry_names: dict[tuple[Path, int | None], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    dry_key: tuple[Path, int | None] | None = None
    dry_T: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    dry_rate: int = 0

    def line_up(self, takes: list[Take]) -> list[Lag]:
        """The lags of takes, in step with the others of the same dry signal, whatever it is called."""
        sessions: dict[str, list[int]] = {}
        for number, take in enumerate(takes):
            sessions.setdefault(sha256(self._dry(take).tobytes()).hexdigest(), []).append(number)
        lags: dict[int, Lag] = {}
        for members in sessions.values():
            dry_T = self._dry(takes[members[0]])
            found = line_up(dry_T, self._wets([takes[number] for number in members]), self.dry_rate)
            lags.update(zip(members, found, strict=True))
        return [lags[number] for number in range(len(takes))]

    def write(self, take: Take, lag: Lag) -> tuple[Mended, dict[str, Any]]:
        """One take; returns what became of it and its entry."""
        if lag.confidence < UNRELATED:
            raise UserError(
                f"{take.wet} has little to do with its dry {take.dry.name}",
                "Is it the right file, and the right input_file? Leave it out, or correct the manifest.",
            )
        dry_T, key = self._dry(take), (take.dry, take.channel)
        if key not in self.dry_names:
            self.dry_names[key] = self._save(take.dry, dry_T)
        wet_T, _ = read_audio(take.wet, take.channel)
        aligned_T, _, _ = align(wet_T, lag, len(dry_T), causal_margin(self.dry_rate))
        head, tail = -lag.delay_samples, lag.delay_samples + lag.step * len(dry_T) - len(wet_T)
        wet = self._save(take.wet, aligned_T)
        written = {"input_file": self.dry_names[key], "output_file": wet, "knobs": take.setting}
        return Mended(take, lag, max(round(head), 0), max(round(tail), 0)), written

    def _dry(self, take: Take) -> np.ndarray:
        key = (take.dry, take.channel)
        if key != self.dry_key:
            self.dry_T, self.dry_rate = read_audio(*key)
            self.dry_key = key
        return self.dry_T

    def _wets(self, takes: list[Take]) -> Iterator[np.ndarray]:
        for take in takes:
            wet_T, rate = read_audio(take.wet, take.channel)
            if rate != self.dry_rate:
                raise UserError(
                    f"{take.wet} is at {rate} Hz but its dry {take.dry.name} is at {self.dry_rate} Hz",
                    "Resample one of them so that both agree.",
                )
            yield wet_T
            self.heard += 1
            self.on_take(self.heard)

    def _save(self, path: Path, x_T: np.ndarray) -> str:
        """Write under the name the file had, or a numbered one where another folder's file has it already."""
        number, name = 1, f"{path.stem}.wav"
        while name.lower() in self.taken:
            number += 1
            name = f"{path.stem}-{number}.wav"
        self.taken.add(name.lower())
        with create_audio(self.folder / name, self.dry_rate, "FLOAT") as file:
            file.write(x_T)
        return name
