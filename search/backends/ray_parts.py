"""Whether the parts of Ray that a search needs live; Ray itself ends the process some time after one has died."""

import _thread
import io
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker

PARTS = {ray_constants.PROCESS_TYPE_GCS_SERVER: "head", ray_constants.PROCESS_TYPE_RAYLET: "node manager"}

PULSE_S = 1.0  # seconds between two looks at a cluster

MISSED = {"head": 45, "node manager": 3}  # looks in vain; Ray waits 60 s for a head to come back, then ends the process


STUCK_TRIES = 8  # to interrupt the main thread, one each `PULSE_S`


class RayPartDied(BaseException):
    """A part of Ray has died. Tune, which catches every `Exception` and would wait for that part, lets it through."""


def dead_part(node: Any) -> str | None:
    """Return the name of a part of Ray that this process started and that has died; None while all live."""
    started: Mapping[str, Any] = node.all_processes if node else {}
    for kind, name in PARTS.items():
        if any(one.process.poll() is not None for one in started.get(kind, ())):
            return name
    return None


class RayWatch:
    """Looks at the parts of Ray: processes where this process started them, else their ports.

    `interrupted` is set when a person interrupts.
    """

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        self._node = ray_worker._global_node
        self._ports = {} if self._node is None or self._node.all_processes else _ports()
        self._missed = dict.fromkeys(self._ports, 0)
        self._dead: str | None = None

    def look(self) -> bool:
        """Return whether a part has died; called on one thread, every `PULSE_S`."""
        self._dead = self._dead or dead_part(self._node) or self._silent_part()
        return self._dead is not None

    @property
    def dead_part(self) -> str:
        """The part that has died, empty while all live."""
        return self._dead or ""

    def check(self) -> None:
        """Raise `RayPartDied` naming the part that has died."""
        if name := self._dead or dead_part(self._node):
            raise RayPartDied(name)

    def _silent_part(self) -> str | None:
        """Return the name of a part whose port has not answered for too long."""
        for name, address in self._ports.items():
            self._missed[name] = 0 if _answers(*address) else self._missed[name] + 1
        return next((name for name, missed in self._missed.items() if missed >= MISSED[name]), None)


def _ports() -> dict[str, tuple[str, int]]:
    """Return part -> host and port, of the cluster that this process has joined."""
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    here = next((node for node in ray.nodes() if node["NodeID"] == context.get_node_id()), None)
    own = {"node manager": (here["NodeManagerAddress"], here["NodeManagerPort"])} if here else {}
    return {"head": (host, int(port)), **own}


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=PULSE_S).close()
    except OSError:
        return False
    return True


class FirstLines(io.TextIOBase):
    """Passes on the first line of each message that Ray prints, without the logs of its parts that follow it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._open = stream, False

    def write(self, text: str) -> int:
        """Pass on the first line of a message; the death of a part is told by ourselves."""
        first = text.split("\n", 1)[0]
        if first and "Raylet is terminated" not in first:
            self._stream.write(first)
            self._open = True
        if text.endswith("\n") and self._open:
            self._stream.write("\n")
            self._open = False
        return len(text)

    def flush(self) -> None:
        """Pass it on."""
        self._stream.flush()


@contextmanager
def watch_ray(on_stuck: Callable[[str], object]) -> Iterator[RayWatch]:
    """Yield a watch that notes a person's first interrupt; a second one is raised where it comes, the first at the end.

    Once a part of Ray has died, `RayPartDied` is raised wherever the main thread is: it may wait in Ray for what will
    never come. Where Ray lets nothing through, `on_stuck` is called with the name of the part, on another thread; Ray
    will end the process. Tune's own handler, which would end its loop without a word on why, is switched off (see
    `RAY_ENVIRONMENT`).
    """
    watch, left = RayWatch(), threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        watch.check()
        if watch.interrupted.is_set():
            raise KeyboardInterrupt
        watch.interrupted.set()

    def keep_looking() -> None:
        tries = 0
        while not left.wait(PULSE_S):
            if not watch.look() or not main or left.is_set():
                continue
            _thread.interrupt_main()  # again until it has left: code in between may not let an exception out
            tries += 1
            if tries == STUCK_TRIES and not left.wait(PULSE_S):
                on_stuck(watch.dead_part)

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupt) if main else None
    looking = threading.Thread(target=keep_looking, daemon=True)
    looking.start()
    try:
        yield watch
    except Exception as problem:  # also what becomes of our own in code of Ray that lets nothing through
        if watch.dead_part:
            raise RayPartDied(watch.dead_part) from problem
        raise
    else:
        if watch.interrupted.is_set():
            raise KeyboardInterrupt
    finally:
        left.set()
        looking.join()
        if main:
            signal.signal(signal.SIGINT, before)
