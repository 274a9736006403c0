"""A hub's Retry-After holds for later processes; clocks that were wrong neither prolong it nor keep a list fresh."""

import os
import re
import time
from pathlib import Path

import pytest

from tests.support.hub_server import Hub
from tests.support.packages import AMP, PULL, at, refused, shell, zoo
from zoo.registry.errors import RateLimited
from zoo.registry.hub.waits import MAX_KEPT_SECONDS, check_wait, rate_limited
from zoo.registry.index import index_path

HUB = "https://hub.example:1/api/models"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def limit(hub: Hub, monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    handle = hub.handle

    def limited(request):
        reply = handle(request)
        reply.status, reply.headers = 429, {"Retry-After": seconds}
        return reply

    monkeypatch.setattr(hub, "handle", limited)


def test_the_next_process_makes_no_request(pushed: Hub, monkeypatch: pytest.MonkeyPatch, home: Path):
    with monkeypatch.context() as limited:
        limit(pushed, limited, "300")
        refused(zoo(*PULL, *at(pushed)), 5, "asks us to wait 300 s")
    pushed.requests.clear()
    ran = shell(*PULL, *at(pushed))
    assert ran.code == 5 and re.search(r"asks us to wait [123]\d\d s", ran.err) and "hf auth login" in ran.err
    assert pushed.requests == []
    for path in (home / ".index").glob("*.wait"):
        path.write_text(path.read_text().replace('"seconds":300', '"seconds":0'))
    assert zoo(*PULL, *at(pushed)).code == 0


def test_a_push_that_is_limited_ends_at_once(hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where `huggingface_hub` makes the request."""
    handle = hub.handle

    def limited(request):
        reply = handle(request)
        if request.method == "POST":
            reply.status, reply.headers = 429, {"Retry-After": "300"}
        return reply

    monkeypatch.setattr(hub, "handle", limited)
    refused(zoo("push", package, AMP, *at(hub)), 5, "asks us to wait 300 s")
    assert len([one for one in hub.requests if one[0] == "POST"]) == 1


def waits(seconds: int, monkeypatch: pytest.MonkeyPatch, later: float, **headers: str) -> bool:
    """Whether a request must wait, so many seconds after the hub asked for it."""
    rate_limited(HUB, {}, seconds)
    now = time.time()
    with monkeypatch.context() as clock:
        clock.setattr("zoo.registry.hub.waits.time.time", lambda: now + later)
        try:
            check_wait(HUB, headers)
        except RateLimited:
            return True
    return False


def test_it_ends_and_is_bounded(monkeypatch: pytest.MonkeyPatch, home: Path):
    assert waits(300, monkeypatch, 1) and waits(300, monkeypatch, 290) and not waits(300, monkeypatch, 301)
    assert not waits(10**9, monkeypatch, MAX_KEPT_SECONDS + 1), "a hub does not lock anybody out for years"
    assert not waits(300, monkeypatch, -10_000), "the clock was set back"
    assert not waits(300, monkeypatch, 1, Authorization="Bearer x"), "who has logged in has another limit"
    for path in (home / ".index").glob("*.wait"):
        path.write_bytes(b"\0{")
    check_wait(HUB, {})
    assert not any("Bearer" in path.read_text() for path in (home / ".index").iterdir())


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_no_error(home: Path):
    home.mkdir(mode=0o500)
    assert "300 s" in str(rate_limited(HUB, {}, 300))


def test_a_list_of_the_future_is_fetched_again(pushed: Hub):
    assert zoo("list", *at(pushed)).code == 0
    pushed.requests.clear()
    assert zoo("list", *at(pushed)).code == 0 and pushed.requests == []
    path = index_path(pushed.url)
    text = path.read_text()
    before, mark, after = text.partition('"fetched":')
    stated = after.partition(",")[0]
    path.write_text(before + mark + str(float(stated) + 86_400) + after[len(stated) :])
    assert zoo("list", *at(pushed)).code == 0 and len(pushed.requests) == 1
