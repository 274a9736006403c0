"""A JACK server without hardware, with a name that no other running one has.

JACK has places for eight servers on a machine. One that is killed keeps its place until another one of its name starts,
so there are few names, and each is held by a lock while it is in use.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

try:
    import fcntl
except ImportError:  # Windows, where there is no JACK for us
    fcntl: Any = None

NAMES = 6
WAIT_S = 60.0  # for it to end


class JackServer:
    """A server of the dummy driver; `start` and `stop` may be called again and again."""

    def __init__(self, rate_hz: int, period: int, *options: str) -> None:
        """`period` is in samples; `options` are further ones of jackd. Skips where all names are in use."""
        self._driver = ["-d", "dummy", "-r", f"{rate_hz}", "-p", f"{period}"]
        self._options = options
        self.name, self._lock = _free_name()
        self.process: subprocess.Popen | None = None

    def start(self, log: Path) -> None:
        """Start it; what it says is added to a file."""
        words = ["jackd", "-n", self.name, "-r", *self._options, *self._driver]
        with log.open("ab") as file:
            self.process = subprocess.Popen(words, stdout=file, stderr=file, stdin=subprocess.DEVNULL)

    def stop(self, *, suddenly: bool = False) -> None:
        """End it; `suddenly`, as a crash does."""
        if self.process is None:
            return
        (self.process.kill if suddenly else self.process.terminate)()
        try:
            self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(WAIT_S)
        self.process = None

    def close(self) -> None:
        """End it and give its name back."""
        self.stop()
        self._lock.close()

    def environment(self) -> dict[str, str]:
        """What lets a program find this server, and start no other."""
        return {"JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1"}


def _free_name() -> tuple[str, IO[bytes]]:
    """Return a name that no other process has, and the open file that holds it."""
    for number in range(NAMES):
        file = (Path(tempfile.gettempdir()) / f"ampzoo-jack-{os.getuid()}-{number}.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        return f"ampzoo-{number}", file
    pytest.skip(f"{NAMES} JACK servers of tests are running")
