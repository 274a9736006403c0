"""A JACK server without hardware, the virtual amp on it, and a person who records a session with the command."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

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


@dataclass
class Rig:
    """A server at `rate_hz` with the amp as its one client, whose knobs `turn` sets."""

    folder: Path
    rate_hz: int
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the server, which no other one has."""
        return f"zoo-{os.getpid()}-{self.rate_hz}"

    @property
    def knobs(self) -> Path:
        """The file of the setting."""
        return self.folder / "amp-knobs.json"

    def start(self) -> None:
        """Start server and amp, and wait for both."""
        self.turn({"gain": 5, "tone": 5, "volume": 5})
        period = 1 << round(self.rate_hz * PERIOD_S).bit_length() - 1
        server = ["jackd", "-n", self.name, "-r", "-S", "-d", "dummy", "-r", f"{self.rate_hz}", "-p", f"{period}"]
        with (self.folder / "jackd.log").open("ab") as log:
            self.processes.append(subprocess.Popen(server, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        end = time.monotonic() + WAIT_S
        while True:  # the server takes a moment; the client does not wait for it
            amp = self._start_amp()
            assert amp.stdout
            with amp.stdout as words:
                if words.readline() == b"ready\n":
                    break
            amp.wait(WAIT_S)
            assert time.monotonic() < end, (self.folder / "jackd.log").read_text()
        self.processes.append(amp)
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
        self.processes[0].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.processes[0].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End server and amp."""
        for process in self.processes:
            process.kill()
            process.wait(WAIT_S)
        self.processes.clear()

    def environment(self) -> dict[str, str]:
        """What lets a program find this server."""
        return around(
            JACK_DEFAULT_SERVER=self.name, JACK_NO_START_SERVER="1", PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1"
        )

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

    def _start_amp(self) -> subprocess.Popen:
        words = [sys.executable, "-m", "tests.support.jack_amp", self.name, str(self.knobs)]
        with (self.folder / "amp.log").open("ab") as log:
            return subprocess.Popen(words, env=self.environment(), stdout=subprocess.PIPE, stderr=log, cwd=ROOT)


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
