"""How long hubs have asked us to wait, on disk: later commands keep to it, too, without a request."""

import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from models.core.errors import UserError
from models.core.files import write_text
from models.core.schema import Frozen, read_document
from zoo.registry.errors import RateLimited
from zoo.registry.folders import shelf_folder

MAX_KEPT_SECONDS = 3600  # then the hub is asked again, whatever it had said

HINT_WAIT = "Wait that long, then run the same command again. 'hf auth login' raises the limit."


class RequestedWait(Frozen):
    """What a hub asked for, and when (Unix seconds)."""

    host: str
    noted: float
    seconds: Annotated[int, Field(ge=0)]

    @property
    def left(self) -> int:
        """The seconds that are left, rounded up; 0 where this computer's clock was set back since."""
        passed = time.time() - self.noted
        return max(0, int(self.seconds - passed) + 1) if 0 <= passed < self.seconds else 0


def rate_limited(url: str, headers: Mapping[str, str], seconds: int) -> RateLimited:
    """Note what a hub asked for, and return the error that says so; `headers` are those of the request."""
    path, host = _path(url, headers), urlsplit(url).netloc
    wait = RequestedWait(host=host, noted=time.time(), seconds=min(seconds, MAX_KEPT_SECONDS))
    with suppress(OSError):  # a folder that cannot be written: the hub says it again
        write_text(path, wait.model_dump_json())
    return _told(host, seconds)


def check_wait(url: str, headers: Mapping[str, str]) -> None:
    """Raise `RateLimited` while a hub has asked to be left alone."""
    path = _path(url, headers)
    if not path.exists():
        return
    try:
        wait = read_document(path, RequestedWait)
    except UserError:
        return
    if wait.left:
        raise _told(wait.host, wait.left)


def _told(host: str, seconds: int) -> RateLimited:
    return RateLimited(f"{host.rpartition('@')[2].partition(':')[0]} asks us to wait {seconds:,} s", HINT_WAIT)


def _path(url: str, headers: Mapping[str, str]) -> Path:
    """Return the file for a hub; a limit is another one for those who are logged in."""
    logged_in = any(name.lower() == "authorization" for name in headers)
    key = f"{urlsplit(url).netloc} {logged_in}"
    return shelf_folder() / ".index" / f"{sha256(key.encode()).hexdigest()[:16]}.wait"
