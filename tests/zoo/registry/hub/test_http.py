"""One GET: every body is capped after it is unpacked, every answer has a least speed and a deadline, 429 is kept to."""

import gzip
import resource
import zlib
from collections.abc import Iterator
from email.utils import formatdate
from functools import cache

import pytest
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import close_session, httpx

from models.core.errors import IntegrityError, UserError
from tests.support.hub_server import Hub
from tests.support.packages import AMP, PULL, at, refused, zoo
from tests.support.raw_server import head, raw_server
from zoo.names import parse_address
from zoo.registry.errors import RateLimited, Unreachable
from zoo.registry.hub import http, watch
from zoo.registry.hub.http import fetch, get_json, requested_pause

BOMB = 1 << 29  # bytes, half a gigabyte in 0.5 MB


@pytest.fixture(autouse=True)
def fresh_session() -> Iterator[None]:
    yield
    close_session()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Windows of half a second in place of half a minute; pauses are noted and not made."""
    waits: list[float] = []
    monkeypatch.setattr(watch, "SPEED_WINDOW_SECONDS", 0.5)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)
    monkeypatch.setattr("zoo.registry.hub.http.time.sleep", waits.append)
    return waits


@cache
def deflated(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


@pytest.mark.parametrize("status", [200, 302, 404, 500])
@pytest.mark.parametrize("stated", [True, False])
def test_a_bomb_is_not_unpacked(hasty: list[float], status: int, stated: bool):
    """Of the answer, of a redirect and of an error page: the memory of this process does not grow by it."""
    body = deflated(BOMB)
    headers = {"Content_Encoding": "gzip", **({"Content_Length": len(body)} if stated else {})}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with raw_server([head(status, **headers, **({"Location": "/"} if status == 302 else {})), body]) as url:
        with pytest.raises((IntegrityError, Unreachable, HfHubHTTPError)):
            get_json(url, {}, 1000)
        with pytest.raises((IntegrityError, Unreachable, HfHubHTTPError)):
            fetch(url, {}, 1000, lambda count: None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@pytest.mark.parametrize("packing", ["deflate", "br", "zstd", "gzip, gzip"])
def test_a_packing_that_was_not_asked_for_is_refused(packing: str):
    with raw_server([head(Content_Encoding=packing), b"x"]) as url, pytest.raises(IntegrityError, match="is packed as"):
        get_json(url, {}, 1000)


def test_a_packed_answer_is_read():
    with raw_server([head(Content_Encoding="gzip"), gzip.compress(b'{"a": 1}')]) as url:
        assert get_json(url, {}, 8)[0] == {"a": 1}
    for body in (gzip.compress(b'{"a": 1}')[:-4], b"no gzip"):
        with raw_server([head(Content_Encoding="gzip"), body]) as url, pytest.raises(Unreachable, match="packed body"):
            get_json(url, {}, 100)


def dripping(piece: bytes) -> list[bytes | float]:
    """This piece ten times a second."""
    return [piece, 0.1] * 10_000


SLOW = {
    "headers": [b"HTTP/1.1 200 OK\r\nX: ", *dripping(b" ")],
    "many headers": [b"HTTP/1.1 200 OK\r\n", *dripping(b"X: 1\r\n")],
    "a body": [head(Content_Length=21_000), *dripping(b" ")],
    "an error page": [head(404), *dripping(b" ")],
    "a redirect": [head(302, Location="/")[:-2], *dripping(b" ")],
    "a body in chunks": [head(Transfer_Encoding="chunked"), *dripping(b"1\r\n \r\n")],
}


@pytest.mark.parametrize("what", SLOW)
def test_a_dripping_answer_is_given_up(hasty: list[float], what: str):
    with raw_server(SLOW[what]) as url, pytest.raises(Unreachable, match="comes too slowly: [0-9,]* bytes in"):
        fetch(url, {}, 21_000, lambda count: None)
    assert hasty == []  # it is not tried again


def test_what_is_fast_enough_is_read_until_the_deadline(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "SPEED_WINDOW_SECONDS", 2.0)
    monkeypatch.setattr(watch, "LEAST_BYTES_PER_SECOND", 1)
    pieces = [b"x" * 100, 0.2] * 30  # six seconds at least
    with raw_server([head(Content_Length=3000), *pieces]) as url:
        monkeypatch.setattr(watch, "DEADLINE_BYTES_PER_SECOND", 30)
        assert fetch(url, {}, 3000, lambda count: None) == b"x" * 3000
        monkeypatch.setattr(watch, "DEADLINE_BYTES_PER_SECOND", 1 << 20)
        with pytest.raises(Unreachable, match="was not complete after 4 s"):
            fetch(url, {}, 3000, lambda count: None)


def test_endless_redirects_end():
    with raw_server([head(302, Location="/next")]) as url, pytest.raises(Unreachable, match="leads on more than 8"):
        get_json(url, {}, 1000)


@pytest.mark.parametrize(
    "place", ["http://a..b/", f"http://{'a' * 80}/", "http://x\x7fy/", "http://[/", "http://h:99999/"]
)
def test_redirects_to_what_is_no_address_end(hasty: list[float], place: str):
    with raw_server([head(302, Location=place)]) as url, pytest.raises(Unreachable):
        get_json(url, {}, 1000)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("stated", "seconds"), [("300", "300"), ("99999999999", "999,999,999"), ("DATE", "30")])
def test_a_long_pause_is_told(hasty: list[float], status: int, stated: str, seconds: str):
    """At once: no second request is sent before its time."""
    sent = {"Date": formatdate(86400, usegmt=True), "Retry_After": formatdate(86430, usegmt=True)}
    told = f"127.0.0.1 asks us to wait {seconds} s"
    answer = [head(status, **(sent if stated == "DATE" else {"Retry_After": stated}))]
    with raw_server(answer) as url, pytest.raises(RateLimited, match=told):
        get_json(url, {}, 1000)
    assert hasty == []


def test_a_short_pause_is_kept_to(hasty: list[float]):
    with raw_server([head(429, Retry_After=2)], [head(), b"[]"]) as url:
        assert get_json(url, {}, 1000) == ([], "")
    assert hasty == [2]


@pytest.mark.parametrize("stated", ["", "soon", "-1", "1.5", "٣", "Wed, 99 Oct 2015"])
def test_a_pause_that_is_none(stated: str):
    assert requested_pause(httpx.Headers([(b"Retry-After", stated.encode())])) is None


@pytest.mark.parametrize("words", [("list",), PULL, ("show", AMP)])
def test_a_person_reads_how_long(pushed: Hub, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    handle = pushed.handle

    def limited(request):
        reply = handle(request)
        reply.status, reply.headers = 429, {"Retry-After": "300"}
        return reply

    monkeypatch.setattr(pushed, "handle", limited)
    ran = zoo(*words, *at(pushed))
    refused(ran, 5, "asks us to wait 300 s", "hf auth login")
    assert "cannot be reached" not in ran.err and len(pushed.requests) == 1


def test_a_renamed_amp_is_told_by_its_new_name(pushed: Hub, monkeypatch: pytest.MonkeyPatch):
    handle = pushed.handle

    def moved(request):
        if "alice/old" in request.path:
            reply = handle(request)
            reply.status, reply.headers = 307, {"Location": request.path.replace("alice/old", AMP)}
            return reply
        return handle(request)

    monkeypatch.setattr(pushed, "handle", moved)
    for words in (("pull", "alice/old"), ("show", "alice/old")):
        refused(zoo(*words, *at(pushed)), 3, f"'alice/old' is called '{AMP}' now", f"Name it so: {AMP}.")


@pytest.mark.parametrize("stated", ["http://[", "http://:80", "ftp://hub", "hub", "http://x:99999"])
def test_a_malformed_endpoint_is_named(monkeypatch: pytest.MonkeyPatch, stated: str):
    monkeypatch.setenv("HF_ENDPOINT", stated)
    with pytest.raises(UserError, match="HF_ENDPOINT is"):
        parse_address("hub")


def test_a_clock_that_is_wrong_is_told():
    text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid (_ssl.c:1006)"
    told = http._unreachable(httpx.ConnectError(text, request=httpx.Request("GET", "https://hub.example/x")))
    assert "the certificate of hub.example is not valid on" in str(told) and "clock" in told.hint


@pytest.mark.parametrize("words", [("doctor",), ("list", "--zoo", "hub"), ("pull", AMP, "--zoo", "hub")])
def test_a_malformed_endpoint_is_told_by_every_command(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]):
    monkeypatch.setenv("HF_ENDPOINT", "http://me:password@[")
    ran = zoo(*words)
    refused(ran, 1, "HF_ENDPOINT is 'http://['")
    assert "password" not in ran.err
