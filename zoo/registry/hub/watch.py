"""A transfer that is given up when it is too slow, at whatever stage: connecting, headers or body."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from zoo.registry.errors import Unreachable

WatchedResult = TypeVar("WatchedResult")

SPEED_WINDOW_SECONDS = 30.0  # the headers come within it, and so many seconds of a body at the least speed

LEAST_BYTES_PER_SECOND = 1000

DEADLINE_BYTES_PER_SECOND = 10_000  # a body of N bytes may take `2 * SPEED_WINDOW_SECONDS` and N of these

POLL_SECONDS = 0.2


class Watch(Generic[WatchedResult]):
    """Runs one transfer on another thread and gives it up when it is too slow.

    A read of a socket ends by itself only when nothing arrives; one byte now and then keeps it waiting for ever. So the
    transfer runs on a thread of its own, which ends with its next chunk after it was given up.
    """

    def __init__(self, what: str, max_bytes: int, answer_s: float = 0.0) -> None:
        """`what` is named in the error; at most `max_bytes` are sent and received.

        Once all was sent (`wait_for_answer`), nothing may come for `answer_s`.
        """
        self._what, self._answer_s = what, answer_s
        self._limit_s = 2 * SPEED_WINDOW_SECONDS + answer_s + max_bytes / DEADLINE_BYTES_PER_SECOND
        self._started = self._window = time.monotonic()
        self._in_window = 0
        self._given_up = False
        self._result: list[WatchedResult] = []
        self._failure: BaseException | None = None

    def run(self, transfer: Callable[[], WatchedResult]) -> WatchedResult:
        """Return the result of a transfer, or raise its error; `Unreachable` when it is too slow."""

        def work() -> None:
            try:
                self._result.append(transfer())
            except BaseException as problem:  # noqa: BLE001 (raised below)
                self._failure = problem

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(POLL_SECONDS)
                if thread.is_alive():
                    self._check_speed()
        finally:
            self._given_up = thread.is_alive()
        if self._failure is not None:
            raise self._failure
        return self._result[0]

    def count(self, received: int) -> None:
        """Count bytes that arrived or were sent. Raises `Unreachable` in a transfer that was given up."""
        if self._given_up:
            raise Unreachable(f"{self._what} was given up")
        self._in_window += received

    def wait_for_answer(self) -> None:
        """Let nothing come for a while: the other side works on what it was sent."""
        self._window = max(self._window, time.monotonic() + self._answer_s - SPEED_WINDOW_SECONDS)

    def _check_speed(self) -> None:
        now = time.monotonic()
        if now - self._started > self._limit_s:
            raise Unreachable(f"{self._what} was not complete after {self._limit_s:.0f} s")
        if now - self._window < SPEED_WINDOW_SECONDS:
            return
        if self._in_window < LEAST_BYTES_PER_SECOND * SPEED_WINDOW_SECONDS:
            raise Unreachable(
                f"{self._what} comes too slowly: {self._in_window:,} bytes in {SPEED_WINDOW_SECONDS:.0f} s"
            )
        self._window, self._in_window = now, 0
