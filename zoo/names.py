"""What people call an amp, `owner/amp@revision`, and a zoo: a folder, `hub`, a hub's URL, an owner or a collection there."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from models.core.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True)
class Ref:
    """An amp, and the revision wanted of it (empty for the newest)."""

    name: str
    revision: str = ""


@dataclass(frozen=True)
class Address:
    """A hub, and the part of it that is meant: everything, one owner's amps, or a collection `owner/title-id`."""

    endpoint: str
    owner: str = ""
    collection: str = ""

    @property
    def label(self) -> str:
        """The URL a browser would show."""
        return "/".join(
            [self.endpoint, *filter(None, [self.owner, self.collection and f"collections/{self.collection}"])]
        )


def parse_ref(text: str) -> Ref:
    """`owner/amp[@revision]` -> `Ref`; raises `UserError` for anything else."""
    name, at, revision = text.partition("@")
    odd = ".." in name or "--" in name or any(part.endswith((".", "-", ".git")) for part in name.split("/"))
    legal = NAME.fullmatch(name) and not odd
    if not legal or (at and not REVISION.fullmatch(revision)):
        raise UserError(
            f"'{text}' does not name an amp", "Write owner/amp or owner/amp@revision, for example ampzoo/virtual-amp."
        )
    return Ref(name, revision)


def parse_where(where: str) -> Path | Address:
    """`hub`, `hub:OWNER`, `hub:OWNER/COLLECTION` or a hub's URL with or without such a path -> `Address`; else a shelf's folder."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUGGING_FACE
    if where == "hub":
        return Address(endpoint)
    if where.startswith("hub:"):
        scope = where.removeprefix("hub:").split("/")
    elif where.startswith(("http://", "https://")):
        url = urlsplit(where)
        endpoint, scope = f"{url.scheme}://{url.netloc}", [part for part in url.path.split("/") if part]
        if scope[:1] == ["collections"]:
            scope = scope[1:]
    else:
        return Path(where)
    if len(scope) > 2 or not all(OWNER.fullmatch(part) for part in scope):
        raise UserError(f"'{where}' is no part of a hub", "Write hub, hub:OWNER, hub:OWNER/COLLECTION, or a URL.")
    return Address(endpoint, scope[0] if len(scope) == 1 else "", "/".join(scope) if len(scope) == 2 else "")
