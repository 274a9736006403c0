"""How fast is the C player (`player/`), against the numba player that it is written after, and NeuralAmpModelerCore?

All play the same weights and noise in turns, a second of audio each; CPU seconds of the playing thread per second of
audio, medians over the rounds, and in brackets the median over the rounds of the ratio to the numba player (below 1:
faster than numba). The numba player is called from Python, C from Python too (C PY) and alone (C). STILL: the knobs
stand still. GLIDE: all knobs move all the time, in C between control points, in numba sample by sample. ESR is that of
C against numba.

NeuralAmpModelerCore is not part of this project. Programs given by --core are called as those of
benchmarks/streaming.py, with the model baked at a setting into a stock file (the least Core can do); the ratio is
theirs to C alone (above 1: C is faster).

    python -m benchmarks.native_engine --rounds 7 [--core build/core_inline]
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.common import trained_net
from models.artifacts.model_config import make_config
from models.core.schema import read_document
from models.formats.nam.writer import write_nam
from models.formats.player.build import build_program, compilers, library
from models.formats.player.native import NativePlayer
from models.formats.player.writer import write_amp
from models.knobs.schema import Knob, Knobs
from models.network.architecture import WaveNetConfig
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.playback.stream import Stream
from zoo.cli import output

CONFIGS = Path(__file__).parent.parent / "configs" / "models"
MODELS = ("a1-nano-film", "a1-lite-film", "a1-standard-film", "a2-full-film")
BLOCKS = (32, 64, 256)
RATE_HZ = 48_000
NOISE_T = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)


def cpu_seconds(play: Callable[[int], object], block: int) -> float:
    """Return the CPU seconds of this thread per second of audio; `play(first sample)` plays one block."""
    count = RATE_HZ // block
    begin = time.thread_time()
    for number in range(count):
        play(number * block)
    return (time.thread_time() - begin) * RATE_HZ / (count * block)


def program_seconds(program: Path, file: Path, block: int, *words: str) -> float:
    """Return the CPU seconds per second of audio of a program that plays two seconds (see benchmarks/streaming.py)."""
    lines = subprocess.check_output([program, file, str(block), "2", *words], text=True).splitlines()
    return float(lines[-1].removeprefix("cpu ")) * RATE_HZ / (block * (len(lines) - 1))


def from_python(net: WaveNet, player: NativePlayer, block: int) -> dict[str, Callable[[], float]]:
    """Return what plays a second in blocks, each by name: numba and C, still and moving."""
    knobs, y_T = net.knobs, np.empty(block, np.float32)
    stream, still = Stream(net, [0.3] * knobs), np.full((knobs, 1), 0.3, np.float32)
    ramp_KT = np.repeat(np.linspace(-1, 1, RATE_HZ, dtype=np.float32)[None], knobs, axis=0)
    turn = RATE_HZ // 40  # samples: shorter than a full turn, so that the knobs are always under way

    def glide(t: int) -> None:
        if t % turn < block:
            player.set_knobs({f"knob{n}": (-1.0, 1.0)[t // turn % 2] for n in range(knobs)})
        player.glide(NOISE_T[t : t + block], y_T)

    return {
        "numba still": lambda: cpu_seconds(lambda t: stream.process(NOISE_T[t : t + block], still, y_T), block),
        "py still": lambda: cpu_seconds(lambda t: player.process(NOISE_T[t : t + block], still, y_T), block),
        "numba glide": lambda: cpu_seconds(
            lambda t: stream.process(NOISE_T[t : t + block], ramp_KT[:, t : t + block], y_T), block
        ),
        "py glide": lambda: cpu_seconds(glide, block),
    }


def contest(runs: dict[str, Callable[[], float]], cores: list[str], rounds: int) -> list[str]:
    """Return the cells of one row: everything in turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, play in runs.items():
            taken[name].append(play())

    def cell(name: str, against: str) -> str:
        ratio = median(ours / theirs for ours, theirs in zip(taken[name], taken[against], strict=True))
        return f"{median(taken[name]):.4f} ({ratio:.2f})"

    cells = []
    for kind in ("still", "glide"):
        cells += [f"{median(taken[f'numba {kind}']):.4f}", cell(f"py {kind}", f"numba {kind}")]
        cells.append(cell(f"c {kind}", f"numba {kind}"))
    return cells + [cell(core, "c still") for core in cores]


def error(net: WaveNet, player: NativePlayer) -> float:
    """Return the ESR of the C player's sound against that of the numba player."""
    levels_K = [0.3] * net.knobs
    player.reset(levels_K)
    y_T, wanted_T = (played.process(NOISE_T, levels_K) for played in (player, Stream(net, levels_K)))
    return float(np.sum((y_T - wanted_T) ** 2, dtype=float) / np.sum(wanted_T**2, dtype=float))


def main() -> None:
    """Measure every model at every block size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--knobs", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--blocks", type=int, nargs="+", default=BLOCKS)
    parser.add_argument("--engines", nargs="+", default=["baseline", "avx2", "avx512"])
    parser.add_argument("--compiler", choices=compilers(), default=None)
    parser.add_argument("--core", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    knobs = Knobs(knobs=tuple(Knob(name=f"knob{n}", min=-1, max=1, default=0) for n in range(options.knobs)))
    path, bench, rows = library(compiler=options.compiler), build_program("bench.c", options.compiler), []
    with tempfile.TemporaryDirectory() as folder:
        file, stock = Path(folder) / "amp.bin", Path(folder) / "stock.nam"
        for name in options.models:
            config = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
            net = trained_net(config, options.knobs)
            write_amp(file, make_config(name, RATE_HZ, knobs, config), net)
            baked = bake(net, [0.3] * options.knobs)
            write_nam(stock, make_config(name, RATE_HZ, Knobs(knobs=()), baked.config), baked)
            for engine, block in product(options.engines, options.blocks):
                player = NativePlayer(file.read_bytes(), engine=engine, path=path)
                runs = from_python(net, player, block)
                for kind in ("still", "glide"):
                    runs[f"c {kind}"] = partial(program_seconds, bench, file, block, engine, kind)
                for core in options.core:
                    runs[core.name] = partial(program_seconds, core, stock, block)
                esr = error(net, player)
                cells = contest(runs, [core.name for core in options.core], options.rounds)
                rows.append((name, engine, str(block), *cells, f"{esr:.0e}"))
                output.info("  ".join(rows[-1]))
    head = ("MODEL", "ENGINE", "BLOCK", "NUMBA STILL", "C PY", "C", "NUMBA GLIDE", "C PY", "C")
    output.data_table((*head, *(core.name for core in options.core), "ESR"), rows)


if __name__ == "__main__":
    main()
