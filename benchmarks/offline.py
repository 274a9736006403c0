"""Speed and memory of rendering a long file, against the forward pass of neural-amp-modeler.

Ours renders a 24-bit WAV of noise from disk to disk on all cores and on one, with knobs that move all the time.
Theirs (the same weights with the knobs baked in) takes a whole signal as one tensor, as its own rendering does,
without any file. Each run is a process of its own. Prints seconds of audio per wall second, the same per CPU second
of all threads, and the process's peak memory. The memory of theirs grows with the length: choose `--their-seconds` to
fit the machine. The first length is timed against theirs; the others are rendered once, on all cores, for the memory
that they take.

    python -m benchmarks.offline --minutes 10 120 --their-seconds 60 --rounds 3
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.common import RATE_HZ, load_architecture, trained_net
from models.artifacts.model_config import make_config
from models.audio.io import create_audio
from models.formats.nam.writer import to_nam
from models.knobs.automation import Automation
from models.knobs.schema import Knob, Knobs
from models.network.baking import bake
from models.playback.render import render
from zoo.cli import output

KNOBS = Knobs(knobs=(Knob(name="gain", min=-1, max=1, default=0), Knob(name="tone", min=-1, max=1, default=0)))
Run = tuple[float, float, float]  # wall seconds, CPU seconds, peak MB


def timed(work: Callable[[], object]) -> Run:
    """Run `work` in this process; the peak memory is that of the whole process so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    unit = 1 if sys.platform == "darwin" else 1024
    return wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def render_ours(name: str, source: Path, seconds: float, cores: int) -> Run:
    """Render a file with both knobs moving, on one core or on all (0)."""
    if cores == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
    config = load_architecture(name)
    times_N = np.arange(0, seconds, 0.5)
    turns_N2 = np.random.default_rng(0).uniform(-1, 1, (len(times_N), 2))
    moves = Automation(KNOBS, times_N, tuple({"gain": gain, "tone": tone} for gain, tone in turns_N2.tolist()))
    model = make_config(name, RATE_HZ, KNOBS, config), trained_net(config, 2)
    return timed(lambda: render(model, source, source.with_name("out.wav"), moves))


def render_theirs(name: str, seconds: float) -> Run:
    """Run their forward pass over a whole signal, on as many threads as torch chooses."""
    from nam.models import init_from_nam

    config = load_architecture(name)
    baked = bake(trained_net(config, 2), [0.3, 0.3])
    net = init_from_nam(to_nam(make_config(name, RATE_HZ, Knobs(knobs=()), baked.config), baked)).eval()
    x_T = torch.randn(int(seconds * RATE_HZ)) * 0.1

    def play() -> None:
        with torch.no_grad():
            net(x_T, pad_start=True)

    return timed(play)


def in_new_process(work: Callable[..., Run], *args: object) -> Run:
    """Run `work` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def write_noise(path: Path, seconds: float) -> None:
    """Write a mono 24-bit WAV, second by second."""
    draw = np.random.default_rng(0)
    with create_audio(path, RATE_HZ) as file:
        for _ in range(int(seconds)):
            file.write(draw.normal(0, 0.1, RATE_HZ).astype(np.float32))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="a1-standard")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 120])
    parser.add_argument("--their-seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []

    def add(label: str, seconds: float, runs: list[Run], rate: float | None = None) -> float:
        wall, cpu, peak = (median(column) for column in zip(*runs, strict=True))
        against = "" if rate is None else f"{seconds / cpu / rate:.1f}x"
        rows.append(
            (label, f"{seconds / 60:g}", f"{seconds / wall:.1f}", f"{seconds / cpu:.1f}", against, f"{peak:.0f}")
        )
        output.info("  ".join(rows[-1]))
        return seconds / cpu

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "noise.wav"
        write_noise(source, 1)
        in_new_process(
            render_ours, options.model, source, 1, 1
        )  # the player is compiled once per machine, not once per file
        for number, minutes in enumerate(options.minutes):
            seconds = 60 * minutes
            write_noise(source, seconds)
            if number:
                add("ours, all cores", seconds, [in_new_process(render_ours, options.model, source, seconds, 0)])
                continue
            runs: list[list[Run]] = [[], [], []]
            for _ in range(options.rounds):
                runs[0].append(in_new_process(render_theirs, options.model, options.their_seconds))
                runs[1].append(in_new_process(render_ours, options.model, source, seconds, 1))
                runs[2].append(in_new_process(render_ours, options.model, source, seconds, 0))
            rate = add("neural-amp-modeler", options.their_seconds, runs[0])
            add("ours, one core", seconds, runs[1], rate)
            add("ours, all cores", seconds, runs[2], rate)
    output.data_table(("RENDERED BY", "MINUTES", "X REAL TIME", "X PER CPU SECOND", "RATIO", "PEAK MB"), rows)


if __name__ == "__main__":
    main()
