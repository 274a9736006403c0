"""Storage of others' making: a study and recordings in a bucket of moto (S3) and of Google's emulator."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.core.errors import NotFound, UserError
from models.core.files import write_json
from search.config.study import read_search
from search.launch.launcher import run_search
from search.storage import recordings
from search.storage.recordings import load_amp
from search.storage.uri_store import Store
from search.study.board import read_study
from search.study.ledger import read_lines
from tests.support.bucket_server import ENVIRONMENT
from tests.support.packages import refused, zoo
from tests.support.searches import (
    PowerCut,
    counted,
    counted_costs,
    cut_after,
    search_file,
    stable_lines,
)
from tests.support.storage_servers import StorageServer, storage_server
from tests.support.store_contract import check_store

SCHEMES = ("s3", "gs")


@pytest.fixture(scope="module", params=SCHEMES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageServer]:
    """A server for each scheme."""
    with storage_server(request.param, tmp_path_factory.mktemp("server") / "log") as server:
        yield server


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that moto takes, and a cache of the test's own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(recordings, "cache_folder", lambda: tmp_path / "cache")


def searched(folder: Path, server: StorageServer, place: str, **changes: Any) -> Path:
    """Upload tiny takes below a place in the bucket; return a search file that names them there."""
    path = search_file(folder, amps=1, trials=3, **changes)
    takes, store = folder / "amp0", Store(server.uri(f"{place}/amp%200"))
    store.put(takes, [file.name for file in takes.iterdir()])
    document = json.loads(path.read_text())
    document["datasets"][0]["train"] = server.uri(f"{place}/amp%200/train.json")
    write_json(path, document)
    return path


def test_files_in_a_bucket(server: StorageServer, tmp_path: Path):
    check_store(Store(server.uri("files")), tmp_path / "here")


def test_a_search_that_lost_its_machine_goes_on_from_the_bucket(server: StorageServer, tmp_path: Path):
    path, words = searched(tmp_path, server, "lost"), ("--local", "--storage", server.uri("lost/study"))
    with counted_costs():
        ran = zoo("search", path, "--local", "--out", tmp_path / "whole")
        assert ran.code == 0, ran.err
        with pytest.raises(PowerCut):
            options = counted(local=True, storage=words[-1], listener=cut_after(4))
            run_search(read_search(path), tmp_path / "one", options)
        before = read_lines(tmp_path / "one")
        shutil.rmtree(tmp_path / "one")
        ran = zoo("search", path, "--out", tmp_path / "two", *words, "--resume", "--json")
    assert ran.code == 0, ran.err
    assert len(json.loads(ran.out)["trials"]) == 3
    assert read_lines(tmp_path / "two")[: len(before) - 1] == before[:-1], "what was in the bucket is not trained again"
    assert stable_lines(tmp_path / "two") == stable_lines(tmp_path / "whole")
    assert read_study(tmp_path / "two").datasets[0].train == server.uri("lost/amp%200/train.json")
    store = Store(words[-1])
    for file in (tmp_path / "two").rglob("*"):
        name = file.relative_to(tmp_path / "two").as_posix()
        assert file.is_dir() or name == "ledger.jsonl" or store.read(name) == file.read_bytes()
    refused(zoo("search", path, "--out", tmp_path / "three", *words), 1, "already holds a study", "--resume")


def test_a_bucket_that_does_not_exist(server: StorageServer, tmp_path: Path):
    path, missing = searched(tmp_path, server, "missing"), server.uri("study", bucket="nowhere")
    ran = zoo("search", path, "--local", "--out", tmp_path / "study", "--storage", missing)
    refused(ran, 3, "nowhere/study/ledger/000000", "its bucket does not exist", "Check its name")
    assert not (tmp_path / "study").exists(), "nothing was begun"
    ran = zoo("search", path, "--local", "--out", tmp_path / "study", "--storage", missing, "--resume")
    refused(ran, 3, "holds a study to continue", "Check --storage")
    with pytest.raises(NotFound, match="nowhere/amp/train.json.* does not exist$"):
        load_amp(read_search(path).datasets[0].model_copy(update={"train": server.uri("amp/train.json", "nowhere")}))


def test_a_bucket_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with storage_server("s3", tmp_path / "log") as server:
        path, words = searched(tmp_path, server, "denied"), ("--local", "--storage", server.uri("denied/study"))
        reader = server.make_reader()
        server.set_authentication(True)
        ran = zoo("search", path, "--out", tmp_path / "study", *words)
        refused(ran, 1, "denied/study", "cannot be used: access is denied", "credentials")
        with pytest.raises(UserError, match=r"denied/amp%200\S* cannot be used: access is denied$"):
            load_amp(read_search(path).datasets[0])
        for name, value in reader.items():
            monkeypatch.setenv(name, value)
        assert load_amp(read_search(path).datasets[0]).config.name == "amp0", "may be read"
        ran = zoo("search", path, "--out", tmp_path / "study", *words)
        refused(ran, 1, "denied/study/ledger/000000", "cannot be used: access is denied", "credentials")
        assert not (tmp_path / "study").exists(), "nothing was begun"
        server.set_authentication(False)
        ran = zoo("search", path, "--out", tmp_path / "study", *words)
        assert ran.code == 0, ran.err


def test_a_server_that_is_gone(tmp_path: Path):
    with storage_server("s3", tmp_path / "log") as server:
        store = Store(server.uri("gone"))
    with pytest.raises(UserError, match="cannot be used: its server does not answer$"):
        store.write("a", b"")
