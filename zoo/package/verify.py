"""What a package must be before we trust it: the files its manifest lists, byte for byte, and nothing else; and that it sounds as it says.

Shapes: T time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import numpy as np

from models.audio import open_audio, read_audio
from models.documents import EVAL, Evaluation, ModelConfig
from models.errors import IntegrityError, UserError
from models.nam_reader import read_nam
from models.run import load_model
from models.stream import play
from zoo.layout import (
    LIVE,
    MANIFEST,
    NOT_COVERED,
    PRESETS,
    PackageManifest,
    Preset,
    Presets,
    as_part,
    check_listing,
    entry_of,
    package_files,
    present_files,
    read_package_manifest,
    read_part,
    tier_of,
    tiers,
)

MAX_CLIP_SECONDS = 60
SAME_SOUND = 1e-6  # ESR: 60 dB below the sound, far above 24-bit quantisation and another machine's arithmetic
AGAIN = "Pull or package it again."


def verify(folder: Path, whole: bool = False) -> PackageManifest:
    """Check every file of a package against its manifest, load its model and its tiers, look into its clips.

    Tiers that were not pulled may be missing, unless it must be `whole`. Raises `NotFound` when the folder is no package,
    `IntegrityError` naming the first file that is missing, is extra or differs, `Incompatible` for a newer schema.
    """
    if (folder / MANIFEST).exists() and not _may_be_read(folder / MANIFEST):
        raise IntegrityError(f"{folder / MANIFEST} is a link or a device; packages hold files only", "Pull it again.")
    manifest = read_package_manifest(folder)
    present = present_files(folder)
    kept = check_listing({name: (folder / name).lstat().st_size for name in sorted(present)}, str(folder))
    for name in sorted(present - set(kept)):
        raise IntegrityError(f"{folder / name} does not belong in a package", "Remove it, or package again.")
    for name in sorted(present):
        if not S_ISREG((folder / name).lstat().st_mode):
            raise IntegrityError(f"{folder / name} is a link or a device; packages hold files only", AGAIN)
    pulled = set(tiers(present))
    for name in sorted(set(manifest.files) ^ (present - set(NOT_COVERED))):
        if name not in manifest.files:
            raise IntegrityError(f"{folder / name} is not listed in {MANIFEST}", AGAIN)
        if not tier_of(name) or tier_of(name) in pulled or whole:
            raise IntegrityError(f"{folder / name} is missing", AGAIN)
    for name in sorted(set(manifest.files) & present):
        check_entry(manifest, name, (folder / name).read_bytes(), str(folder / name))
    config = _check_model(folder)
    for tier in sorted(pulled):
        place = folder / "tiers" / tier
        theirs = _check_model(place)
        if (theirs.knobs, theirs.audio.sample_rate) != (config.knobs, config.audio.sample_rate):
            raise IntegrityError(f"{place} has other knobs, or another rate, than the amp it is a tier of", AGAIN)
    for name in sorted(set(kept) & set(manifest.files)):
        if name.endswith(".flac"):
            _check_clip(folder / name, config.audio.sample_rate)
    if PRESETS in manifest.files:
        _check_presets(folder, config, manifest)
    return manifest


def check_entry(manifest: PackageManifest, name: str, content: bytes, where: str) -> None:
    """Raise `IntegrityError` when these bytes are not those that the manifest lists under a name."""
    entry, found = manifest.files[name], entry_of(content)
    if found.size != entry.size:
        raise IntegrityError(f"{where} has {found.size:,} bytes, the manifest says {entry.size:,}", AGAIN)
    if found.sha256 != entry.sha256:
        raise IntegrityError(f"{where} has sha256 {found.sha256[:12]}, the manifest says {entry.sha256[:12]}", AGAIN)


def _may_be_read(path: Path) -> bool:
    return S_ISREG(mode := path.lstat().st_mode) or S_ISDIR(mode)


def _check_model(folder: Path) -> ModelConfig:
    try:
        config, _ = load_model(folder)
    except UserError as problem:
        raise as_part(problem) from None
    read_part(folder, EVAL, Evaluation)
    return config


def _check_clip(path: Path, rate_hz: int) -> None:
    """What the header of a clip says, before anything is decoded."""
    try:
        with open_audio(path) as file:
            found_hz, frames, channels = file.samplerate, file.frames, file.channels
    except UserError as problem:
        raise IntegrityError(problem.message, AGAIN) from None
    if (found_hz, channels) != (rate_hz, 1) or frames > MAX_CLIP_SECONDS * rate_hz:
        raise IntegrityError(
            f"{path} is {frames:,} samples at {found_hz} Hz in {channels} channels; a clip is mono at {rate_hz} Hz and at most "
            f"{MAX_CLIP_SECONDS} s long",
            AGAIN,
        )


def _check_presets(folder: Path, config: ModelConfig, manifest: PackageManifest) -> None:
    for preset in read_part(folder, PRESETS, Presets).presets:
        where = f"{folder / PRESETS}: preset '{preset.id}'"
        try:
            config.knobs.complete(preset.knobs, where)
        except UserError as problem:
            raise IntegrityError(problem.message, problem.hint) from None
        for clip in (preset.audio, preset.dry, preset.target):
            if clip and clip not in manifest.files:
                raise IntegrityError(f"{where} plays {clip}, which is not in the package", AGAIN)


@dataclass(frozen=True)
class Replayed:
    """One clip played again: the error of the stored clip against what a file plays here, as ESR."""

    name: str
    esr: float

    @property
    def same(self) -> bool:
        """True when nobody could tell them apart."""
        return self.esr <= SAME_SOUND


def replay(folder: Path, on_progress: Callable[[float, float], None] = lambda done, total: None) -> list[Replayed]:
    """Play a verified package's own dry clip through its model and its `.nam` files at every preset, beside the clips it carries."""
    if not (folder / PRESETS).exists():
        return []
    document = read_part(folder, PRESETS, Presets)
    config, net = load_model(folder)
    dry_T, replayed, live = read_audio(folder / document.dry)[0], [], []
    for tier in tiers(package_files(folder)):
        replayed += _replay_tier(folder / "tiers" / tier, dry_T, document.presets)
    for done, preset in enumerate(document.presets):
        on_progress(done, len(document.presets))
        stored_T, gain = read_audio(folder / preset.audio)[0], 10 ** (preset.gain_db / 20)
        levels_K, heard_T = config.encode(preset.knobs), read_audio(folder / preset.dry)[0] if preset.dry else dry_T
        replayed.append(Replayed(preset.audio, _esr(stored_T, gain * play(net, heard_T, levels_K))))
        for name in (LIVE, f"baked/{preset.id}.nam"):
            if (folder / name).exists():
                error = _esr(stored_T, gain * _play_nam(folder / name, heard_T, levels_K))
                live.append(error) if name == LIVE else replayed.append(Replayed(name, error))
    return [*replayed, *([Replayed(LIVE, max(live))] if live else [])]


def _replay_tier(folder: Path, dry_T: np.ndarray, presets: tuple[Preset, ...]) -> list[Replayed]:
    """A tier has no clips: its player's file is held against its own model, at the first preset."""
    if not presets or not (folder / LIVE).exists():
        return []
    config, net = load_model(folder)
    levels_K = config.encode(presets[0].knobs)
    error = _esr(_play_nam(folder / LIVE, dry_T, levels_K), play(net, dry_T, levels_K))
    return [Replayed(f"tiers/{folder.name}/{LIVE}", error)]


def _play_nam(path: Path, dry_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
    """A player's file at these levels; a stock one has no knobs to turn."""
    try:
        _, net = read_nam(path)
    except UserError as problem:
        raise IntegrityError(problem.message, AGAIN) from None
    if net.knobs not in (0, len(levels_K)):
        raise IntegrityError(f"{path} has {net.knobs} knobs, its package {len(levels_K)}", AGAIN)
    return play(net, dry_T, levels_K if net.knobs else [])


def _esr(found_T: np.ndarray, truth_T: np.ndarray) -> float:
    if found_T.shape != truth_T.shape:
        return math.inf
    power = float(np.sum(np.square(truth_T, dtype=np.float64)))
    error = float(np.sum(np.square(found_T.astype(np.float64) - truth_T)))
    return error / power if power else (math.inf if error else 0.0)
