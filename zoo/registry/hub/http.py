"""One GET of a hub, streamed: capped before it can fill a disk, tried again when the line fails, the token sent to the hub alone."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from huggingface_hub.utils import get_session, hf_raise_for_status, httpx

from models.core.errors import IntegrityError, UserError
from models.core.schema import parse_json
from zoo.registry.errors import Unreachable

Read = TypeVar("Read")

TIMEOUT_SECONDS = 10.0

ATTEMPTS = 3

RETRIED = (408, 429, 500, 502, 503, 504)

MAX_PAUSE_SECONDS = 8.0

MAX_WORDS = 1 << 20

HINT_HOSTILE_HUB = "The hub does not keep to what it announced; nothing was kept."


def get_json(
    url: str, headers: Mapping[str, str], max_bytes: int, params: Sequence[tuple[str, str]] = ()
) -> tuple[Any, str]:
    """GET a JSON document: `(value, URL of the next page or "")`.

    Raises `Unreachable` when nothing answers or the hub keeps failing, `HfHubHTTPError` when it refuses, `IntegrityError` for an endless body.
    """

    def read(response: httpx.Response) -> tuple[Any, str]:
        body = b"".join(_capped(response, max_bytes, url))
        try:
            value = parse_json(body, url)
        except UserError as problem:  # the page of a network that wants a login, perhaps
            raise Unreachable(f"{url} does not answer as a hub does") from problem
        return value, response.links.get("next", {}).get("url", "")

    return _get(url, headers, read, params)


def fetch(url: str, headers: Mapping[str, str], size: int, on_bytes: Callable[[int], None]) -> bytes:
    """GET a file of exactly `size` bytes; `on_bytes` hears how many arrived, and is told back those of a failed try. Raises as `get_json` does."""

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
    """A line that fails while `huggingface_hub` speaks for us becomes `Unreachable`, too."""
    try:
        yield
    except httpx.RequestError as problem:
        raise Unreachable(_words(problem)) from problem


def pause_before_retry(attempt: int, response: Any = None) -> None:
    """Pause before trying again, for as long as the hub asks, within reason."""
    asked = (response.headers.get("Retry-After") or "") if response is not None else ""
    time.sleep(min(float(asked) if asked.isdigit() else 0.5 * 2**attempt, MAX_PAUSE_SECONDS))


def _get(
    url: str,
    headers: Mapping[str, str],
    read: Callable[[httpx.Response], Read],
    params: Sequence[tuple[str, str]] = (),
) -> Read:
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            timeout = httpx.Timeout(TIMEOUT_SECONDS)
            with get_session().stream(
                "GET", url, params=list(params) or None, headers=dict(headers), timeout=timeout
            ) as response:
                if response.status_code in RETRIED:
                    if last:
                        raise Unreachable(f"it answered {response.status_code} to {response.request.url}")
                    pause_before_retry(attempt, response)
                    continue
                if response.status_code >= 500:
                    raise Unreachable(f"it answered {response.status_code} to {response.request.url}")
                if response.is_error and int(response.headers.get("Content-Length") or MAX_WORDS) < MAX_WORDS:
                    response.read()  # the hub's own words
                hf_raise_for_status(response)
                return read(response)
        except httpx.RequestError as problem:
            if last:
                raise Unreachable(_words(problem)) from problem
            pause_before_retry(attempt)
    raise AssertionError("the last attempt returns or raises")


def _capped(response: httpx.Response, max_bytes: int, url: str) -> Iterator[bytes]:
    total = 0
    for chunk in response.iter_bytes(1 << 16):
        total += len(chunk)
        if total > max_bytes:
            raise IntegrityError(f"{url} gives more than the {max_bytes:,} bytes announced", HINT_HOSTILE_HUB)
        yield chunk


def _words(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0] or type(problem).__name__
