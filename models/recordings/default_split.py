"""The data config of takes for which nobody wrote one."""

import re
from math import floor
from pathlib import Path

from models.audio.io import read_length
from models.core.errors import UserError
from models.core.schema import read_document, read_json
from models.recordings.align_dataset import HELD_MANIFEST
from models.recordings.config import DataConfig
from models.recordings.manifest import Manifest, read_manifest
from models.recordings.output_files import same_take
from models.recordings.splitting import can_leave_training

TAKES_PER_PART = 8  # one setting in so many is held, and as many validate

MOST_SETTINGS = 4  # that are held or validate, each

PARTS_OF_SIGNAL = 10  # one of so many parts of a shared dry signal is held, another one validates

MOST_SECONDS = 18.0  # of each of the two, as in the signal for a session


def data_for(path: Path) -> DataConfig:
    """Return the data config of a file: the one that it is, or the default one of a manifest.

    Raises `UserError` for a file that is neither, and for takes that cannot be split.
    """
    document = read_json(path)
    if isinstance(document, dict) and isinstance(document.get("train"), str):
        return read_document(path, DataConfig).relative_to(path.resolve().parent)
    manifest = read_manifest(path)
    place = path.resolve()
    general = ("takes", "train", "manifest", "recordings")
    name = amp_name(place.parent.name if place.stem in general else place.stem)
    beside = place.with_name(HELD_MANIFEST)
    held = read_manifest(beside) if place.name != HELD_MANIFEST and beside.is_file() else None
    return default_split(manifest, name, place, held)


def amp_name(text: str) -> str:
    """Return a text as the name of an amp: small letters, digits and `-`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].strip("-") or "my-amp"


def default_split(manifest: Manifest, name: str, train: Path, held: Manifest | None = None) -> DataConfig:
    """Return how to split the takes of a manifest, which the config calls `train`.

    Held are the takes of `held`, of what the manifest lists as validation, or one setting in `TAKES_PER_PART`; as many
    settings validate. Raises `UserError` when too few settings can leave training, and for a signal that is missing.
    """
    others = held.takes if held else manifest.held_takes
    settings = list({tuple(take.setting.values()): take.setting for take in manifest.takes}.values())
    positions = {same_take(manifest.knobs, tuple(setting.values())) for setting in settings}
    wanted = min(max(len(positions) // TAKES_PER_PART, 1), MOST_SETTINGS)
    tried = [(0 if others else n, n) for n in range(wanted, -1, -1)]
    tried += [] if others else [(1, 0)]
    splits = [(out, v) for out, v in tried if (others or out) and can_leave_training(manifest.knobs, settings, out, v)]
    if not splits:
        raise UserError(
            f"{manifest.path}: no take can be held back to score the model",
            "Record one more setting between the ends of the knobs, or a held manifest.",
        )
    out, validation = splits[0]
    dries = {take.dry for take in manifest.takes}
    shortest_s = min(frames / rate_hz for frames, rate_hz in map(read_length, sorted(dries)))
    part_s = min(floor(shortest_s / PARTS_OF_SIGNAL * 100) / 100, MOST_SECONDS)
    shared = bool(out) or any(take.dry in dries for take in others)
    return DataConfig(
        name=name,
        train=train,
        held=train.with_name(held.path.name) if held else None,
        held_settings=out or (),
        held_seconds=part_s if shared else 0.0,
        validation_settings=validation,
        validation_seconds=part_s,
        align=True,
    )
