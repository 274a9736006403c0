"""Nodes of a Ray cluster on this machine that a test may take away: each is a session of processes of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# Nodes notice within seconds that another one does not answer. Only this machine reaches them, so they need no token.
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


class Cluster:
    """A head without CPUs at `address`, and workers with one CPU each."""

    def __init__(self, ip: str) -> None:
        # Session folders hold sockets, whose paths must be short.
        self.folder, self.nodes = Path(tempfile.mkdtemp(prefix="zoo-ray-")), dict[str, subprocess.Popen]()
        with socket.socket() as free:
            free.bind((ip, 0))
            self.address = f"{ip}:{free.getsockname()[1]}"

    def begin(self) -> None:
        """The head, up when this returns."""
        ip, _, port = self.address.rpartition(":")
        self._start(
            ip, "--head", "--num-cpus=0", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self.folder}"
        )
        self.wait_for(ip)

    def add(self, ip: str, within: Sequence[str] = ()) -> None:
        """A worker, which comes up meanwhile; `within` stands before the command that starts it."""
        self._start(ip, "--num-cpus=1", f"--address={self.address}", within=within)

    def wait_for(self, ip: str) -> None:
        """Return when a node is up."""
        assert self.nodes[ip].wait(timeout=120) == 0, (self.folder / f"{ip}.log").read_text()

    def _start(self, ip: str, *words: str, within: Sequence[str] = ()) -> None:
        ray = str(Path(sys.executable).with_name("ray"))
        quiet = ["--disable-usage-stats", "--object-store-memory=100000000", f"--node-ip-address={ip}"]
        with (self.folder / f"{ip}.log").open("w") as out:
            self.nodes[ip] = subprocess.Popen(
                [*within, ray, "start", *quiet, *words],
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def kill(self, ip: str) -> None:
        """End a node with all that runs on it, as a power cut does.

        Its workers lead process groups of their own, so no process notifies the others.
        """
        while processes := session_processes(self.nodes[ip].pid):
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self.nodes[ip].wait()

    def training(self) -> dict[str, list[int]]:
        """The processes that train a trial, by the node they are on."""
        found = {ip: [p for p in session_processes(node.pid) if _is_trial(p)] for ip, node in self.nodes.items()}
        return {ip: processes for ip, processes in found.items() if processes}


def session_processes(leader: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state not in "ZX":
                    found.append(int(entry.name))
    return found


def trial_processes() -> list[int]:
    """Processes that train a trial for this one, whose environment says so: `ZOO_TEST` is its own number."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and f"ZOO_TEST={os.getpid()}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return [process for process in found if _is_trial(process)]


def _is_trial(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::ImplicitFunc")
    return False


@contextmanager
def cluster(ip: str) -> Iterator[Cluster]:
    """A cluster whose head has this address; nothing of it is left afterwards."""
    nodes = Cluster(ip)
    try:
        nodes.begin()
        yield nodes
    finally:
        for node in nodes.nodes:
            nodes.kill(node)
        shutil.rmtree(nodes.folder, ignore_errors=True)


@contextmanager
def cable(here: str, there: str) -> Iterator[tuple[list[str], list[str]]]:
    """A network namespace, reached by a cable from the address `here` to `there`; skips the test where none can be had.

    Gives the words that run a command in it, and the command that pulls the cable out at its end.
    """
    name = f"zoo{os.getpid()}"
    near, far, within = f"{name}-a", f"{name}-b", ["ip", "netns", "exec", name]
    try:
        try:
            run("ip", "netns", "add", name)
            run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        except FileNotFoundError:
            pytest.skip("a network namespace takes the command `ip`")
        except subprocess.CalledProcessError as problem:
            pytest.skip(f"no network namespace can be made here: {problem.stderr.decode().strip()}")
        for end, ip, words in ((near, here, []), (far, there, within)):
            run(*words, "ip", "address", "add", f"{ip}/30", "dev", end)
            run(*words, "ip", "link", "set", end, "up")
        run(*within, "ip", "link", "set", "lo", "up")
        yield within, [*within, "ip", "link", "set", far, "down"]
    finally:
        if shutil.which("ip"):
            subprocess.run(["ip", "link", "delete", near], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def run(*words: str) -> None:
    """Run a command of which nothing but success is expected."""
    subprocess.run(words, check=True, capture_output=True)
