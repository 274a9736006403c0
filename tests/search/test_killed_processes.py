"""A command that is killed while it downloads for `--from` or uploads for `--submit`: what it left goes soon."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.core.scratch import PREFIX
from tests.support.hub_server import Hub
from tests.support.packages import AMP, ZOO, around, files, shell
from tests.support.searches import search_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system has no such signals")

KILLS = (signal.SIGKILL, signal.SIGTERM)


class Killed:
    """A command in a process of its own, with a temporary folder of its own, that is killed at some moment."""

    def __init__(self, folder: Path, kill: signal.Signals) -> None:
        self.temporary, self._kill = folder / "tmp", kill
        self.temporary.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.reached = threading.Event()

    def run(self, *words: object) -> None:
        """Start the command and wait for its end."""
        env = around(TMPDIR=str(self.temporary))
        with subprocess.Popen([ZOO, *map(str, words)], env=env, stderr=subprocess.PIPE) as self.process:
            told = self.process.communicate(timeout=120)[1]
        assert self.reached.is_set(), told.decode()
        assert self.process.returncode == -self._kill, told.decode()

    def kill(self) -> None:
        """Kill the command; called while it waits for an answer."""
        assert self.process
        self.reached.set()
        self.process.send_signal(self._kill)
        self.process.wait(timeout=60)

    def left(self) -> list[str]:
        """What lies in the temporary folder."""
        return sorted(path.name for path in self.temporary.iterdir())

    def check(self) -> None:
        """One folder of ours was left, and the next command removes it."""
        (name,) = self.left()
        assert name.startswith(PREFIX) and any(path.is_file() for path in (self.temporary / name).rglob("*"))
        assert shell("list", TMPDIR=str(self.temporary)).code == 0
        assert self.left() == []


@pytest.fixture(params=KILLS, ids=lambda kill: kill.name)
def killed(request: pytest.FixtureRequest, tmp_path: Path) -> Killed:
    return Killed(tmp_path, request.param)


def test_killed_in_a_download_of_from(killed: Killed, pushed: Hub, tmp_path: Path):
    pushed.before("GET", rf"{AMP}/resolve/.*/eval.json", killed.kill)
    config = search_file(tmp_path / "here", amps=1)
    killed.run("search", config, "--out", tmp_path / "study", "--from", "zoo:", "--zoo", pushed.url)
    killed.check()
    assert not (tmp_path / "study").exists()
    assert pushed.files(AMP).keys() >= files().keys()


def test_killed_in_the_upload_of_submit(killed: Killed, tmp_path: Path):
    config = search_file(tmp_path, amps=1)
    with_dashboard(killed.kill, lambda url: killed.run("search", config, "--submit", url))
    killed.check()


def with_dashboard(on_upload: Callable[[], None], use: Callable[[str], None]) -> None:
    """Serve what Ray's job client asks for until it uploads the working folder."""

    class Dashboard(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.startswith("/api/version")
            body = json.dumps({"version": "4", "ray_version": "2.0.0", "ray_commit": "0"}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            on_upload()

        def log_message(self, format: str, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Dashboard)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        use(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
