"""What a storage answers is told in our words, whatever its client says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from models.core.errors import UserError
from search.storage.storage_errors import storage_reason
from search.storage.uri_store import Store

FOREIGN = ("AWS Error", "HTTP", "operation", "UNKNOWN", "ExceptionName", "key")


@contextmanager
def refusing(status: int, code: str) -> Iterator[str]:
    """Serve S3's error of this name to every request; yields the URI of a folder there."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<Error><Code>{code}</Code><Message>of {code}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"s3://bucket/a?scheme=http&region=us-east-1&endpoint_override=127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code", "asked", "listed"),
    [
        (400, "ExpiredToken", "the credentials may have expired", "its credentials have expired"),
        (301, "PermanentRedirect", "in another region", "in another region"),
        (400, "AuthorizationHeaderMalformed", "in another region", "in another region"),
        (403, "RequestTimeTooSkewed", "access is denied", "the clock of this machine is wrong"),
        (409, "OperationAborted", "a reason that is not known here", "a reason that is not known here"),
    ],
)
def test_what_a_storage_answers_is_told(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, asked: str, listed: str
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with refusing(status, code) as uri:
        store = Store(uri)
        for ask, words in ((lambda: store.size("f"), asked), (lambda: store.sizes("d"), listed)):
            with pytest.raises(UserError, match=words) as refused:
                ask()
            reason = refused.value.message.partition("cannot be used: ")[2]
            assert reason and not any(word in reason for word in FOREIGN)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("AWS Error SLOW_DOWN during ListObjectsV2 operation: Please reduce your request rate.", "asks us to wait"),
        ("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body.", "fails at the moment"),
        ("AWS Error INTERNAL_FAILURE during PutObject operation: We encountered an error.", "fails at the moment"),
        ("google::cloud::Status(RESOURCE_EXHAUSTED: Permanent error in GetObjectMetadata)", "asks us to wait"),
        ("google::cloud::Status(INTERNAL: Retry policy exhausted)", "fails at the moment"),
    ],
)
def test_codes_of_storages_have_words(told: str, words: str):
    """As pyarrow 22 writes them; its client tries these again for longer than a test may take."""
    assert words in str(storage_reason(OSError(told)))
