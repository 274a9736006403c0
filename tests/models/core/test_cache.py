"""A cache costs time when it is gone, damaged or cannot be written, and never more."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from models.core.cache import read_checked, read_measurement, write_checked, write_measurement
from models.core.errors import Notice


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_measurement_is_read_back(folder: Path):
    assert read_measurement("cost", {"of": "a"}) is None
    write_measurement("cost", {"of": "a"}, 0.25)
    assert read_measurement("cost", {"of": "a"}) == 0.25
    assert read_measurement("cost", {"of": "b"}) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\0" * 40, b'{"found": 1' + b"0" * 400 + b"}", b'{"found": 1e999}', b'{"found": true}',
     b'{"found": -1}', b'{"found": "1"}', b'{"found": null}', b"3"],
)  # fmt: skip
def test_damaged_measurement_is_none(folder: Path, content: bytes):
    write_measurement("cost", {"of": "a"}, 0.25)
    (file,) = folder.rglob("*.json")
    file.write_bytes(content)
    assert read_measurement("cost", {"of": "a"}) is None
    write_measurement("cost", {"of": "a"}, 0.5)
    assert read_measurement("cost", {"of": "a"}) == 0.5


@pytest.mark.parametrize("how", ["missing", "link", "pipe", "folder", "cut", "flipped", "empty"])
def test_what_is_no_whole_file_is_none(tmp_path: Path, how: str):
    path, other = tmp_path / "a", tmp_path / "b"
    write_checked(path, b"what was found")
    assert read_checked(path, 1000) == read_checked(path, 1000, own=True) == b"what was found"
    assert read_checked(path, 40) is None, "more than it may be"
    data = path.read_bytes()
    path.rename(other)
    makers: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(other),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "cut": lambda: path.write_bytes(data[:-1]),
        "flipped": lambda: path.write_bytes(data[:-1] + b"!"),
        "empty": path.touch,
    }
    makers.get(how, lambda: None)()
    assert read_checked(path, 1000) is None


def test_cache_that_cannot_be_written_is_a_warning_that_names_it(folder: Path):
    folder.write_text("no folder")
    with pytest.warns(Notice, match=f"{folder}.* cannot keep measurements for the next time: "):
        write_measurement("cost", {"of": "a"}, 0.25)
    assert read_measurement("cost", {"of": "a"}) is None
