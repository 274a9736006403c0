"""A page in Chromium without a screen: opened from a site, watched for errors and for requests that leave it."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from models.formats.player.build import compilers
from tests.support.makers import read_wav
from zoo.player_page import server as page_server
from zoo.player_page.server import PageServer
from zoo.player_page.site import Site

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PROGRAM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
FLAGS = (
    *("--no-sandbox", "--autoplay-policy=no-user-gesture-required"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
AXE = Path(os.environ.get("AMPZOO_AXE", "node_modules/axe-core/axe.min.js"))

needs_zig = pytest.mark.skipif("zig" not in compilers(), reason="ziglang is not installed (pip install ziglang)")
needs_chromium = pytest.mark.skipif(
    not PROGRAM or find_spec("playwright") is None,
    reason="there is no Chromium (apt-get install chromium-headless-shell) or no playwright (pip install playwright)",
)
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed (npm install axe-core; AMPZOO_AXE)")


@dataclass
class Opened:
    """A page in the browser, what it asked for, and what went wrong in it."""

    page: Any
    url: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing went wrong, and nothing left the page's origin."""
        assert self.errors == []
        own = (self.url, "blob:" + self.url.rstrip("/"))
        assert [url for url in self.requests if not url.startswith(own)] == []

    def saved(self, action: Callable[[], object], folder: Path) -> np.ndarray:
        """The samples of the WAV file that an action saves."""
        with self.page.expect_download() as waiting:
            action()
        waiting.value.save_as(folder / "saved.wav")
        return read_wav(folder / "saved.wav")

    def sound(self, folder: Path) -> np.ndarray:
        """What is heard, saved by the page's own button."""
        return self.saved(lambda: self.page.get_by_role("button", name="Save WAV").click(), folder)

    def dial(self, name: str) -> Any:
        """A knob."""
        return self.page.get_by_role("slider", name=name, exact=True)

    def value(self, name: str) -> float:
        """Where a knob stands."""
        return float(self.dial(name).get_attribute("aria-valuenow"))


@contextmanager
def serving(site: Site, policy: bool = True) -> Iterator[str]:
    """Serve a site on loopback and yield its address; without the `policy` as any web server would."""
    headers = page_server.HEADERS if policy else {}
    with PageServer(site) as server, mock.patch.object(page_server, "HEADERS", headers):
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def browsing() -> Iterator[Any]:
    """Start Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, site: Site, after: str = "", ready: bool = True, policy: bool = True, **options: Any
) -> Iterator[Opened]:
    """Open a site, `after` being what follows its address; at the end nothing may have gone wrong."""
    with serving(site, policy) as url:
        context = browser.new_context(accept_downloads=True, **options)
        context.set_default_timeout(15_000)
        page = context.new_page()
        found = Opened(page, url)
        page.on("request", lambda request: found.requests.append(request.url))
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("console", lambda line: found.errors.append(line.text) if line.type in ("error", "warning") else None)
        page.on("dialog", lambda dialog: found.errors.append(dialog.message))
        page.goto(url + after)
        page.wait_for_selector("html[data-ready]" if ready else "main:not([aria-busy])", state="attached")
        try:
            yield found
            found.check()
        finally:
            context.close()
