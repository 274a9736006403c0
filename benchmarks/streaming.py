"""How much of a core a model with knobs takes in real time, also against NeuralAmpModelerCore.

Plays seconds of noise in blocks with knobs still, all turned before every block, or ramped from sample to sample.
Prints the CPU time of the playing thread per second of audio (smaller is better), percentiles of the wall time of a
block with knobs turned before every block, a quarter of the block's duration (a bound for p99.9), and the error
against the eager forward pass in double precision. CONTROL is the p99.9 of the machine itself: of a loop that only
reads the clock until our median time of a block is over, as often, second by second between ours. Only what p99.9 has
above it is due to the engine.

Ours and theirs take turns, second by second; the ratio (above 1: ours is faster) is the median over rounds of their
CPU time by ours, with knobs turned before every block in ours. Theirs plays the same weights twice: as a stock file
with the knobs baked in (the least it can do), and as a live file with moving knobs.

NeuralAmpModelerCore is not part of this project. `--core` names any number of programs that use it, each called as
`PROGRAM MODEL.nam BLOCK SECONDS`: it plays noise and turns all inputs but the first before every block. It prints the
wall seconds of each block, one per line, then `cpu` and the CPU seconds of its thread for all of them. Without a
program its columns are left out.

    python -m benchmarks.streaming --core build/core_v3 build/core_native --rounds 9
"""

import argparse
import copy
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.common import RATE_HZ, load_architecture, trained_net
from models.artifacts.model_config import make_config
from models.formats.nam.writer import write_nam
from models.knobs.schema import Knob, Knobs
from models.network.architecture import WaveNetConfig
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.playback.stream import Stream, play
from zoo.cli import output

MODELS = ("a1-standard", "a1-standard-film", "a1-lite", "a1-feather", "a2-full", "a2-full-film", "a2-lite")
BLOCKS = (32, 64, 128, 256)
NOISE_T = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
COLUMNS = ("MODEL", "BLOCK", "STILL", "TURNED", "RAMPED", "P50 US", "P99", "P99.9", "CONTROL", "QUARTER", "ESR")

Program = tuple[Path, str]  # an opponent, and which file it plays: "stock" or "live"


def play_second(stream: Stream, block: int, moves: str) -> tuple[float, list[float]]:
    """Play one second; returns CPU seconds per second of audio, and the wall seconds of each block."""
    levels, walls = np.zeros((stream.net.knobs, block if moves == "ramped" else 1), np.float32), []
    ramp_T = np.linspace(0, 0.01, block, dtype=np.float32)
    began, count = time.thread_time(), RATE_HZ // block
    for number in range(count):
        start = time.perf_counter()
        if moves == "turned":
            levels[:] = number % 100 / 100
        elif moves == "ramped":
            np.add(ramp_T, np.float32(number % 100 / 100), out=levels[0])
            levels[1:] = levels[0]
        stream.process(NOISE_T[number * block : (number + 1) * block], levels)
        walls.append(time.perf_counter() - start)
    return (time.thread_time() - began) * RATE_HZ / (count * block), walls


def control(seconds: float, count: int) -> list[float]:
    """Return the wall seconds of each of `count` waits, in which this thread only reads the clock."""
    walls = []
    for _ in range(count):
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            pass
        walls.append(time.perf_counter() - start)
    return walls


def play_core(program: Path, file: Path, block: int) -> float:
    """Return an opponent's CPU seconds per second of audio, over two seconds."""
    command = [program, file, str(block), "2"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return float(lines[-1].removeprefix("cpu ")) * RATE_HZ / (block * (len(lines) - 1))


def error(net: WaveNet) -> float:
    """Return the ESR of the stream against the eager forward pass in double precision."""
    x_T, levels_K = NOISE_T[: RATE_HZ // 2], [0.3] * net.knobs
    expected_T = play(copy.deepcopy(net).double(), x_T, levels_K)
    streamed_T = Stream(net, levels_K).process(x_T, levels_K)
    return float(np.sum((streamed_T - expected_T) ** 2) / np.sum(expected_T**2))


def write_files(folder: Path, name: str, config: WaveNetConfig, net: WaveNet) -> dict[str, Path]:
    """Write a net as the two files that opponents play."""
    knobs = Knobs(knobs=tuple(Knob(name=f"knob{n}", min=-1, max=1, default=0) for n in range(net.knobs)))
    baked = bake(net, [0.3] * net.knobs)
    files = {"stock": folder / "stock.nam", "live": folder / "live.nam"}
    write_nam(files["stock"], make_config(name, RATE_HZ, Knobs(knobs=()), baked.config), baked)
    write_nam(files["live"], make_config(name, RATE_HZ, knobs, config), net)
    return files


def measure(stream: Stream, block: int, rounds: int, programs: list[Program], files: dict[str, Path]) -> list[str]:
    """Return the cells of one model and block that depend on time."""
    still, turned, ramped, walls, waits = [], [], [], [], []
    core: dict[Program, list[float]] = {program: [] for program in programs}
    for _ in range(rounds):
        still.append(play_second(stream, block, "still")[0])
        ramped.append(play_second(stream, block, "ramped")[0])
        cpu, seconds = play_second(stream, block, "turned")
        turned.append(cpu)
        walls += seconds
        waits += control(median(seconds), len(seconds))
        for program, kind in programs:
            core[program, kind].append(play_core(program, files[kind], block))
    times = [*np.quantile(walls, [0.5, 0.99, 0.999]), np.quantile(waits, 0.999), block / RATE_HZ / 4]
    cells = [*(f"{median(runs):.4f}" for runs in (still, turned, ramped)), *(f"{1e6 * time:.0f}" for time in times)]
    for theirs in core.values():
        ratio = median(their / our for their, our in zip(theirs, turned, strict=True))
        cells.append(f"{median(theirs):.4f} ({ratio:.2f}x)")
    return cells


def main() -> None:
    """Measure every model at every size of block and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=Path, nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--knobs", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--blocks", type=int, nargs="+", default=BLOCKS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.core:
        output.info("no --core given: NeuralAmpModelerCore is left out")
    programs = [(program, kind) for program in options.core for kind in ("stock", "live")]
    rows, own = [], len(COLUMNS) - 3  # cells of `measure` before those of opponents
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            config = load_architecture(name)
            net = trained_net(config, options.knobs)
            files = write_files(Path(folder), name, config, net)
            stream, esr = Stream(net, [0.3] * options.knobs), error(net)
            for block in options.blocks:
                cells = measure(stream, block, options.rounds, programs, files)
                rows.append((name, str(block), *cells[:own], f"{esr:.0e}", *cells[own:]))
                output.info("  ".join(rows[-1]))
    output.data_table((*COLUMNS, *(f"{program.name} {kind}" for program, kind in programs)), rows)


if __name__ == "__main__":
    main()
