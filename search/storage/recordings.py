"""The recordings of a config in memory; those that a URI names are brought into the cache folder first, once."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from models.core.cache import cache_folder
from models.core.errors import UserError
from models.core.locations import is_uri
from models.core.schema import MAX_JSON_BYTES, read_json
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.recordings.manifest import Take, read_manifest
from models.recordings.manifest_formats import parse_manifest


def load_amp(config: DataConfig) -> AmpData:
    """`load_data`, also of manifests that are named by URIs; the names in one are relative to its own URI.

    A file that lies in the cache folder with the size and time that it has at its URI is not brought again. Raises `UserError` as `load_data`
    does, and for a URI that cannot be used, or whose manifest names files outside its own folder.
    """
    with _here(config) as here:
        data = load_data(here)
    return replace(data, config=config)


def load_with_fingerprints(configs: Iterable[DataConfig]) -> tuple[list[AmpData], dict[str, str]]:
    """`load_amp` of each, and by name the sha256 of all that training may depend on: knobs, takes, settings, and the bytes of the audio.

    Names and places of files are no part of it, nor what a manifest tells people. Raises as `load_amp`.
    """
    amps, heard = [], {}
    for config in configs:
        with _here(config) as here:
            data = load_data(here)
            heard[config.name] = _digest(here)
        amps.append(replace(data, config=config))
    return amps, heard


def _digest(config: DataConfig) -> str:
    sounds: dict[Path, str] = {}

    def sound(path: Path) -> str:
        if path not in sounds:
            with path.open("rb") as file:
                sounds[path] = file_digest(file, "sha256").hexdigest()
        return sounds[path]

    def listed(takes: list[Take]) -> list[Any]:
        return [[sound(t.dry), sound(t.wet), t.setting, t.delay_samples, t.channel] for t in takes]

    found = []
    for place in (config.train, config.held):
        if isinstance(place, Path):
            told = read_manifest(place)
            knobs = told.knobs.model_dump(mode="json", exclude_defaults=True)
            found.append([knobs, told.sample_rate, listed(told.takes), listed(told.held_takes)])
    return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


@contextmanager
def _here(config: DataConfig) -> Iterator[DataConfig]:
    """The config with files of this machine in the place of URIs; errors inside name what a person wrote."""
    remote = {key: _parted(place) for key in ("train", "held") if is_uri(place := getattr(config, key))}
    kept = {folder: _kept(folder) for folder, _ in remote.values()}
    try:
        for folder, name in remote.values():
            _bring(folder, name, kept[folder])
        brought = {key: kept[folder] / name for key, (folder, name) in remote.items()}
        yield config.model_copy(update=brought)
    except UserError as problem:
        message = problem.message
        for folder, here in kept.items():
            message = message.replace(str(here), folder.partition("?")[0])
        if message == problem.message:
            raise
        raise type(problem)(message, problem.hint) from problem


def _parted(uri: str) -> tuple[str, str]:
    """The folder of a manifest, a URI too, and its name there."""
    path, mark, query = uri.partition("?")
    folder, _, name = path.rpartition("/")
    if not name or folder.endswith(("/", ":")):
        raise UserError(
            f"{uri} names no file", "Write the whole URI of a manifest, such as s3://BUCKET/AMP/train.json."
        )
    return folder + mark + query, unquote(name)  # as pyarrow reads the folder


def _kept(folder: str) -> Path:
    return cache_folder() / "recordings" / sha256(folder.encode()).hexdigest()[:24]


def _bring(folder: str, name: str, here: Path) -> None:
    """A manifest and the audio it names."""
    from search.storage.uri_store import Store, inside

    store = Store(folder)
    if (size := store.size(name)) > MAX_JSON_BYTES:
        raise UserError(f"{store.of(name)} is {size:,} bytes", "Name a manifest, which is a JSON file, not audio.")
    store.bring([name], here)
    takes = parse_manifest(read_json(here / name), store.of(name)).takes
    store.bring(sorted({inside(file, take.where) for take in takes for file in (take.dry, take.wet)}), here)
