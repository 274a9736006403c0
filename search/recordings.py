"""The recordings of a config in memory; those that a URI names are brought into the cache folder first, once."""

from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

from models.cache import cache_folder
from models.dataset import AmpData, load_data
from models.errors import UserError
from models.files import MAX_JSON_BYTES, read_json
from models.manifest_forms import read_forms
from models.recipe import DataConfig, is_uri


def load_amp(config: DataConfig) -> AmpData:
    """`load_data`, also of manifests that are named by URIs; the names in one are relative to its own URI.

    A file that lies in the cache folder with the size and time that it has at its URI is not brought again. Raises `UserError` as `load_data`
    does, and for a URI that cannot be used, or whose manifest names files outside its own folder.
    """
    remote = {key: _parted(place) for key in ("train", "held") if is_uri(place := getattr(config, key))}
    if not remote:
        return load_data(config)
    kept = {folder: _kept(folder) for folder, _ in remote.values()}
    try:
        for folder, name in remote.values():
            _bring(folder, name, kept[folder])
        brought = {key: kept[folder] / name for key, (folder, name) in remote.items()}
        data = load_data(config.model_copy(update=brought))
    except UserError as problem:  # it names what a person wrote, not where that was brought
        message = problem.message
        for folder, here in kept.items():
            message = message.replace(str(here), folder.partition("?")[0])
        raise type(problem)(message, problem.hint) from problem
    data.config = config
    return data


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
    from search.storage import Store, inside

    store = Store(folder)
    if (size := store.size(name)) > MAX_JSON_BYTES:
        raise UserError(f"{store.of(name)} is {size:,} bytes", "Name a manifest, which is a JSON file, not audio.")
    store.bring([name], here)
    takes = read_forms(read_json(here / name), store.of(name)).takes
    store.bring(sorted({inside(file, take.where) for take in takes for file in (take.dry, take.wet)}), here)
