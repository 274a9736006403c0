"""The cost of playing a model in real time on this machine, measured.

On a shared machine times vary: another process on the same core can double them. So a model is timed in turns with a
reference model, which suffers from the same processes. Stored are the ratio of the two, and the least time of the
reference when it was first measured.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from models.core.cache import read_measurement, source_digest, write_measurement
from models.core.hardware import cpu_name
from models.engines.jit import ENGINES
from models.network.architecture import LayerArray, WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.stream import Stream

COSTS_CACHE = "costs"  # in the cache folder

TIMED_BLOCK = 64  # samples

RATE_HZ = 48_000

TURN_BLOCKS = 20  # timed together

TIMED_SECONDS = 0.4  # of one measurement, at least

REFERENCE = WaveNetConfig(arrays=(LayerArray(channels=8, dilations=(1, 2, 4, 8, 16, 32, 64, 128)),))


def cost(config: WaveNetConfig, knobs: int, rate_hz: int = RATE_HZ, reference_s: float | None = None) -> float:
    """Return the seconds of one core per second of audio, in blocks of 64 samples with all knobs turned before each.

    Measured once per architecture, kind of CPU and version of the engine, then read from the cache folder; the
    reference too, so that costs measured at different times can be compared. The weights do not matter.

    Args:
        config: the architecture.
        knobs: number of knob columns.
        rate_hz: sample rate of the audio.
        reference_s: seconds that a block of the reference takes on another machine; the cost is then that machine's.
    """
    key = _cache_key(model=config.model_dump(mode="json"), knobs=knobs)
    ratio = read_measurement(COSTS_CACHE, key)
    if ratio is None:
        ratio, least = measure_cost(config, knobs)
        write_measurement(COSTS_CACHE, key, ratio)
        if read_measurement(COSTS_CACHE, _cache_key()) is None:
            write_measurement(COSTS_CACHE, _cache_key(), least)
    return ratio * (reference_s or reference_seconds()) * rate_hz / TIMED_BLOCK


def reference_seconds() -> float:
    """Return the CPU seconds of a block of the reference on this machine, as first measured."""
    least = read_measurement(COSTS_CACHE, _cache_key())
    if least is None:
        _, least = measure_cost(REFERENCE, 1)
        write_measurement(COSTS_CACHE, _cache_key(), least)
    return least


def measure_cost(config: WaveNetConfig, knobs: int) -> tuple[float, float]:
    """Return the cost of a block in blocks of the reference (median), and the least CPU seconds of one of those."""
    candidate, reference = _block_timer(config, knobs), _block_timer(REFERENCE, 1)
    ratios, least, until = [], np.inf, time.monotonic() + TIMED_SECONDS
    while len(ratios) < 10 or time.monotonic() < until:
        before, seconds, after = reference(), candidate(), reference()
        ratios.append(2 * seconds / (before + after))
        least = min(least, before, after)
    return median(ratios), float(least)


def _block_timer(config: WaveNetConfig, knobs: int) -> Callable[[], float]:
    """Return a function that plays some blocks of noise and returns this thread's CPU seconds per block."""
    with torch.random.fork_rng(devices=[]):
        stream = Stream(WaveNet(config, knobs), [0.0] * knobs)
    draw = np.random.default_rng(0)
    x_NT = draw.uniform(-0.5, 0.5, (TURN_BLOCKS, TIMED_BLOCK)).astype(np.float32)
    levels_NK1 = draw.uniform(-1, 1, (TURN_BLOCKS, knobs, 1)).astype(np.float32)

    def time_block() -> float:
        begin = time.thread_time()
        for x_T, levels_K1 in zip(x_NT, levels_NK1, strict=True):
            stream.process(x_T, levels_K1)
        return (time.thread_time() - begin) / TURN_BLOCKS

    return time_block


def _cache_key(**what: Any) -> dict[str, Any]:
    """Return all that a measurement depends on."""
    return {**what, "cpu": cpu_name(), "engine": source_digest(ENGINES, Path(__file__).parent)}
