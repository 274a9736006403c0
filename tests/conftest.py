"""Every test runs quiet and off the network; the hub client reads its environment when it is imported."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from tests.support.bucket_server import Bucket
    from tests.support.hub_server import Hub

_HOME = tempfile.mkdtemp(prefix="ampzoo-tests-")
os.environ.update(
    HF_HOME=_HOME,
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_UPDATE_CHECK="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_XET="1",
    OMP_NUM_THREADS="1",
    RAY_USAGE_STATS_ENABLED="0",
    ZOO_HOME=os.path.join(_HOME, "shelf"),
    AMPZOO_CONFIG=os.path.join(_HOME, "config"),
)
os.environ.pop("HF_TOKEN", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as below nohup, or in the background of a shell's script
    signal.signal(signal.SIGINT, signal.default_int_handler)  # commands inherit it, and tests interrupt them

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported


@cache
def starts_ray(file: str) -> bool:
    """Whether a test file, named from the root of the project, has tests with the marker `ray`."""
    return "pytest.mark.ray" in (Path(__file__).parents[1] / file).read_text()


class Rows(LoadScopeScheduling):
    """Tests side by side: those of a file in one row, those of all files that start Ray in another."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "ray" if starts_ray(file) else file


def pytest_configure(config: pytest.Config) -> None:
    """Declare our marker; look for a library's words in every error of ours."""
    from tests.support.library_words import guard_user_errors

    guard_user_errors()
    config.addinivalue_line("markers", "ray: starts Ray; such tests run one after the other")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Rows:
    """How `make test` shares out the tests."""
    return Rows(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Ray come first: they take longest."""
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Hub]":
    """A hub that this process is logged in to, the current folder an empty one."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    from tests.support.hub_server import Hub

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", Hub.token)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AMPZOO_CONFIG", str(tmp_path / "config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with Hub(tmp_path / "hub") as hub:
        yield hub
    close_session()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Bucket]":
    """An empty bucket of an S3 on loopback, and what its client asks the environment for."""
    from tests.support.bucket_server import ENVIRONMENT, Bucket

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with Bucket() as bucket:
        yield bucket


@pytest.fixture
def pushed(hub: "Hub") -> "Hub":
    """The hub with the sound package on it."""
    from tests.support.packages import AMP, files

    hub.put(AMP, files())
    return hub


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A sound package in a folder."""
    from tests.support.packages import write_package

    return write_package(tmp_path / "package")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that has no room left."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
