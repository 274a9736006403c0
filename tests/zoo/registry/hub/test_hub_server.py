"""The test hub against the real client, so that the other tests may rely on it."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub import errors as hf
from huggingface_hub.utils import close_session

from tests.support.hub_server import Hub

REPO = "alice/plexi"
README = b"""---
library_name: ampzoo
license: cc-by-4.0
tags: [guitar, crunch]
ampzoo: {kind: amp, knobs: [{id: gain, min: 0, max: 10}]}
---
# Plexi
"""
FILES = {
    "README.md": README,
    "config.json": b"{}\n",
    "model.safetensors": b"\0weights\xff" * 500,
    "audio/di.flac": b"fLaC",
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path) as hub:
        yield hub
    close_session()


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=hub.token)


def push(api: HfApi, files: Mapping[str, bytes | Path], parent: str | None = None) -> str:
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    return api.create_commit(REPO, operations, commit_message="push", parent_commit=parent).oid


def test_publish_list_and_pull(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    assert api.whoami()["name"] == "alice"
    assert api.create_repo(REPO).repo_id == api.create_repo(REPO, exist_ok=True).repo_id == REPO
    first = api.model_info(REPO).sha
    commit = push(api, FILES, parent=first)
    assert {path: data for path, data in hub.files(REPO).items() if path in FILES} == FILES

    hub.requests.clear()
    [model] = api.list_models(
        filter="ampzoo",
        author="alice",
        search="PLEX",
        limit=5,
        expand=["cardData", "sha", "tags", "downloads", "lastModified"],
    )
    assert hub.requests == [("GET", "/api/models")]
    assert (model.id, model.sha, model.downloads) == (REPO, commit, 0)
    assert model.card_data is not None
    assert model.card_data["ampzoo"]["knobs"] == [{"id": "gain", "min": 0, "max": 10}]
    assert {"ampzoo", "guitar", "license:cc-by-4.0"} <= set(model.tags or [])
    assert model.last_modified is not None
    assert not list(api.list_models(filter=["ampzoo", "metal"]))

    rows = [row for row in api.model_info(REPO, files_metadata=True).siblings or [] if row.rfilename in FILES]
    assert {row.rfilename: row.size for row in rows} == {path: len(data) for path, data in FILES.items()}
    large = {path: hashlib.sha256(FILES[path]).hexdigest() for path in ("audio/di.flac", "model.safetensors")}
    assert {row.rfilename: row.lfs.sha256 for row in rows if row.lfs} == large

    api.create_tag(REPO, tag="v1.0.0")
    with pytest.raises(hf.HfHubHTTPError, match="409"):
        api.create_tag(REPO, tag="v1.0.0")
    assert [(ref.name, ref.target_commit) for ref in api.list_repo_refs(REPO).tags] == [("v1.0.0", commit)]
    push(api, {"config.json": b"{1}\n"})
    for revision in (commit, "v1.0.0"):
        folder = tmp_path / revision
        api.snapshot_download(REPO, revision=revision, local_dir=folder)
        assert {path: (folder / path).read_bytes() for path in FILES} == FILES
        assert not api.verify_repo_checksums(REPO, revision=revision, local_dir=folder).mismatches

    tree = {row.path for row in api.list_repo_tree(REPO, recursive=True)}
    assert tree == {*FILES, "audio", ".gitattributes"}
    assert [row.path for row in api.list_repo_tree(REPO, "audio")] == ["audio/di.flac"]


def test_no_op_stale_parent_and_delete(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    api.create_repo(REPO)
    file = tmp_path / "model.safetensors"
    file.write_bytes(FILES["model.safetensors"])
    first = push(api, {**FILES, "model.safetensors": file})
    assert hub.files(REPO)["model.safetensors"] == FILES["model.safetensors"]
    hub.requests.clear()
    assert push(api, FILES) == first
    assert not [path for method, path in hub.requests if method == "PUT" or "/commit/" in path]
    second = push(api, {"config.json": b"[]"})
    with pytest.raises(hf.HfHubHTTPError, match="412"):
        push(api, {"config.json": b"[1]"}, parent=first)
    api.create_commit(REPO, [CommitOperationDelete("audio/di.flac")], commit_message="delete", parent_commit=second)
    assert "audio/di.flac" not in hub.files(REPO)
    assert "audio/di.flac" in hub.files(REPO, first)
    api.delete_repo(REPO)
    assert not api.repo_exists(REPO)


def test_refusals(hub: Hub, api: HfApi) -> None:
    hub.put(REPO, FILES)
    anonymous = HfApi(endpoint=hub.url, token=False)
    with pytest.raises(hf.RepositoryNotFoundError, match="401"):
        push(anonymous, FILES)
    with pytest.raises(hf.HfHubHTTPError, match="401"):
        anonymous.create_repo("alice/other")
    with pytest.raises(hf.HfHubHTTPError, match="403"):
        api.create_repo("bob/plexi")
    with pytest.raises(ValueError, match="Invalid metadata"):
        push(api, {"README.md": b"---\na: [\n---\n"})
    with pytest.raises(hf.RepositoryNotFoundError, match="404"):
        api.model_info("alice/nothing")
    with pytest.raises(hf.RevisionNotFoundError):
        api.model_info(REPO, revision="v9")
    with pytest.raises(hf.RemoteEntryNotFoundError):
        api.hf_hub_download(REPO, "nothing.json")
    with pytest.raises(hf.HfHubHTTPError, match="501"):
        api.dataset_info("alice/data")
    assert isinstance(hub.errors.pop(), NotImplementedError)  # else the fixture would raise it
    api.create_repo("alice/secret", private=True)
    assert (api.repo_exists("alice/secret"), anonymous.repo_exists("alice/secret")) == (True, False)


def test_faults_and_outage(hub: Hub, api: HfApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client's pauses between attempts
    commit = hub.put(REPO, FILES)
    hub.fail("GET", f"/api/models/{REPO}$", [503])
    with pytest.raises(hf.HfHubHTTPError, match="503"):
        api.model_info(REPO)
    assert api.model_info(REPO).sha == commit

    hub.fail("PUT", "/lfs/", [500, 500])
    new = {"model.safetensors": b"new"}
    hub.fail("POST", "/commit/", [500], after=True)
    with pytest.raises(hf.HfHubHTTPError, match="500"):
        push(api, new, parent=commit)
    assert [method for method, _ in hub.requests].count("PUT") == 3
    assert hub.files(REPO)["model.safetensors"] == b"new"
    assert api.model_info(REPO).sha != commit

    hub.corrupt(r"\.safetensors$")
    api.snapshot_download(REPO, local_dir=tmp_path / "pull")
    data = (tmp_path / "pull/model.safetensors").read_bytes()
    assert len(data) == 3
    assert data != b"new"

    hub.close()
    with pytest.raises(httpx2.ConnectError):
        api.model_info(REPO)
