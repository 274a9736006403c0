"""The page sounds as Python does: knobs still, moving, turned by hand; files, cabinet, A/B, the real amp."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from models.artifacts.folder import load_model
from models.formats.player.native import NativePlayer
from models.knobs.automation import read_automation
from models.knobs.schema import Value
from models.playback.render import render
from tests.support.browser import Opened, needs_chromium, needs_zig, opened
from tests.support.makers import RATE, di, esr, read_wav, write_wav
from tests.support.native import PEDAL
from zoo.player_page.site import Site, one_amp

pytestmark = [needs_zig, needs_chromium]

CLOSE = 1e-10
CONTROL = 64  # samples between two control points of a moving knob

RENDER = """async ([moves, setting, exact]) => {
  const [{ render }, { loadEngine, fetchBytes }, { readAmp, faceplate }] =
    await Promise.all([import("./render.js"), import("./engine.js"), import("./amp_file.js")]);
  const site = JSON.parse(new TextDecoder().decode(await fetchBytes("site.json")));
  const bytes = await fetchBytes(`amps/${site.amps[0].name}/amp.bin`), head = readAmp(bytes);
  const clip = await fetchBytes(`amps/${site.amps[0].name}/audio/di.flac`);
  const buffer = await new OfflineAudioContext(1, 1, head.sampleRate).decodeAudioData(clip);
  const amp = { module: await loadEngine(), bytes, head };
  const made = await render(amp, buffer, { values: faceplate(head.knobs, setting), moves, exact });
  return Array.from(made.getChannelData(0));
}"""


def rendered(folder: Path, source: Path, setting: Any) -> np.ndarray:
    """What `zoo render` writes."""
    return read_wav(render(load_model(folder), source, folder.parent / "rendered.wav", setting).path)


def played(page: Opened, moves: list[list[float]], setting: dict[str, Value], exact: bool = False) -> np.ndarray:
    """What the page's chain renders of the dry clip while knobs move."""
    return np.array(page.page.evaluate(RENDER, [moves, setting, exact]), np.float32)


def own_clip(site: Site, name: str, folder: Path) -> Path:
    """The dry clip of a site as a file."""
    data = site.read(f"amps/{name}/audio/di.flac")
    assert data is not None
    (folder / "clip.flac").write_bytes(data)
    return folder / "clip.flac"


def test_still_knobs_sound_as_zoo_render_writes(browser: Any, site: Site, tmp_path: Path):
    with opened(browser, site, "#gain=7.25&tone=0.125") as page:
        heard_T = page.sound(tmp_path)
    wanted_T = rendered(tmp_path / "package", tmp_path / "package/audio/di.flac", {"gain": 7.25, "tone": 0.125})
    assert esr(heard_T, wanted_T) < CLOSE


def test_moving_knobs_sound_as_zoo_render_writes(browser: Any, site: Site, tmp_path: Path):
    steps, folder = 50, tmp_path / "package"
    edges = [(CONTROL - 1) / RATE, (CONTROL * (steps + 1) - 1) / RATE]  # seconds: control points are ends of 64 samples
    moves = [[CONTROL * (n + 1), 0, 2 + 7 * (n + 1) / steps] for n in range(steps)]
    (tmp_path / "moves.csv").write_text(f"seconds,gain\n0,2\n{edges[0]!r},2\n{edges[1]!r},9\n")
    config, _ = load_model(folder)
    automation = read_automation(tmp_path / "moves.csv", config.knobs, {"tone": 0.75})
    with opened(browser, site) as page:
        heard_T = played(page, moves, {"gain": 2, "tone": 0.75})
    wanted_T = rendered(folder, folder / "audio/di.flac", automation)
    still_T = rendered(folder, folder / "audio/di.flac", {"gain": 2, "tone": 0.75})
    assert esr(heard_T, wanted_T) < CLOSE
    assert esr(still_T, wanted_T) > 1e-4  # the knob can be heard


@pytest.mark.parametrize("moves", ["ramp", "exact"])
def test_tapers_steps_and_switches_move_as_in_python(
    browser: Any, pedal: Path, tmp_path: Path, moves: Literal["ramp", "exact"]
):
    site, turns = one_amp("pedal", pedal), [(640, 1, 6.5), (640, 2, 1), (2560, 0, 9.5), (6400, 2, 0)]
    first: dict[str, Value] = {"gain": 3, "volume": -1.5, "bright": "on"}
    with opened(browser, site) as page:
        heard_T = played(page, [list(turn) for turn in turns], first, moves == "exact")
    data = site.read("amps/pedal/amp.bin")
    x_T, player, parts = read_wav(own_clip(site, "pedal", tmp_path)), NativePlayer(data or b"", moves=moves), []
    player.set_knobs(first)
    player.reset()
    for begin in range(0, len(x_T), CONTROL):
        for _, knob, number in (turn for turn in turns if turn[0] == begin):
            value = ("off", "Half +2.5", "on")[int(number)] if knob == 2 else number
            player.set_knobs({PEDAL.names[knob]: value})
        parts.append(player.glide(x_T[begin : begin + CONTROL]))
    assert esr(heard_T, np.concatenate(parts)) < CLOSE


def test_the_live_sound_is_the_rendered_one_and_changing_the_engine_is_not_heard(
    browser: Any, site: Site, tmp_path: Path
):
    with opened(browser, site, "#gain=8&tone=0.25") as page:
        page.page.get_by_role("button", name="Play", exact=True).click()
        page.page.wait_for_function("() => /CPU \\d/.test(document.querySelector('.load').textContent)")
        page.page.get_by_role("button", name="Record").click()
        for _ in range(3):
            page.page.wait_for_timeout(150)
            page.page.get_by_role("checkbox", name="exact knob moves").click()
        page.page.wait_for_timeout(300)
        heard_T = page.saved(page.page.get_by_role("button", name="Stop and save").click, tmp_path)
    x_T = read_wav(tmp_path / "package/audio/di.flac")
    write_wav(tmp_path / "twice.wav", np.concatenate([x_T, x_T]))
    setting = {"gain": 8, "tone": 0.25}
    loop_T = rendered(tmp_path / "package", tmp_path / "twice.wav", setting)[len(x_T) :].astype(np.float64)
    assert len(heard_T) < len(loop_T)
    spectrum, window = np.fft.rfft(loop_T), np.ones(len(heard_T))
    likeness, energy = (
        np.fft.irfft(one * np.conj(np.fft.rfft(other, len(loop_T))), len(loop_T))
        for one, other in ((spectrum, heard_T), (np.fft.rfft(loop_T**2), window))
    )
    begin = int((energy - 2 * likeness).argmin())  # where in the loop the recording began
    assert esr(heard_T, np.roll(loop_T, -begin)[: len(heard_T)]) < CLOSE


def drag(page: Opened, name: str, up: float) -> None:
    """Take a knob in its middle and pull it up by so many pixels."""
    box = page.dial(name).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = page.page.mouse
    mouse.move(x, y)
    mouse.down()
    for part in range(1, 6):
        mouse.move(x, y - up * part / 5)
    mouse.up()


def press(page: Opened, *keys: str) -> None:
    for key in keys:
        page.page.keyboard.press(key)


HANDS = {
    "drag": (lambda page: drag(page, "gain", 60), 8.0),
    "drag past the end": (lambda page: drag(page, "gain", -400), 0.0),
    "wheel": (lambda page: (page.dial("gain").hover(), page.page.mouse.wheel(0, -120)), 5.2),
    "arrows": (lambda page: (page.dial("gain").focus(), press(page, "ArrowUp", "ArrowRight", "ArrowUp")), 5.3),
    "pages": (lambda page: (page.dial("gain").focus(), press(page, "PageUp", "PageUp", "ArrowDown")), 6.9),
    "ends": (lambda page: (page.dial("gain").focus(), press(page, "End")), 10.0),
    "typed at the knob": (
        lambda page: (page.dial("gain").focus(), press(page, "3", ".", "4", "1", "9", "Enter")),
        3.419,
    ),
    "typed with a comma": (lambda page: page.page.get_by_label("gain, value").fill("2,5"), 2.5),
    "typed beyond": (lambda page: page.page.get_by_label("gain, value").fill("99"), 10.0),
    "typed nonsense": (lambda page: page.page.get_by_label("gain, value").fill("loud"), 5.0),
    "double click": (lambda page: (drag(page, "gain", 60), page.dial("gain").dblclick()), 5.0),
}


@pytest.mark.parametrize("hand", HANDS)
def test_a_knob_turned_by_hand_is_heard(browser: Any, site: Site, hand: str, tmp_path: Path):
    turn, value = HANDS[hand]
    with opened(browser, site) as page:
        turn(page)
        page.page.keyboard.press("Tab")  # leaves a field that was typed into
        assert page.value("gain") == pytest.approx(value, abs=1e-9)
        page.page.wait_for_function("value => location.hash.includes(`gain=${value}`)", arg=page.value("gain"))
        heard_T = page.sound(tmp_path)
    wanted_T = rendered(tmp_path / "package", tmp_path / "package/audio/di.flac", {"gain": value, "tone": 0.5})
    assert esr(heard_T, wanted_T) < CLOSE


def test_a_switch_and_a_stepped_taper_are_heard(browser: Any, pedal: Path, tmp_path: Path):
    site = one_amp("pedal", pedal)
    with opened(browser, site) as page:
        page.page.get_by_role("radio", name="Half +2.5").check()
        page.dial("volume").focus()
        press(page, "ArrowDown", "ArrowDown", "ArrowDown")
        assert page.value("volume") == -1.5
        heard_T = page.sound(tmp_path)
    setting = {"gain": 5, "volume": -1.5, "bright": "Half +2.5"}
    assert esr(heard_T, rendered(pedal, own_clip(site, "pedal", tmp_path), setting)) < CLOSE


def test_a_unit_is_shown_read_out_and_typed(browser: Any, pedal: Path):
    with opened(browser, one_amp("pedal", pedal)) as page:
        volume = page.page.get_by_label("volume, value")
        assert (volume.input_value(), page.dial("volume").get_attribute("aria-valuetext")) == ("0 dB", "0 dB")
        for typed, value in (("2,5 dB", 2.5), ("-1.5dB", -1.5), ("3", 3.0), ("dB", 3.0), ("4 kHz", 3.0)):
            volume.fill(typed)
            page.page.keyboard.press("Tab")
            assert page.value("volume") == value
            assert volume.input_value() == f"{value:g} dB"
        assert page.page.get_by_label("gain, value").input_value() == "5"


DROP = """async ([selector, name, url]) => {
  const data = new DataTransfer(), bytes = await (await fetch(url)).arrayBuffer();
  data.items.add(new File([bytes], name));
  document.querySelector(selector).dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
}"""


def test_a_file_that_is_opened_is_played(browser: Any, site: Site, tmp_path: Path):
    x_T = di(0.7, seed=3)
    with opened(browser, site) as page:
        page.page.get_by_label("Open a file").last.set_input_files(write_wav(tmp_path / "<b>riff.wav", x_T))
        page.page.get_by_text("Plays <b>riff.wav, 0.7 s.").wait_for()
        heard_T = page.sound(tmp_path)
    assert esr(heard_T, rendered(tmp_path / "package", tmp_path / "<b>riff.wav", {})) < CLOSE


def test_a_file_that_is_dropped_is_played_and_one_that_is_no_audio_is_refused(browser: Any, site: Site, tmp_path: Path):
    with opened(browser, site) as page:
        page.page.evaluate(DROP, [".spectrum", "riff.flac", "amps/alice/tiny/audio/di.flac"])
        page.page.get_by_text("Plays riff.flac").wait_for()
        page.page.evaluate(DROP, [".spectrum", "notes.txt", "site.json"])
        page.page.get_by_text("notes.txt is not audio that this browser reads; WAV and FLAC are.").wait_for()
        heard_T = page.sound(tmp_path)
    assert esr(heard_T, rendered(tmp_path / "package", tmp_path / "package/audio/di.flac", {})) < CLOSE


def test_a_cabinet_filters_what_is_heard(browser: Any, site: Site, tmp_path: Path):
    response_T = np.array([0.5, 0.3, 0, -0.2, 0.1], np.float32)
    with opened(browser, site) as page:
        plain_T = page.sound(tmp_path)
        chooser = page.page.get_by_label("Open an impulse response").last
        chooser.set_input_files(write_wav(tmp_path / "cab.wav", response_T))
        page.page.get_by_text("Cabinet: cab.wav.").wait_for()
        heard_T = page.sound(tmp_path)
        chooser.set_input_files(write_wav(tmp_path / "long.wav", np.zeros(3 * RATE, np.float32)))
        page.page.get_by_text("long.wav is 3.0 s long; an impulse response has at most 2 s.").wait_for()
        page.page.get_by_role("button", name="None").click()
        without_T = page.sound(tmp_path)
    wanted_T = np.convolve(plain_T, response_T)[: len(plain_T)]
    gain = float(heard_T @ wanted_T / (wanted_T @ wanted_T))
    assert esr(heard_T, gain * wanted_T) < 1e-9
    assert gain > 0
    np.testing.assert_array_equal(without_T, plain_T)


def rms(x_T: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x_T, dtype=np.float64))))


def test_bypass_is_the_dry_sound_as_loud_as_the_amp(browser: Any, site: Site, tmp_path: Path):
    dry_T = read_wav(tmp_path / "package/audio/di.flac")
    with opened(browser, site) as page:
        page.page.get_by_role("radio", name="Bypass").check()
        page.page.get_by_role("checkbox", name="equally loud").uncheck()
        assert esr(page.sound(tmp_path), dry_T) < 1e-12
        page.page.get_by_role("checkbox", name="equally loud").check()
        heard_T = page.sound(tmp_path)
        level = page.page.evaluate(LOUDNESS, [heard_T.tolist()])
        page.page.get_by_role("radio", name="A", exact=True).check()
        wet = page.page.evaluate(LOUDNESS, [page.sound(tmp_path).tolist()])
    assert esr(heard_T / rms(heard_T), dry_T / rms(dry_T)) < 1e-10
    assert level == pytest.approx(wet, abs=0.05) or np.abs(heard_T).max() == pytest.approx(0.98, abs=1e-3)


LOUDNESS = """async ([samples]) => {
  const { loudness } = await import("./render.js");
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: 8000 });
  buffer.copyToChannel(new Float32Array(samples), 0);
  return (await loudness({ head: { sampleRate: 8000 } }, buffer, { values: null })).level;
}"""


def test_a_and_b_keep_their_knobs(browser: Any, site: Site, tmp_path: Path):
    with opened(browser, site, "#gain=2") as page:
        page.page.get_by_role("radio", name="B", exact=True).check()
        assert page.value("gain") == 2
        page.dial("gain").focus()
        press(page, "End")
        page.page.get_by_role("radio", name="A", exact=True).check()
        assert page.value("gain") == 2
        heard_T = page.sound(tmp_path)
        page.page.get_by_role("radio", name="B", exact=True).check()
        assert page.value("gain") == 10
    assert esr(heard_T, rendered(tmp_path / "package", tmp_path / "package/audio/di.flac", {"gain": 2})) < CLOSE


def test_the_real_amp_is_heard_at_its_setting(browser: Any, tmp_path: Path, taken: Path):
    preset = next(one for one in read_presets(taken) if one["target"])
    with opened(browser, one_amp("tiny", taken)) as page:
        real = page.page.get_by_role("radio", name="Real amp")
        assert real.is_disabled()
        page.page.get_by_role("button", name="Compare with the real amp").click()
        page.page.wait_for_function("() => document.querySelector('input[value=real]').checked")
        assert {name: page.value(name) for name in preset["knobs"]} == preset["knobs"]
        page.page.get_by_role("checkbox", name="equally loud").uncheck()
        assert esr(page.sound(tmp_path), read_wav(taken / preset["target"])) < 1e-12
        page.page.get_by_role("radio", name="A", exact=True).check()
        heard_T = page.sound(tmp_path)
    assert esr(heard_T, rendered(taken, taken / preset["dry"], preset["knobs"])) < CLOSE


def read_presets(folder: Path) -> list[dict]:
    return json.loads((folder / "presets.json").read_text())["presets"]
