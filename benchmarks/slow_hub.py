"""A list of a large hub over a slow line: how many amps `zoo list` shows, after how long, call by call.

A hub on this machine has so many amps, a thousand on a page, packed as a real one packs them, and sends so many bytes
a second. `zoo list` is called until the list is whole, `--calls` times at most, each tree with a shelf of its own. A
tree is a checkout of this project, such as a worktree of another commit.

    python -m benchmarks.slow_hub PACKAGE --amps 5000 --rate 20000 --trees ../before .
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from zoo.cli import output
from zoo.package.card import read_front_matter

PAGE, PARTS_PER_S = 1000, 10


def make_pages(package: Path, amps: int) -> list[bytes]:
    """Return the packed pages of a list: the card of the package, with names, numbers and a commit for each amp."""
    card, chance = read_front_matter(package / "README.md"), random.Random(0)
    rows = []
    for number in range(amps):
        size = {"parameters": chance.randrange(500, 20_000), "macs_per_sample": chance.randrange(500, 20_000)}
        names = [f"knob{chance.randrange(100)}-{at}" for at, _ in enumerate(card["ampzoo"]["knobs"])]
        knobs = [{**knob, "name": name} for knob, name in zip(card["ampzoo"]["knobs"], names, strict=True)]
        block = {**card["ampzoo"], "esr": round(chance.uniform(0.005, 0.2), 6), "knobs": knobs, **size}
        name = f"{chance.randbytes(4).hex()}/{chance.randbytes(6).hex()}"
        row = {"id": name, "sha": chance.randbytes(20).hex(), "downloads": chance.randrange(10_000)}
        rows.append({**row, "cardData": {**card, "ampzoo": block}})
    return [gzip.compress(json.dumps(rows[at : at + PAGE]).encode()) for at in range(0, amps, PAGE)]


class SlowHub(ThreadingHTTPServer):
    """Serves the pages of a list at so many bytes a second."""

    def __init__(self, pages: list[bytes], rate: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages, self.rate = pages, rate
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hub = self.server
        assert isinstance(hub, SlowHub)
        number = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        body, part = hub.pages[number], max(hub.rate // PARTS_PER_S, 1)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        if number + 1 < len(hub.pages):
            self.send_header("Link", f'<{hub.url}/api/models?cursor={number + 1}>; rel="next"')
        self.end_headers()
        for at in range(0, len(body), part):
            try:
                self.wfile.write(body[at : at + part])
                self.wfile.flush()
            except ConnectionError:  # the command has given up
                return
            time.sleep(1 / PARTS_PER_S)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal for results."""


def list_until_whole(tree: Path, url: str, folder: Path, amps: int, calls: int) -> str:
    """Call `zoo list` of a tree until it shows all amps; returns what each call showed, and after how long."""
    env = {**os.environ, "PYTHONPATH": str(tree), "ZOO_HOME": str(folder)}
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "list", "-q", "--zoo", url]
    found = []
    for _ in range(calls):
        began = time.monotonic()
        ran = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
        shown = len(ran.stdout.split())
        found.append(f"{shown:,} in {time.monotonic() - began:.0f} s")
        if shown == amps:
            break
    return ", ".join(found)


def main() -> None:
    """Parse the command line, list from each tree, print what was shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--amps", type=int, default=5000)
    parser.add_argument("--rate", type=int, nargs="+", default=[20_000], help="bytes a second")
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--trees", type=Path, nargs="+", default=[Path()])
    options = parser.parse_args()
    pages, rows = make_pages(options.package, options.amps), []
    output.info(f"{options.amps:,} amps, {len(pages)} pages, {sum(map(len, pages)):,} bytes")
    for rate in options.rate:
        with SlowHub(pages, rate) as hub:
            threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
            for tree in options.trees:
                with tempfile.TemporaryDirectory() as folder:
                    shown = list_until_whole(tree.resolve(), hub.url, Path(folder), options.amps, options.calls)
                rows.append((f"{rate:,}", tree.resolve().name, shown))
            hub.shutdown()
    output.data_table(("BYTES A SECOND", "TREE", "AMPS SHOWN, CALL BY CALL"), rows, min_columns=3)


if __name__ == "__main__":
    main()
