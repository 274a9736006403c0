"""Gives the page to a browser on this machine, and to nobody else."""

import errno
import json
import os
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from models.core.errors import UserError
from zoo.player_page.site import Site

PAGE_HOST = "127.0.0.1"
CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "wasm": "application/wasm",
    "flac": "audio/flac",
    "svg": "image/svg+xml",
}
GONE, HINT_GONE = "a file of the amp cannot be read any more", "Was it removed? Start zoo play again."
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class PageServer(ThreadingHTTPServer):
    """Serves a site on loopback. Use it in a `with` block and call `serve_forever`."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would let two servers have one port

    def __init__(self, site: Site, port: int = 0) -> None:
        """Take a port, 0 for any free one. Raises `UserError` where it is in use."""
        self.site = site
        try:
            super().__init__((PAGE_HOST, port), PageHandler)
        except OSError as problem:
            if problem.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise UserError(
                f"port {port} cannot be used: {problem.strerror}", "Leave out --port for a free one."
            ) from None

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{PAGE_HOST}:{self.server_port}/"


class PageHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD from the page itself: no other site may read a file, nor have one made."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send a file of the site."""
        if not self._is_ours():
            self._send(HTTPStatus.FORBIDDEN, b"", "text/plain")
            return
        name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        try:
            assert isinstance(self.server, PageServer)
            data = self.server.site.read(name)
        except (UserError, OSError) as problem:
            words = (problem.message, problem.hint) if isinstance(problem, UserError) else (GONE, HINT_GONE)
            document = dict(zip(("message", "hint"), words, strict=True))
            self._send(HTTPStatus.UNPROCESSABLE_ENTITY, json.dumps(document).encode(), CONTENT_TYPES["json"])
            return
        if data is None:
            self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
            return
        kind = CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        self._send(HTTPStatus.OK, data, kind)

    do_HEAD = do_GET

    def _is_ours(self) -> bool:
        """Return whether the request is for a name of this machine and from no other site.

        Another site can lead its own name to this address (DNS rebinding), or name our address in its page.
        """
        assert isinstance(self.server, PageServer)
        port = self.server.server_port
        hosts = {f"{host}:{port}" for host in (PAGE_HOST, "localhost")}
        return self.headers.get("Host") in hosts and self.headers.get("Sec-Fetch-Site", "none") in (
            "none",
            "same-origin",
        )

    def _send(self, status: HTTPStatus, data: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def handle(self) -> None:
        """Answer until the browser is gone, which it may be at any moment."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the page is one person's own."""
