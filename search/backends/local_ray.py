"""Ray on this machine for one search: ports on loopback, a token and a private folder that end with it.

Import it after `set_environment`.
"""

import atexit
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader, Config  # pyrefly: ignore[missing-module-attribute]  # compiled
from ray.tune.execution import class_cache

from models.core.errors import UserError
from models.core.scratch import PREFIX, scratch_folder, sweep_scratch
from search.backends.ray_errors import RAYS_WORDS, what_failed
from search.backends.ray_parts import dead_part

SOCKET_BYTES = 103 if sys.platform == "darwin" else 107  # of the path of a socket

# What Ray adds to its folder: `/session_` with date, time and process, and the longest name of a socket.
RAY_ADDS = "/r/session_2026-11-30_09-23-07_125843_1234567/sockets/plasma_store"

PROPAGATED = frozenset(class_cache.ENV_VARS_TO_PROPAGATE)  # as Tune has them
DEFAULT_ENV_VARS = class_cache.DEFAULT_ENV_VARS

PRELOADED = "search.backends.ray_worker,models.engines.cpu_train.engine"  # by workers, while the driver gets ready

SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # where the usual temporary folder is too long for sockets


@contextmanager
def own_ray(**options: Any) -> Iterator[None]:
    """Start Ray here with `options` of `ray.init`, for this process alone; end it, and remove its folder, afterwards.

    Raises `UserError` where Ray does not start.
    """
    with private_folder() as folder, _own_environment(folder):
        try:
            ray.init(address="local", _temp_dir=str(folder / "r"), **options)
        except Exception as problem:
            ray.shutdown()
            raise UserError(
                f"Ray does not start here: {what_failed(problem)}",
                f"Remove the cause (memory, disk, a limit on processes), or search without Ray: --local. {RAYS_WORDS}",
            ) from problem
        try:
            yield
        finally:
            end_ray()


def end_ray() -> None:
    """Shut Ray down; where a part of it has died, which a shutdown would wait for, kill what is left."""
    node = ray_worker._global_node
    if node is None or dead_part(node) is None:
        ray.shutdown()
    else:
        atexit.unregister(ray_worker.shutdown)
        node.kill_all_processes(check_alive=False, allow_graceful=False)


def abandon_ray() -> None:
    """End what is left of this search's own Ray and remove its folder, while another thread waits in Ray for ever."""
    node = ray_worker._global_node
    if node is not None and dead_part(node):
        node.kill_all_processes(check_alive=False, allow_graceful=False)
        folder = Path(node.temp_dir).parent
        if folder.name.startswith(PREFIX):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_environment(folder: Path) -> Iterator[None]:
    """Give Ray, and all that it starts, a new token, a folder and the loopback address; afterwards all is as before.

    Ray itself would write a token that every user of the machine can read, and listen on all addresses.
    """
    own = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": str(folder),  # also of Tune's locks
        "RAY_preload_python_modules": PRELOADED,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's word for "this node needs no network", on any system
    }
    before = {name: os.environ.get(name) for name in (*own, "RAY_AUTH_TOKEN_PATH")}
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    try:
        os.environ.update(own)
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        ray_constants.ENABLE_RAY_CLUSTER = False  # read when Ray is imported
        _read_token_again()
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})
        ray_constants.ENABLE_RAY_CLUSTER = clusters
        _read_token_again()


def _read_token_again() -> None:
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def set_propagated(own: bool) -> None:
    """Set which of this process's environment variables Tune copies into the environment of its workers.

    To a cluster go Tune's and Ray's settings alone: credentials would stand in Ray's metadata and logs. Workers of a
    Ray that this process starts (`own`) inherit everything. They get no environment of their own: only then do trials
    run in the workers that Ray starts beforehand, which have imported `PRELOADED` by then.
    """
    settings = {name for name in PROPAGATED if name.startswith(("RAY_", "TUNE_", "TRAIN_"))}
    class_cache.ENV_VARS_TO_PROPAGATE = set() if own else settings
    class_cache.DEFAULT_ENV_VARS = {} if own else DEFAULT_ENV_VARS


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder with a short name that only this user can enter, and remove it afterwards.

    Folders that killed searches left are removed first.
    """
    place = _short_place()
    for parent in {place, *map(Path, SHORT_FOLDERS)}:
        sweep_scratch(parent)
    with scratch_folder(place) as folder:
        yield folder


def _short_place() -> Path:
    """Return the first temporary folder that can be written to and leaves room for the names of sockets."""
    room = SOCKET_BYTES - len(f"/{PREFIX}12345678{RAY_ADDS}")
    usual = (os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), *SHORT_FOLDERS)
    for place in filter(None, usual):
        whole = os.path.abspath(place)
        if len(os.fsencode(whole)) <= room and os.path.isdir(whole) and os.access(whole, os.W_OK | os.X_OK):
            return Path(whole)
    raise UserError(
        f"no temporary folder has a name of at most {room} bytes, which Ray's sockets need",
        "Set RAY_TMPDIR to a short one that you can write to.",
    )
