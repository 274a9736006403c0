"""Single keys of a person at a terminal; lines where the input is no terminal."""

import os
import select
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

try:
    import termios
    import tty
except ImportError:  # Windows
    termios: Any = None
    tty: Any = None

ENTER, END_OF_KEYS = "\n", ""  # what `read` returns for the key Enter, and where the input ends

KEY_POLL_S = 0.05


class Keys:
    """Reads keys while it is entered: on a terminal without Enter and without showing them.

    Elsewhere every line is one key: its first character, or `ENTER` for an empty line.
    """

    def __init__(self) -> None:
        self._saved: Any = None
        self.is_terminal = bool(sys.stdin and sys.stdin.isatty())

    def __enter__(self) -> Self:
        if self.is_terminal and termios:
            self._saved = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno(), termios.TCSANOW)  # what was typed before counts
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saved is not None:
            with suppress(OSError, ValueError):  # the terminal may be gone
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)

    def read(self, seconds: float | None = None) -> str | None:
        """Wait for a key, in small letters; None after `seconds` without one, `END_OF_KEYS` where none can come."""
        if not sys.stdin:
            return END_OF_KEYS
        if not self.is_terminal:
            line = sys.stdin.readline()
            return (line.strip()[:1].lower() or ENTER) if line else END_OF_KEYS
        return self._read_windows(seconds) if termios is None else self._read_terminal(seconds)

    def _read_terminal(self, seconds: float | None) -> str | None:
        handle = sys.stdin.fileno()
        if not select.select([handle], [], [], seconds)[0]:
            return None
        try:
            key = os.read(handle, 1).decode("utf-8", "replace")
        except OSError:  # a terminal that was closed
            return END_OF_KEYS
        return key.replace("\r", ENTER).lower()

    @staticmethod
    def _read_windows(seconds: float | None) -> str | None:
        import msvcrt

        end = None if seconds is None else time.monotonic() + seconds
        while not msvcrt.kbhit():  # type: ignore[attr-defined]
            if end is not None and time.monotonic() > end:
                return None
            time.sleep(KEY_POLL_S)
        return msvcrt.getwch().replace("\r", ENTER).lower()  # type: ignore[attr-defined]
