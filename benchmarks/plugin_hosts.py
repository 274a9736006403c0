"""What does a plugin cost in a host, beside the C player alone?

The same model plays noise in turns: the C player alone (`player/bench.c`), its VST 3 in pedalboard (JUCE), its LV2 in
lv2bench, its CLAP in the tests' own host (ctypes, whose Python takes some microseconds a block). Mono, knobs still, the
amp's own rate. CPU time as a share of a core, medians over the rounds; in brackets the median over the rounds of the
ratio to the C player alone. Of lv2bench it is what four seconds more take than one. A host that is not installed is
left out.

    python -m benchmarks.plugin_hosts --rounds 5
"""

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.common import RATE_HZ, load_architecture, trained_net
from benchmarks.native_engine import MODELS, program_seconds
from models.artifacts.model_config import make_config
from models.formats.player.build import build_program
from models.formats.player.reader import AmpFile, read_amp
from models.formats.player.writer import amp_bytes
from models.formats.plugin.bundles import write_plugin
from models.formats.plugin.targets import this_machine
from models.formats.plugin.turtle import plugin_uri
from models.knobs.schema import Knob, Knobs
from tests.support.clap_host import ClapHost
from zoo.cli import output

BLOCKS = (64, 256)
SECONDS = 2
NOISE_T = np.random.default_rng(0).normal(0, 0.1, SECONDS * RATE_HZ).astype(np.float32)
LV2_PATH = "/usr/lib/lv2"  # of the specifications, on Debian

Side = Callable[[], float]  # plays, and returns the share of a core


def in_pedalboard(path: Path, block: int) -> Side:
    """Return what plays a VST 3 in pedalboard."""
    import pedalboard

    loaded: Any = pedalboard.load_plugin(str(path))
    x_CT = NOISE_T[None]
    loaded.process(x_CT, RATE_HZ, buffer_size=block, reset=True)

    def play() -> float:
        begin = time.process_time()
        loaded.process(x_CT, RATE_HZ, buffer_size=block, reset=False)
        return (time.process_time() - begin) / SECONDS

    return play


def in_clap_host(path: Path, block: int) -> Side:
    """Return what plays a CLAP in the host of the tests."""
    plugin = ClapHost(path).create()
    plugin.select(1)
    assert plugin.activate(RATE_HZ, block)
    plugin.stream(NOISE_T[None], block)

    def play() -> float:
        begin = time.process_time()
        plugin.stream(NOISE_T[None], block)
        return (time.process_time() - begin) / SECONDS

    return play


def in_lv2bench(folder: Path, amp: AmpFile, block: int) -> Side:
    """Return what plays an LV2 in lv2bench."""
    env = {**os.environ, "LV2_PATH": f"{folder}:{LV2_PATH}"}

    def cpu_of(seconds: int) -> float:
        begin = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        words = ["lv2bench", "-b", str(block), "-n", str(seconds * RATE_HZ), plugin_uri(amp)]
        subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL)
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - begin

    return lambda: -(cpu_of(1) - cpu_of(5)) / 4


def sides(folder: Path, data: bytes, block: int) -> dict[str, Side]:
    """Return what plays a model, by name."""
    amp, target, file = read_amp(data), this_machine(), folder / "amp.bin"
    file.write_bytes(data)
    found: dict[str, Side] = {"C alone": partial(program_seconds, build_program("bench.c"), file, block)}
    if find_spec("pedalboard"):
        found["VST 3 in pedalboard"] = in_pedalboard(write_plugin("vst3", target, folder, "amp", data, [amp]), block)
    found["CLAP in ctypes"] = in_clap_host(write_plugin("clap", target, folder, "amp", data, [amp]), block)
    if shutil.which("lv2bench"):
        write_plugin("lv2", target, folder / "lv2", "amp", data, [amp])
        found["LV2 in lv2bench"] = in_lv2bench(folder / "lv2", amp, block)
    return found


def main() -> None:
    """Measure every model at every block size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--blocks", type=int, nargs="+", default=BLOCKS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    knobs, rows, names = Knobs(knobs=(Knob(name="gain", min=0, max=10, default=5),)), [], []
    for name in options.models:
        net = trained_net(load_architecture(name), 1)
        data = amp_bytes(make_config(name, RATE_HZ, knobs, net.config), net)
        for block in options.blocks:
            with tempfile.TemporaryDirectory() as folder:
                runs = sides(Path(folder), data, block)
                taken: dict[str, list[float]] = {side: [] for side in runs}
                for _ in range(options.rounds):
                    for side, play in runs.items():
                        taken[side].append(play())
            names, alone, cells = list(runs), taken["C alone"], []
            for found in taken.values():
                ratio = median(one / other for one, other in zip(found, alone, strict=True))
                cells.append(f"{100 * median(found):.2f} % ({ratio:.2f})")
            rows.append((name, str(block), *cells))
            output.info("  ".join(rows[-1]))
    output.data_table(("MODEL", "BLOCK", *names), rows)


if __name__ == "__main__":
    main()
