"""A command on a terminal of a size, and what a person sees on it at any moment."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pyte

from tests.support.packages import ZOO, around

# Ctrl-C goes to all processes of a session whose terminal this is.
TAKE_TERMINAL = """import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])"""


class Terminal:
    """A command that runs on a pseudo terminal until the block ends; `text` is its screen, without spaces at ends."""

    def __init__(self, *words: object, columns: int = 80, lines: int = 24, cwd: Path | None = None) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen = pyte.HistoryScreen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.seen = b""
        plain = {name: value for name, value in around(TERM="xterm").items() if name not in ("COLUMNS", "LINES")}

        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, ZOO, *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**plain, "PYTHONIOENCODING": "utf-8"},
            cwd=cwd,
            start_new_session=True,
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        """The lines of the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def cursor_is_shown(self) -> bool:
        """Whether the last word about the cursor was to show it."""
        return self.seen.rfind(b"\x1b[?25h") >= self.seen.rfind(b"\x1b[?25l")

    def type(self, keys: bytes) -> None:
        """Type keys; b"\\x03" is Ctrl-C."""
        os.write(self._ours, keys)

    def read_until(self, true: Callable[[], bool], seconds: float = 300) -> bool:
        """Read what is written until something is true, and return whether it became true before the end."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.text
            if select.select([self._ours], [], [], 0.05)[0]:
                try:
                    written = os.read(self._ours, 1 << 16)
                except OSError:  # how a terminal signals its end
                    written = b""
                if not written:
                    return true()
                self.seen += written
                self._stream.feed(written)
        return True

    def finish(self) -> int:
        """Read to the end, and return the exit code."""
        self.read_until(lambda: False)
        return self.process.wait(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        os.close(self._ours)  # what still runs loses its terminal, and is hung up
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
