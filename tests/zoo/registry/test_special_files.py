"""Every document on a shelf is a regular file: nothing waits for a pipe, nothing reads a device."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.core.errors import UserError
from models.core.files import read_regular
from tests.support.packages import AMP, write_package, zoo
from zoo.package.manifest import write_manifest

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


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["link", "pipe"])
def test_a_tier_is_played_as_its_package(tmp_path: Path, how: str):
    """Its clips and presets are those of the package, which is checked, whichever folder of it is named."""
    package = write_package(tmp_path / "package")
    tier = package / "tiers" / "nano"
    tier.mkdir(parents=True)
    for name in ("config.json", "eval.json", "model.safetensors"):
        (tier / name).write_bytes((package / name).read_bytes())
    write_manifest(package, "tiny", "ampzoo")
    assert zoo("page", tier, "--out", tmp_path / "site").code == 0
    clip, secret = package / "audio" / "di.flac", tmp_path / "secret"
    secret.write_bytes(clip.read_bytes())
    clip.unlink()
    os.mkfifo(clip) if how == "pipe" else clip.symlink_to(secret)
    ran = zoo("page", tier, "--out", tmp_path / "other")
    assert ran.code == 6 and "di.flac is a link or a device" in ran.err and not (tmp_path / "other").exists()


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
