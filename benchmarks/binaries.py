"""How large are the binaries of the player, how long does building them take, and how fast is WebAssembly in node?

* Bytes of the libraries of player and plugins for each target (WebAssembly gzipped, too); CPU seconds of zig to build
  both the first time, with an empty cache of its own, and again; and whether the bytes are the same again.
* CPU seconds of node per second of audio in blocks of 128, as a page plays, still and with a knob that turns before
  every block: medians over the rounds of two seconds each, the models in turns.

    python -m benchmarks.binaries --rounds 7 [--targets linux-x86_64 wasm32] [--models a1-nano-film]

A machine that is busy takes longer for both.
"""

import argparse
import gzip
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from unittest import mock

import torch

from benchmarks.common import RATE_HZ, load_architecture, trained_net
from benchmarks.native_engine import MODELS
from models.artifacts.model_config import make_config
from models.formats.player.build import ZIG_TARGETS, library, plugin_library
from models.formats.player.writer import amp_bytes
from models.knobs.schema import Knob, Knobs
from zoo.cli import output

BLOCK, SECONDS = 128, 2
NODE = """
const [wasm, amp, rate, block, seconds] = process.argv.slice(1).map((word, n) => (n < 2 ? word : Number(word)));
const { readFileSync } = require("fs"), bytes = readFileSync(amp);
const w = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(wasm)), {}).exports;
w._initialize();
const file = w.player_take(bytes.length), parsed = w.player_take(w.player_amp_size());
new Uint8Array(w.memory.buffer).set(bytes, file);
if (w.player_amp_read(parsed, file, bytes.length)) throw new Error("broken");
const player = w.player_init(w.player_take(w.player_size(parsed, 1)), parsed, 1, 0);
const x = w.player_take(4 * block), y = w.player_take(4 * block), count = Math.floor((rate * seconds) / block);
const noise = new Float32Array(w.memory.buffer, x, block);
const play = (turns) => {
  const begin = process.cpuUsage();
  for (let n = 0; n < count; n++) {
    for (let t = 0; t < block; t++) noise[t] = 0.2 * Math.random() - 0.1;
    if (turns) w.player_set_knob(player, 0, n % 40 < 20 ? 0 : 10);
    w.player_process(player, x, y, block);
  }
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1e6 / ((count * block) / rate);
};
play(true); // V8 compiles
console.log(play(false), play(true));
"""


def children_seconds() -> float:
    """Return the CPU seconds of the processes that have ended so far."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def build_both(target: str, cache: Path) -> tuple[list[bytes], float]:
    """Build the libraries of a target into a cache; return their bytes, and the CPU seconds that it took."""
    begin = children_seconds()
    with mock.patch.dict(os.environ, {"AMPZOO_CACHE": str(cache)}):
        made = [library(target, "zig").read_bytes()]
        if target != "wasm32":
            made.append(plugin_library(target, "zig").read_bytes())
    return made, children_seconds() - begin


def size_row(target: str) -> tuple[str, ...]:
    """Return the row of a target."""
    with tempfile.TemporaryDirectory() as folder:
        zig = {name: str(Path(folder, "zig")) for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
        with mock.patch.dict(os.environ, zig):
            made, first = build_both(target, Path(folder, "one"))
            again, later = build_both(target, Path(folder, "other"))
    sizes = [f"{len(data):,}" for data in made] + [""] * (2 - len(made))
    small = f"{len(gzip.compress(made[0])):,}" if target == "wasm32" else ""
    return target, *sizes, small, f"{first:.0f} s", f"{later:.0f} s", "yes" if again == made else "no"


def node_rows(models: list[str], rounds: int) -> list[tuple[str, ...]]:
    """Return the share of a core that each model takes in node, still and turned."""
    knobs, taken = Knobs(knobs=(Knob(name="gain", min=0, max=10, default=5),)), {name: [] for name in models}
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            net = trained_net(load_architecture(name), 1)
            Path(folder, name).write_bytes(amp_bytes(make_config(name, RATE_HZ, knobs, net.config), net))
        for _ in range(rounds):
            for name, found in taken.items():
                words = [str(library("wasm32", "zig")), str(Path(folder, name)), *map(str, (RATE_HZ, BLOCK, SECONDS))]
                shown = subprocess.check_output(["node", "-e", NODE, *words], text=True)
                found.append([float(number) for number in shown.split()])
    return [(name, *(f"{100 * median(column):.2f} %" for column in zip(*taken[name], strict=True))) for name in taken]


def main() -> None:
    """Print both tables; the second one where node is installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--targets", nargs="*", default=list(ZIG_TARGETS))
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.targets:
        rows = [size_row(target) for target in options.targets]
        output.data_table(("TARGET", "PLAYER", "PLUGIN", "GZIPPED", "FIRST BUILD", "AGAIN", "SAME BYTES"), rows)
    if options.models and shutil.which("node"):
        output.data_table(("MODEL", "STILL", "TURNED"), node_rows(options.models, options.rounds))


if __name__ == "__main__":
    main()
