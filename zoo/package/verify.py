"""Verification of a package: it holds the files of its manifest, byte for byte, and nothing else.

Shapes: T time.
"""

from pathlib import Path
from stat import S_ISDIR, S_ISREG

from models.artifacts.evaluation import Evaluation
from models.artifacts.folder import read_model
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import EVAL
from models.audio.io import open_audio
from models.core.errors import IntegrityError, UserError
from models.core.files import HINT_LFS, LFS_POINTER
from zoo.package.card import read_front_matter
from zoo.package.layout import CARD, MANIFEST, NOT_COVERED, PRESETS, check_listing, list_files, tier_names, tier_of
from zoo.package.loudness import check_loudness
from zoo.package.manifest import (
    PackageManifest,
    as_package_error,
    file_entry,
    read_package_document,
    read_package_file,
    read_package_manifest,
)
from zoo.package.presets import Presets

MAX_CLIP_SECONDS = 60

HINT_GET_AGAIN = "Pull or package it again."


def verify(folder: Path, whole: bool = False, max_peak_dbfs: float | None = None) -> PackageManifest:
    """Check every file of a package against its manifest, its clips' headers, and that no model is too loud.

    Tiers that were not pulled may be missing, unless the package must be `whole`. `max_peak_dbfs` is as in
    `check_loudness`. Raises `NotFound` when the folder is
    not a package, `IntegrityError` naming the first file that is missing, is extra or differs, `Incompatible` for a
    newer schema.
    """
    if (folder / MANIFEST).exists() and not _is_file_or_folder(folder / MANIFEST):
        raise IntegrityError(f"{folder / MANIFEST} is a link or a device; packages hold files only", "Pull it again.")
    manifest = read_package_manifest(folder)
    present = list_files(folder)
    _check_files(folder, manifest, present, whole)
    config = _check_model(folder)
    for tier in tier_names(present):
        _check_tier(folder / "tiers" / tier, config)
    for name in sorted(present & set(manifest.files)):
        if name.endswith(".flac"):
            _check_clip(folder / name, config.audio.sample_rate)
    if PRESETS in manifest.files:
        _check_presets(folder, config, manifest)
    _check_card(folder)
    check_loudness(folder, max_peak_dbfs)
    return manifest


def check_entry(manifest: PackageManifest, name: str, content: bytes, where: str) -> None:
    """Raise `IntegrityError` when these bytes are not those that the manifest lists under a name."""
    entry, found = manifest.files[name], file_entry(content)
    if content.startswith(LFS_POINTER) and found != entry:
        raise IntegrityError(f"{where} is a Git LFS pointer, not the file itself", HINT_LFS)
    if found.size != entry.size:
        raise IntegrityError(f"{where} has {found.size:,} bytes, the manifest says {entry.size:,}", HINT_GET_AGAIN)
    if found.sha256 != entry.sha256:
        raise IntegrityError(
            f"{where} has sha256 {found.sha256[:12]}, the manifest says {entry.sha256[:12]}", HINT_GET_AGAIN
        )


def _check_files(folder: Path, manifest: PackageManifest, present: set[str], whole: bool) -> None:
    """Raise `IntegrityError` unless the files `present` are legal and are those of the manifest, byte for byte."""
    allowed = check_listing({name: (folder / name).lstat().st_size for name in sorted(present)}, str(folder))
    for name in sorted(present - set(allowed)):
        raise IntegrityError(f"{folder / name} does not belong in a package", "Remove it, or package again.")
    for name in sorted(present):
        if not S_ISREG((folder / name).lstat().st_mode):
            raise IntegrityError(f"{folder / name} is a link or a device; packages hold files only", HINT_GET_AGAIN)
    pulled = set(tier_names(present))
    for name in sorted(set(manifest.files) ^ (present - set(NOT_COVERED))):
        if name not in manifest.files:
            raise IntegrityError(f"{folder / name} is not listed in {MANIFEST}", HINT_GET_AGAIN)
        if not tier_of(name) or tier_of(name) in pulled or whole:
            raise IntegrityError(f"{folder / name} is missing", HINT_GET_AGAIN)
    for name in sorted(set(manifest.files) & present):
        check_entry(manifest, name, read_package_file(folder, name), str(folder / name))


def _is_file_or_folder(path: Path) -> bool:
    """Return whether a path is a file or a folder itself, not a link to one; a folder gets its own error later."""
    return S_ISREG(mode := path.lstat().st_mode) or S_ISDIR(mode)


def _check_model(folder: Path) -> ModelConfig:
    """Load the model and the scores of a folder and return the model's config."""
    try:
        config, _ = read_model(folder)
    except UserError as problem:
        raise as_package_error(problem) from None
    read_package_document(folder, EVAL, Evaluation)
    return config


def _check_tier(folder: Path, config: ModelConfig) -> None:
    """Raise `IntegrityError` for a tier whose knobs or sample rate differ from those of its amp."""
    tier = _check_model(folder)
    if (tier.knobs, tier.audio.sample_rate) != (config.knobs, config.audio.sample_rate):
        raise IntegrityError(f"{folder} has other knobs, or another rate, than the amp it is a tier of", HINT_GET_AGAIN)


def _check_card(folder: Path) -> None:
    """Raise `IntegrityError` for a card whose front matter is not plain data; every list would stumble over it."""
    try:
        read_front_matter(folder / CARD)
    except UserError as problem:
        raise IntegrityError(problem.message, "Correct the card, or tell its owner.") from None


def _check_clip(path: Path, rate_hz: int) -> None:
    """Check the header of a clip; no audio is decoded."""
    try:
        with open_audio(path) as file:
            found_hz, frames, channels = file.samplerate, file.frames, file.channels
    except UserError as problem:
        raise IntegrityError(problem.message, HINT_GET_AGAIN) from None
    if (found_hz, channels) != (rate_hz, 1) or frames > MAX_CLIP_SECONDS * rate_hz:
        raise IntegrityError(
            f"{path} is {frames:,} samples at {found_hz} Hz in {channels} channels; a clip is mono at {rate_hz} Hz "
            f"and at most {MAX_CLIP_SECONDS} s long",
            HINT_GET_AGAIN,
        )


def _check_presets(folder: Path, config: ModelConfig, manifest: PackageManifest) -> None:
    """Check that every preset is a legal setting and that its clips are in the package."""
    for preset in read_package_document(folder, PRESETS, Presets).presets:
        where = f"{folder / PRESETS}: preset '{preset.id}'"
        try:
            config.knobs.complete(preset.knobs, where)
        except UserError as problem:
            raise IntegrityError(problem.message, problem.hint) from None
        for clip in (preset.audio, preset.dry, preset.target):
            if clip and clip not in manifest.files:
                raise IntegrityError(f"{where} plays {clip}, which is not in the package", HINT_GET_AGAIN)
