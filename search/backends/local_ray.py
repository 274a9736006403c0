"""Ray on this machine for one search: ports on loopback, a token and a private folder that end with it.

Import it after `set_environment`.
"""

import atexit
import logging
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader, Config  # pyrefly: ignore[missing-module-attribute]  # compiled
from ray.tune.execution import class_cache

from models.core.errors import UserError
from search.backends.ray_parts import dead_part
from search.study.results import reason_of

try:
    import fcntl
except ImportError:  # Windows: folders of killed searches stay
    fcntl = None

SESSION_PREFIX, HOLDER = "ampzoo-ray-", "holder.lock"  # of a folder; the file that its search holds locked

SOCKET_BYTES = 103 if sys.platform == "darwin" else 107  # of the path of a socket

# What Ray adds to its folder: `/session_` with date, time and process, and the longest name of a socket.
RAY_ADDS = "/r/session_2026-11-30_09-23-07_125843_1234567/sockets/plasma_store"

PRELOADED = "search.backends.ray_tune,models.engines.cpu_train.engine"  # by workers, while the driver gets ready

SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # where the usual temporary folder is too long for sockets

OPEN_AGAIN_S = 3600.0  # a folder without a holder is swept when it is older: its search may be about to lock it


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
                f"Ray does not start here: {reason_of(problem)}",
                "Remove the cause (memory, disk, a limit on processes), or search without Ray: --local.",
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


def keep_credentials_here() -> None:
    """Keep credentials out of the environments that Tune writes into Ray's metadata and logs; workers have their own.

    Tune would copy AWS keys. Only its own settings, and Ray's, travel.
    """
    harmless = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith(("RAY_", "TUNE_", "TRAIN_"))}
    class_cache.ENV_VARS_TO_PROPAGATE.intersection_update(harmless)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder with a short name that only this user can enter, and remove it afterwards.

    Folders that killed searches left are removed first.
    """
    place = _short_place()
    for parent in {place, *map(Path, SHORT_FOLDERS)}:
        _sweep_sessions(parent)
    folder = Path(tempfile.mkdtemp(prefix=SESSION_PREFIX, dir=place))  # mode 0700
    try:
        with _held(folder):
            yield folder
    finally:
        _remove(folder)


def _short_place() -> Path:
    """Return the first temporary folder that can be written to and leaves room for the names of sockets."""
    room = SOCKET_BYTES - len(f"/{SESSION_PREFIX}12345678{RAY_ADDS}")
    usual = (os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), *SHORT_FOLDERS)
    for place in filter(None, usual):
        whole = os.path.abspath(place)
        if len(os.fsencode(whole)) <= room and os.path.isdir(whole) and os.access(whole, os.W_OK | os.X_OK):
            return Path(whole)
    raise UserError(
        f"no temporary folder has a name of at most {room} bytes, which Ray's sockets need",
        "Set RAY_TMPDIR to a short one that you can write to.",
    )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock that says that the search of a folder lives; processes that Ray starts do not inherit it."""
    with (folder / HOLDER).open("w") as file:
        if fcntl:
            with suppress(OSError):  # a file system without locks: the folder is swept by age
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _sweep_sessions(parent: Path) -> None:
    """Remove the folders of this user's searches that were killed."""
    if fcntl is None or not parent.is_dir():
        return
    for folder in parent.glob(f"{SESSION_PREFIX}*"):
        with suppress(OSError):  # another process removes it, or it is another user's
            if folder.lstat().st_uid == os.getuid() and not folder.is_symlink() and not _is_held(folder):
                _remove(folder)


def _is_held(folder: Path) -> bool:
    assert fcntl
    if time.time() - folder.lstat().st_mtime < 10 and not (folder / HOLDER).exists():
        return True
    try:
        with (folder / HOLDER).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return time.time() - folder.lstat().st_mtime < OPEN_AGAIN_S
    except BlockingIOError:
        return True
    return False


def _remove(folder: Path) -> None:
    """Remove a folder; processes that are just ending may still write to it."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    logging.getLogger(__name__).warning("%s cannot be removed", folder)
