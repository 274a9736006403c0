"""The checks of `zoo doctor`: versions, names, shelves, disk, leftovers of killed processes, hub and login."""

import os
import platform
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import TYPE_CHECKING

from models.core.errors import UserError
from models.core.extras import DISTRIBUTION, install_command
from models.core.renames import STAGED
from models.formats.player.offline import describe_engine
from zoo.cli.errors import explain
from zoo.names import Address
from zoo.registry.folders import shelf_folder
from zoo.registry.index import format_age, read_index
from zoo.registry.resolve import address_of, resolve_zoo
from zoo.registry.shelf import Shelf
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.registry.hub.hub import Hub

LIBRARIES = {"torch": "train", "huggingface_hub": "", "ray": "search", "soundfile": ""}  # name -> its extra, if any

PACKAGES = ("models", "search", "zoo")  # what this distribution installs

MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class HealthCheck:
    """One thing that was checked, what was found, and whether it is in order."""

    name: str
    result: str
    ok: bool = True


def examine(where: str | None) -> list[HealthCheck]:
    """Check this machine, the user's own shelf and a zoo: a hub or another shelf, the Hugging Face hub if None.

    Raises `NotFound` for a shelf that does not exist.
    """
    address = address_of(where or "hub")
    named = None if address else resolve_zoo(where)
    return [
        HealthCheck("zoo", f"{__version__}, Python {platform.python_version()}"),
        *(_check_library(name, extra) for name, extra in LIBRARIES.items()),
        HealthCheck("plays with", describe_engine()),
        _check_shared_names(),
        *_check_shelf(Shelf(shelf_folder())),
        *(_check_shelf(named) if isinstance(named, Shelf) else ()),
        *(_check_hub(address) if address else ()),
    ]


def _check_shared_names() -> HealthCheck:
    """Check that no other distribution has installed a package with the name of one of ours."""
    found = packages_distributions()
    others = {name: sorted({other for other in found.get(name, ()) if other != DISTRIBUTION}) for name in PACKAGES}
    taken = [f"{name} is also in {', '.join(owners)}" for name, owners in others.items() if owners]
    cure = "install ampzoo into an environment of its own: uv tool install, pipx or python -m venv"
    return HealthCheck("packages", f"{'; '.join(taken)}; {cure}" if taken else ", ".join(PACKAGES), not taken)


def _check_library(name: str, extra: str) -> HealthCheck:
    try:
        return HealthCheck(name, version(name))
    except PackageNotFoundError:
        return HealthCheck(name, f"not installed; {install_command(extra)} brings it", bool(extra))


def _check_shelf(shelf: Shelf) -> list[HealthCheck]:
    place = next(folder for folder in (shelf.folder, *shelf.folder.resolve().parents) if folder.exists())
    writable, free = os.access(place, os.W_OK), shutil.disk_usage(place).free
    faults: list[str] = []
    amps = shelf.list(faults.append)
    stale = sum(1 for _ in shelf.folder.glob(f"*/{STAGED}*"))
    leftovers = f"{stale} folders of interrupted pulls; the next pull into the same place removes them"
    return [
        HealthCheck("shelf", f"{shelf.folder}, {_amps(len(amps))}{'' if writable else ', read-only'}", writable),
        *(HealthCheck("shelf", fault, False) for fault in faults),
        HealthCheck("disk", f"{free / 1e9:.1f} GB free", free > MIN_FREE_BYTES),
        *([HealthCheck("leftovers", leftovers)] if stale else []),
    ]


def _check_hub(address: Address) -> list[HealthCheck]:
    index = read_index(address.label)
    saved = f"{_amps(len(index.amps))}, {format_age(index.age_seconds)} old" if index else "none"
    checks = [HealthCheck("cached list", saved)]
    try:
        from zoo.registry.hub.hub import Hub

        hub, began = Hub(address), time.monotonic()
        names = [row.name for row in hub.list(lambda text: None)]
        checks.append(HealthCheck("hub", f"{hub.label}, {_amps(len(names))} in {time.monotonic() - began:.1f} s"))
        checks.append(_check_login(hub))
    except Exception as error:
        explained = explain(error)
        if explained is None and not isinstance(error, UserError):
            raise
        checks.append(HealthCheck("hub", f"{address.label}: {explained.message if explained else error}", False))
    return checks


def _amps(count: int) -> str:
    return f"{count} amp{'' if count == 1 else 's'}"


def _check_login(hub: "Hub") -> HealthCheck:
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError

    from zoo.registry.hub.session import capped_calls

    if not hub.headers.get("authorization"):
        logged_in = "not used: you are logged in to another hub"
        return HealthCheck("login", logged_in if get_token() else "none; log in with hf auth login")
    try:
        with capped_calls():
            return HealthCheck("login", str(hub.api.whoami().get("name")))
    except HfHubHTTPError:
        return HealthCheck("login", "the hub refuses your token; log in again with hf auth login", False)
