"""Milliseconds of a training step per model: models of one shape stacked, against one model at a time.

Solo is `Trainer` as `zoo train` runs it, on the compiled engine, one thread; a stack does the same steps on the same
draws. Before anything is timed, their losses must agree. Rounds are interleaved: each runs some steps of the solo run
and of every stack. Printed are medians, and the median over rounds of solo / stacked. Stacks on the CPU are timed in
this thread's CPU time, those on a GPU in wall time; the first steps, in which kernels are compiled and a GPU's graph
is captured, are printed apart. With `--theirs` the step of neural-amp-modeler (see benchmarks/common.py) on the same
shape without knobs takes turns with them on the same device.

    python -m benchmarks.stacking [--models a1-nano-film a1-feather-film] [--sizes 1 2 4 8 16 32] [--rounds 5]
    python -m benchmarks.stacking --device cuda --theirs --models a1-standard-film --batch 16 --segment 8192
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch

from benchmarks.common import load_architecture, nam_training, synthetic_recordings
from models.engines.gpu.cuda_graph import WARM_UP
from models.recordings.dataset import AmpData
from models.training.config import LearningConfig, Recipe
from models.training.placement import place_trainers
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer

Clock = Callable[[], float]
Runs = dict[str | int, Callable[[int], object]]  # by "solo", "theirs" or the size of a stack: runs so many steps


def time_rounds(runs: Runs, rounds: int, steps: int, clock: Clock) -> dict[str | int, list[float]]:
    """Return milliseconds of a step per model, of each run in each round."""
    times: dict[str | int, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        order = list(runs)
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            began = clock()
            runs[name](steps)
            models = name if isinstance(name, int) else 1
            times[name].append((clock() - began) * 1e3 / steps / models)
    return times


def compare(name: str, data: AmpData, options: argparse.Namespace) -> None:
    """Time one model on one device and print the table."""
    model, device = load_architecture(name), torch.device(options.device)
    batch, segment = options.batch, options.segment
    clock = time.thread_time if device.type == "cpu" else time.perf_counter

    def trainer(seed: int) -> Trainer:
        learning = LearningConfig(steps=1_000_000, batch=batch, segment=segment, seed=seed)
        return Trainer(Recipe(data=data.config, model=model, learning=learning), data)

    solo = trainer(0)
    stacks = {size: StackedTrainers([trainer(seed) for seed in range(size)], device) for size in options.sizes}
    expected = solo.advance(WARM_UP + 1)
    for size, stack in stacks.items():
        began = clock()
        loss = stack.advance(WARM_UP + 1)[0]
        assert math.isclose(loss, expected, rel_tol=1e-4), (size, loss, expected)
        print(f"  K {size}: first {WARM_UP + 1} steps {clock() - began:.2f} s", flush=True)
    runs: Runs = {"solo": solo.advance}
    if options.theirs:
        runs["theirs"] = nam_training(model, batch, segment, options.device)
        runs["theirs"](WARM_UP + 1)
    runs |= {size: stack.advance for size, stack in stacks.items()}
    times = time_rounds(runs, options.rounds, options.steps, clock)
    print(f"{name} {batch} x {segment} on {device}: solo (compiled, CPU) {median(times['solo']):.2f} ms a step")
    if options.theirs:
        print(f"  neural-amp-modeler, {device}: {median(times['theirs']):8.2f} ms a step")
    for size in stacks:
        ratios = [
            f"{other} / stacked {median(a / b for a, b in zip(times[other], times[size], strict=True)):.2f}"
            for other in ("solo", "theirs")
            if other in times
        ]
        print(f"  K {size:2}: {median(times[size]):8.2f} ms a step and model, {', '.join(ratios)}", flush=True)
    if device.type == "cuda":
        runs.clear()
        stacks.clear()  # frees their memory
        parts = place_trainers([trainer(seed) for seed in range(max(options.sizes))], device)
        sizes = "+".join(str(len(part.trainers)) for part in parts)
        print(f"  {max(options.sizes)} models are placed as stacks of {sizes}", flush=True)


def main() -> None:
    """Compare every model on the CPU, then on a GPU if torch sees one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["a1-nano-film", "a1-feather-film"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--segment", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="Default: the CPU, then a GPU if torch sees one.")
    parser.add_argument("--theirs", action="store_true", help="Also time neural-amp-modeler.")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="nam|lightning|pytorch_lightning")
    torch.set_num_threads(1)
    data = synthetic_recordings()
    devices = [options.device] if options.device else ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for options.device in devices:
        for name in options.models:
            compare(name, data, options)
    if not torch.cuda.is_available():
        print("torch sees no GPU here; nothing was timed on one")


if __name__ == "__main__":
    main()
