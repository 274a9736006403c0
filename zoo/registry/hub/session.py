"""Requests that `huggingface_hub` makes itself, such as commits and uploads: capped as the ones of `http` are.

Its client is not told of any limit: an answer could fill the memory, or never end. While `capped_calls` is open, every
request of that client runs under a `Watch`, its answer is read up to a size, and no body of a redirect is read.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import _http as hub_http
from huggingface_hub.utils import httpx

from models.core.errors import IntegrityError
from zoo.registry.errors import Unreachable
from zoo.registry.hub.http import (
    MAX_ERROR_BYTES,
    MAX_REDIRECTS,
    MAX_REQUESTED_PAUSE_SECONDS,
    as_plain_response,
    as_unreachable,
    raise_if_limited,
    read_body,
    requested_pause,
)
from zoo.registry.hub.waits import check_wait
from zoo.registry.hub.watch import Watch

MAX_ANSWER_BYTES = 1 << 20

ANSWER_SECONDS = 120.0  # in which a hub begins to answer once all was sent: it may have to make a commit of it

SENT_AT_ONCE = 16 << 10  # bytes

_open_calls = [0]  # how many `capped_calls` are open in this process

_lock = threading.Lock()


@contextmanager
def capped_calls() -> Iterator[None]:
    """Cap the answers to `huggingface_hub` in this process, and turn its failed connections into `Unreachable`.

    Uploads take the protocol of Git LFS: another program would make those of Xet.
    """
    _install()
    with _lock:
        _open_calls[0] += 1
        xet, constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_XET, True
    try:
        with as_unreachable():
            yield
    except RuntimeError as problem:  # `huggingface_hub` wraps what ended an upload
        if isinstance(cause := problem.__cause__, httpx.RequestError):
            with as_unreachable():
                raise cause from None
        if isinstance(cause, Unreachable | IntegrityError | HfHubHTTPError):
            raise cause from None
        raise
    finally:
        with _lock:
            _open_calls[0] -= 1
            constants.HF_HUB_DISABLE_XET = xet


def _install() -> None:
    """Have the clients that `huggingface_hub` makes from now on be capped; the factory of the user still makes them."""
    with _lock:
        factory = hub_http._GLOBAL_CLIENT_FACTORY
        if getattr(factory, "func", None) is not _capped_client:
            hub_http.set_client_factory(partial(_capped_client, factory))


def _capped_client(factory: Callable[[], httpx.Client]) -> httpx.Client:
    client = factory()
    client.send = partial(_send, client, client.send)
    return client


def _send(client: httpx.Client, send: Callable[..., httpx.Response], request: httpx.Request, **more: Any) -> Any:
    """Send a request as the client would, but with limits while `capped_calls` is open."""
    if not _open_calls[0] or more.get("stream"):  # streams are read by `http`
        return send(request, **more)
    check_wait(str(request.url), request.headers)
    sent = int(request.headers.get("Content-Length", 0))
    watch: Watch[httpx.Response] = Watch(str(request.url), MAX_ANSWER_BYTES + sent, ANSWER_SECONDS)
    follows = more.get("follow_redirects")
    more["follow_redirects"] = False
    follows = follows if isinstance(follows, bool) else client.follow_redirects
    request.headers["Accept-Encoding"] = "gzip"
    transfer = partial(_transfer, partial(send, stream=True, **more), request, watch, follows)
    response = watch.run(partial(copy_context().run, transfer))
    if (requested_pause(response.headers) or 0) > MAX_REQUESTED_PAUSE_SECONDS:  # the library would ask again too soon
        raise_if_limited(response)
    return response


def _transfer(
    send: Callable[[httpx.Request], httpx.Response], request: httpx.Request, watch: Watch, follows: bool
) -> httpx.Response:
    """Return the answer to a request, read within its limits."""
    for _ in range(MAX_REDIRECTS):
        request.stream = _Counted(request.stream, watch)
        try:
            response = send(request)
        except (httpx.InvalidURL, UnicodeError):  # of a host that a redirect names
            raise Unreachable(f"{request.url} leads to a place that is no address") from None
        try:
            if not (follows and response.next_request):
                cap = MAX_ANSWER_BYTES if response.status_code < 400 else MAX_ERROR_BYTES
                return as_plain_response(response, b"".join(read_body(response, cap, watch)))
            request = response.next_request
        finally:
            response.close()
    raise Unreachable(f"{request.url} leads on more than {MAX_REDIRECTS} times")


class _Counted(httpx.SyncByteStream):
    """A request's body in small pieces; each counts as progress, and after the last one the hub may take its time."""

    def __init__(self, body: Any, watch: Watch) -> None:
        self._body, self._watch = body, watch

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            for start in range(0, len(chunk), SENT_AT_ONCE):
                piece = chunk[start : start + SENT_AT_ONCE]
                yield piece
                self._watch.count(len(piece))
        self._watch.wait_for_answer()

    def close(self) -> None:
        """Close the body."""
        if hasattr(self._body, "close"):
            self._body.close()
