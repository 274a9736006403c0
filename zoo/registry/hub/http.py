"""One GET of a hub: streamed, limited in size and time, retried, with the token sent to the hub alone.

`huggingface_hub` can fetch JSON and files, too. This module repeats that part of it because amps come from strangers:
a body is cut off at the announced size before it fills the memory or the disk, packed or not; a hub that drips bytes or
redirects for ever is given up; an endless list is refused; and nothing is written to a shared cache before it is
verified. Commits, tags and logins go through `huggingface_hub`, see `session`.
"""

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from huggingface_hub.utils import get_session, hf_raise_for_status, httpx

from models.core.errors import IntegrityError, UserError, first_line
from models.core.schema import parse_json
from zoo.registry.errors import RateLimited, Unreachable
from zoo.registry.hub.waits import HINT_WAIT, check_wait, rate_limited
from zoo.registry.hub.watch import Watch

ReadResult = TypeVar("ReadResult")

TIMEOUT_SECONDS = 10.0  # without a single byte

ATTEMPTS = 3

RETRIED = (408, 429, 500, 502, 503, 504)

MAX_PAUSE_SECONDS = 8.0

MAX_REQUESTED_PAUSE_SECONDS = 3.0  # that a hub asks for; for a longer one the person is told

MAX_REDIRECTS = 8

MAX_ERROR_BYTES = 64 << 10  # of a hub's error message that is read

HINT_HOSTILE_HUB = "The hub's answers contradict each other. Nothing was saved."


def get_json(
    url: str,
    headers: Mapping[str, str],
    max_bytes: int,
    params: Sequence[tuple[str, str]] = (),
    on_bytes: Callable[[int], None] = lambda count: None,
) -> tuple[Any, str]:
    """GET a JSON document: `(value, URL of the next page or "")`.

    `on_bytes` is called with the number of bytes, unpacked, whenever some arrive.

    Raises `Unreachable` when nothing answers, the hub keeps failing or is too slow, `RateLimited` when it asks us to
    wait, `HfHubHTTPError` when it refuses, `IntegrityError` for a body of more than `max_bytes`.
    """

    def read(response: httpx.Response, watch: Watch) -> tuple[Any, str]:
        body = bytearray()
        for chunk in read_body(response, max_bytes, watch):
            body += chunk
            on_bytes(len(chunk))
        try:
            value = parse_json(bytes(body), url)
        except UserError as problem:  # such as the login page of a public network
            raise Unreachable(f"{url} does not answer as a hub does") from problem
        return value, response.links.get("next", {}).get("url", "")

    return _get(url, {**headers, "Accept-Encoding": "gzip"}, read, max_bytes, params)


def fetch(url: str, headers: Mapping[str, str], size: int, on_bytes: Callable[[int], None]) -> bytes:
    """GET a file of exactly `size` bytes; raises as `get_json` does.

    `on_bytes` is called with the number of bytes that arrived; after a failed try, with its bytes as a negative number.
    """

    def read(response: httpx.Response, watch: Watch) -> bytes:
        body = bytearray()
        try:
            for chunk in read_body(response, size, watch):
                body += chunk
                on_bytes(len(chunk))
            if len(body) < size:
                raise httpx.RemoteProtocolError(f"the body ended after {len(body):,} of {size:,} bytes")
        except BaseException:
            on_bytes(-len(body))
            raise
        return bytes(body)

    return _get(url, {**headers, "Accept-Encoding": "identity"}, read, size)


@contextmanager
def as_unreachable() -> Iterator[None]:
    """Turn a failed connection inside `huggingface_hub` into `Unreachable`."""
    try:
        yield
    except httpx.RequestError as problem:
        raise _unreachable(problem) from problem


def pause_before_retry(attempt: int, response: Any = None) -> None:
    """Pause before a retry: as long as the hub asks for, else 0.5 s doubling, at most `MAX_PAUSE_SECONDS`.

    Raises `RateLimited` when the hub asks for more than `MAX_REQUESTED_PAUSE_SECONDS`.
    """
    requested = None if response is None else requested_pause(response.headers)
    if requested is not None and requested > MAX_REQUESTED_PAUSE_SECONDS:
        raise rate_limited(str(response.request.url), response.request.headers, requested)
    time.sleep(min(0.5 * 2**attempt if requested is None else requested, MAX_PAUSE_SECONDS))


def requested_pause(headers: Mapping[str, str]) -> int | None:
    """Return the seconds that `Retry-After` asks for, as a number or a date; None where it does not ask.

    A date is compared with the hub's own clock, where it states that.
    """
    stated = headers.get("Retry-After", "").strip()
    if stated.isascii() and stated.isdigit():
        return int(stated[:9])
    try:
        until = parsedate_to_datetime(stated)
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return max(0, min(round((until - now).total_seconds()), 10**9))
    except (TypeError, ValueError, OverflowError):  # no date, or one with and one without a time zone
        return None


def _get(
    url: str,
    headers: Mapping[str, str],
    read: Callable[[httpx.Response, Watch], ReadResult],
    max_bytes: int,
    params: Sequence[tuple[str, str]] = (),
) -> ReadResult:
    """GET a URL and return what `read` makes of the response, in up to `ATTEMPTS` attempts."""
    check_wait(url, headers)
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        watch: Watch[tuple[ReadResult] | httpx.Response] = Watch(url, max_bytes)

        def transfer(watch: Watch = watch) -> tuple[ReadResult] | httpx.Response:
            with _open(url, headers, params, watch) as response:
                if response.status_code < 400:
                    return (read(response, watch),)
                return _read_refusal(response, watch)

        try:
            found = watch.run(transfer)
        except httpx.RequestError as problem:
            if last:
                raise _unreachable(problem) from problem
            pause_before_retry(attempt)
            continue
        if isinstance(found, tuple):
            return found[0]
        if found.status_code in RETRIED and not last:
            pause_before_retry(attempt, found)
            continue
        _raise_refusal(found)
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def _open(
    url: str, headers: Mapping[str, str], params: Sequence[tuple[str, str]], watch: Watch
) -> Iterator[httpx.Response]:
    """Open a response whose body was not read; the bodies of redirects are never read."""
    session = get_session()
    request = session.build_request(
        "GET", url, params=list(params) or None, headers=dict(headers), timeout=httpx.Timeout(TIMEOUT_SECONDS)
    )
    for _ in range(MAX_REDIRECTS):
        try:
            response = session.send(request, stream=True, follow_redirects=False)
        except (httpx.InvalidURL, UnicodeError):  # of a host that a redirect names
            raise Unreachable(f"{url} leads to a place that is no address") from None
        try:
            watch.count(0)
            if response.next_request is None:
                yield response
                return
            request = response.next_request
        finally:
            response.close()
    raise Unreachable(f"{url} leads on more than {MAX_REDIRECTS} times")


def _read_refusal(response: httpx.Response, watch: Watch) -> httpx.Response:
    """Return a response with the beginning of its error message, which is shown."""
    body = bytearray()
    try:
        for chunk in read_body(response, MAX_ERROR_BYTES, watch):
            body += chunk
    except (IntegrityError, httpx.RequestError):  # the rest of the message does not matter
        pass
    return as_plain_response(response, bytes(body))


def as_plain_response(response: httpx.Response, body: bytes) -> httpx.Response:
    """Return the same response with a body that was read and unpacked."""
    headers = [(key, value) for key, value in response.headers.multi_items() if not key.lower().startswith("content-")]
    kind = response.headers.get("Content-Type", "text/plain")
    kept = [(key, value) for key, value in headers if key.lower() != "transfer-encoding"] + [("Content-Type", kind)]
    return httpx.Response(response.status_code, headers=kept, content=body, request=response.request)


def _raise_refusal(response: httpx.Response) -> None:
    """Raise `RateLimited` when the hub asks us to wait, `Unreachable` when it fails, else `HfHubHTTPError`."""
    raise_if_limited(response)
    if response.status_code in RETRIED or response.status_code >= 500:
        raise Unreachable(f"it answered {response.status_code} to {response.request.url}")
    hf_raise_for_status(response)


def raise_if_limited(response: httpx.Response) -> None:
    """Raise `RateLimited` when the hub asks us to wait, or to ask less."""
    if (requested := requested_pause(response.headers)) and response.status_code in (429, 503):
        raise rate_limited(str(response.request.url), response.request.headers, requested)
    if response.status_code == 429:
        raise RateLimited(f"{response.request.url.host} asks us to send fewer requests", HINT_WAIT)


def read_body(response: httpx.Response, max_bytes: int, watch: Watch) -> Iterator[bytes]:
    """Yield a body, unpacked, in chunks: the one way in which a body is read.

    Raises `IntegrityError` as soon as it is longer than `max_bytes`, before more of it is unpacked, or packed in a way
    that was not asked for.
    """
    url, packing = response.request.url, response.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("", "identity", "gzip"):
        raise IntegrityError(f"{url} is packed as {packing[:20]!r}, which was not asked for", HINT_HOSTILE_HUB)
    unpacker, left = zlib.decompressobj(31) if packing == "gzip" else None, max_bytes
    for received in response.iter_raw():
        watch.count(len(received))
        try:
            chunk = unpacker.decompress(received, left + 1) if unpacker else received
        except zlib.error:
            raise httpx.RemoteProtocolError("the packed body is damaged") from None
        left -= len(chunk)
        if left < 0:
            raise IntegrityError(f"{url} gives more than the {max_bytes:,} bytes announced", HINT_HOSTILE_HUB)
        if chunk:
            yield chunk
    if unpacker and not unpacker.eof:
        raise httpx.RemoteProtocolError("the packed body ended too early")


def _unreachable(problem: httpx.RequestError) -> Unreachable:
    """Return our error for a failed connection; a certificate may be out of date, or this computer's clock be wrong."""
    text = first_line(problem)
    if "certificate" in text and ("expired" in text or "not yet valid" in text):
        today = datetime.now(UTC).date()
        return Unreachable(
            f"the certificate of {problem.request.url.host} is not valid on {today}, the day of this computer",
            "Is the clock of this computer right? If it is, the hub's certificate has run out: tell its owner.",
        )
    return Unreachable(text)
