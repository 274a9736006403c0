"""One GET of a hub: streamed, limited in size, retried, with the token sent to the hub alone.

`huggingface_hub` can fetch JSON and files, too. This module repeats that part of it because amps come from strangers:
a body is cut off at the announced size before it fills the memory or the disk, an endless list of a hostile hub is
refused, and nothing is written to a shared cache before it is verified. Commits, tags and logins go through
`huggingface_hub`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from huggingface_hub.utils import get_session, hf_raise_for_status, httpx

from models.core.errors import IntegrityError, UserError, first_line
from models.core.schema import parse_json
from zoo.registry.errors import Unreachable

ReadResult = TypeVar("ReadResult")

TIMEOUT_SECONDS = 10.0

ATTEMPTS = 3

RETRIED = (408, 429, 500, 502, 503, 504)

MAX_PAUSE_SECONDS = 8.0

MAX_ERROR_BYTES = 1 << 20  # of a hub's error message that is shown

HINT_HOSTILE_HUB = "The hub's answers contradict each other. Nothing was saved."


def get_json(
    url: str, headers: Mapping[str, str], max_bytes: int, params: Sequence[tuple[str, str]] = ()
) -> tuple[Any, str]:
    """GET a JSON document: `(value, URL of the next page or "")`.

    Raises `Unreachable` when nothing answers or the hub keeps failing, `HfHubHTTPError` when it refuses,
    `IntegrityError` for a body of more than `max_bytes`.
    """

    def read(response: httpx.Response) -> tuple[Any, str]:
        body = b"".join(_capped(response, max_bytes, url))
        try:
            value = parse_json(body, url)
        except UserError as problem:  # such as the login page of a public network
            raise Unreachable(f"{url} does not answer as a hub does") from problem
        return value, response.links.get("next", {}).get("url", "")

    return _get(url, headers, read, params)


def fetch(url: str, headers: Mapping[str, str], size: int, on_bytes: Callable[[int], None]) -> bytes:
    """GET a file of exactly `size` bytes; raises as `get_json` does.

    `on_bytes` is called with the number of bytes that arrived; after a failed try, with its bytes as a negative number.
    """

    def read(response: httpx.Response) -> bytes:
        body = bytearray()
        try:
            for chunk in _capped(response, size, url):
                body += chunk
                on_bytes(len(chunk))
            if len(body) < size:
                raise httpx.RemoteProtocolError(f"the body ended after {len(body):,} of {size:,} bytes")
        except BaseException:
            on_bytes(-len(body))
            raise
        return bytes(body)

    return _get(url, {**headers, "Accept-Encoding": "identity"}, read)


@contextmanager
def as_unreachable() -> Iterator[None]:
    """Turn a failed connection inside `huggingface_hub` into `Unreachable`."""
    try:
        yield
    except httpx.RequestError as problem:
        raise Unreachable(first_line(problem)) from problem


def pause_before_retry(attempt: int, response: Any = None) -> None:
    """Pause before a retry: as long as the hub's `Retry-After`, else 0.5 s doubling, at most `MAX_PAUSE_SECONDS`."""
    requested = (response.headers.get("Retry-After") or "") if response is not None else ""
    time.sleep(min(float(requested) if requested.isdigit() else 0.5 * 2**attempt, MAX_PAUSE_SECONDS))


def _get(
    url: str,
    headers: Mapping[str, str],
    read: Callable[[httpx.Response], ReadResult],
    params: Sequence[tuple[str, str]] = (),
) -> ReadResult:
    """GET a URL and return what `read` makes of the response, in up to `ATTEMPTS` attempts."""
    timeout = httpx.Timeout(TIMEOUT_SECONDS)
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            with get_session().stream(
                "GET", url, params=list(params) or None, headers=dict(headers), timeout=timeout
            ) as response:
                if response.status_code in RETRIED and not last:
                    pause_before_retry(attempt, response)
                    continue
                _check_status(response)
                return read(response)
        except httpx.RequestError as problem:
            if last:
                raise Unreachable(first_line(problem)) from problem
            pause_before_retry(attempt)
    raise AssertionError("the last attempt returns or raises")


def _check_status(response: httpx.Response) -> None:
    """Raise `Unreachable` for a hub that fails, `HfHubHTTPError` for one that refuses."""
    if response.status_code in RETRIED or response.status_code >= 500:
        raise Unreachable(f"it answered {response.status_code} to {response.request.url}")
    if response.is_error and int(response.headers.get("Content-Length") or MAX_ERROR_BYTES) < MAX_ERROR_BYTES:
        response.read()  # the hub's error message
    hf_raise_for_status(response)


def _capped(response: httpx.Response, max_bytes: int, url: str) -> Iterator[bytes]:
    """Yield the chunks of a body. Raises `IntegrityError` as soon as it is longer than `max_bytes`."""
    total = 0
    for chunk in response.iter_bytes(1 << 16):
        total += len(chunk)
        if total > max_bytes:
            raise IntegrityError(f"{url} gives more than the {max_bytes:,} bytes announced", HINT_HOSTILE_HUB)
        yield chunk
