"""Building the player: for this machine, for others, for a browser; and what is said where it cannot be built."""

import json
import shutil
import struct
import subprocess
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from models.core.errors import UserError, WaitNotice
from models.formats.player import build
from models.formats.player.build import compilers, library, plugin_library
from models.formats.player.native import NativePlayer
from models.formats.plugin.targets import plugin_binary
from models.playback.stream import Stream
from tests.support.makers import architecture, di, esr, wavenet
from tests.support.native import amp, native, needs_compiler

DI = di(1.0)
needs_zig = pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed (pip install ziglang)")

NODE = """
const fs = require("fs"), [wasm, amp, input, plan] = process.argv.slice(1);
const w = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(wasm)), {}).exports;
w._initialize();
const bytes = fs.readFileSync(amp), x = fs.readFileSync(input), samples = x.length / 4;
const file = w.player_take(bytes.length), parsed = w.player_take(w.player_amp_size());
new Uint8Array(w.memory.buffer).set(bytes, file);
if (w.player_amp_read(parsed, file, bytes.length)) throw "broken";
const player = w.player_init(w.player_take(w.player_size(parsed, 1)), parsed, 1, 0), block = 128;
const dry = w.player_take(4 * block), made = w.player_take(4 * block), out = new Uint8Array(4 * samples);
const turns = JSON.parse(plan);
for (let t = 0; t < samples; t += block) {
  const count = Math.min(block, samples - t);
  for (const [at, knob, value] of turns) if (at === t) w.player_set_knob(player, knob, value);
  new Uint8Array(w.memory.buffer).set(x.subarray(4 * t, 4 * (t + count)), dry);
  w.player_process(player, dry, made, count);
  out.set(new Uint8Array(w.memory.buffer, made, 4 * count), 4 * t);
}
process.stdout.write(out);
"""


@pytest.mark.parametrize("compiler", compilers())
def test_every_compiler_builds_the_same_sound(compiler: str):
    net, levels_K = wavenet(architecture("mixin+film")), [0.3, -0.8]
    played = NativePlayer(amp(net), path=library(compiler=compiler))
    played.reset(levels_K)
    assert esr(played.process(DI, levels_K), Stream(net, levels_K).process(DI, levels_K)) < 1e-10


@needs_zig
@pytest.mark.parametrize(
    ("made", "target"), [(library, None), (library, "wasm32"), (plugin_library, None)], ids=["player", "page", "plugin"]
)
def test_building_again_gives_the_same_bytes(
    made: Callable[..., Path], target: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = made(target, "zig").read_bytes()
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    again = made(target, "zig")
    assert again.is_relative_to(tmp_path)
    assert again.read_bytes() == first


@needs_zig
@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize("form", ["film", "warp+encoder", "input+mixin"])
def test_webassembly_plays_as_this_machine_does(form: str, tmp_path: Path):
    net, turns = wavenet(architecture(form)), [[256, 0, 1.0], [1280, 1, -0.7], [3840, 0, -1.0]]
    (tmp_path / "amp.bin").write_bytes(amp(net))
    (tmp_path / "x.f32").write_bytes(DI.tobytes())
    words = [library("wasm32", "zig"), tmp_path / "amp.bin", tmp_path / "x.f32", json.dumps(turns)]
    found = subprocess.run(["node", "-e", NODE, *map(str, words)], capture_output=True, check=True).stdout
    y_T, played, parts = np.frombuffer(found, np.float32), native(net), []
    for begin in range(0, len(DI), 128):
        for _, knob, value in (turn for turn in turns if turn[0] == begin):
            played.set_knobs({f"k{knob}": value})
        parts.append(played.glide(DI[begin : begin + 128]))
    assert esr(y_T, np.concatenate(parts)) < 1e-10


@needs_zig
def test_webassembly_imports_nothing():
    data = library("wasm32", "zig").read_bytes()
    assert struct.unpack_from("<4sI", data) == (b"\0asm", 1)
    at, sections = 8, []
    while at < len(data):
        sections.append(data[at])
        size, shift, at = 0, 0, at + 1
        while True:  # a LEB128 number
            byte, at = data[at], at + 1
            size, shift = size | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        at += size
    assert 2 not in sections  # the section of imports
    assert len(data) < 100_000


@needs_zig
@pytest.mark.parametrize(("target", "magic"), [("linux-x86_64", b"\x7fELF"), ("linux-aarch64", b"\x7fELF")])
def test_other_machines_are_built_for(target: str, magic: bytes):
    assert library(target, "zig").read_bytes().startswith(magic)


def test_without_a_compiler_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "compilers", list)
    with pytest.raises(UserError, match="no C compiler is installed") as caught:
        library()
    assert "pip install" in caught.value.hint


@needs_compiler
def test_an_unknown_target_is_refused():
    with pytest.raises(UserError, match="does not build the player for amiga-68k"):
        library("amiga-68k")


@needs_compiler
def test_a_person_is_told_why_the_first_use_takes_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(build, "_built", lambda *words: b"a library")
    with pytest.warns(WaitNotice, match="^compiling ampzoo-player for this machine, once"):
        first = library()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert library() == first and first.read_bytes() == b"a library"


def test_a_system_compiler_does_not_build_for_browsers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "compilers", lambda: ["cc"])
    monkeypatch.setattr(build, "carried_library", lambda *words: None)
    with pytest.raises(UserError, match="cc does not build the player for the browser") as caught:
        library("wasm32")
    assert "[plugin]" in caught.value.hint


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(build, "FLAGS", ("-DENGINE_WIDTH=broken(",))
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    if not compilers():
        pytest.skip("no C compiler is installed")
    with pytest.raises(UserError, match="the player does not compile"):
        library()


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of binaries as a wheel has it, where no compiler is installed; the file is no library."""
    folder = tmp_path / "binaries"
    for target in ("linux-x86_64", "wasm32", build.UNIVERSAL):
        (folder / target).mkdir(parents=True)
    (folder / "linux-x86_64" / "ampzoo-player.so").write_bytes(b"for Linux")
    (folder / "wasm32" / "ampzoo-player.wasm").write_bytes(b"for pages")
    (folder / build.UNIVERSAL / "ampzoo-player.dylib").write_bytes(b"for both")
    (folder / build.UNIVERSAL / "ampzoo-plugin.dylib").write_bytes(b"for hosts")
    (folder / "DIGEST").write_text(build.sources_digest() + "\n")
    monkeypatch.setattr(build, "BINARIES", folder)
    monkeypatch.setattr(build, "compilers", list)
    return folder


@pytest.mark.parametrize(
    ("target", "content"),
    [("linux-x86_64", b"for Linux"), ("wasm32", b"for pages"), ("macos-aarch64", b"for both")],
)
def test_a_wheel_that_carries_the_player_needs_no_compiler(carried: Path, target: str, content: bytes):
    assert library(target).read_bytes() == content


def test_a_wheel_that_carries_the_plugins_needs_no_compiler(carried: Path):
    assert plugin_binary("macos") == b"for hosts"
    with pytest.raises(UserError, match="no C compiler is installed"):
        plugin_binary("linux-x86_64")


def test_a_carried_player_of_other_sources_is_not_used(carried: Path):
    (carried / "DIGEST").write_text("0123\n")
    with pytest.raises(UserError, match="no C compiler is installed"):
        library("linux-x86_64")
    with pytest.raises(UserError, match="no C compiler is installed"):
        library("windows-x86_64")
