"""How fast is the C player (`player/`), against the numba player that it is written after?

Both play the same net, weights and noise in turns, a second of audio each; CPU seconds of the playing thread per second
of audio, medians over the rounds, and the median over the rounds of C / numba (below 1: C is faster). STILL: the knobs
stand still. GLIDE: all knobs move all the time, in C between control points (`NativePlayer.glide`), in numba sample by
sample. ESR is that of the two still outputs. Calls from Python are in the figures: about 3 us a block in numba's
player and 2 us in C's; CALL is that of C, measured with blocks of one sample of a net of one layer.

    python -m benchmarks.native_engine --rounds 7
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from models.artifacts.model_config import make_config
from models.core.schema import read_document
from models.formats.player.build import compilers, library
from models.formats.player.native import NativePlayer
from models.formats.player.writer import amp_bytes
from models.knobs.schema import Knob, Knobs
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.stream import Stream
from zoo.cli import output

CONFIGS = Path(__file__).parent.parent / "configs" / "models"
MODELS = ("a1-nano-film", "a1-lite-film", "a1-standard-film", "a2-full-film")
BLOCKS = (32, 64, 256)
RATE_HZ = 48_000
NOISE_T = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)


def trained(config: WaveNetConfig, knobs: int) -> WaveNet:
    """Return a net none of whose weights is special."""
    torch.manual_seed(0)
    net = WaveNet(config, knobs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return net.eval()


def cpu_seconds(play: Callable[[int], object], block: int) -> float:
    """Return the CPU seconds of this thread per second of audio; `play(first sample)` plays one block."""
    count = RATE_HZ // block
    begin = time.thread_time()
    for number in range(count):
        play(number * block)
    return (time.thread_time() - begin) * RATE_HZ / (count * block)


def contest(net: WaveNet, player: NativePlayer, block: int, rounds: int) -> list[str]:
    """Return the cells of one row."""
    knobs = net.knobs
    stream, still = Stream(net, [0.3] * knobs), np.full((knobs, 1), 0.3, np.float32)
    player.reset([0.3] * knobs)
    ramp_KT = np.repeat(np.linspace(-1, 1, RATE_HZ, dtype=np.float32)[None], knobs, axis=0)
    y_T = np.empty(block, np.float32)

    def glide(t: int) -> None:
        if t % (RATE_HZ // 8) < block:  # seldom enough to be always under way
            player.set_knobs({f"knob{n}": (-1.0, 1.0)[(t // (RATE_HZ // 8)) % 2] for n in range(knobs)})
        player.glide(NOISE_T[t : t + block], y_T)

    runs = {
        "numba still": lambda t: stream.process(NOISE_T[t : t + block], still, y_T),
        "c still": lambda t: player.process(NOISE_T[t : t + block], still, y_T),
        "numba glide": lambda t: stream.process(NOISE_T[t : t + block], ramp_KT[:, t : t + block], y_T),
        "c glide": glide,
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, play in runs.items():
            taken[name].append(cpu_seconds(play, block))
    cells = []
    for kind in ("still", "glide"):
        ratio = median(c / n for c, n in zip(taken[f"c {kind}"], taken[f"numba {kind}"], strict=True))
        cells += [f"{median(taken[f'numba {kind}']):.4f}", f"{median(taken[f'c {kind}']):.4f}", f"{ratio:.2f}"]
    return cells


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
    options = parser.parse_args()
    torch.set_num_threads(1)
    knobs = Knobs(knobs=tuple(Knob(name=f"knob{n}", min=-1, max=1, default=0) for n in range(options.knobs)))
    path, rows = library(compiler=options.compiler), []
    for name in options.models:
        config = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
        net = trained(config, options.knobs)
        data = amp_bytes(make_config(name, RATE_HZ, knobs, config), net)
        for engine in options.engines:
            player = NativePlayer(data, engine=engine, path=path)
            esr = error(net, player)
            for block in options.blocks:
                row = (name, engine, str(block), *contest(net, player, block, options.rounds), f"{esr:.0e}")
                rows.append(row)
                output.info("  ".join(row))
    head = ("MODEL", "ENGINE", "BLOCK", "NUMBA STILL", "C STILL", "RATIO", "NUMBA GLIDE", "C GLIDE", "RATIO", "ESR")
    output.data_table(head, rows)


if __name__ == "__main__":
    main()
