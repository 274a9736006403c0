"""Every document on a shelf is a regular file: nothing waits for a pipe, nothing reads a device."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.core.errors import UserError
from models.core.files import read_regular
from tests.support.packages import AMP, write_package, zoo

DOCUMENTS = ("config.json", "eval.json", "README.md", "manifest.json", "model.safetensors", "audio/di.flac")
COMMANDS = {
    "show": ("show", AMP),
    "list": ("list",),
    "knobs": ("knobs", AMP),
    "pull": ("pull", AMP, "--to", "to"),
    "verify": ("verify", AMP),
    "push": ("push", "package", "bob/other"),
}


@pytest.fixture
def impatient() -> Iterator[None]:
    """A test that waits for a pipe fails after a minute, in place of never ending."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_command_waits_for_a_pipe(tmp_path: Path, document: str):
    shelf = tmp_path / "shelf"
    package = write_package(shelf / AMP)
    (package / document).unlink()
    os.mkfifo(package / document)
    for words in COMMANDS.values():
        some = [str(package) if word == "package" else str(tmp_path / word) if word == "to" else word for word in words]
        ran = zoo(*some, "--zoo", shelf)
        assert "fault of zoo itself" not in ran.err
        if words[0] in ("pull", "verify", "push"):
            assert ran.code == 6 and f"{document} is a" in ran.err and "device" in ran.err, ran
        if words[0] == "show" and document in DOCUMENTS[:4]:
            assert ran.code != 0 and f"{document} is a device or a pipe" in ran.err, ran


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a_link_to_a_device_is_not_read(tmp_path: Path, place: str):
    (tmp_path / "config.json").symlink_to(place)
    with pytest.raises(UserError, match=r"config\.json is a device or a pipe, not a file"):
        read_regular(tmp_path / "config.json", 1000)


def test_what_is_too_large_is_not_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(bytes(1001))
    assert len(read_regular(tmp_path / "a", 1001)) == 1001
    with pytest.raises(UserError, match="a is larger than 1,000 bytes"):
        read_regular(tmp_path / "a", 1000)
