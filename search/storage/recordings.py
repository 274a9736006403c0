"""Recordings in memory, with fingerprints; those at a URI are copied into the cache folder first, once."""

import atexit
import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from models.core.cache import cache_folder, warn_not_kept
from models.core.errors import UserError
from models.core.locations import is_uri
from models.core.progress import PhaseListener, ignore_phase
from models.core.schema import MAX_JSON_BYTES, read_json
from models.core.scratch import Scratch
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.recordings.manifest import Take, read_manifest
from models.recordings.manifest_formats import parse_manifest


def load_amp(config: DataConfig, on_phase: PhaseListener = ignore_phase) -> AmpData:
    """Load recordings as `load_data` does, also from manifests at URIs; names are relative to the manifest.

    A file in the cache folder that has the size and time of the file at the URI is not copied again. Raises
    `UserError` as `load_data` does, and for a URI that cannot be used, or whose manifest names files outside its
    own folder.
    """
    with _local(config) as local:
        data = load_data(local, on_phase)
    return replace(data, config=config)


def load_with_fingerprints(
    configs: Iterable[DataConfig], on_phase: PhaseListener = ignore_phase
) -> tuple[list[AmpData], dict[str, str]]:
    """Load the recordings of each config; return them and, by name, their fingerprints. Raises as `load_amp` does.

    A fingerprint is the sha256 of all that training depends on: knobs, takes, settings, and the bytes of the audio.
    It does not include names and places of files, nor what a manifest states for people.
    """
    amps, fingerprints = [], {}
    for config in configs:
        on_phase(f"reading {config.name}")
        with _local(config) as local:
            data = load_data(local, on_phase)
            fingerprints[config.name] = _fingerprint(local)
        amps.append(replace(data, config=config))
    return amps, fingerprints


def _fingerprint(config: DataConfig) -> str:
    digests: dict[Path, str] = {}

    def digest(path: Path) -> str:
        if path not in digests:
            with path.open("rb") as file:
                digests[path] = file_digest(file, "sha256").hexdigest()
        return digests[path]

    def listed(takes: list[Take]) -> list[Any]:
        return [[digest(t.dry), digest(t.wet), t.setting, t.delay_samples, t.channel] for t in takes]

    found = []
    for place in (config.train, config.held):
        if isinstance(place, Path):
            manifest = read_manifest(place)
            knobs = manifest.knobs.model_dump(mode="json", exclude_defaults=True)
            found.append([knobs, manifest.sample_rate, listed(manifest.takes), listed(manifest.held_takes)])
    return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


@contextmanager
def _local(config: DataConfig) -> Iterator[DataConfig]:
    """Yield the config with copies on this machine in the place of URIs; errors raised inside name the URIs."""
    remote = {key: _split_uri(place) for key in ("train", "held") if is_uri(place := getattr(config, key))}
    copies = {folder: _copy_folder(folder) for folder, _ in remote.values()}
    try:
        for folder, name in remote.values():
            _fetch_file(folder, name, copies[folder])
        local = {key: copies[folder] / name for key, (folder, name) in remote.items()}
        yield config.model_copy(update=local)
    except UserError as problem:
        message = problem.message
        for folder, copy in copies.items():
            message = message.replace(str(copy), folder.partition("?")[0])
        if message == problem.message:
            raise
        raise type(problem)(message, problem.hint) from problem


def _split_uri(uri: str) -> tuple[str, str]:
    """Return the URI of a manifest's folder, and its name there."""
    path, mark, query = uri.partition("?")
    folder, _, name = path.rpartition("/")
    if not name or folder.endswith(("/", ":")):
        raise UserError(
            f"{uri} names no file", "Write the whole URI of a manifest, such as s3://BUCKET/AMP/train.json."
        )
    return folder + mark + query, unquote(name)  # as pyarrow reads the folder


def _copy_folder(folder: str) -> Path:
    """Return the folder for copies: one of the cache, or of this process where the cache cannot be written."""
    copy = cache_folder() / "recordings" / sha256(folder.encode()).hexdigest()[:24]
    try:
        copy.mkdir(parents=True, exist_ok=True)
        if not os.access(copy, os.W_OK | os.X_OK) or (hasattr(os, "getuid") and copy.stat().st_uid != os.getuid()):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as problem:
        warn_not_kept(copy, "recordings", problem)
        return _own_folder() / copy.name
    return copy


@cache
def _own_folder() -> Path:
    scratch = Scratch()
    atexit.register(scratch.remove)
    return scratch.folder


def _fetch_file(folder: str, name: str, copy: Path) -> None:
    """Copy a manifest and the audio it names into a folder of this machine."""
    from search.storage.uri_store import Store, inside

    store = Store(folder)
    if (size := store.size(name)) > MAX_JSON_BYTES:
        raise UserError(f"{store.of(name)} is {size:,} bytes", "Name a manifest, which is a JSON file, not audio.")
    store.fetch([name], copy)
    takes = parse_manifest(read_json(copy / name), store.of(name)).takes
    store.fetch(sorted({inside(file, take.where) for take in takes for file in (take.dry, take.wet)}), copy)
