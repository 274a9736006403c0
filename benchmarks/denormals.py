"""Cost of inputs near zero, relative to noise: numbers below 1.2e-38 (denormals) must cost no more than silence.

    python benchmarks/denormals.py [--rounds 7]

Plays a tenth of a second of A1 standard without biases, so that a faint input stays faint on the way, in blocks of 64
samples by each engine; inputs take turns, the median of all rounds counts.
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
from models.formats.player.native import NativePlayer
from models.formats.player.writer import amp_bytes
from models.knobs.schema import Knobs
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.eager_player import EagerPlayer
from models.playback.stream import Stream

RATE_HZ, SAMPLES, BLOCK = 48000, 4800, 64

Process = Callable[[np.ndarray], object]


def engines() -> dict[str, Process]:
    """Return what plays a block, by the name of the engine."""
    config = read_document(Path("configs/models/a1-standard.json"), WaveNetConfig)
    torch.manual_seed(0)
    net = WaveNet(config, 0).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    stream, eager = Stream(net, []), EagerPlayer(net)
    native = NativePlayer(amp_bytes(make_config("a1", RATE_HZ, Knobs(knobs=()), config), net))
    return {
        "numba": lambda x_T: stream.process(x_T, []),
        "torch": lambda x_T: eager.play(x_T, []),
        "C": lambda x_T: native.process(x_T, []),
    }


def inputs() -> dict[str, np.ndarray]:
    """Return a tenth of a second of each input."""
    noise_T = np.random.default_rng(0).standard_normal(SAMPLES).astype(np.float32)
    scales = {"noise": 1.0, "silence": 0.0, "1e-20": 1e-20, "1e-30": 1e-30, "1e-40": 1e-40}
    return {name: (noise_T * np.float32(scale)).astype(np.float32) for name, scale in scales.items()}


def cost(process: Process, x_T: np.ndarray) -> float:
    """Return the seconds of CPU that playing an input takes."""
    began = time.process_time()
    for begin in range(0, len(x_T), BLOCK):
        process(x_T[begin : begin + BLOCK])
    return time.process_time() - began


def main() -> None:
    """Print a row per engine: the cost of each input, relative to noise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    signals = inputs()
    print("engine", *signals, sep="\t")
    for engine, process in engines().items():
        spent: dict[str, list[float]] = {name: [] for name in signals}
        for _ in range(rounds + 1):
            for name, x_T in signals.items():
                spent[name].append(cost(process, x_T))
        middle = {name: median(times[1:]) for name, times in spent.items()}
        print(engine, *(f"{seconds / middle['noise']:.2f}" for seconds in middle.values()), sep="\t", flush=True)


if __name__ == "__main__":
    main()
