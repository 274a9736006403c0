"""Writes copies of a dataset's takes, aligned with their dry signals; the originals are not changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.audio.io import create_audio
from models.core.errors import UserError
from models.core.files import staged_folder, write_json
from models.core.scratch import scratch_folder
from models.core.system_files import is_empty
from models.recordings.alignment import UNRELATED, Lag, align_wet, causal_margin, reconcile_lags
from models.recordings.manifest import Manifest, Take, read_manifest
from models.recordings.output_files import output_of
from models.recordings.response_cache import recall_response
from models.recordings.take_reader import DrySignal, TakeReader, group_by_dry

ALIGNED_MANIFEST, HELD_MANIFEST = "manifest.json", "held.json"


@dataclass(frozen=True)
class AlignedTake:
    """One take, the lag that was removed, and the samples not recorded at the head and tail of its dry signal."""

    take: Take
    lag: Lag
    head: int
    tail: int


def align_dataset(
    path: Path, folder: Path, on_take: Callable[[int, int], None] | None = None
) -> tuple[Path, list[AlignedTake]]:
    """Write aligned takes and their manifest into `folder`, which appears only when it is complete.

    Returns the path of the new manifest, and the takes. `on_take(done, total)` is called after each take.

    Every take is as long as its dry signal and `causal_margin` samples late. It is digitally silent where nothing was
    recorded, and training leaves that out. Files are mono 32-bit float WAV, so nothing is rounded or clipped. Dry
    signals are copied sample by sample. All takes are written, because all takes of a dry signal must be late by the
    same. Held takes are listed in `held.json` beside the manifest. Raises `UserError` when the folder is in use, when a
    take cannot be read, and when it does not belong to its dry signal.
    """
    manifest = read_manifest(path)
    if folder.exists() and (not folder.is_dir() or not is_empty(folder)):
        raise UserError(f"{folder} is in the way", "Name a new or empty folder.")
    total, aligned = len(manifest.takes) + len(manifest.held_takes), []
    with staged_folder(folder) as staged:
        writer = _TakeWriter(staged, lambda done: on_take(done, total) if on_take else None)
        for name, takes in ((ALIGNED_MANIFEST, manifest.takes), (HELD_MANIFEST, manifest.held_takes)):
            entries = []
            with scratch_folder(staged) as unwritten:
                for found, entry in writer.write(takes, manifest, unwritten):
                    aligned.append(found)
                    entries.append(entry)
            if takes:
                write_json(staged / name, {**_manifest_head(manifest), "entries": entries})
    return folder / ALIGNED_MANIFEST, aligned


def _manifest_head(manifest: Manifest) -> dict[str, Any]:
    stated = {"device": manifest.device, "license": manifest.license, "sample_rate": manifest.sample_rate}
    head: dict[str, Any] = {key: value for key, value in stated.items() if value} | manifest.levels.model_dump()
    return head | {"knobs": [knob.model_dump(mode="json") for knob in manifest.knobs.knobs]}


@dataclass
class _TakeWriter:
    """Aligns takes one at a time and writes them, with their dry signals, into one folder."""

    folder: Path
    on_take: Callable[[int], None]
    reader: TakeReader = field(default_factory=TakeReader)
    done: int = 0
    dry_names: dict[tuple[Path, int | None], str] = field(default_factory=dict)
    used_names: set[str] = field(default_factory=set)

    def write(
        self, takes: list[Take], manifest: Manifest, unwritten: Path
    ) -> Iterator[tuple[AlignedTake, dict[str, Any]]]:
        """Write takes; yields each with its entry in the manifest.

        They are written once the other takes of their dry signal have corrected them. Until then the decoded samples
        are in the folder `unwritten`: memory holds one take at a time.
        """
        responses, hashes, entries = [], [], []
        lags: dict[int, Lag] = {}
        for number, take in enumerate(takes):
            dry, wet_T = self.reader.read_dry(take), self._read_wet(take)
            response = recall_response(dry.x_T, wet_T, dry.rate_hz, take.delay_samples)
            if response.lag.confidence < UNRELATED:
                raise UserError(
                    f"{take.wet} has little to do with its dry {take.dry.name}",
                    "Is it the right file, and the right input_file? Leave it out, or correct the manifest.",
                )
            entries.append(self._add(take, dry))
            np.save(unwritten / f"{number}.npy", wet_T)
            responses.append(response)
            hashes.append(dry.sha256)
            self.done += 1
            self.on_take(self.done)
        outputs = [output_of(manifest.knobs, take.setting) for take in takes]
        for numbers in group_by_dry(range(len(takes)), lambda number: (hashes[number], outputs[number])):
            reconciled = reconcile_lags([responses[number] for number in numbers], manifest.delays)
            lags.update(zip(numbers, reconciled, strict=True))
        for number, (take, entry) in enumerate(zip(takes, entries, strict=True)):
            file = unwritten / f"{number}.npy"
            yield self._write_wet(take, np.load(file), lags[number], entry["output_file"]), entry
            file.unlink()

    def _read_wet(self, take: Take) -> np.ndarray:
        wet_T, rate_hz = self.reader.read_wet(take)
        dry = self.reader.read_dry(take)
        if rate_hz != dry.rate_hz:
            raise UserError(
                f"{take.wet} is at {rate_hz} Hz but its dry {take.dry.name} is at {dry.rate_hz} Hz",
                "Resample one of them so that both agree.",
            )
        return wet_T

    def _add(self, take: Take, dry: DrySignal) -> dict[str, Any]:
        """Make the entry of a take, and copy its dry signal unless that was done for a take before."""
        key = (take.dry, take.channel)
        if key not in self.dry_names:
            self.dry_names[key] = self._unused_name(take.dry)
            self._save(self.dry_names[key], dry.x_T, dry.rate_hz)
        wet_name = self._unused_name(take.wet)
        return {"input_file": self.dry_names[key], "output_file": wet_name, "knobs": take.setting}

    def _write_wet(self, take: Take, wet_T: np.ndarray, lag: Lag, name: str) -> AlignedTake:
        dry = self.reader.read_dry(take)
        aligned_T, _, _ = align_wet(wet_T, lag, len(dry.x_T), causal_margin(dry.rate_hz))
        self._save(name, aligned_T, dry.rate_hz)
        head, tail = -lag.delay_samples, lag.delay_samples + lag.step * len(dry.x_T) - len(wet_T)
        return AlignedTake(take, lag, max(round(head), 0), max(round(tail), 0))

    def _save(self, name: str, x_T: np.ndarray, rate_hz: int) -> None:
        with create_audio(self.folder / name, rate_hz, "FLOAT") as file:
            file.write(x_T)

    def _unused_name(self, path: Path) -> str:
        """Return the file's own name as WAV, with a number where a file of another folder has it."""
        number, name = 1, f"{path.stem}.wav"
        while name.lower() in self.used_names:
            number += 1
            name = f"{path.stem}-{number}.wav"
        self.used_names.add(name.lower())
        return name
