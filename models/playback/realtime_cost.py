"""What a model costs to play in real time on this machine, measured.

Time on a shared machine is elastic: a neighbour on the same core can double it. So a model is timed in turns with one reference model, which suffers
the same neighbours; what is kept is the ratio, and the least time that the reference took when it was first measured.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from models.core.cache import keep_measured, measured, source_digest
from models.core.hardware import cpu_name
from models.engines.jit import ENGINES
from models.network.architecture import LayerArray, WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.stream import Stream

KIND = "costs"  # in the cache folder

BLOCK = 64  # samples

RATE_HZ = 48_000

TURN = 20  # blocks timed together

SECONDS = 0.4  # of measuring, at least

REFERENCE = WaveNetConfig(arrays=(LayerArray(channels=8, dilations=(1, 2, 4, 8, 16, 32, 64, 128)),))


def cost(config: WaveNetConfig, knobs: int, rate_hz: int = RATE_HZ, reference_s: float | None = None) -> float:
    """Seconds of one core per second of audio, in blocks of 64 samples with all knobs turned before every block.

    Measured once per architecture, kind of CPU and version of the engine, then read from the cache folder; the seconds of the reference
    too, so that costs that were told at different times compare. It does not depend on the weights. With `reference_s`, the seconds that a
    block of the reference takes on another machine, it is told in seconds of that one.
    """
    ours = _facts(model=config.model_dump(mode="json"), knobs=knobs)
    ratio = measured(KIND, ours)
    if ratio is None:
        ratio, least = measure(config, knobs)
        keep_measured(KIND, ours, ratio)
        if measured(KIND, _facts()) is None:
            keep_measured(KIND, _facts(), least)
    return ratio * (reference_s or reference_seconds()) * rate_hz / BLOCK


def reference_seconds() -> float:
    """CPU seconds that a block of the reference takes on this machine, as it was first measured."""
    least = measured(KIND, _facts())
    if least is None:
        _, least = measure(REFERENCE, 1)
        keep_measured(KIND, _facts(), least)
    return least


def measure(config: WaveNetConfig, knobs: int) -> tuple[float, float]:
    """`(what a block costs, in blocks of the reference; the least CPU seconds that one of the reference took)`."""
    ours, reference = _turn(config, knobs), _turn(REFERENCE, 1)
    ratios, least, until = [], np.inf, time.monotonic() + SECONDS
    while len(ratios) < 10 or time.monotonic() < until:
        before, found, after = reference(), ours(), reference()
        ratios.append(2 * found / (before + after))
        least = min(least, before, after)
    return median(ratios), float(least)


def _turn(config: WaveNetConfig, knobs: int) -> Callable[[], float]:
    """Plays a few blocks of noise; returns the CPU seconds of this thread for each."""
    with torch.random.fork_rng(devices=[]):
        stream = Stream(WaveNet(config, knobs), [0.0] * knobs)
    draw = np.random.default_rng(0)
    x_NT = draw.uniform(-0.5, 0.5, (TURN, BLOCK)).astype(np.float32)
    levels_NK1 = draw.uniform(-1, 1, (TURN, knobs, 1)).astype(np.float32)

    def play() -> float:
        begin = time.thread_time()
        for x_T, levels_K1 in zip(x_NT, levels_NK1, strict=True):
            stream.process(x_T, levels_K1)
        return (time.thread_time() - begin) / TURN

    return play


def _facts(**what: Any) -> dict[str, Any]:
    """All that a measurement depends on."""
    return {**what, "cpu": cpu_name(), "engine": _engine()}


def _engine() -> str:
    return source_digest(ENGINES, Path(__file__).parent)
