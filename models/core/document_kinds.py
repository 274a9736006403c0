"""What a document is: told by its keys, and what a file that is no text is, by its first bytes."""

from collections.abc import Collection
from typing import Any

DOCUMENT_KINDS = {  # a key at the top that tells a kind of document -> what that is; the first that is there counts
    "datasets": "the config of a search",
    "entries": "a manifest of takes",
    "arrays": "the config of a model (M)",
    "train": "a data config (D)",
}

SOUND_MARKS = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b"ID3")  # first bytes of sound files


def telling_key(keys: Collection[Any]) -> str:
    """Return the key that tells what a document with these keys is; empty where none does."""
    return next((key for key in DOCUMENT_KINDS if key in keys), "")


def is_sound(data: bytes) -> bool:
    """Return whether bytes begin as a sound file does."""
    return data.startswith(SOUND_MARKS) and b"\0" in data
