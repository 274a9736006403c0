"""moto as S3 and gcp-storage-emulator as Google's storage, on loopback, each a process from an environment of its own.

`make servers` installs them; they are skipped where they are not.
"""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]
ADMIN = "test"


@dataclass(frozen=True)
class StorageServer:
    """A running server whose one bucket is `zoo`."""

    scheme: str
    port: int

    def uri(self, place: str, bucket: str = "zoo") -> str:
        """Return what a person writes for a place in a bucket."""
        user, more = ("", "&region=us-east-1") if self.scheme == "s3" else ("anonymous@", "&retry_limit_seconds=5")
        query = f"endpoint_override=127.0.0.1:{self.port}&scheme=http{more}"
        return f"{self.scheme}://{user}{bucket}/{place}?{query}"

    def set_authentication(self, required: bool) -> None:
        """Let moto check keys and policies from now on, or not."""
        self.ask("POST", "/moto-api/reset-auth", "0" if required else "inf")

    def make_reader(self) -> dict[str, str]:
        """Return the environment of a user who may read and list, but not write."""
        self._ask_iam(Action="CreateUser", UserName="reader")
        key = self._ask_iam(Action="CreateAccessKey", UserName="reader")
        allowed = '{"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}'
        policy = f'{{"Version": "2012-10-17", "Statement": [{allowed}]}}'
        self._ask_iam(Action="PutUserPolicy", UserName="reader", PolicyName="read", PolicyDocument=policy)
        tags = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey"}
        return {name: re.findall(f"<{tag}>(.*?)</{tag}>", key)[0] for name, tag in tags.items()}

    def _ask_iam(self, **parameters: str) -> str:
        return self.ask("POST", "/", urlencode({"Version": "2010-05-08", **parameters}), "iam")

    def ask(self, method: str, path: str, body: str = "", service: str = "s3") -> str:
        """Send a request that no client of ours makes; return the answer."""
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={ADMIN}/20260101/us-east-1/{service}/aws4_request"}
        headers["Content-Type"] = "application/x-www-form-urlencoded" if service == "iam" else "text/plain"
        request = Request(f"http://127.0.0.1:{self.port}{path}", body.encode(), headers, method=method)
        with urlopen(request, timeout=30) as answer:
            return answer.read().decode()


@contextmanager
def storage_server(scheme: str, log: Path) -> Iterator[StorageServer]:
    """Run the server for a scheme inside the block, with an empty bucket `zoo`."""
    folder = Path(os.environ.get("AMPZOO_SERVERS", ROOT / ".venv" / "servers")) / "bin"
    program = folder / ("moto_server" if scheme == "s3" else "gcp-storage-emulator")
    if not program.exists():
        pytest.skip(f"{program.name} is not installed; `make servers` does it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["-H", "127.0.0.1", "-p", str(port)]
    if scheme == "gs":
        words = ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory", "--default-bucket", "zoo"]
    with log.open("wb") as out, subprocess.Popen([program, *words], stdout=out, stderr=out) as process:
        try:
            _wait_for(port, process, log)
            server = StorageServer(scheme, port)
            if scheme == "s3":
                server.ask("PUT", "/zoo")
            yield server
        finally:
            process.kill()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    while process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
