"""One training step, and a short whole training: ours against neural-amp-modeler, and against our eager engine.

The opponent is the step of `neural-amp-modeler` 0.13 (see benchmarks/common.py) on a WaveNet of the same shape with
the same weights and the same batches, one thread. Its graphical trainer always trains a packed pair of A2 nets (3 and
8 channels); `a2-full` here is the 8-channel one alone. `a1-standard` is the shape of its older configuration files.
It has no knobs: rows with FiLM are compared with the same shape without, and with our own eager engine with FiLM.
Ours is what `zoo train` does at each step: the engine, gradient clipping, Adam. Rounds are interleaved. Printed are
medians, and the median over rounds of the ratios, of this thread's CPU time and of wall time. Before anything is
timed, the losses must agree.

    python -m benchmarks.training_step [--rounds 7] [--steps 100]

On a GPU: some models as a search trains them (fused layers, stacks of the best size, the step captured as a graph)
against the step of neural-amp-modeler, one model after another, each comparison in a process of its own. Before the
clock starts CUDA is initialized and nothing of ours is compiled or measured; compiling, choosing the size and capturing
count. A model is a training of `--whole` steps. (benchmarks/stacking.py has the step alone, by size of the stack.)

    python -m benchmarks.training_step --device cuda [--models a1-standard-film ...] [--together 8] [--whole 20000]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from multiprocessing import get_context
from statistics import median

import torch
from torch import Tensor

from benchmarks.common import (
    LEARNING_RATE,
    Step,
    fresh_net,
    load_architecture,
    nam_step,
    nam_training,
    noise_batches,
    synthetic_recordings,
    without_knobs,
)
from models.engines.base import Engine, as_vector
from models.engines.eager import EagerEngine
from models.engines.gpu.cuda_graph import WARM_UP
from models.engines.select import engine_for
from models.network.folding import Folding
from models.network.wavenet import WaveNet
from models.training.config import LearningConfig
from models.training.objective import Objective
from models.training.optimizers import Adam
from models.training.state import TrainState

MODELS = ("a1-standard", "a1-standard-film", "a2-full", "a2-full-film", "a1-feather", "a1-nano", "a1-nano-film")
BATCHES = ((16, 8192), (8, 2048))  # items, samples of target


def our_step(net: WaveNet, engine: Engine) -> Step:
    """A step as `models.training.solo` takes it, of windows that weigh the same."""
    vector_P, rule = as_vector(Folding(net).parameters), Adam()
    state, objective = TrainState.begin(vector_P.data[None], None, rule), Objective([LearningConfig(gradient_clip=1e9)])
    rate_K, blend_K = torch.tensor([LEARNING_RATE], dtype=torch.float64), torch.ones(1)
    gradient_P = vector_P.grad
    assert gradient_P is not None

    def step(x_BT: Tensor, target_BS: Tensor, knobs_BK: Tensor) -> float:
        def loss(predicted_BS: Tensor, items: slice) -> Tensor:
            losses_B = objective.losses(predicted_BS, target_BS[items], torch.ones(len(predicted_BS)))
            return losses_B.sum() / len(target_BS)

        gradient_P.zero_()
        found = engine.accumulate_gradient(vector_P, x_BT, knobs_BK, loss)
        gradient_KP, finite_K = objective.clip(torch.tensor([found]), gradient_P[None])
        state.apply(rule, gradient_KP, finite_K, rate_K, blend_K)
        return found

    return step


def compare_step(name: str, items: int, samples: int, rounds: int) -> None:
    """Time one step of each and print one line."""
    config = load_architecture(name)
    knobs = 2 if config.inject.film else 0
    ours, eager, theirs = fresh_net(config, knobs), fresh_net(config, knobs), fresh_net(without_knobs(config), 0)
    steps = {
        "ours": our_step(ours, engine_for(ours)),
        "eager": our_step(eager, EagerEngine(eager)),
        "theirs": nam_step(without_knobs(config), theirs),
    }
    (x_BT, target_BS, knobs_BK), *_ = noise_batches(config.receptive_field, items, samples, 1)
    knobs_BK = knobs_BK[:, :knobs]
    losses = {side: step(x_BT, target_BS, knobs_BK) for side, step in steps.items()}
    for side in ("eager",) if knobs else ("eager", "theirs"):
        assert abs(losses["ours"] - losses[side]) <= 1e-4 * losses[side], losses
    cpu: dict[str, list[float]] = {side: [] for side in steps}
    wall: dict[str, list[float]] = {side: [] for side in steps}
    for turn in range(rounds):
        for side in list(steps)[turn % 3 :] + list(steps)[: turn % 3]:
            cpu_began, wall_began = time.thread_time(), time.perf_counter()
            steps[side](x_BT, target_BS, knobs_BK)
            cpu[side].append(time.thread_time() - cpu_began)
            wall[side].append(time.perf_counter() - wall_began)
    cells = [f"{median(cpu[side]) * 1e3:8.2f}" for side in steps]
    for times in (cpu, wall):
        for side in ("theirs", "eager"):
            cells.append(f"{median(a / b for a, b in zip(times[side], times['ours'], strict=True)):6.2f}")
    print(f"{name:18} {items:3} x {samples:5}  " + "  ".join(cells), flush=True)


def compare_training(name: str, items: int, samples: int, steps: int) -> None:
    """Run a whole training of each; print the seconds of CPU and the final losses."""
    config = load_architecture(name)
    batches = noise_batches(config.receptive_field, items, samples, steps)
    results = {}
    for side in ("ours", "theirs"):
        net = fresh_net(config, 0)
        began = time.thread_time()
        step = our_step(net, engine_for(net)) if side == "ours" else nam_step(config, net)
        losses = [step(x_BT, target_BS, knobs_BK[:, :0]) for x_BT, target_BS, knobs_BK in batches]
        results[side] = time.thread_time() - began, sum(losses[-10:]) / 10
    (ours, our_loss), (theirs, their_loss) = results["ours"], results["theirs"]
    line = f"{ours:7.2f}  {theirs:7.2f}  {theirs / ours:6.2f}   {our_loss:.6f}  {their_loss:.6f}"
    print(f"{name:18} {items:3} x {samples:5}  {line}", flush=True)


def compare_on_gpu(name: str, items: int, samples: int, options: argparse.Namespace) -> None:
    """Print one line: seconds to start, milliseconds of a step, and models per GPU-hour, of each."""
    from models.training.config import LearningConfig, Recipe
    from models.training.placement import place_trainers
    from models.training.trainer import Trainer

    warnings.filterwarnings("ignore", module="nam|lightning|pytorch_lightning")
    torch.set_num_threads(1)
    config, data, device = load_architecture(name), synthetic_recordings(), torch.device(options.device)
    learning = [
        LearningConfig(steps=1_000_000, batch=items, segment=samples, seed=seed) for seed in range(options.together)
    ]
    trainers = [Trainer(Recipe(data=data.config, model=config, learning=one), data) for one in learning]
    nam_training(config, items, samples, options.device)(WARM_UP + 1)  # initializes CUDA and its libraries
    began = time.perf_counter()
    their_run = nam_training(config, items, samples, options.device)
    their_run(WARM_UP + 1)
    starts = {"theirs": time.perf_counter() - began}
    began = time.perf_counter()
    parts = place_trainers(trainers, device)
    for part in parts:
        part.advance(WARM_UP + 1)
    starts["ours"] = (time.perf_counter() - began) / len(trainers)
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    for turn in range(options.rounds):
        for side in ("theirs", "ours")[:: 1 if turn % 2 else -1]:
            began = time.perf_counter()
            for run in [their_run] if side == "theirs" else [part.advance for part in parts]:
                run(options.steps)
            models = 1 if side == "theirs" else len(trainers)
            seconds[side].append((time.perf_counter() - began) / options.steps / models)
    rates = {side: 3600 / (starts[side] + options.whole * median(seconds[side])) for side in seconds}
    cells = [f"{starts[side]:7.2f} {median(seconds[side]) * 1e3:8.3f} {rates[side]:9.1f}" for side in seconds]
    sizes = "+".join(str(len(part.trainers)) for part in parts)
    ratio = f"{rates['ours'] / rates['theirs']:6.2f}"
    print(f"{name:18} {items:3} x {samples:5} {sizes:>9} ", *cells, ratio, flush=True)


def gpu_table(options: argparse.Namespace, batches: Sequence[tuple[int, int]] = BATCHES) -> None:
    """Print a line for every model and batch, each from a process in which nothing is compiled or measured."""
    device = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    print(f"{device}; per model seconds to start, ms of a step, and models per GPU-hour")
    print(f"of {options.whole} steps")
    print(f"{'':34} {'stacks':>7}   theirs:   start     step      rate   ours: the same            ours/theirs")
    for items, samples in batches:
        for name in options.models:
            with tempfile.TemporaryDirectory() as folder:
                os.environ |= {"AMPZOO_CACHE": folder, "TRITON_CACHE_DIR": folder}
                process = get_context("spawn").Process(target=compare_on_gpu, args=(name, items, samples, options))
                process.start()
                process.join()
                if process.exitcode:
                    sys.exit(f"the comparison of {name} failed")


FIRST_GRADIENT = """
import time
import torch
from models.engines.select import engine_for
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
torch.set_num_threads(1)
imported = time.perf_counter()
array = {"channels": CHANNELS, "dilations": [1, 2, 4]}
net = WaveNet(WaveNetConfig.model_validate({"arrays": [array], "inject": {}}), 0)
engine_for(net)(torch.randn(1, 3000), torch.zeros(1, 0)).sum().backward()
print(round(time.perf_counter() - imported, 2))
"""


def first_gradients() -> list[float]:
    """Return seconds to the first gradient: nothing compiled, then in a second process, then with another shape."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "AMPZOO_CACHE": folder, "PYTHONPATH": os.pathsep.join(sys.path)}
        scripts = [FIRST_GRADIENT.replace("CHANNELS", str(channels)) for channels in (8, 8, 13)]
        return [
            float(subprocess.check_output([sys.executable, "-c", script], env=environment, text=True))
            for script in scripts
        ]


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--together", type=int, default=8, help="On a GPU: models trained together.")
    parser.add_argument("--whole", type=int, default=20_000, help="On a GPU: steps of a whole training.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.device == "cuda":
        if not torch.cuda.is_available():
            parser.error("torch sees no GPU here")
        gpu_table(options)
        return
    warnings.filterwarnings("ignore")
    print("seconds to the first gradient: nothing compiled, compiled before, another shape:")
    print(json.dumps(first_gradients()))
    print("\none step, CPU ms                  ours     eager    theirs | CPU: theirs/ours eager/ours | wall: the same")
    for items, samples in BATCHES:
        for name in options.models:
            compare_step(name, items, samples, options.rounds)
    print(f"\n{options.steps} steps, CPU s                ours   theirs   ratio   loss of the last ten: ours, theirs")
    for name in ("a1-standard", "a2-full", "a1-nano"):
        compare_training(name, 8, 2048, options.steps)


if __name__ == "__main__":
    main()
