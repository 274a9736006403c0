"""Data of the small hub on loopback: repositories, commits, files as listings show them, replies."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from pathlib import PurePosixPath
from typing import Any

import yaml

LFS_SUFFIXES = (".safetensors", ".flac", ".onnx")
LFS_MIN_SIZE = 1_000_000


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Message
    body: bytes
    user: str | None = None


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = ""  # how it is sent: cut, endless, bomb, slow, drip; empty for as it should be


class HubError(Exception):
    """A refusal, with the headers from which the client picks its exception class."""

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reply = json_reply({"error": message}, status)
        self.reply.headers |= {"X-Error-Message": message, "X-Error-Code": code, **(headers or {})}


@dataclass
class Commit:
    oid: str
    title: str
    date: str
    files: dict[str, bytes]


@dataclass
class Repo:
    id: str
    private: bool = False
    gated: bool = False
    downloads: int = 0
    commits: dict[str, Commit] = field(default_factory=dict)  # oldest first
    refs: dict[str, str] = field(default_factory=dict)  # main, then the tags

    def at(self, rev: str) -> Commit:
        """The commit that a branch, tag or full commit id names."""
        commit = self.commits.get(self.refs.get(rev, rev))
        if commit is None:
            raise HubError(404, "Invalid rev id", "RevisionNotFound")
        return commit


def json_reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value, default=str).encode(), {"Content-Type": "application/json"})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_lfs(path: str, size: int) -> bool:
    return size >= LFS_MIN_SIZE or (path.endswith(LFS_SUFFIXES) and size > 0)


def file_row(path: str, data: bytes) -> dict[str, Any]:
    """A file as listings show it; git has a pointer in place of an LFS file."""
    blob, lfs = data, {}
    if is_lfs(path, len(data)):
        oid = sha256(data)
        blob = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()
        lfs = {"lfs": {"oid": oid, "sha256": oid, "size": len(data), "pointerSize": len(blob)}}
    blob_id = hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()
    return {"type": "file", "path": path, "oid": blob_id, "size": len(data), **lfs}


def tree_rows(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    rows = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
    return rows + [file_row(path, data) for path, data in files.items()]


def front_matter(readme: str) -> Any:
    """The YAML block at the top of a model card, {} without one; `yaml.YAMLError` when it is malformed."""
    match = re.match(r"---\s*?\n(.*?)\n---\s*?(\n|\Z)", readme, re.DOTALL)
    return yaml.safe_load(match[1]) if match else {}


def repo_info(repo: Repo, commit: Commit, blobs: bool = False) -> dict[str, Any]:
    """What listings show of a repository at a commit; with `blobs`, sizes and hashes of its files."""
    card: Any = {}
    with suppress(yaml.YAMLError, ValueError):
        card = front_matter(commit.files.get("README.md", b"").decode("utf-8", "replace"))
    card = card if isinstance(card, dict) else {}
    tags = card["tags"] if isinstance(card.get("tags"), list) else []
    tags = [card.get("library_name"), card.get("pipeline_tag"), *tags]
    tags += [f"license:{card['license']}"] if "license" in card else []
    rows = [file_row(path, data) if blobs else {"path": path} for path, data in commit.files.items()]
    info: dict[str, Any] = {"id": repo.id, "author": repo.id.split("/")[0], "sha": commit.oid, "cardData": card}
    info |= {"createdAt": next(iter(repo.commits.values())).date, "lastModified": commit.date}
    info |= {"private": repo.private, "downloads": repo.downloads, "tags": [t for t in tags if isinstance(t, str)]}
    info |= {key: card.get(key) for key in ("library_name", "pipeline_tag")}
    return info | {"siblings": [{**row, "rfilename": row["path"], "blobId": row.get("oid")} for row in rows]}
