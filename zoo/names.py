"""What people call an amp: `owner/amp`, with or without `@revision`."""

import re
from dataclasses import dataclass

from models.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Ref:
    """An amp, and the revision wanted of it (empty for the newest)."""

    name: str
    revision: str = ""


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
