"""A JACK server without hardware, the virtual amp on it, and a person who records a session with the command."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from ctypes.util import find_library
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.jack_server import JackServer
from tests.support.packages import ZOO, around

ROOT = Path(__file__).parents[2]
PERIOD_S = 0.256  # of the server: long, so that a busy machine is in time
WAIT_S = 60.0  # for something to start


def need_jack() -> None:
    """Skip where there is no JACK server, no PortAudio, or a package is missing."""
    if sys.platform != "linux" or not shutil.which("jackd"):
        pytest.skip("no JACK server on this machine: apt-get install jackd2")
    for package in ("sounddevice", "jack", "pyfiglet"):
        if find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")
    if not find_library("portaudio"):
        pytest.skip("no PortAudio on this machine: apt-get install libportaudio2")


class Rig:
    """A server at `rate_hz` with the amp as its one client, whose knobs `turn` sets."""

    def __init__(self, folder: Path, rate_hz: int) -> None:
        """`folder` is for its files."""
        self.folder, self.rate_hz = folder, rate_hz
        period = 1 << round(rate_hz * PERIOD_S).bit_length() - 1
        self.server = JackServer(rate_hz, period, "-S")
        self._client: subprocess.Popen | None = None

    @property
    def knobs(self) -> Path:
        """The file of the setting."""
        return self.folder / "amp-knobs.json"

    def start(self) -> None:
        """Start server and amp, and wait for both."""
        self.turn({"gain": 5, "tone": 5, "volume": 5})
        log = self.folder / "jackd.log"
        self.server.start(log)
        self._client = start_client(self.environment(), log, "jack_amp", self.server.name, self.knobs)
        if "JACK" not in self.zoo("record", "--list").stdout:
            pytest.skip("the PortAudio of this machine does not speak to JACK")

    def turn(self, setting: dict[str, float]) -> None:
        """Set knobs of the amp; the others stay."""
        now = json.loads(self.knobs.read_text()) if self.knobs.exists() else {}
        staged = self.knobs.with_suffix(".new")
        staged.write_text(json.dumps(now | setting))
        staged.replace(self.knobs)

    def halt(self, seconds: float) -> None:
        """Stop the server for a while, as a machine that is too busy does."""
        assert self.server.process
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.server.process.send_signal(signal.SIGCONT)

    def pull(self) -> None:
        """End server and amp at once, as a card that is unplugged does."""
        self.server.stop(suddenly=True)
        self._end_client()

    def close(self) -> None:
        """End amp and server for good."""
        self._end_client()
        self.server.close()

    def environment(self) -> dict[str, str]:
        """What lets a program find this server."""
        return around(**self.server.environment(), PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")

    def zoo(self, *words: object) -> subprocess.CompletedProcess:
        """The command with this server."""
        return subprocess.run(
            [ZOO, *map(str, words)], env=self.environment(), capture_output=True, text=True, timeout=600, check=False
        )

    def record(self, session: Path, answer: "Callable[[str, Person], str]", *words: object) -> "Person":
        """Have a person record a session; `answer` gives the key for each question."""
        person = Person(self, answer)
        person.run("record", session, "--device", "amp", *words)
        return person

    def _end_client(self) -> None:
        if self._client is not None:
            end_process(self._client)
        self._client = None


def start_client(env: dict[str, str], log: Path, module: str, *words: object) -> subprocess.Popen:
    """Start a client of a server, a script of this folder, and wait until it says that it is ready.

    The server takes a moment, for which its library does not wait. What both say is in the file `log`.
    """
    command, end = [sys.executable, "-m", f"tests.support.{module}", *map(str, words)], time.monotonic() + WAIT_S
    while True:
        with log.open("ab") as file:
            client = subprocess.Popen(
                command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, cwd=ROOT, text=True
            )
        assert client.stdout
        if client.stdout.readline() == "ready\n":
            return client
        end_process(client)
        assert time.monotonic() < end, log.read_text()


def end_process(process: subprocess.Popen) -> None:
    """End a process that may have ended, and close the pipes to it."""
    process.kill()
    process.wait(WAIT_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        with suppress(BrokenPipeError):  # words that it has not read
            if pipe is not None:
                pipe.close()


@dataclass
class Person:
    """Reads the screen of the command line by line, turns the knobs that it names, and answers its questions."""

    rig: Rig
    answer: "Callable[[str, Person], str]"
    screen: list[str] = field(default_factory=list)
    code: int | None = None
    careless: bool = False  # does not turn the knobs

    def run(self, *words: object) -> None:
        """Run the command to its end."""
        with subprocess.Popen(
            [ZOO, *map(str, words)],
            env=self.rig.environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as run:
            assert run.stderr and run.stdin
            try:
                for line in run.stderr:
                    self._read(line.rstrip("\n"), run.stdin)
            finally:
                if run.poll() is None and sys.exc_info()[0]:
                    run.kill()
            self.code = run.wait(WAIT_S)

    def saw(self, words: str) -> list[str]:
        """The lines with these words."""
        return [line for line in self.screen if words in line]

    def _read(self, line: str, keys: Any) -> None:
        self.screen.append(line)
        if (found := re.fullmatch(r"  turn (\w+) ([\d.]+)", line)) and not self.careless:
            self.rig.turn({found[1]: float(found[2])})
        if " · " in line:
            time.sleep(0.3)  # until the amp has read its knobs
            keys.write(f"{self.answer(line, self)}\n")
            keys.flush()
