"""Compare where knobs enter a NAM: the same WaveNet, steps and takes; only the injection differs.

Prints per injection the median over seeds of: median and worst ESR on held settings and held audio, and the knob-move
artifact (dBFS) of turning the first knob from one end to the other in 10, 50 and 200 ms. Needs the recordings folder
`gxamp-6v6/`; stops without it.

    python -m benchmarks.where_knobs_enter RECORDINGS --steps 500 --seeds 0 1 2
"""

import argparse
import sys
from pathlib import Path
from statistics import median

import torch

from models.core.schema import check_document
from models.evaluation.robustness import knob_move_artifact
from models.evaluation.scoring import score
from models.network.architecture import Injection, WaveNetConfig
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import LearningConfig, Recipe
from models.training.trainer import Trainer
from zoo.cli import output

INJECTIONS = {
    "input": {"input": True},
    "mixin": {"mixin": True},
    "input + mixin": {"input": True, "mixin": True},
    "FiLM activation_pre": {"film": ["activation_pre"]},
    "FiLM conv_pre, activation_pre": {"film": ["conv_pre", "activation_pre"]},
    "mixin, encoder 8": {"mixin": True, "encoder": 8},
    "FiLM activation_pre, encoder 8": {"film": ["activation_pre"], "encoder": 8},
    "FiLM conv_pre, activation_pre, encoder 8": {"film": ["conv_pre", "activation_pre"], "encoder": 8},
    "FiLM activation_pre, warp 4": {"film": ["activation_pre"], "warp": 4},
}
ARRAY = {"channels": 8, "dilations": [1, 3, 9, 27, 81, 243, 1, 3, 9]}
RAMPS_MS = (10, 50, 200)


def measure(data: AmpData, injection: dict, steps: int, seed: int) -> tuple[float, ...]:
    """Train once; returns held median, held worst, artifacts at 10, 50 and 200 ms, and the number of parameters."""
    model = WaveNetConfig.model_validate({"arrays": [ARRAY], "inject": Injection.model_validate(injection)})
    trainer = Trainer(Recipe(data=data.config, model=model, learning=LearningConfig(steps=steps, seed=seed)), data)
    trainer.advance(steps)
    held = score(trainer.net.eval(), data, data.held)
    rest_K = torch.tensor(data.knobs.encode(data.knobs.defaults))
    low_K, high_K = rest_K.clone(), rest_K.clone()
    low_K[0], high_K[0] = -1, 1
    x_T = data.dry_T[data.held[0].dry][: 2 * data.rate_hz]
    moves = (knob_move_artifact(trainer.net, x_T, low_K, high_K, ms * data.rate_hz // 1000) for ms in RAMPS_MS)
    return (held.median, held.worst, *moves, float(trainer.net.parameter_count))


def main() -> None:
    """Train every injection with every seed, interleaved, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    folder = options.data.resolve() / "gxamp-6v6"
    if not folder.is_dir():
        sys.exit(f"skipped: {options.data} has no gxamp-6v6 recordings")
    torch.set_num_threads(1)
    split = {
        "train": folder / "train.json",
        "held": folder / "heldout.json",
        "validation_settings": 4,
        "validation_seconds": 3,
    }
    data = load_data(check_document({"name": "gxamp-6v6", **split}, DataConfig, "benchmark"))
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in INJECTIONS}
    for seed in options.seeds:
        for name, injection in INJECTIONS.items():
            found[name].append(measure(data, injection, options.steps, seed))
            output.info(f"seed {seed} {name}: median {found[name][-1][0]:.4f}")
    rows = []
    for name, runs in found.items():
        medians = [median(column) for column in zip(*runs, strict=True)]
        seeds = " ".join(f"{run[0]:.4f}" for run in runs)
        rows.append(
            (
                name,
                f"{medians[5]:.0f}",
                f"{medians[0]:.4f}",
                seeds,
                f"{medians[1]:.4f}",
                *(f"{m:.1f}" for m in medians[2:5]),
            )
        )
    ramps = [f"move {ms} ms dBFS" for ms in RAMPS_MS]
    output.data_table(("KNOBS AT", "PARAMETERS", "HELD MEDIAN", "SEEDS", "HELD WORST", *ramps), rows)


if __name__ == "__main__":
    main()
