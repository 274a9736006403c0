"""A small Hugging Face hub on loopback, so that tests can drive the real `huggingface_hub` client over HTTP.

Repositories have one branch and tags, and live in memory; large files take the classic LFS route (HF_HUB_DISABLE_XET=1)
and lie on disk. A request that it does not implement is an error, kept in `Hub.errors`.
"""

import base64
import gzip
import hashlib
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import yaml

from tests.support.hub_store import (
    LFS_SUFFIXES,
    Commit,
    HubError,
    Reply,
    Repo,
    Request,
    file_row,
    front_matter,
    is_lfs,
    json_reply,
    repo_info,
    sha256,
    tree_rows,
)

BOMB = 256 << 20  # bytes of an endless body, or of a bomb unpacked
SLOW_SECONDS = 3.0
DRIPS, DRIP_SECONDS = 8, 0.3
LIST_FIELDS = ["private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt"]


class Hub(ThreadingHTTPServer):
    """Serves inside a `with` block, at whose end it raises the first handler error, if there was any."""

    request_queue_size = 64
    token, user = "hf_alice_test_token", "alice"

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.cdn = f"http://localhost:{self.server_port}"  # another origin, as the real one
        self.lfs = root / "hub-lfs"
        self.lfs.mkdir(parents=True, exist_ok=True)
        self.users = {self.token: self.user}
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self._faults: list[tuple[str, str, list[int], bool, str]] = []
        self._corrupt: list[tuple[str, list[int]]] = []
        self._manners: list[tuple[str, str, list[int]]] = []
        self._hooks: list[tuple[str, str, Callable[[], object]]] = []
        self.collections: dict[str, list[str]] = {}
        self.max_page = 1000
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None:
        self.close()
        if exc_type is None and self.errors:
            raise self.errors[0]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no fault of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def close(self) -> None:
        """Stop for good; a test may call it early, to stage an outage."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def put(self, repo_id: str, files: Mapping[str, bytes]) -> str:
        """Commit unchecked files server-side, into a new repository if need be; returns the commit id."""
        with self._lock:
            repo = self.repos.get(repo_id) or self._new_repo(repo_id)
            return self._commit(repo, {**repo.at("main").files, **files}, "put")

    def files(self, repo_id: str, rev: str = "main") -> dict[str, bytes]:
        """Everything in a repository at a revision."""
        return dict(self.repos[repo_id].at(rev).files)

    def fail(
        self, method: str, path_regex: str, statuses: list[int], after: bool = False, message: str = "injected fault"
    ) -> None:
        """Answer the next matching requests with these statuses and words; with `after`, they still take effect."""
        self._faults.append((method, path_regex, list(statuses), after, message))

    def corrupt(self, path_regex: str, times: int = 1000) -> None:
        """Flip one bit of each of the next files served from a matching resolve or CDN path."""
        self._corrupt.append((path_regex, [1] * times))

    def send(self, manner: str, path_regex: str, times: int = 1000) -> None:
        """Send the next matching answers `cut`, `endless`, as a gzip `bomb`, far too `slow`, or in a `drip`."""
        self._manners.append((manner, path_regex, [1] * times))

    def before(self, method: str, path_regex: str, action: Callable[[], object]) -> None:
        """Do something just before the first matching request is answered: what another person does meanwhile."""
        self._hooks.append((method, path_regex, action))

    def handle(self, request: Request) -> Reply:
        """Answer a request, one at a time, so that commits are atomic."""
        with self._lock:
            reply = self._handle(request)
            for manner, path_regex, times in self._manners:
                if times and reply.status == 200 and re.search(path_regex, request.path):
                    times.pop()
                    reply.manner = manner
            return reply

    def _handle(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append((request.method, request.path))
            for hook in [h for h in self._hooks if h[0] == request.method and re.search(h[1], request.path)]:
                self._hooks.remove(hook)
                hook[2]()
            for method, path_regex, statuses, after, message in self._faults:
                if statuses and method == request.method and re.search(path_regex, request.path):
                    if after:
                        self._answer(request)
                    # The client waits Retry-After + 1 s between attempts.
                    return HubError(statuses.pop(0), message, headers={"Retry-After": "0"}).reply
            return self._answer(request)

    def _answer(self, request: Request) -> Reply:
        try:
            if authorization := request.headers.get("Authorization"):
                request.user = self.users.get(authorization.removeprefix("Bearer "))
                if request.user is None:
                    raise HubError(401, "Invalid credentials in Authorization header")
            return self._route(request, [unquote(part) for part in request.path.split("/")[1:]])
        except HubError as error:
            return error.reply
        except Exception as error:
            logging.getLogger(__name__).exception("the test hub failed")
            self.errors.append(error)
            return HubError(501, "The test hub failed").reply  # a status that the client does not retry

    def _repo(self, request: Request, repo_id: str, write: bool) -> Repo:
        repo, owned = self.repos.get(repo_id), request.user == repo_id.removeprefix("spaces/").split("/")[0]
        if repo is None or (repo.private and not owned) or (write and not request.user):
            raise HubError(404 if request.user else 401, "Repository not found", "RepoNotFound")
        if write and not owned:
            raise HubError(403, "No write access to this repository")
        return repo

    def _new_repo(self, repo_id: str, private: bool = False) -> Repo:
        repo = self.repos[repo_id] = Repo(repo_id, private)
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        self._commit(repo, {".gitattributes": attributes.encode()}, "initial commit")
        return repo

    def _commit(self, repo: Repo, files: dict[str, bytes], title: str) -> str:
        for data in (data for path, data in files.items() if is_lfs(path, len(data))):
            (self.lfs / sha256(data)).write_bytes(data)
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        oid = hashlib.sha1(f"{repo.id} {len(repo.commits)} {date}".encode()).hexdigest()
        repo.commits[oid] = Commit(oid, title, date, files)
        repo.refs["main"] = oid
        return oid

    def _content(self, request: Request, data: bytes, headers: dict[str, str]) -> Reply:
        times = next((left for path_regex, left in self._corrupt if left and re.search(path_regex, request.path)), None)
        if data and times:
            times.pop()
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        return Reply(200, data, headers)

    def _route(self, request: Request, parts: list[str]) -> Reply:
        match [request.method, *parts]:
            case ["GET", "api", "whoami-v2"]:
                if request.user is None:
                    raise HubError(401, "Invalid username or password.")
                auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}}
                return json_reply({"type": "user", "name": request.user, "orgs": [], "auth": auth})
            case ["POST", "api", "validate-yaml"]:
                try:
                    front_matter(json.loads(request.body)["content"])
                except (yaml.YAMLError, ValueError) as error:
                    return json_reply({"errors": [{"message": str(error)}], "warnings": []}, 400)
                return json_reply({"errors": [], "warnings": []})
            case ["POST", "api", "repos", "create"]:
                return self._create_repo(request, json.loads(request.body))
            case ["DELETE", "api", "repos", "delete"]:
                body = json.loads(request.body)
                repo_id = f"{body.get('organization') or request.user}/{body['name']}"
                del self.repos[self._repo(request, repo_id, write=True).id]
                return json_reply({})
            case ["GET", "api", "models"]:
                return self._list_page(request)
            case ["GET", "api", "collections", owner, title]:
                items = self.collections.get(f"{owner}/{title}")
                if items is None:
                    raise HubError(404, "Collection not found")
                return json_reply({"slug": f"{owner}/{title}", "items": [{"type": "model", "id": i} for i in items]})
            case [_, "api", "models", owner, name, *rest]:
                repo = self._repo(request, f"{owner}/{name}", write=request.method != "GET")
                return self._model_api(request, repo, rest)
            case [_, "api", "spaces", owner, name, *rest]:
                return self._model_api(request, self._repo(request, f"spaces/{owner}/{name}", write=True), rest)
            case ["POST", "spaces", owner, name, "info", "lfs", "objects", action]:
                repo = self._repo(request, f"spaces/{owner}/{name.removesuffix('.git')}", write=True)
                return self._lfs_api(repo.id, action, json.loads(request.body))
            case ["GET" | "HEAD", owner, name, "resolve", rev, *path]:
                repo = self._repo(request, f"{owner}/{name}", write=False)
                if repo.gated and request.user != owner:
                    raise HubError(403, "Access to this model is restricted", "GatedRepo")
                return self._resolve(request, repo.id, repo.at(rev), "/".join(path))
            case ["POST", owner, name, "info", "lfs", "objects", action]:
                repo = self._repo(request, f"{owner}/{name.removesuffix('.git')}", write=True)
                return self._lfs_api(repo.id, action, json.loads(request.body))
            case ["PUT", "lfs", oid]:
                if request.user or sha256(request.body) != oid:
                    raise HubError(400, "The upload carries a token, or other bytes than announced")
                (self.lfs / oid).write_bytes(request.body)
                return json_reply({})
            case ["GET", "cdn", _, _, oid, *_]:
                if request.user:
                    raise HubError(400, "A token was sent to the CDN")
                return self._content(request, (self.lfs / oid).read_bytes(), {"ETag": f'"{oid}"'})
        raise NotImplementedError(f"{request.method} {request.path}")

    def _create_repo(self, request: Request, body: dict[str, Any]) -> Reply:
        owner = body.get("organization") or request.user
        if request.user is None or owner != request.user:
            raise HubError(403 if request.user else 401, "No right to create a repository here")
        kind = body.get("type", "model")
        if kind not in ("model", "space") or (kind == "space" and body.get("sdk") != "static"):
            raise NotImplementedError(f"a repository of type {kind}")
        repo_id = f"{'spaces/' if kind == 'space' else ''}{owner}/{body['name']}"
        exists = repo_id in self.repos
        if not exists:
            self._new_repo(repo_id, private=body.get("visibility") == "private")
        return json_reply({"url": f"{self.url}/{repo_id}", "name": repo_id}, 409 if exists else 200)

    def _list_page(self, request: Request) -> Reply:
        """One page, and where the next one is."""
        models = list(self._list_models(request.query, request.user))
        start = int(request.query.get("cursor", ["0"])[0])
        stop = start + min(self.max_page, int(request.query.get("limit", ["1000"])[0]))
        reply = json_reply(models[start:stop])
        if stop < len(models):
            query = urlencode({**request.query, "cursor": [str(stop)]}, doseq=True)
            reply.headers["Link"] = f'<{self.url}/api/models?{query}>; rel="next"'
        return reply

    def _list_models(self, query: dict[str, list[str]], user: str | None) -> Iterator[dict[str, Any]]:
        infos = [repo_info(repo, repo.at("main")) for repo in self.repos.values()]
        infos = [info for info in infos if not info["private"] or info["author"] == user]
        infos = [info for info in infos if set(query.get("filter", [])) <= set(info["tags"])]
        infos = [info for info in infos if info["author"] in query.get("author", [info["author"]])]
        infos = [info for info in infos if query.get("search", [""])[0].lower() in info["id"].lower()]
        sort = query.get("sort", ["createdAt"])[0]
        full = ["author", "sha", "lastModified", "siblings"] if "full" in query else []
        card = ["cardData"] if "cardData" in query else []
        wanted = ["id", *query.get("expand", LIST_FIELDS + full + card)]
        for info in sorted(infos, key=lambda info: info[sort], reverse=True):
            yield {key: info[key] for key in wanted if key in info}

    def _model_api(self, request: Request, repo: Repo, parts: list[str]) -> Reply:
        """What follows /api/models/{repo}."""
        match [request.method, *parts]:
            case ["GET"] | ["GET", "revision", _]:
                info = repo_info(repo, repo.at(parts[1] if parts else "main"), blobs="blobs" in request.query)
                wanted = ["id", *request.query.get("expand", info)]
                return json_reply({key: info[key] for key in wanted if key in info})
            case ["GET", "tree", rev, *folders]:
                prefix = "".join(f"{folder}/" for folder in folders)
                rows = [row for row in tree_rows(repo.at(rev).files) if row["path"].startswith(prefix)]
                if not rows:
                    raise HubError(404, "Entry not found", "EntryNotFound")
                recursive = request.query.get("recursive") == ["true"]
                return json_reply([row for row in rows if recursive or "/" not in row["path"].removeprefix(prefix)])
            case ["GET", "refs"]:
                refs = [{"name": name, "ref": f"refs/{name}", "targetCommit": oid} for name, oid in repo.refs.items()]
                return json_reply({"branches": refs[:1], "tags": refs[1:], "converts": []})
            case ["POST", "tag", rev]:
                tag = json.loads(request.body)["tag"]
                if tag in repo.refs:
                    raise HubError(409, "Tag reference exists already")
                repo.refs[tag] = repo.at(rev).oid
                return json_reply({})
            case ["POST", "preupload", rev]:
                oids = {row["path"]: row.get("lfs", row)["oid"] for row in tree_rows(repo.at(rev).files)}
                files = json.loads(request.body)["files"]
                for file in files:
                    mode = "lfs" if is_lfs(file["path"], file["size"]) else "regular"
                    file |= {"oid": oids.get(file["path"]), "uploadMode": mode, "shouldIgnore": False}
                return json_reply({"files": files})
            case ["POST", "commit", "main"]:
                pr = request.query.get("create_pr") == ["1"]
                return self._create_commit(repo, [json.loads(line) for line in request.body.splitlines()], pr)
        raise NotImplementedError(f"{request.method} {request.path}")

    def _create_commit(self, repo: Repo, operations: list[dict[str, Any]], pr: bool) -> Reply:
        head = repo.at("main")
        files, title = dict(head.files), ""
        for operation in operations:
            match operation["key"], operation["value"]:
                case "header", {"summary": title, **rest}:
                    if rest.get("parentCommit", head.oid) != head.oid:
                        raise HubError(412, "A commit has happened since. Please refresh and try again.")
                case "file", {"path": path, "content": content}:
                    files[path] = base64.b64decode(content)
                case "lfsFile", {"path": path, "oid": oid}:
                    files[path] = (self.lfs / oid).read_bytes()
                case "deletedFile", {"path": path}:
                    if files.pop(path, None) is None:
                        raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
                case key, _:
                    raise NotImplementedError(f"commit operation {key}")
        oid = self._commit(repo, files, title)
        created = {"commitUrl": f"{self.url}/{repo.id}/commit/{oid}", "commitOid": oid}
        if pr:
            repo.refs |= {"main": head.oid, "refs/pr/1": oid}
            created["pullRequestUrl"] = f"{self.url}/{repo.id}/discussions/1"
        return json_reply(created)

    def _lfs_api(self, repo_id: str, action: str, body: dict[str, Any]) -> Reply:
        """Batch says where to upload objects (nowhere, if they are here already), verify checks one."""
        if action == "batch":
            verify = {"href": f"{self.url}/{repo_id}.git/info/lfs/objects/verify"}
            for row in (row for row in body["objects"] if not (self.lfs / row["oid"]).exists()):
                row["actions"] = {"upload": {"href": f"{self.cdn}/lfs/{row['oid']}"}, "verify": verify}
            return json_reply({"objects": body["objects"]})
        if not (self.lfs / body["oid"]).exists():
            raise HubError(404, "This object was not uploaded")
        return json_reply({})

    def _resolve(self, request: Request, repo_id: str, commit: Commit, path: str) -> Reply:
        """A file's bytes, or for LFS a redirect to the CDN, with the headers that identify it."""
        headers = {"X-Repo-Commit": commit.oid}
        if path not in commit.files:
            raise HubError(404, "Entry not found", "EntryNotFound", headers)
        row = file_row(path, commit.files[path])
        if "lfs" not in row:
            return self._content(request, commit.files[path], {**headers, "ETag": f'"{row["oid"]}"'})
        oid = row["lfs"]["oid"]
        headers |= {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(row["size"])}
        return Reply(302, b"", {**headers, "Location": f"{self.cdn}/cdn/{repo_id}/{oid}/{quote(path)}"})


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.0 in and out of `Hub.handle`: without kept-alive connections, a closed hub answers nobody."""

    disable_nagle_algorithm = True
    wbufsize = 65536

    def do_GET(self) -> None:
        assert isinstance(self.server, Hub)
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = self.server.handle(Request(self.command, url.path, parse_qs(url.query), self.headers, body))
        self.send_response(reply.status)
        unlike = {"endless": {}, "bomb": {"Content-Encoding": "gzip"}}
        more = unlike.get(reply.manner, {"Content-Length": str(len(reply.body))})
        more["Access-Control-Allow-Origin"] = "*"
        for name, value in {**reply.headers, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):  # the client may have closed the connection
                self._send(reply)

    def _send(self, reply: Reply) -> None:
        if reply.manner == "cut":
            self.wfile.write(reply.body[: len(reply.body) // 2])
        elif reply.manner == "endless":
            for _ in range(BOMB >> 16):
                self.wfile.write(b" " * (1 << 16))
        elif reply.manner == "bomb":
            self.wfile.write(gzip.compress(b" " * BOMB, 1))
        elif reply.manner == "slow":
            self.wfile.flush()
            time.sleep(SLOW_SECONDS)
        elif reply.manner == "drip":
            part = -(-len(reply.body) // DRIPS)
            for start in range(0, len(reply.body), part):
                self.wfile.write(reply.body[start : start + part])
                self.wfile.flush()
                time.sleep(DRIP_SECONDS)
        else:
            self.wfile.write(reply.body)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Keep stderr for errors."""
