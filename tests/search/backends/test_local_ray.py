"""Ray that a search starts on this machine: who can reach it, what it leaves, and what is said when it dies."""

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from models.core.cache import cache_folder
from models.core.errors import UserError
from models.core.scratch import PREFIX
from search.backends import local_ray
from search.backends.ray_errors import refused_join
from search.backends.ray_parts import FirstLines, watch_ray
from search.study.ledger import read_lines
from search.study.lines import TrialReport
from tests.support.ray_nodes import session_processes
from tests.support.searches import RAY_WARNINGS, search_file, wait_until

pytestmark = [pytest.mark.ray, *RAY_WARNINGS]

SECRETS = {"AWS_ACCESS_KEY_ID": "EXPOSED1", "AWS_SECRET_ACCESS_KEY": "EXPOSED2", "AWS_SESSION_TOKEN": "EXPOSED3"}

PHASES = ["loading Ray", "starting Ray", "training"]

LONG: dict[str, Any] = {"steps": 20_000, "batch": 2, "segment": 256, "report_every": 10}


class LocalSearches:
    """Searches of one study, in processes of their own, with a home and a temporary folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.path, self.study = search_file(folder, amps=1, trials=2, learning=LONG), folder / "study"
        self.home, self.temporary = folder / "home", folder / ("t" * 110)
        self.home.mkdir()
        self.temporary.mkdir()

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A search that has made a report, or another one."""
        before = len(self.reports())
        own = {"HOME": str(self.home), "TMPDIR": str(self.temporary), "AMPZOO_CACHE": str(cache_folder()), **SECRETS}
        search = subprocess.Popen(
            [sys.executable, "-c", "from zoo.cli.main import main; main()", "search", self.path, "--out", self.study]
            + list(words),
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            wait_until(lambda: len(self.reports()) > before or search.poll() is not None)
            assert search.poll() is None, search.communicate()[1]
            yield search
        finally:
            for process in session_processes(search.pid):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            search.communicate()

    def reports(self) -> list[TrialReport]:
        return [line for line in read_lines(self.study) if isinstance(line, TrialReport)]

    def leftovers(self) -> list[Path]:
        """All that is left in temporary folders but for a cache of torch, and of checkpoints being written."""
        found = [*self.temporary.iterdir(), *self.study.rglob("scratch*")]
        return [path for path in found if not path.name.startswith("torchinductor_")]


def part_of(search: subprocess.Popen[str], name: str) -> int:
    """The process of a part of Ray, by the name of its program."""
    for process in session_processes(search.pid):
        with suppress(OSError):
            if Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].endswith(name.encode()):
                return process
    raise AssertionError(f"there is no {name}")


def listening(processes: list[int]) -> set[str]:
    """The addresses at which processes listen, as hexadecimal numbers."""
    own = set()
    for process in processes:
        with suppress(OSError):
            own |= {os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in own:
                found.add(words[1].partition(":")[0])
    return found


def session_folder(search: subprocess.Popen[str]) -> Path:
    """The folder of Ray's session."""
    words = Path(f"/proc/{part_of(search, 'raylet')}/cmdline").read_text().replace("\0", " ")
    found = re.search(r"(/\S*/ampzoo-tmp-[^/ ]+)/r/session_", words)
    assert found, words
    return Path(found[1])


def told(search: subprocess.Popen[str]) -> str:
    """What a search that has failed said."""
    out, err = search.communicate(timeout=600)
    assert out == "" and search.returncode == 1, err
    phases = [line for line in err.splitlines() if line in PHASES]
    assert phases[-3:] == PHASES, err
    assert len(err.splitlines()) < 12 and "state-dump" not in err and "Traceback" not in err, err
    return " ".join(err.split())


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_local_search_is_private_and_leaves_nothing_however_it_ends(tmp_path: Path):
    searches = LocalSearches(tmp_path)
    with searches.running() as search:
        everything = session_processes(search.pid)
        assert listening(everything) <= {"0100007F", "0000000000000000FFFF00000100007F"}, "127.0.0.1 alone"
        assert len(listening(everything)) == 2
        folder = session_folder(search)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(str(folder)) < 40, "sockets have room, whatever TMPDIR is"
        environment = Path(f"/proc/{part_of(search, 'raylet')}/environ").read_bytes().split(b"\0")
        (token,) = [word.partition(b"=")[2] for word in environment if word.startswith(b"RAY_AUTH_TOKEN=")]
        hidden = [token, b"EXPOSED"]
        looked = 0
        walks = (os.walk(place) for place in (folder, searches.study))
        for file in (Path(at, name) for walk in walks for at, _, names in walk for name in names):
            with suppress(OSError):  # sockets, and checkpoints that are replaced meanwhile
                assert not any(secret in file.read_bytes() for secret in hidden), file
                looked += 1
        assert looked > 20
        for process in everything:
            with suppress(OSError):
                assert not any(word in Path(f"/proc/{process}/cmdline").read_bytes() for word in hidden)
        assert not (searches.home / ".ray").exists()
        os.kill(part_of(search, "gcs_server"), signal.SIGKILL)
        text = told(search)
        assert "stopped: Ray's head died" in text and f"--out {searches.study} --resume" in text
    assert not folder.exists() and not searches.leftovers()

    with searches.running("--resume") as search:
        again = session_folder(search)
        os.kill(part_of(search, "raylet"), signal.SIGKILL)
        assert "stopped: Ray's node manager died" in told(search)
    assert not again.exists() and not searches.leftovers()

    with searches.running("--resume") as search:
        killed = session_folder(search)
        search.kill()
        search.wait()
        wait_until(lambda: not session_processes(search.pid))

    with searches.running("--resume") as search:
        assert not killed.exists(), "the next search takes it away"
        last = session_folder(search)
        search.send_signal(signal.SIGINT)
        _, err = search.communicate(timeout=600)
        assert search.returncode == 130 and "stopped after 0 of 2 trials" in err
    assert not last.exists() and not searches.leftovers()


def test_folders_of_living_searches_are_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    short = Path(os.path.realpath(f"/tmp/{tmp_path.name[:8]}-{os.getpid()}"))
    short.mkdir()
    try:
        monkeypatch.setenv("RAY_TMPDIR", str(short))
        with local_ray.private_folder() as held, local_ray.private_folder() as other:
            assert held.parent == other.parent == short and held.exists()
            dead = short / f"{PREFIX}dead"
            dead.mkdir()
            (short / f"{PREFIX}link").symlink_to(tmp_path)
            with local_ray.private_folder():
                assert held.exists() and other.exists() and tmp_path.exists() and not dead.exists()
        assert not held.exists() and not other.exists()
    finally:
        for path in short.iterdir():
            path.unlink()
        short.rmdir()


def test_no_short_folder_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(local_ray, "SHORT_FOLDERS", ())
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/" + "t" * 100)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("t" * 100)))
    with (
        pytest.raises(UserError, match="no temporary folder has a name of at most") as refused,
        local_ray.private_folder(),
    ):
        pass
    assert "RAY_TMPDIR" in refused.value.hint


def test_a_start_that_fails_is_told_in_our_words(monkeypatch: pytest.MonkeyPatch):
    def fail(**options: Any) -> None:
        assert os.environ["RAY_AUTH_MODE"] == "token"
        raise RuntimeError("lines of Ray\nno room")

    monkeypatch.setattr("ray.init", fail)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(UserError, match="here: Ray failed with RuntimeError") as told, local_ray.own_ray():
        pass
    assert "--local" in told.value.hint and "zoo --debug" in told.value.hint
    assert os.environ["RAY_AUTH_TOKEN"] == "mine" and "RAY_AUTH_MODE" not in os.environ


WAITING = """
import os, sys, time
from types import SimpleNamespace
from search.backends.environment import set_environment
set_environment(None)
import ray
from ray._private import worker
from search.backends.local_ray import abandon_ray, own_ray
from search.backends.ray_errors import part_died, ray_errors
from search.backends.ray_parts import watch_ray

@ray.remote(num_cpus=0)
class Pruned:
    def process(self): return os.getpid()
    def add(self): time.sleep(1000)

def end(part, actor):
    if part == "worker":
        return os.kill(actor, 9)
    (started,) = worker._global_node.all_processes[part]
    os.kill(started.process.pid, 9)

search = SimpleNamespace(study="S", stopped=None)

def stuck(name):
    abandon_ray()
    print("RayEnded", (ended := part_died(search, name)), ended.hint, flush=True)
    os._exit(3)

try:
    with own_ray(include_dashboard=False, num_cpus=1, log_to_driver=False):
        with ray_errors(search), watch_ray(stuck):
            actor = Pruned.remote()
            process = ray.get(actor.process.remote())
            waiting = actor.add.remote()
            end(sys.argv[1], process)
            ray.get(waiting)
except BaseException as problem:
    print(type(problem).__name__, problem, getattr(problem, "hint", ""), flush=True)
    os._exit(3)
"""


def test_an_interrupt_that_nobody_asks_for_is_raised_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt), watch_ray(done.append) as watch:
        os.kill(os.getpid(), signal.SIGINT)
        assert watch.interrupted.wait(60)
        done.append("the rest")
    assert done == ["the rest"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


DEATHS = {"raylet": "Ray's node manager died", "gcs_server": "Ray's head died", "worker": "a process of Ray died"}


@pytest.mark.parametrize("part", DEATHS)
def test_a_death_while_the_driver_waits_in_ray_is_told(part: str, tmp_path: Path):
    """As in the actor of pruned trials, which groups on a GPU have."""
    words, said = [sys.executable, "-c", WAITING, part], tmp_path / "said"
    with said.open("w") as file:  # a pipe could stay open in a process of Ray
        done = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, timeout=900, check=False)
    told = said.read_text()
    assert done.returncode == 3, told
    assert f"RayEnded the search in S stopped: {DEATHS[part]}" in told and "--resume" in told


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            RuntimeError(
                "Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n    Python: 3.10.1\n"
                "This process was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
            ),
            "the cluster at h:1 runs Ray 2.9.0 and Python 3.10.1, this machine Ray 2.60.0 and Python 3.11.7",
        ),
        (RuntimeError("lines\nno room"), "the cluster at h:1 cannot be joined: Ray failed with RuntimeError"),
        (OSError(28, "No space left on device"), "the cluster at h:1 cannot be joined: No space left on device"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_told(problem: Exception, told: str):
    refused = refused_join("h:1", problem)
    assert refused.message == told and refused.hint


def test_only_the_first_line_of_what_ray_prints_is_passed_on(capsys: pytest.CaptureFixture[str]):
    stream = FirstLines(sys.stdout)
    for text in (
        "(raylet) a node is lost\n    more",
        "\n",
        "(raylet) Raylet is terminated. Why\n  [state-dump] x",
        "\n",
        "b\n",
    ):
        stream.write(text)
    assert capsys.readouterr().out == "(raylet) a node is lost\nb\n"
