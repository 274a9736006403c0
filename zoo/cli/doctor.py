"""Is everything in order here? Versions, shelf, what killed processes left, hub, login."""

import os
import platform
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from models.core.errors import UserError
from models.core.files import STAGED
from zoo.cli.errors import explain
from zoo.names import HUGGING_FACE, Address
from zoo.registry.folders import shelf_folder
from zoo.registry.index import format_age, read_index
from zoo.registry.resolve import address_of
from zoo.registry.shelf import Shelf
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.registry.hub.hub import Hub


LIBRARIES = ("torch", "huggingface_hub", "ray", "soundfile")

SCARCE_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    found: str
    well: bool = True


def examine(where: str | None) -> list[Finding]:
    """Look at this machine, one's own shelf and a hub (the Hugging Face one unless named)."""
    shelf = Shelf(shelf_folder())
    found = [
        Finding("zoo", f"{__version__}, Python {platform.python_version()}"),
        *(Finding(name, version(name)) for name in LIBRARIES),
        *_shelf(shelf),
        *_hub(address_of(where) or Address(os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUGGING_FACE)),
    ]
    return found


def _shelf(shelf: Shelf) -> list[Finding]:
    place = next(folder for folder in (shelf.folder, *shelf.folder.resolve().parents) if folder.exists())
    writable, free = os.access(place, os.W_OK), shutil.disk_usage(place).free
    faults: list[str] = []
    amps = shelf.list(faults.append)
    litter = sum(1 for _ in shelf.folder.glob(f"*/{STAGED}*"))
    return [
        Finding("shelf", f"{shelf.folder}, {_amps(len(amps))}{'' if writable else ', read-only'}", writable),
        *(Finding("shelf", fault, False) for fault in faults),
        Finding("disk", f"{free / 1e9:.1f} GB free", free > SCARCE_BYTES),
        *(
            [Finding("litter", f"{litter} folders of killed pulls; the next pull beside them sweeps up")]
            if litter
            else []
        ),
    ]


def _hub(address: Address) -> list[Finding]:
    index = read_index(address.label)
    kept = f"{_amps(len(index.amps))}, {format_age(index.age_seconds)} old" if index else "none"
    findings = [Finding("cached list", kept)]
    try:
        from zoo.registry.hub.hub import Hub

        hub, began = Hub(address), time.monotonic()
        names = [row.name for row in hub.list(lambda text: None)]
        findings.append(Finding("hub", f"{hub.label}, {_amps(len(names))} in {time.monotonic() - began:.1f} s"))
        findings.append(_login(hub))
    except Exception as problem:
        told = explain(problem)
        if told is None and not isinstance(problem, UserError):
            raise
        findings.append(Finding("hub", f"{address.label}: {told.message if told else problem}", False))
    return findings


def _amps(count: int) -> str:
    return f"{count} amp{'' if count == 1 else 's'}"


def _login(hub: "Hub") -> Finding:
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError

    if not hub.headers.get("authorization"):
        word = "not sent: this hub is not the one you are logged in to" if get_token() else "none; hf auth login"
        return Finding("login", word)
    try:
        return Finding("login", str(hub.api.whoami().get("name")))
    except HfHubHTTPError:
        return Finding("login", "the hub does not take the token; hf auth login", False)
