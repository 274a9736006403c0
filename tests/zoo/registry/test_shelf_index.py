"""The kept rows of a shelf are those of its cards: every change is seen, a damaged index is made anew."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.support.packages import AMP, card, write_files, write_package, zoo
from zoo.player_page.site import many_amps
from zoo.registry import shelf_index
from zoo.registry.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf of two amps that were written long ago, and a cache of its own."""
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shelf_index, "SETTLED_NS", -(10**18))  # as if time had passed
    for name in (AMP, "bob/other"):
        write_package(tmp_path / "shelf" / name)
    return Shelf(tmp_path / "shelf")


def rows(shelf: Shelf) -> dict[str, float]:
    return {row.name: row.amp.esr for row in shelf.list(lambda text: None)}


def reads(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the amps whose cards the next list reads."""
    read, seen, original = shelf_index._read_row, [], shelf_index._read_row

    def note(folder: Path, name: str):
        seen.append(name)
        return read(folder, name)

    monkeypatch.setattr(shelf_index, "_read_row", note)
    rows(shelf)
    monkeypatch.setattr(shelf_index, "_read_row", original)
    return seen


def test_only_what_changed_is_read_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    assert reads(shelf, monkeypatch) == [AMP, "bob/other"]
    assert reads(shelf, monkeypatch) == []
    write_files(shelf.folder / AMP, {"README.md": card(esr="0.05")})
    assert reads(shelf, monkeypatch) == [AMP]
    assert rows(shelf) == {AMP: 0.05, "bob/other": 0.1875}
    zoo("rm", AMP, "--yes")
    (shelf.folder / AMP / "manifest.json").unlink()
    write_package(shelf.folder / "carol/new")
    assert rows(shelf) == {"bob/other": 0.1875, "carol/new": 0.1875}


def test_a_change_of_the_same_size_and_time_is_seen(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    path = shelf.folder / AMP / "README.md"
    path.write_bytes(card(esr="0.0500"))
    rows(shelf)
    before = path.stat()
    path.write_bytes(card(esr="0.0600"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert rows(shelf)[AMP] == 0.06


def test_a_row_read_moments_after_a_change_is_not_trusted(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    rows(shelf)
    monkeypatch.setattr(shelf_index, "SETTLED_NS", 2 * 10**9)
    assert reads(shelf, monkeypatch) == [AMP, "bob/other"]
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9) + 10**10)
    rows(shelf)
    assert reads(shelf, monkeypatch) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"shelf": 3}', b'{"schema": "zoo.shelf-index/9"}'])
def test_a_damaged_index_is_made_anew(shelf: Shelf, tmp_path: Path, content: bytes):
    wanted = rows(shelf)
    [path] = (tmp_path / "cache/shelves").iterdir()
    path.write_bytes(content)
    assert rows(shelf) == wanted
    assert b"zoo.shelf-index/1" in path.read_bytes()


def test_a_cache_that_cannot_be_written_is_no_error(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AMPZOO_CACHE", "/dev/null/cache")
    assert rows(shelf) == {AMP: 0.1875, "bob/other": 0.1875}


@pytest.mark.skipif(os.name != "posix", reason="names of files are text on this system")
def test_a_shelf_whose_name_is_no_utf8_is_listed(tmp_path: Path):
    shelf = tmp_path / os.fsdecode(b"sh\xffelf")
    write_package(shelf / AMP)
    for _ in range(2):  # read, and from the index
        assert [row.name for row in Shelf(shelf).list(pytest.fail)] == [AMP]


@pytest.mark.skipif(os.name != "posix", reason="names of files are text on this system")
def test_what_names_such_a_shelf_shows_or_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shelf = tmp_path / os.fsdecode(b"sh\xffelf")
    write_package(shelf / AMP)
    assert json.loads(many_amps(str(shelf), [], Path).read("site.json") or b"")["label"].endswith("sh?elf")
    words = ("pull", AMP, "--zoo", shelf, "--to", "to", "--lock")
    assert "zoo.lock cannot hold the shelf" in zoo(*words).err
    assert not Path("zoo.lock").exists()
