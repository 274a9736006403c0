"""How much of a core does a model with knobs cost in real time, and against NeuralAmpModelerCore?

Plays seconds of noise in blocks, knobs still, all turned before every block, or ramped from sample to sample, and prints CPU time per second of
audio of the playing thread (the smaller the better), percentiles of the wall time of a block with knobs turned before every block, a quarter of
the block (what p99.9 should stay below), and the error against the plain forward pass in double precision. CONTROL is the p99.9 of the machine
itself: of a loop that only looks at the clock until our median block's time is over, as often, second by second between ours. Only what p99.9 has
above it is the engine's.

Ours and theirs take turns, second by second; the ratio (above 1: ours is faster) is the median over the rounds of their CPU time by ours, with
knobs turned before every block in ours. Theirs plays the same weights twice: as a stock file, knobs baked in (the least it can do), and as a
live file, knobs moving.

NeuralAmpModelerCore is not part of this project. Give any number of programs that use it, each called as `PROGRAM MODEL.nam BLOCK SECONDS`: it plays noise,
turning all inputs but the first before every block, and prints the wall seconds of each block, a line each, and at last `cpu` and the CPU seconds
of its thread for all of them. Without one, its columns are left out.

    python benchmarks/streaming.py --core build/core_v3 build/core_native --rounds 9
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

from models.artifacts.model_config import make_config
from models.core.schema import read_document
from models.formats.nam.writer import write_nam
from models.knobs.schema import Knob, Knobs
from models.network.architecture import WaveNetConfig
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.playback.stream import Stream, play
from zoo.cli import output

CONFIGS = Path(__file__).parent.parent / "configs" / "models"
MODELS = ("a1-standard", "a1-standard-film", "a1-lite", "a1-feather", "a2-full", "a2-full-film", "a2-lite")
BLOCKS = (32, 64, 128, 256)
RATE_HZ = 48_000
NOISE_T = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)


def trained(config: WaveNetConfig, knobs: int) -> WaveNet:
    """A net whose weights are none of them special."""
    torch.manual_seed(0)
    net = WaveNet(config, knobs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return net.eval()


def ours(stream: Stream, block: int, moves: str) -> tuple[float, list[float]]:
    """`(CPU seconds per second of audio, wall seconds of each block)` of one second."""
    levels, walls = np.zeros((stream.net.knobs, block if moves == "ramped" else 1), np.float32), []
    ramp_T = np.linspace(0, 0.01, block, dtype=np.float32)
    begin, count = time.thread_time(), RATE_HZ // block
    for number in range(count):
        start = time.perf_counter()
        if moves == "turned":
            levels[:] = number % 100 / 100
        elif moves == "ramped":
            np.add(ramp_T, np.float32(number % 100 / 100), out=levels[0])
            levels[1:] = levels[0]
        stream.process(NOISE_T[number * block : (number + 1) * block], levels)
        walls.append(time.perf_counter() - start)
    return (time.thread_time() - begin) * RATE_HZ / (count * block), walls


def control(seconds: float, count: int) -> list[float]:
    """Wall seconds of each of so many waits of so many seconds, in which this thread does nothing but look at the clock."""
    walls = []
    for _ in range(count):
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            pass
        walls.append(time.perf_counter() - start)
    return walls


def theirs(program: Path, file: Path, block: int) -> float:
    """CPU seconds per second of audio, over two seconds."""
    lines = subprocess.run(
        [program, file, str(block), "2"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return float(lines[-1].removeprefix("cpu ")) * RATE_HZ / (block * (len(lines) - 1))


def error(net: WaveNet) -> float:
    """ESR of the stream against the plain forward pass in double precision."""
    x_T, levels_K = NOISE_T[: RATE_HZ // 2], [0.3] * net.knobs
    wanted_T = play(copy.deepcopy(net).double(), x_T, levels_K)
    found_T = Stream(net, levels_K).process(x_T, levels_K)
    return float(np.sum((found_T - wanted_T) ** 2) / np.sum(wanted_T**2))


def main() -> None:
    """Measure every model at every block size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=Path, nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--knobs", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--blocks", type=int, nargs="+", default=BLOCKS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.core:
        output.say("no --core given: NeuralAmpModelerCore is left out")
    knobs = Knobs(knobs=tuple(Knob(name=f"knob{n}", min=-1, max=1, default=0) for n in range(options.knobs)))
    kinds = [(program, kind) for program in options.core for kind in ("stock", "live")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            config = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
            net = trained(config, options.knobs)
            baked = bake(net, [0.3] * options.knobs)
            files = {"stock": Path(folder) / "stock.nam", "live": Path(folder) / "live.nam"}
            write_nam(files["stock"], make_config(name, RATE_HZ, Knobs(knobs=()), baked.config), baked)
            write_nam(files["live"], make_config(name, RATE_HZ, knobs, config), net)
            stream, esr = Stream(net, [0.3] * options.knobs), error(net)
            for block in options.blocks:
                still, turned, ramped, walls, waits = [], [], [], [], []
                core: dict[tuple[Path, str], list[float]] = {kind: [] for kind in kinds}
                for _ in range(options.rounds):
                    still.append(ours(stream, block, "still")[0])
                    ramped.append(ours(stream, block, "ramped")[0])
                    cpu, seconds = ours(stream, block, "turned")
                    turned.append(cpu)
                    walls += seconds
                    waits += control(median(seconds), len(seconds))
                    for program, kind in kinds:
                        core[program, kind].append(theirs(program, files[kind], block))
                times = [*np.quantile(walls, [0.5, 0.99, 0.999]), np.quantile(waits, 0.999), block / RATE_HZ / 4]
                row = [
                    name,
                    str(block),
                    *(f"{median(runs):.4f}" for runs in (still, turned, ramped)),
                    *(f"{1e6 * seconds:.0f}" for seconds in times),
                    f"{esr:.0e}",
                ]
                for kind in kinds:
                    ratio = median(their / our for their, our in zip(core[kind], turned, strict=True))
                    row.append(f"{median(core[kind]):.4f} ({ratio:.2f}x)")
                rows.append(tuple(row))
                output.say("  ".join(row))
    theirs_head = [f"{program.name} {kind}" for program, kind in kinds]
    head = ("MODEL", "BLOCK", "STILL", "TURNED", "RAMPED", "P50 US", "P99", "P99.9", "CONTROL", "QUARTER", "ESR")
    output.put_table((*head, *theirs_head), rows)


if __name__ == "__main__":
    main()
