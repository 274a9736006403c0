"""A small S3 on loopback, so that tests can drive pyarrow's real client over HTTP: one bucket in memory, no accounts.

What it does not implement it refuses with 501, which fails the test.
"""

import hashlib
import re
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase, BytesIO
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

# What the client needs beside the URI; it asks no other machine for credentials then.
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
Reply = tuple[int, bytes, dict[str, str]]


class Bucket(ThreadingHTTPServer):
    """The bucket `zoo`; serves inside a `with` block. `broken` refuses everything, as where access was taken away."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.requests: list[tuple[str, str]] = []
        self.broken = False
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def uri(self, key: str) -> str:
        """What a person writes."""
        return f"s3://zoo/{key}?endpoint_override=127.0.0.1:{self.server_port}&scheme=http&region=us-east-1"

    def put(self, key: str, data: bytes, at: datetime | None = None) -> None:
        """Write an object, now or at some time."""
        self.objects[key] = data, at or datetime.now(UTC)

    def keys(self, prefix: str) -> list[str]:
        """The objects there are."""
        return sorted(key for key in self.objects if key.startswith(prefix))

    def answer(self, method: str, key: str, query: dict[str, str], body: bytes, wanted: str | None) -> Reply:
        """One request, under the lock."""
        self.requests.append((method, key))
        if self.broken:
            return _error(403, "AccessDenied")
        if not key and method == "HEAD":
            return 200, b"", {}
        if not key and method == "GET" and query.get("list-type") == "2":
            return self._list(query)
        if method in ("GET", "HEAD") and not query:
            return self._get(key, wanted) if key in self.objects else _error(404, "NoSuchKey")
        if method == "POST" and "uploads" in query:
            upload = str(len(self.requests))
            self.parts[upload] = {}
            return _xml("InitiateMultipartUploadResult", f"<Key>{escape(key)}</Key><UploadId>{upload}</UploadId>")
        if method == "PUT" and "partNumber" in query:
            self.parts[query["uploadId"]][int(query["partNumber"])] = body
            return 200, b"", {"ETag": _etag(body)}
        if method == "POST" and "uploadId" in query:
            parts = self.parts.pop(query["uploadId"])
            self.put(key, b"".join(parts[number] for number in sorted(parts)))
            return _xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>&quot;x&quot;</ETag>")
        if method == "PUT" and not query:
            self.put(key, body)
            return 200, b"", {"ETag": _etag(body)}
        if method == "POST" and "delete" in query:
            for found in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                self.objects.pop(found, None)
            return _xml("DeleteResult", "")
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, b"", {}
        return _error(501, "NotImplemented")

    def _get(self, key: str, wanted: str | None) -> Reply:
        data, changed = self.objects[key]
        headers = {
            "Last-Modified": format_datetime(changed, usegmt=True),
            "ETag": _etag(data),
            "Accept-Ranges": "bytes",
        }
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
        if not found:
            return 200, data, headers
        start, stop = int(found[1]), min(int(found[2] or len(data)), len(data) - 1) + 1
        return 206, data[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}

    def _list(self, query: dict[str, str]) -> Reply:
        prefix, mark = query.get("prefix", ""), query.get("delimiter", "")
        assert len(self.keys(prefix)) <= 1000, "lists have one page here"
        rows, common = [], dict[str, None]()
        for key in self.keys(prefix)[: int(query.get("max-keys", 1000))]:
            head, found, _ = key[len(prefix) :].partition(mark) if mark else (key, "", "")
            if found:
                common[prefix + head + mark] = None
                continue
            data, changed = self.objects[key]
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{escape(_etag(data))}</ETag>"
                f"<LastModified>{changed:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
            )
        rows += [f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in common]
        return _xml(
            "ListBucketResult", f"<IsTruncated>false</IsTruncated><KeyCount>{len(rows)}</KeyCount>{''.join(rows)}"
        )


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _xml(name: str, inner: str, status: int = 200) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inner}</{name}>'
    return status, text.encode(), {"Content-Type": "application/xml"}


def _error(status: int, code: str) -> Reply:
    return _xml("Error", f"<Code>{code}</Code><Message>{code}</Message>", status)


def _unchunked(file: BufferedIOBase) -> bytes:
    """Chunks with their lengths before them, up to an empty one and the headers after it."""
    whole = []
    while size := int(file.readline().partition(b";")[0], 16):
        whole.append(file.read(size))
        file.readline()
    while file.readline().strip():
        pass
    return b"".join(whole)


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 in and out of `Bucket.answer`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def do_GET(self) -> None:
        assert isinstance(self.server, Bucket)
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
        body = self._body()
        with self.server.lock:
            asked = (self.command, key, query, body, self.headers.get("Range"))
            status, data, headers = self.server.answer(*asked) if bucket == "zoo" else _error(404, "NoSuchBucket")
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):
                self.wfile.write(data)

    def _body(self) -> bytes:
        """What was sent; the client sends some of it in chunks within chunks, as HTTP and as S3 have them."""
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        data = _unchunked(self.rfile) if chunked else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return _unchunked(BytesIO(data)) if self.headers.get("Content-Encoding") == "aws-chunked" else data

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Keep stderr for errors."""
