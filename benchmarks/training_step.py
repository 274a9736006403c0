"""One training step, and a short whole training: ours against the PyPI trainer's own, and against our plain net.

The opponent is `neural-amp-modeler` 0.13: its `LightningModule.training_step` with its mean squared error, `backward`,
and its Adam, on a WaveNet of the same shape with the same weights and the same batches, one thread. Its graphical
trainer always trains a packed pair of A2 nets (3 and 8 channels); `a2-full` here is the 8-channel one alone.
`a1-standard` is the shape of its older configuration files. It has no knobs: rows with FiLM are compared with the same
shape without, and with our own plain net with FiLM. Ours is what `zoo train` does at each step: the engine, the
objective, Adam. Rounds are interleaved; medians, and the median of the ratios of each round, of this thread's CPU time
and of wall time. Before the clock starts, both losses must agree.

    python benchmarks/training_step.py [--rounds 7] [--steps 100]

On a GPU: some models as a search trains them (fused layers in stacks of the best size, the step captured) against the
PyPI trainer's step, one model after another, both there, each contest in a process of its own. Before the clock starts
CUDA is up and nothing of ours is compiled or measured; compiling, choosing the size and capturing count. A model is a
training of `--whole` steps. (benchmarks/stacking.py has the step alone, by size of the stack.)

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
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from models.artifacts.model_config import make_config
from models.core.schema import read_document
from models.engines.base import Engine, as_vector
from models.engines.eager import EagerEngine
from models.engines.gpu.cuda_graph import WARM_UP
from models.engines.select import engine_for
from models.formats.nam.writer import to_nam
from models.knobs.schema import Knobs
from models.network.architecture import WaveNetConfig
from models.network.folding import Folding
from models.network.wavenet import WaveNet
from models.training.config import LearningConfig
from models.training.objective import Objective
from models.training.optimizers import Adam
from models.training.state import TrainState

CONFIGS = Path(__file__).parent.parent / "configs" / "models"
MODELS = ("a1-standard", "a1-standard-film", "a2-full", "a2-full-film", "a1-feather", "a1-nano", "a1-nano-film")
BATCHES = ((16, 8192), (8, 2048))
RATE = 0.004

Step = Callable[[Tensor, Tensor, Tensor], float]


def our_step(net: WaveNet, engine: Engine) -> Step:
    """A step as `models.training.solo` takes it, of windows that weigh the same."""
    vector_P, rule = as_vector(Folding(net).parameters), Adam()
    state, objective = TrainState.begin(vector_P.data[None], None, rule), Objective([LearningConfig(gradient_clip=1e9)])
    rate_K, blend_K = torch.tensor([RATE], dtype=torch.float64), torch.ones(1)
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


def bare(config: WaveNetConfig) -> WaveNetConfig:
    """The shape without knobs."""
    return config.model_copy(update={"inject": config.inject.model_copy(update={"film": (), "mixin": False})})


def their_step(config: WaveNetConfig, net: WaveNet, device: str = "cpu") -> Step:
    """The PyPI trainer's step on a net without knobs, with our weights in it."""
    from nam.train.lightning_module import LightningModule

    arrays = [
        {
            "input_size": config.arrays[index - 1].channels if index else 1,
            "condition_size": 1,
            "channels": array.channels,
            "kernel_sizes": list(array.kernel_sizes),
            "dilations": list(array.dilations),
            "activation": array.activations[0].type,
            "head": {
                "out_channels": config.head_outputs(index),
                "kernel_size": array.head_kernel_size,
                "bias": config.head_bias(index),
            },
        }
        for index, array in enumerate(config.arrays)
    ]
    shape = {"layers_configs": arrays, "head_scale": net.head_scale.item()}
    module: Any = LightningModule.init_from_config(
        {"net": {"name": "WaveNet", "config": shape}, "loss": {}, "optimizer": {"lr": RATE}, "lr_scheduler": None}
    )
    document = to_nam(make_config("bench", 48000, Knobs(knobs=()), config), net)
    module.net.import_weights(torch.tensor(document["weights"]))
    module.to(device)
    optimiser = module.configure_optimizers()

    def step(x_BT: Tensor, target_BS: Tensor, knobs_BK: Tensor) -> float:
        optimiser.zero_grad()
        loss = module.training_step((x_BT, target_BS), 0)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def make_net(config: WaveNetConfig, knobs: int) -> WaveNet:
    """A fresh net."""
    torch.manual_seed(0)
    net = WaveNet(config, knobs)
    net.head_scale.fill_(0.1)
    return net


def batches(field: int, items: int, samples: int, count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Noise, and what a clipping amp makes of it; two knobs that do nothing."""
    draw = torch.Generator().manual_seed(1)
    made = []
    for _ in range(count):
        x_BT = 0.1 * torch.randn(items, field - 1 + samples, generator=draw)
        knobs_BK = torch.rand(items, 2, generator=draw) * 2 - 1
        made.append((x_BT, 0.3 * torch.tanh(3 * x_BT[:, field - 1 :]), knobs_BK))
    return made


def contest(name: str, items: int, samples: int, rounds: int) -> None:
    """One line: one step of each."""
    config = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
    knobs = 2 if config.inject.film else 0
    ours, plain, theirs = make_net(config, knobs), make_net(config, knobs), make_net(bare(config), 0)
    steps = {
        "ours": our_step(ours, engine_for(ours)),
        "plain": our_step(plain, EagerEngine(plain)),
        "theirs": their_step(bare(config), theirs),
    }
    (x_BT, target_BS, knobs_BK), *_ = batches(config.receptive_field, items, samples, 1)
    knobs_BK = knobs_BK[:, :knobs]
    losses = {who: step(x_BT, target_BS, knobs_BK) for who, step in steps.items()}
    for who in ("plain",) if knobs else ("plain", "theirs"):
        assert abs(losses["ours"] - losses[who]) <= 1e-4 * losses[who], losses
    cpu: dict[str, list[float]] = {who: [] for who in steps}
    wall: dict[str, list[float]] = {who: [] for who in steps}
    for turn in range(rounds):
        order = list(steps)[turn % 3 :] + list(steps)[: turn % 3]
        for who in order:
            at_cpu, at_wall = time.thread_time(), time.perf_counter()
            steps[who](x_BT, target_BS, knobs_BK)
            cpu[who].append(time.thread_time() - at_cpu)
            wall[who].append(time.perf_counter() - at_wall)
    cells = [f"{median(cpu[who]) * 1e3:8.2f}" for who in steps]
    for clock in (cpu, wall):
        for who in ("theirs", "plain"):
            cells.append(f"{median(a / b for a, b in zip(clock[who], clock['ours'], strict=True)):6.2f}")
    print(f"{name:18} {items:3} x {samples:5}  " + "  ".join(cells), flush=True)


def race(name: str, items: int, samples: int, steps: int) -> None:
    """A whole training, first step to last, of each: seconds of CPU, and the loss it ends at."""
    config = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
    made = batches(config.receptive_field, items, samples, steps)
    found = {}
    for who in ("ours", "theirs"):
        net = make_net(config, 0)
        began = time.thread_time()
        step = our_step(net, engine_for(net)) if who == "ours" else their_step(config, net)
        losses = [step(x_BT, target_BS, knobs_BK[:, :0]) for x_BT, target_BS, knobs_BK in made]
        found[who] = time.thread_time() - began, sum(losses[-10:]) / 10
    (mine, at), (other, there) = found["ours"], found["theirs"]
    print(
        f"{name:18} {items:3} x {samples:5}  {mine:7.2f}  {other:7.2f}  {other / mine:6.2f}   {at:.6f}  {there:.6f}",
        flush=True,
    )


def gpu_race(name: str, items: int, samples: int, options: argparse.Namespace) -> None:
    """One line: models per GPU-hour of each, and how long each took to start."""
    from benchmarks.stacking import recordings, theirs
    from models.training.config import Recipe
    from models.training.placement import place_trainers
    from models.training.trainer import Trainer

    warnings.filterwarnings("ignore", module="nam|lightning|pytorch_lightning")
    torch.set_num_threads(1)
    config, data = read_document(CONFIGS / f"{name}.json", WaveNetConfig), recordings()
    learning = [
        LearningConfig(steps=1_000_000, batch=items, segment=samples, seed=seed) for seed in range(options.together)
    ]
    trainers = [Trainer(Recipe(data=data.config, model=config, learning=own), data) for own in learning]
    theirs(config, items, samples, options.device)(WARM_UP + 1)  # CUDA and its libraries are up
    began = time.perf_counter()
    their_run = theirs(config, items, samples, options.device)
    their_run(WARM_UP + 1)
    starts = {"theirs": time.perf_counter() - began}
    began = time.perf_counter()
    stacks = place_trainers(trainers, torch.device(options.device))
    for stack in stacks:
        stack.advance(WARM_UP + 1)
    starts["ours"] = (time.perf_counter() - began) / len(trainers)
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    for turn in range(options.rounds):
        for who in ("theirs", "ours")[:: 1 if turn % 2 else -1]:
            began = time.perf_counter()
            if who == "theirs":
                their_run(options.steps)
            else:
                for stack in stacks:
                    stack.advance(options.steps)
            models = 1 if who == "theirs" else len(trainers)
            seconds[who].append((time.perf_counter() - began) / options.steps / models)
    rates = {who: 3600 / (starts[who] + options.whole * median(seconds[who])) for who in seconds}
    cells = [f"{starts[who]:7.2f} {median(seconds[who]) * 1e3:8.3f} {rates[who]:9.1f}" for who in seconds]
    sizes = "+".join(str(len(stack.trainers)) for stack in stacks)
    print(
        f"{name:18} {items:3} x {samples:5} {sizes:>9} ", *cells, f"{rates['ours'] / rates['theirs']:6.2f}", flush=True
    )


def gpu_table(options: argparse.Namespace) -> None:
    """Every model and batch, with nothing compiled or measured before."""
    print(
        f"{torch.cuda.get_device_name()}; a start and a step in s and ms a model, "
        f"models per GPU-hour of {options.whole} steps"
    )
    print(f"{'':34} {'stacks':>7}   theirs:   start     step      rate   ours: the same            ours/theirs")
    for items, samples in BATCHES:
        for name in options.models:
            with tempfile.TemporaryDirectory() as folder:
                os.environ |= {"AMPZOO_CACHE": folder, "TRITON_CACHE_DIR": folder}
                trial = get_context("spawn").Process(target=gpu_race, args=(name, items, samples, options))
                trial.start()
                trial.join()
                if trial.exitcode:
                    sys.exit(f"the contest of {name} failed")


FIRST = """
import time
began = time.perf_counter()
import torch
from models.engines.select import engine_for
from models.network.wavenet import WaveNet
from models.network.architecture import WaveNetConfig
torch.set_num_threads(1)
imported = time.perf_counter()
array = {"channels": CHANNELS, "dilations": [1, 2, 4]}
net = WaveNet(WaveNetConfig.model_validate({"arrays": [array], "inject": {}}), 0)
engine_for(net)(torch.randn(1, 3000), torch.zeros(1, 0)).sum().backward()
print(round(time.perf_counter() - imported, 2))
"""


def first_calls() -> list[float]:
    """Seconds until the first gradient: with nothing compiled, in a second process, and there with another shape."""
    with tempfile.TemporaryDirectory() as folder:
        here = {**os.environ, "AMPZOO_CACHE": folder, "PYTHONPATH": os.pathsep.join(sys.path)}
        return [
            float(
                subprocess.check_output([sys.executable, "-c", FIRST.replace("CHANNELS", str(c))], env=here, text=True)
            )
            for c in (8, 8, 13)
        ]


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--together", type=int, default=8, help="On a GPU: models.")
    parser.add_argument("--whole", type=int, default=20_000, help="On a GPU: steps of a whole training.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.device == "cuda":
        if not torch.cuda.is_available():
            parser.error("torch sees no GPU here")
        gpu_table(options)
        return
    warnings.filterwarnings("ignore")
    print(
        "seconds to the first gradient: nothing compiled, compiled before, and for another shape:",
        json.dumps(first_calls()),
    )
    print(
        "\none step, CPU ms                  ours     plain    theirs | CPU: theirs/ours plain/ours | wall: both again"
    )
    for items, samples in BATCHES:
        for name in options.models:
            contest(name, items, samples, options.rounds)
    print(f"\n{options.steps} steps, CPU s                ours   theirs   ratio   loss of the last ten: ours, theirs")
    for name in ("a1-standard", "a2-full", "a1-nano"):
        race(name, 8, 2048, options.steps)


if __name__ == "__main__":
    main()
