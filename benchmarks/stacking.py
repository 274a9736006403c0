"""Models of one shape trained as one (models/stack.py) against one after another: milliseconds of a step per model.

Solo is `models.training.trainer.Trainer` as `zoo train` runs it, on the compiled engine, one thread; a stack does the
same steps on the same draws. Before the clock starts, their losses must agree. Rounds are interleaved: each runs some
steps of the solo run and of every stack; medians, and the median over rounds of solo / stacked. Stacks on the CPU are
timed in this thread's CPU time, those on a GPU in wall time; the first steps, in which kernels are compiled and a GPU's
graph is captured, are listed apart. With `--theirs` the PyPI trainer's own step (its `LightningModule`, see
training_step.py) on the same shape without knobs takes turns with them on the same device.

    python -m benchmarks.stacking [--models a1-nano-film a1-feather-film] [--sizes 1 2 4 8 16 32] [--rounds 5] [--steps
    10] python -m benchmarks.stacking --device cuda --theirs --models a1-standard-film a2-full-film --batch 16 --segment
    8192
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from models.core.schema import read_document
from models.engines.gpu.cuda_graph import WARM_UP
from models.knobs.schema import Knob, Knobs, Setting
from models.network.architecture import WaveNetConfig
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData, Piece
from models.training.config import LearningConfig, Recipe
from models.training.placement import best_size, time_stacks
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer

CONFIGS = Path(__file__).parent.parent / "configs" / "models"
RATE_HZ = 48000


def recordings() -> AmpData:
    """Noise through a gain and a clipper at nine settings, ten seconds each."""
    knobs = Knobs(knobs=(Knob(name="gain", default=0.5), Knob(name="level", default=0.5)))
    config = DataConfig(name="bench", train=Path("none.json"), held=Path("none.json"))
    x_T = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 10 * RATE_HZ).astype(np.float32))
    data = AmpData(config, knobs, RATE_HZ, "", "", dry_T=[x_T])
    for gain in (0.0, 0.5, 1.0):
        for level in (0.1, 0.5, 1.0):
            setting: Setting = {"gain": gain, "level": level}
            levels_K = torch.tensor(knobs.encode(setting))
            wet_T = level * torch.tanh((1 + 5 * gain) * x_T)
            data.train.append(Piece(0, wet_T, 0, len(x_T), setting, levels_K))
    return data


def theirs(model: WaveNetConfig, batch: int, segment: int, device: str) -> Callable[[int], None]:
    """So many steps of the PyPI trainer, each waiting for its loss, as its own loop does to show it."""
    from benchmarks.training_step import bare, batches, make_net, their_step

    shape = bare(model)
    step = their_step(shape, make_net(shape, 0), device)
    batch_BT = [tensor.to(device) for tensor in batches(shape.receptive_field, batch, segment, 1)[0]]

    def run(steps: int) -> None:
        for _ in range(steps):
            step(*batch_BT)

    return run


def contest(name: str, batch: int, segment: int, data: AmpData, options: argparse.Namespace) -> None:
    """A table: one model and batch, one device."""
    model = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
    device = torch.device(options.device)
    clock = time.thread_time if device.type == "cpu" else time.perf_counter

    def trainer(seed: int) -> Trainer:
        learning = LearningConfig(steps=1_000_000, batch=batch, segment=segment, seed=seed)
        return Trainer(Recipe(data=data.config, model=model, learning=learning), data)

    solo, stacks = (
        trainer(0),
        {size: StackedTrainers([trainer(seed) for seed in range(size)], device) for size in options.sizes},
    )
    wanted = solo.advance(WARM_UP + 1)
    for size, stack in stacks.items():
        began = clock()
        found = stack.advance(WARM_UP + 1)[0]
        assert math.isclose(found, wanted, rel_tol=1e-4), (size, found, wanted)
        print(f"  K {size}: first {WARM_UP + 1} steps {clock() - began:.2f} s", flush=True)
    runs: dict[str | int, Callable[[int], object]] = {"solo": solo.advance}
    if options.theirs:
        runs["theirs"] = theirs(model, batch, segment, options.device)
        runs["theirs"](WARM_UP + 1)
    runs |= {size: stack.advance for size, stack in stacks.items()}
    times: dict[str | int, list[float]] = {who: [] for who in runs}
    for turn in range(options.rounds):
        order = list(runs)
        for who in order[turn % len(order) :] + order[: turn % len(order)]:
            began = clock()
            runs[who](options.steps)
            models = who if isinstance(who, int) else 1
            times[who].append((clock() - began) * 1e3 / options.steps / models)
    print(f"{name} {batch} x {segment} on {device}: solo (compiled, CPU) {median(times['solo']):.2f} ms a step")
    if options.theirs:
        print(f"  neural-amp-modeler, {device}: {median(times['theirs']):8.2f} ms a step")
    for size in stacks:
        ratios = [
            f"{who} / stacked {median(a / b for a, b in zip(times[who], times[size], strict=True)):.2f}"
            for who in ("solo", "theirs")
            if who in times
        ]
        print(f"  K {size:2}: {median(times[size]):8.2f} ms a step and model, {', '.join(ratios)}", flush=True)
    if device.type == "cuda":
        runs.clear()
        stacks.clear()  # their memory
        best = best_size(time_stacks([trainer(seed) for seed in range(max(options.sizes))], device))
        print(
            f"  of {max(options.sizes)} models, stacks of {best} by default (models/training/placement.py)", flush=True
        )


def main() -> None:
    """Every model on the CPU, then on a GPU if one is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["a1-nano-film", "a1-feather-film"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--segment", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="Default: the CPU, then a GPU if one is there.")
    parser.add_argument("--theirs", action="store_true", help="Also the PyPI trainer.")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="nam|lightning|pytorch_lightning")
    torch.set_num_threads(1)
    data = recordings()
    devices = [options.device] if options.device else ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for options.device in devices:
        for name in options.models:
            contest(name, options.batch, options.segment, data, options)
    if not torch.cuda.is_available():
        print("no GPU here: the GPU was left out")


if __name__ == "__main__":
    main()
