"""Names people write: an amp `owner/amp@revision`, and a zoo (a shelf's folder, or a hub or a part of one)."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from models.core.errors import UserError
from models.core.user_folders import expand_home

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)

HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True)
class Ref:
    """An amp's name `owner/amp` and one of its revisions (empty for the newest)."""

    name: str
    revision: str = ""


@dataclass(frozen=True)
class Address:
    """A hub's URL and the part of the hub: all of it, one owner's amps, or a collection `owner/title-id`."""

    endpoint: str
    owner: str = ""
    collection: str = ""

    @property
    def label(self) -> str:
        """The URL that a browser shows for this part of the hub."""
        return "/".join(
            [self.endpoint, *filter(None, [self.owner, self.collection and f"collections/{self.collection}"])]
        )


def parse_ref(text: str) -> Ref:
    """Parse `owner/amp[@revision]`. Raises `UserError` for any other form."""
    name, at, revision = text.partition("@")
    odd = ".." in name or "--" in name or any(part.endswith((".", "-", ".git")) for part in name.split("/"))
    legal = NAME.fullmatch(name) and not odd
    if not legal or (at and not REVISION.fullmatch(revision)):
        raise UserError(
            f"'{text}' does not name an amp", "Write owner/amp or owner/amp@revision, for example ampzoo/virtual-amp."
        )
    return Ref(name, revision)


def parse_address(where: str | Path) -> Path | Address:
    """Parse the place of a zoo; anything that is not a hub is a shelf's folder.

    A hub is `hub`, `hub:OWNER`, `hub:OWNER/COLLECTION`, or a URL with or without such a path. `hub` stands for
    `$HF_ENDPOINT`, or for Hugging Face where that is not set. Raises `UserError` for a hub's address that is malformed.
    """
    where = str(where)
    if where == "hub":
        return Address(_own_endpoint())
    if where.startswith("hub:"):
        endpoint, scope = _own_endpoint(), where.removeprefix("hub:").split("/")
    elif "://" in where:
        endpoint, scope = _split_url(where)
    else:
        return expand_home(where)
    if len(scope) > 2 or not all(OWNER.fullmatch(part) for part in scope):
        raise _not_a_hub(where)
    return Address(endpoint, scope[0] if len(scope) == 1 else "", "/".join(scope) if len(scope) == 2 else "")


def _own_endpoint() -> str:
    """Return `$HF_ENDPOINT`, or Hugging Face. Raises `UserError` for one that is no URL."""
    stated = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    shown = re.sub(r"[^/]*@", "", stated)  # without a password
    if stated:
        try:
            _split_url(stated)
        except UserError:
            raise UserError(
                f"HF_ENDPOINT is '{shown}', which is not the address of a hub",
                "Set it to a URL such as https://huggingface.co, or unset it.",
            ) from None
        if not stated.startswith(("http://", "https://")):
            raise UserError(f"HF_ENDPOINT is '{shown}', without http:// or https://", "Set it to a URL, or unset it.")
    return stated or HUGGING_FACE


def _split_url(where: str) -> tuple[str, list[str]]:
    """Split a hub's URL into `(endpoint, path parts)`, without the word `collections`."""
    try:
        url = urlsplit(where)
        port = url.port
    except ValueError:  # a bracket that is not closed, a port that is no number
        raise _not_a_hub(where) from None
    if url.scheme not in ("http", "https") or port == 0 or not _is_host(url.hostname or ""):
        raise _not_a_hub(where)
    scope = [part for part in url.path.split("/") if part]
    return f"{url.scheme}://{url.netloc}", scope[1:] if scope[:1] == ["collections"] else scope


def _is_host(name: str) -> bool:
    """Return whether a name can be that of a host; other than ASCII letters are written as `xn--...` in it."""
    labels = name.rstrip(".").split(".")
    return ":" in name or (len(name) < 254 and all(HOST_LABEL.fullmatch(label) for label in labels))


def _not_a_hub(where: str) -> UserError:
    return UserError(
        f"'{where}' is not the address of a hub", "Write hub, hub:OWNER, hub:OWNER/COLLECTION, or a hub's URL."
    )
