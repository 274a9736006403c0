"""The page as a person uses it: links, presets, guitar, recording, the shelf; hostile packages; access for all."""

import gzip
import json
import re
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from models.audio.io import write_audio
from tests.support.browser import AXE, Opened, needs_axe, needs_chromium, needs_zig, opened
from tests.support.packages import read_files, write_package
from zoo.player_page.documents import ShelfRow
from zoo.player_page.site import STATIC, Site, many_amps, one_amp, write_site

pytestmark = [needs_zig, needs_chromium]

EVIL = "<img src=x onerror=alert(1)>"


class Changed(Site):
    """A site with some files replaced."""

    def __init__(self, site: Site, **files: Callable[[bytes], bytes]) -> None:
        self._site, self._changes = site, files

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, changed where they are to be."""
        data, change = self._site.read(name), self._changes.get(name.rpartition("/")[2].replace(".", "_"))
        return change(data) if change and data is not None else data


def replace(**changes: Any) -> Callable[[bytes], bytes]:
    """Return a change of a JSON document."""
    return lambda data: json.dumps(json.loads(data) | changes).encode()


def test_a_link_sets_the_knobs_and_nonsense_in_it_is_left_out(browser: Any, pedal: Path):
    link = f"#gain=7&volume=99&bright=off&tone=3&gain2={quote(EVIL)}"
    with opened(browser, one_amp("pedal", pedal), link) as page:
        assert (page.value("gain"), page.value("volume")) == (7, 7)
        assert page.page.get_by_role("radio", name="off").is_checked()
        page.page.evaluate("location.hash = '#gain=3.5&volume=loud'")
        page.page.wait_for_function(
            "() => document.querySelector('[aria-label=gain]').getAttribute('aria-valuenow') === '3.5'"
        )
        assert page.value("volume") == 0
        page.page.wait_for_function("() => location.hash === '#gain=3.5&volume=0&bright=on'")


def test_a_link_is_copied(browser: Any, site: Site):
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(browser, site, "#gain=7&tone=0.25", permissions=permissions) as page:
        page.page.get_by_role("button", name="Copy link").click()
        page.page.get_by_text("The address of this setting is copied.").wait_for()
        assert page.page.evaluate("navigator.clipboard.readText()") == f"{page.url}#gain=7&tone=0.25"


def test_presets_are_applied_kept_and_removed(browser: Any, site: Site):
    with opened(browser, site) as page:
        page.page.get_by_role("button", name="gain-high").click()
        assert page.value("gain") == 9
        page.page.get_by_label("Name").fill(EVIL)
        page.page.get_by_role("button", name="Keep").click()
        page.page.get_by_role("button", name="default").click()
        assert page.value("gain") == 5
        page.page.reload()
        page.page.wait_for_selector("html[data-ready]", state="attached")
        page.page.get_by_role("button", name=EVIL, exact=True).click()
        assert page.value("gain") == 9
        page.page.get_by_role("button", name=f"Remove {EVIL}").click()
        assert page.page.get_by_text(EVIL).count() == 0


def test_the_nearest_checked_settings_are_shown(browser: Any, site: Site):
    scores = [{"setting": {"gain": 0, "tone": 0}, "esr": 0.25}, {"setting": {"gain": 10, "tone": 1}, "esr": 0.0125}]
    scores += [{"setting": {"gain": 9.5}, "esr": 0.5}, {"setting": {"gain": 99, "tone": 1}, "esr": 0.5}]  # no settings
    with opened(browser, Changed(site, amp_json=replace(held=scores)), "#gain=9.5&tone=1") as page:
        page.page.get_by_text("Checked close to here: error 1.3").wait_for()
        rows = page.page.locator(".held li").all_inner_texts()
        assert [re.split(r"\s*\n\s*", row)[0] for row in rows] == ["gain 10, tone 1", "gain 0, tone 0"]
        page.page.get_by_role("button", name="gain 0, tone 0").click()
        assert (page.value("gain"), page.value("tone")) == (0, 0)
        page.page.get_by_text("Checked here: error 25").wait_for()


def test_what_is_asked_for_while_the_clip_loads_is_done(browser: Any, site: Site, tmp_path: Path):
    """Play waits for the clip; a file that was opened meanwhile stays, and nothing is a bare error of the browser."""
    gate = threading.Event()
    gate.set()
    write_audio(tmp_path / "mine.wav", np.zeros(4800, np.float32), 48_000)

    def slowly(data: bytes) -> bytes:
        gate.wait(30)
        return data

    with opened(browser, Changed(site, di_flac=slowly)) as page:
        for file in (None, tmp_path / "mine.wav"):
            gate.clear()
            page.page.reload(wait_until="commit")
            page.page.get_by_role("button", name="Play", exact=True).click()
            page.page.get_by_text("Loading ...").wait_for()
            page.page.get_by_role("radio", name="Bypass").check()
            if file:
                page.page.get_by_label("Open a file").last.set_input_files(file)
                page.page.get_by_text("Plays mine.wav, 0.1 s.").wait_for()
            gate.set()
            page.page.wait_for_selector("html[data-ready]", state="attached")
            page.page.get_by_text("Playing mine.wav." if file else "Playing the dry clip.").wait_for()
            page.page.get_by_text("Plays mine.wav, 0.1 s." if file else "Plays the dry clip").wait_for()


def test_it_plays_stops_measures_and_records(browser: Any, site: Site, tmp_path: Path):
    with opened(browser, site) as page:
        page.page.get_by_role("button", name="Play", exact=True).click()
        page.page.wait_for_function("() => /CPU \\d/.test(document.querySelector('.load').textContent)")
        page.page.wait_for_function(
            "() => +document.querySelector('[aria-label=Out]').getAttribute('aria-valuenow') > -50"
        )
        page.page.get_by_role("button", name="Record").click()
        page.page.wait_for_timeout(400)
        heard_T = page.saved(page.page.get_by_role("button", name="Stop and save").click, tmp_path)
        page.page.get_by_role("button", name="Stop", exact=True).click()
        page.page.get_by_text("Stopped.").wait_for()
        page.dial("gain").focus()
        page.page.keyboard.press(" ")
        page.page.get_by_role("button", name="Stop", exact=True).wait_for()
    assert len(heard_T) > 1000
    assert 0.001 < np.abs(heard_T).max() < 10


BUSY = """() => {
  const own = Object.getOwnPropertyDescriptor(MessagePort.prototype, "onmessage");
  const busier = ({ data }) => ({ data: data && "load" in data ? { ...data, load: 0.2 } : data });
  const set = function (listen) { own.set.call(this, (event) => listen(busier(event))); };
  Object.defineProperty(MessagePort.prototype, "onmessage", { ...own, set });
}"""


def test_where_exact_moves_take_too_much_knobs_ramp_and_the_page_says_so(browser: Any, site: Site):
    with opened(browser, site) as page:
        exact = page.page.get_by_role("checkbox", name="exact knob moves")
        assert exact.is_checked()
        page.page.evaluate(BUSY)  # the audio thread now seems to take a fifth of a core
        page.page.get_by_role("button", name="Play", exact=True).click()
        page.page.get_by_text(re.compile(r"Exact knob moves would take \d\d % of a core here: knobs ramp")).wait_for()
        assert not exact.is_checked()


def test_the_guitar_is_warned_of_and_comes_without_enhancements(browser: Any, site: Site):
    with opened(browser, site, permissions=["microphone"]) as page:
        page.page.evaluate(
            """() => {
              const { mediaDevices } = navigator, ask = mediaDevices.getUserMedia.bind(mediaDevices);
              mediaDevices.getUserMedia = (wanted) => ((window.wanted = wanted), ask(wanted));
            }"""
        )
        page.page.get_by_role("button", name="Guitar", exact=True).click()
        page.page.get_by_text("Loudspeakers feed back").wait_for()
        assert page.page.evaluate("window.wanted") is None
        page.page.get_by_role("button", name="Play my guitar").click()
        said = page.page.get_by_text("from the string to your ear")
        said.wait_for()
        assert re.search(r"About \d+ ms", said.inner_text())
        wanted = page.page.evaluate("window.wanted")["audio"]
        assert not any(wanted[name] for name in ("echoCancellation", "noiseSuppression", "autoGainControl"))
        page.page.wait_for_function(
            "() => +document.querySelector('[aria-label=In]').getAttribute('aria-valuenow') > -59"
        )


def test_the_shelf_is_searched_and_an_amp_opened(browser: Any, tmp_path: Path):
    folder = write_package(tmp_path / "shelf" / "alice" / "tiny")
    rows = [
        ShelfRow(name="alice/tiny", license="mit", kind="amp", knobs=("gain", "tone"), esr=0.25),
        ShelfRow(name="bob/fuzz", license="cc0-1.0", kind="pedal", tone=("fuzz",), knobs=("sustain",), esr=0.01),
    ]
    with opened(browser, many_amps("a shelf", rows, lambda name: folder), ready=False) as page:
        search = page.page.get_by_label("Search")
        search.fill("fuzz sustain")
        assert page.page.locator(".shelf .title").all_inner_texts() == ["bob/fuzz"]
        search.fill("")
        page.page.get_by_role("link", name="alice/tiny").click()
        page.page.wait_for_selector("html[data-ready]", state="attached")
        assert page.value("gain") == 5
        page.page.get_by_role("link", name="All amps").click()
        page.page.get_by_text("2 amps").wait_for()


def test_static_files_play_from_any_web_server(browser: Any, site: Site, tmp_path: Path):
    write_site(site, tmp_path / "out")

    class Files(Site):
        def __init__(self) -> None:
            pass

        def read(self, name: str) -> bytes | None:
            return read_files(tmp_path / "out").get(name)

    with opened(browser, Files(), policy=False) as page:
        page.page.get_by_role("button", name="Play", exact=True).click()
        page.page.wait_for_function("() => /CPU \\d/.test(document.querySelector('.load').textContent)")
        blocked = page.page.evaluate("fetch('http://localhost:9/').then(() => 'sent', () => 'blocked')")
        assert blocked == "blocked"
        assert len(page.errors) >= 1 and all("Content Security Policy" in error for error in page.errors)
        page.errors.clear()


def test_an_input_that_is_refused_is_explained(browser: Any, site: Site):
    with opened(browser, site) as page:
        page.page.evaluate(
            """() => {
              navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
            }"""
        )
        page.page.get_by_role("button", name="Guitar", exact=True).click()
        page.page.get_by_role("button", name="Play my guitar").click()
        page.page.get_by_text("allow it in the address bar").wait_for()


def rename(data: bytes) -> bytes:
    """Put markup in place of the names of the first knob and of the amp in `amp.bin`."""
    changed = bytearray(data)
    struct.pack_into("68s", changed, 108, EVIL.encode())
    struct.pack_into("36s", changed, 176, EVIL.encode())
    return bytes(changed)


def test_markup_in_a_package_is_shown_as_text(browser: Any, site: Site):
    presets = [{"id": EVIL, "knobs": {EVIL: 3, "gain": EVIL}, "dry": None, "target": None}]
    held = [{"setting": {"gain": EVIL, EVIL: EVIL}, "esr": 0.1}]
    hostile = Changed(site, amp_json=replace(name=EVIL, license=EVIL, revision=EVIL, presets=presets, held=held))
    with opened(browser, hostile) as page:
        assert page.page.locator("h1").inner_text() == EVIL
        page.page.get_by_role("button", name=EVIL).first.click()
        assert page.value("gain") == 5
        assert page.page.locator("main img").count() == 0


def test_a_hostile_shelf_is_shown_as_text(browser: Any, site: Site):
    row = {"kind": EVIL, "tone": [EVIL], "knobs": [EVIL], "license": EVIL, "esr": 1, "macs_per_sample": 1}
    rows = [{"name": "javascript:alert(1)"} | row, {"name": "../../secret"} | row]
    with opened(browser, Changed(site, site_json=replace(single=False, label=EVIL, amps=rows)), ready=False) as page:
        assert page.page.locator("main img").count() == 0
        links = [link.get_attribute("href") for link in page.page.locator(".shelf a").all()]
        assert links == ["?amp=javascript%3Aalert%281%29", "?amp=..%2F..%2Fsecret"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"", "amp.bin"),
        (lambda data: data[:-5], "amp.bin"),
        (rename, "amp.bin"),  # a name of a knob has no markup
        (lambda data: data[:8] + struct.pack("<i", 1 << 30) + data[12:], "amp.bin"),
        (lambda data: data[:24] + struct.pack("<i", 33) + data[28:], "amp.bin"),
    ],
)
def test_a_damaged_amp_is_refused_in_one_sentence(browser: Any, site: Site, change: Any, said: str):
    with opened(browser, Changed(site, amp_bin=change), ready=False) as page:
        assert said in page.page.get_by_role("alert").inner_text()
        assert page.page.get_by_role("slider").count() == 0


def test_the_policy_lets_nothing_out(browser: Any, site: Site):
    with opened(browser, site) as page:
        outside = "http://localhost:9/"
        tried = page.page.evaluate(
            """async (url) => {
              const blocked = [];
              document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
              await fetch(url).catch(() => {});
              const frame = Object.assign(document.createElement("iframe"), { src: url });
              const script = Object.assign(document.createElement("script"), { textContent: "window.ran = true" });
              document.body.append(frame, script);
              await new Promise((resolve) => setTimeout(resolve, 200));
              return [blocked.sort(), window.ran];
            }""",
            outside,
        )
        assert sorted(set(tried[0])) == ["connect-src", "frame-src", "script-src-elem"]
        assert tried[1] is None
        assert all("Content Security Policy" in error for error in page.errors)
        page.errors.clear()


def test_page_and_engine_are_small(site: Site):
    files = {name: site.read(name) for name in (*(path.name for path in STATIC.iterdir()), "engine.wasm")}
    assert sum(len(gzip.compress(data)) for data in files.values() if data) < 100_000


def check_axe(page: Opened) -> None:
    """No rule of axe-core is broken."""
    page.page.evaluate(AXE.read_text())
    found = page.page.evaluate("axe.run().then(({ violations }) => violations)")
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


@needs_axe
@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 800, 1440])
def test_everyone_can_use_it(browser: Any, pedal: Path, taken: Path, width: int, scheme: str):
    view: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for folder in (pedal, taken):
        with opened(browser, one_amp("alice/tiny", folder), **view) as page:
            check_axe(page)
            assert page.page.evaluate("document.documentElement.scrollWidth") == width
    with opened(browser, many_amps("a shelf", [ShelfRow(name="a/b", esr=0.1)], Path), ready=False, **view) as page:
        check_axe(page)
