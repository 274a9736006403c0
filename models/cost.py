"""What a model costs to play in real time on this machine, measured."""

import hashlib
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch

from models.architecture import WaveNetConfig
from models.cache import cache_folder, told
from models.errors import UserError
from models.files import read_json, write_json
from models.stream import Stream
from models.wavenet import WaveNet

BLOCK = 64  # samples
RATE_HZ = 48_000
ROUND = 25  # blocks timed together
SECONDS = 0.3  # of measuring, at least
QUANTILE = 0.1  # of the rounds: others may disturb a round, none can speed it up


def cost(config: WaveNetConfig, knobs: int, rate_hz: int = RATE_HZ) -> float:
    """Seconds of one core per second of audio, in blocks of 64 samples with all knobs turned before every block.

    Measured once per architecture, kind of CPU and version of the engine, then read from the cache folder. It does not depend on
    the weights.
    """
    shape = {"model": config.model_dump(mode="json"), "knobs": knobs, "cpu": _cpu(), "engine": _engine()}
    name = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / "costs" / f"{name}.json"
    try:
        seconds = float(read_json(path)["seconds_per_block"])
    except (UserError, KeyError, TypeError, ValueError):  # not measured yet, or not by us
        seconds = measure(config, knobs)
        write_json(path, {"seconds_per_block": seconds, **shape})
    return seconds * rate_hz / BLOCK


def measure(config: WaveNetConfig, knobs: int) -> float:
    """CPU seconds of this thread per block, by the quantile of many short rounds that a busy machine disturbs least."""
    with torch.random.fork_rng(devices=[]):
        net = WaveNet(config, knobs)
    draw = np.random.default_rng(0)
    x_NT = draw.uniform(-0.5, 0.5, (ROUND, BLOCK)).astype(np.float32)
    levels_NK1 = draw.uniform(-1, 1, (ROUND, knobs, 1)).astype(np.float32)
    stream, rounds = Stream(net, [0.0] * knobs), []
    until = time.monotonic() + SECONDS
    while len(rounds) < 10 or time.monotonic() < until:
        begin = time.thread_time()
        for x_T, levels_K1 in zip(x_NT, levels_NK1, strict=True):
            stream.process(x_T, levels_K1)
        rounds.append((time.thread_time() - begin) / ROUND)
    return float(np.quantile(rounds, QUANTILE))


def _engine() -> str:
    folder = Path(__file__).parent
    return told(*(str(folder / f"{name}.py") for name in ("simd", "kernels", "lower", "stream")))


def _cpu() -> str:
    """The kind of CPU, in the system's words."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else f"{platform.system()} {platform.machine()} {platform.processor()}"
