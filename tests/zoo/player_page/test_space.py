"""`zoo push --space`: a Space that plays the amp from its repository, at one commit, with every byte checked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.formats.player.reader import read_amp
from tests.support.browser import needs_chromium, needs_zig, opened
from tests.support.hub_server import Hub
from tests.support.makers import esr, read_wav
from tests.support.packages import AMP, refused, write_package, zoo
from zoo.player_page import space
from zoo.player_page.site import STATIC, Site

pytestmark = needs_zig
SPACE = f"spaces/{AMP}"


class Published(Site):
    """The files of a Space, as its host gives them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file."""
        return self.files.get(name)


@pytest.fixture
def published(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with an amp and its Space; its large files are on another host, as those of the real one."""
    monkeypatch.setattr(space, "STORES", {hub.url: (hub.cdn,)})
    ran = zoo("push", write_package(tmp_path / "package"), AMP, "--zoo", hub.url, "--space")
    assert (ran.code, ran.out) == (0, f"{AMP}\n"), ran.err
    assert f"the page is at {hub.url}/spaces/{AMP}" in ran.err
    yield hub


def test_the_space_names_one_commit_and_every_sum(published: Hub):
    files, amp = published.files(SPACE), published.files(AMP)
    assert {path.name for path in STATIC.iterdir()} < set(files)
    front = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert (front["sdk"], front["models"]) == ("static", [AMP])
    source = json.loads(files["site.json"])["source"]
    head = published.repos[AMP].refs["main"]
    assert source["base"] == f"{published.url}/{AMP}/resolve/{head}/"
    assert set(source["files"]) == {"amp.bin", "audio/di.flac"}
    assert read_amp(amp["amp.bin"]).name == "tiny"
    assert not {"amps/alice/tiny/amp.bin", "amps/alice/tiny/audio/di.flac"} & set(files)


def test_a_second_push_changes_no_amp(published: Hub, tmp_path: Path):
    head = published.repos[AMP].refs["main"]
    ran = zoo("push", tmp_path / "package", AMP, "--zoo", published.url, "--space")
    assert ran.code == 0, ran.err
    assert published.repos[AMP].refs["main"] == head


def test_the_package_is_pulled_as_before(published: Hub, tmp_path: Path):
    ran = zoo("pull", AMP, "--zoo", published.url, "--to", tmp_path / "pulled")
    assert ran.code == 0, ran.err
    assert not (tmp_path / "pulled" / "amp.bin").exists()


def test_a_space_is_for_public_amps_of_a_hub(hub: Hub, tmp_path: Path):
    package = write_package(tmp_path / "package")
    for words in (("--zoo", tmp_path / "shelf"), ("--zoo", hub.url, "--private"), ("--zoo", hub.url, "--pr")):
        refused(zoo("push", package, AMP, *words, "--space"), 1, "--space is for public amps of a hub")
    hub.put(AMP, {})
    hub.repos[AMP].private = True
    refused(zoo("push", package, AMP, "--zoo", hub.url, "--space"), 1, "is private: its page could not fetch it")


@needs_chromium
def test_the_space_plays_the_amp_of_its_commit(published: Hub, browser: Any, site: Site, tmp_path: Path):
    published.put(AMP, {"amp.bin": b"another amp by now"})
    with opened(browser, Published(published.files(SPACE)), "#gain=8", policy=False) as page:
        heard_T = page.sound(tmp_path)
        assert {url for url in page.requests if not url.startswith((page.url, f"blob:{page.url}"))} == {
            url for url in page.requests if url.startswith((f"{published.url}/{AMP}/resolve/", f"{published.cdn}/cdn/"))
        }
        page.requests.clear()
    with opened(browser, site, "#gain=8") as page:
        assert esr(heard_T, page.sound(tmp_path)) == 0
    assert len(heard_T) == len(read_wav(tmp_path / "package/audio/di.flac"))


@needs_chromium
@pytest.mark.parametrize("file", ["amp.bin", "audio/di.flac"])
def test_other_bytes_are_refused(published: Hub, browser: Any, file: str):
    published.corrupt(file)
    with opened(browser, Published(published.files(SPACE)), policy=False, ready=False) as page:
        page.page.get_by_text("has other bytes than this page was made for").wait_for()
        page.requests.clear()
