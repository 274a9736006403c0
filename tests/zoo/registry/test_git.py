"""Packages in Git: line ends stay as they are, and a pointer of Git LFS is called by its name."""

import shutil
import subprocess
from pathlib import Path

import pytest

from models.core.errors import IntegrityError
from tests.support.hub_server import Hub
from tests.support.packages import AMP, PULL, at, files, litter, read_files, refused, there, write_package, zoo
from zoo.package.verify import verify
from zoo.registry.push_plan import keep_line_ends

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


@pytest.mark.parametrize("line", [b"* -text", b"* -diff -text", b"*\t-text merge=ours", b"a\n* -text"])
def test_attributes_that_will_do_stay(line: bytes):
    assert keep_line_ends(line + b"\n") is None


@pytest.mark.parametrize("line", [b"", b"*.bin -text\n", b"* text=auto\n", b"# * -text\n", b"* -textual\n"])
def test_others_get_a_line(line: bytes):
    made = keep_line_ends(line)
    assert made == b"* -text\n" + line


def test_a_push_to_a_hub_adds_it(hub: Hub, package: Path, tmp_path: Path):
    assert zoo("push", package, AMP, *at(hub)).code == 0
    first = hub.files(AMP)[".gitattributes"]
    assert first.startswith(b"* -text\n") and b"*.safetensors filter=lfs" in first  # the hub's own lines stay
    commits = len(hub.repos[AMP].commits)
    assert zoo("push", package, AMP, *at(hub)).code == 0 and len(hub.repos[AMP].commits) == commits
    hub.put(AMP, {".gitattributes": b"*.nam filter=lfs\n"})
    assert zoo("push", write_package(tmp_path / "more", {"presets.json": b"{}"}), AMP, *at(hub)).code == 0
    assert hub.files(AMP)[".gitattributes"] == b"* -text\n*.nam filter=lfs\n"


def test_it_is_no_push_of_its_own(pushed: Hub, package: Path):
    pushed.put(AMP, there(files()))
    commits = len(pushed.repos[AMP].commits)
    assert "has all of it already" in zoo("push", package, AMP, *at(pushed)).err
    assert len(pushed.repos[AMP].commits) == commits


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_shelf_survives_a_checkout_of_windows(package: Path, tmp_path: Path):
    """Where Git writes CRLF, which is its default there."""
    shelf, clone = tmp_path / "shelf", tmp_path / "clone"

    def git(*words: str) -> None:
        settings = (
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.org",
            "-c",
            "core.autocrlf=true",
            "-c",
            "protocol.file.allow=always",
        )
        subprocess.run(["git", *settings, *words], check=True, capture_output=True)

    git("init", str(shelf))
    assert zoo("push", package, AMP, "--zoo", shelf).code == 0
    git("-C", str(shelf), "add", "-A")
    git("-C", str(shelf), "commit", "-m", "shelf")
    git("clone", str(shelf), str(clone))
    assert read_files(clone / AMP) == files()
    verify(clone / AMP)


@pytest.mark.parametrize("name", ["model.safetensors", "audio/di.flac"])
def test_a_pointer_names_git_lfs(package: Path, hub: Hub, name: str):
    (package / name).write_bytes(POINTER)
    with pytest.raises(IntegrityError, match=f"{name} is a Git LFS pointer, not the file itself"):
        verify(package)
    refused(zoo("verify", package), 6, "is a Git LFS pointer", "git lfs pull")
    hub.put(AMP, read_files(package))
    refused(zoo(*PULL, *at(hub)), 6, f"{AMP}: {name} on the hub is a Git LFS pointer", "Nothing was saved")
    assert not litter()
