"""What `huggingface_hub` asks for itself has limits, too: size after unpacking, speed, deadline, redirects."""

import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import close_session, get_session, httpx, set_client_factory

from models.core.errors import IntegrityError
from tests.support.hub_server import Hub, Reply
from tests.support.packages import AMP, at, refused, zoo
from tests.support.raw_server import head, raw_server
from tests.zoo.registry.hub.test_http import BOMB, SLOW, deflated
from zoo.names import Address, parse_address
from zoo.registry.errors import Unreachable
from zoo.registry.hub import session, watch
from zoo.registry.hub.client import HubClient
from zoo.registry.hub.session import capped_calls

CALLS: dict[str, Callable[[HubClient], object]] = {
    "create_repo": lambda hub: hub.api.create_repo(AMP, exist_ok=True),
    "list_repo_refs": lambda hub: hub.api.list_repo_refs(AMP),
    "create_tag": lambda hub: hub.api.create_tag(AMP, tag="v1"),
    "delete_repo": lambda hub: hub.api.delete_repo(AMP),
    "whoami": lambda hub: hub.api.whoami(token="hf_x"),
    "create_commit": lambda hub: hub.api.create_commit(
        AMP, [CommitOperationAdd("a.txt", b"x" * 100)], commit_message="m", parent_commit="0" * 40
    ),
}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch):
    """Half a second in place of half a minute, and of two; no pauses."""
    monkeypatch.setattr(watch, "SPEED_WINDOW_SECONDS", 0.5)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    yield
    close_session()


def hub_at(url: str) -> HubClient:
    address = parse_address(url)
    assert isinstance(address, Address)
    return HubClient(address)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_a_bomb_is_not_unpacked(name: str, status: int):
    body, place = deflated(BOMB), {"Location": "/"} if status == 302 else {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusals = pytest.raises((IntegrityError, Unreachable, HfHubHTTPError))
    with raw_server([head(status, Content_Encoding="gzip", **place), body]) as url, refusals, capped_calls():
        CALLS[name](hub_at(url))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kB


@pytest.mark.parametrize("name", ["create_repo", "create_commit", "whoami"])
@pytest.mark.parametrize("what", SLOW)
def test_a_dripping_answer_is_given_up(name: str, what: str):
    with raw_server(SLOW[what]) as url, pytest.raises(Unreachable, match="comes too slowly"), capped_calls():
        CALLS[name](hub_at(url))


def test_a_hub_that_takes_no_bytes_is_given_up():
    """It reads the head of an upload and no more; the kernel holds a few megabytes on the way."""
    with raw_server([1000.0]) as url, pytest.raises(Unreachable, match="too slowly"), capped_calls():
        hub_at(url)
        get_session().put(url, content=bytes(64 << 20))


def test_a_hub_may_take_its_time_once_all_was_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "ANSWER_SECONDS", 20.0)
    with raw_server([2.0, head(), b"{}"]) as url, capped_calls():
        assert get_session().post(url).json() == {}


def test_answers_of_others_are_not_capped():
    """The limits are for our own calls: what else uses the library in this process is left alone."""
    long = b"x" * (session.MAX_ANSWER_BYTES + 1)
    with raw_server([head(), long]) as url:
        with capped_calls(), pytest.raises(IntegrityError, match="gives more than"):
            get_session().get(url)
        assert len(get_session().get(url).content) == len(long)
    assert constants.HF_HUB_DISABLE_XET is True  # of the tests


def test_the_clients_of_a_user_are_kept():
    """One whose factory sets a header, as for a proxy: it is capped and still sets it."""
    seen: list[str] = []
    hooks = {"request": [lambda request: seen.append(request.headers["X-Own"])]}
    before = session.hub_http._GLOBAL_CLIENT_FACTORY
    try:
        set_client_factory(lambda: httpx.Client(headers={"X-Own": "1"}, event_hooks=hooks))
        with raw_server([head(), b"[]"]) as url, capped_calls():
            get_session().get(url)
        assert seen == ["1"]
    finally:
        set_client_factory(before)


def test_an_upload_that_hangs_ends_the_push(hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a large file, which the library sends on a thread of its own."""
    handle, ended = hub.handle, threading.Event()

    def stall(request):
        if request.method == "PUT":
            ended.wait(20)
        return handle(request)

    monkeypatch.setattr(hub, "handle", stall)
    ran = zoo("push", package, AMP, *at(hub))
    ended.set()
    refused(ran, 5, "comes too slowly")


def test_a_push_that_is_answered_with_a_bomb_ends(hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch):
    handle = hub.handle

    def bomb(request):
        reply = handle(request)
        return Reply(200, b"[" + b" " * (2 << 20) + b"]") if "/preupload/" in request.path else reply

    monkeypatch.setattr(hub, "handle", bomb)
    refused(zoo("push", package, AMP, *at(hub)), 6, "gives more than the 1,048,576 bytes announced")
