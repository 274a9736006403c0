"""What does the page take: CPU of the audio thread in Chromium, the time to the first sound, bytes.

* OFFLINE: CPU seconds of Chromium's renderer process per second of sound that the amp takes, in an OfflineAudioContext
  (less the same without the amp). WHOLE PAGE: those of the renderer while the page plays its dry clip, with the
  browser's own work: sound, meters, the spectrum. SHOWN: what the page says of its audio thread. Medians over rounds.
* FIRST SOUND: milliseconds from opening the address to the first sample that is not silent at the loudspeaker; the
  page's button is clicked as soon as it is there. Server on this machine, browser just started or with its cache.
* BYTES: page and engine, gzipped, without audio and weights.

    python -m benchmarks.browser --rounds 5
"""

import argparse
import gzip
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import CONFIGS, RATE_HZ, trained_net
from models.artifacts.folder import save_model
from models.artifacts.model_config import make_config
from models.core.schema import read_document
from models.knobs.schema import Knob, Knobs
from models.network.architecture import WaveNetConfig
from tests.support.browser import browsing, serving
from zoo.cli import output
from zoo.player_page.site import STATIC, Site, one_amp

SECONDS = 6.0

OFFLINE = """async (seconds) => {
  const [{ render }, { loadEngine, fetchBytes }, { readAmp, faceplate, defaults }] =
    await Promise.all([import("./render.js"), import("./engine.js"), import("./amp_file.js")]);
  const site = JSON.parse(new TextDecoder().decode(await fetchBytes("site.json")));
  const bytes = await fetchBytes(`amps/${site.amps[0].name}/amp.bin`), head = readAmp(bytes);
  const buffer = new AudioBuffer({ length: seconds * head.sampleRate, sampleRate: head.sampleRate });
  const noise = Float32Array.from({ length: buffer.length }, () => 0.2 * Math.random() - 0.1);
  buffer.copyToChannel(noise, 0);
  const amp = { module: await loadEngine(), bytes, head };
  await render(amp, buffer, { values: window.silent ? null : faceplate(head.knobs, defaults(head.knobs)) });
}"""

FIRST = """() => new Promise((resolve) => {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode && this.context instanceof AudioContext) {
      const samples = new Float32Array(256), heard = this;
      const look = () => {
        heard.getFloatTimeDomainData(samples);
        if (samples.some((sample) => Math.abs(sample) > 1e-4)) resolve(performance.now());
        else setTimeout(look, 1);
      };
      look();
    }
    return connect.call(this, to, ...rest);
  };
  const press = () => {
    if (document.documentElement.dataset.ready) document.querySelector(".play").click();
    else setTimeout(press, 1);
  };
  press();
})"""


def renderer_seconds(browser: Any) -> float:
    """Return the CPU seconds that Chromium's renderer processes have taken."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(process["cpuTime"] for process in found if process["type"] == "renderer")


def live_share(browser: Any, page: Any) -> tuple[float, str]:
    """Return the share of a core that a playing page takes in all, and what it shows itself."""
    page.locator(".play").click()
    time.sleep(1.5)
    begin, clock = renderer_seconds(browser), time.monotonic()
    time.sleep(SECONDS)
    share = (renderer_seconds(browser) - begin) / (time.monotonic() - clock)
    shown = page.locator(".numbers").inner_text().replace("\n", ", ")
    page.locator(".play").click()
    return share, shown


def offline_share(browser: Any, page: Any) -> float:
    """Return the CPU seconds per second of sound of the amp alone, in an OfflineAudioContext."""
    shares = []
    for silent in (True, False):
        page.evaluate("silent => { window.silent = silent; }", silent)
        page.evaluate(OFFLINE, 1)
        begin = renderer_seconds(browser)
        page.evaluate(OFFLINE, 10)
        shares.append((renderer_seconds(browser) - begin) / 10)
    return shares[1] - shares[0]


def first_sound(browser: Any, url: str, again: bool) -> float:
    """Return the milliseconds to the first sound, in a new profile, or the second time in it."""
    context = browser.new_context()
    page = context.new_page()
    found = []
    for _ in range(1 + again):
        page.goto("about:blank")
        page.goto(url, wait_until="commit")
        found.append(float(page.evaluate(FIRST)))
    context.close()
    return found[-1]


def make_site(folder: Path, name: str) -> Site:
    """Return the page of a recipe with three knobs and random weights."""
    config = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
    knobs = Knobs(knobs=tuple(Knob(name=f"knob{n}", min=0, max=10, default=5) for n in range(3)))
    save_model(folder / name, make_config(name, RATE_HZ, knobs, config), trained_net(config, 3))
    return one_amp(name, folder / name)


def main() -> None:
    """Measure each model and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=["a1-nano-film", "a1-standard-film", "a2-full-film"])
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        for name in options.models:
            site = make_site(Path(folder), name)
            sent = {path: site.read(path) or b"" for path in (*(one.name for one in STATIC.iterdir()), "engine.wasm")}
            small = sum(len(gzip.compress(data)) for data in sent.values())
            site.read(f"amps/{name}/amp.bin"), site.read(f"amps/{name}/audio/di.flac")  # the server makes them once
            offline, live, first, again, shown = [], [], [], [], ""
            with serving(site) as url:
                for _ in range(options.rounds):
                    first.append(first_sound(browser, url, again=False))
                    again.append(first_sound(browser, url, again=True))
                    page = browser.new_page()
                    page.goto(url)
                    page.wait_for_selector("html[data-ready]", state="attached")
                    offline.append(offline_share(browser, page))
                    share, shown = live_share(browser, page)
                    live.append(share)
                    page.close()
            cells = [f"{100 * median(shares):.1f} %" for shares in (offline, live)]
            times = [f"{median(found):.0f} ms" for found in (first, again)]
            rows.append((name, *cells, shown, *times, f"{small:,}"))
            output.info("  ".join(rows[-1]))
    head = ("MODEL", "OFFLINE", "WHOLE PAGE", "SHOWN", "FIRST SOUND", "SECOND TIME", "BYTES")
    output.data_table(head, rows)


if __name__ == "__main__":
    main()
