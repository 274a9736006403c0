"""What every storage must do for a `Store`."""

from pathlib import Path

import pytest

from models.core.errors import NotFound
from search.storage.uri_store import Store


def check_store(store: Store, here: Path) -> None:
    """Write, list, read, fetch and remove files of an empty store; `here` is a folder of this machine."""
    assert store.sizes("a") == {} and store.size("a/b c.txt") == 0
    large = bytes(range(256)) * (40 << 10)  # two parts of an upload
    for name, data in (("a/b c.txt", b"one"), ("a/d/\u00e4%.bin", large), ("a.gz", b"as it is"), ("empty", b"")):
        store.write(name, data)
        assert store.read(name) == data
    assert store.sizes("a") == {"a/b c.txt": 3, "a/d/\u00e4%.bin": len(large)}
    store.fetch(["a/b c.txt", "a/d/\u00e4%.bin"], here)
    assert (here / "a/d/\u00e4%.bin").read_bytes() == large
    (here / "a/b c.txt").write_bytes(b"two")  # of the same size, but touched
    number = (here / "a/d/\u00e4%.bin").stat().st_ino
    store.fetch(["a/b c.txt", "a/d/\u00e4%.bin"], here)
    assert (here / "a/b c.txt").read_bytes() == b"one"
    assert (here / "a/d/\u00e4%.bin").stat().st_ino == number, "what is there is not copied again"
    with pytest.raises(NotFound, match="none.txt"):
        store.fetch(["a/b c.txt", "none.txt"], here)
    with pytest.raises(NotFound, match="none.txt"):
        store.read("none.txt")
    for _ in range(2):
        store.remove("a")
        assert store.sizes("a") == {} and store.size("a.gz") == len(b"as it is")
