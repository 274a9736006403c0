"""Train every recipe of a small grid on real recordings and keep the learning curves, for `search_replay.py`.

One line per recipe and amp in `search_curves.jsonl`: the point, its cost, validation ESR at every report. Rows that
are there are not trained again. Needs the recordings folders `gxamp-6v6/` and `ts808/`; says so and stops without
them.

    python -m benchmarks.search_curves RECORDINGS --amps gxamp-6v6 ts808
"""

import argparse
import json
import math
import random
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch

from models.core.errors import DivergedError
from models.core.schema import check_document
from models.recordings.loading import load_data
from models.training.trainer import Trainer
from search.config.shapes import FAMILIES, dilations
from search.config.study import SearchConfig
from zoo.cli import output

Row = tuple[Any, ...]
CURVES = Path(__file__).with_name("search_curves.jsonl")
AXES: dict[str, tuple[Any, ...]] = {
    "channels": (2, 3, 4, 6, 8, 12),
    "depth": (4, 6, 8),
    "dilations": ("pow2", "pow2x5", "pow3"),
    "inject": ("input", "mixin", "film", "mixin+film"),
    "learning_rate": (0.005, 0.012),
}
STEPS, EVERY = 1200, 60
AMPS = ("gxamp-6v6", "ts808")


def grid_config(amp: str, train: Path) -> SearchConfig:
    """The search whose space is the grid, but for its learning rates, which lie between the grid's."""
    data = {"name": amp, "train": str(train), "held_settings": 1, "held_seconds": 0.5}
    split = {"validation_settings": 4, "validation_seconds": 0.5}
    space = {axis: list(choices) for axis, choices in AXES.items() if axis != "learning_rate"}
    document = {
        "name": "replay",
        "datasets": [{**data, **split}],
        "space": {"shapes": [], **space, "learning_rate": [0.004, 0.015]},
        "learning": {"steps": STEPS, "batch": 4, "segment": 2048, "report_every": EVERY, "warmup": 50},
    }
    return check_document(document, SearchConfig, "benchmark")


def row_key(point: dict[str, Any]) -> Row:
    """The row of the grid for a point: the nearest learning rate, and the first family with its dilations."""
    rate = min(AXES["learning_rate"], key=lambda one: abs(math.log(one / point["learning_rate"])))
    depth, wanted = point["depth"], dilations(FAMILIES[point["dilations"]], point["depth"])
    family = next(name for name in AXES["dilations"] if dilations(FAMILIES[name], depth) == wanted)
    whole = {**point, "learning_rate": rate, "dilations": family}
    return tuple(whole[axis] for axis in AXES)


def main() -> None:
    """Train what is missing, in an order drawn once, so that an unfinished table is a fair sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--amps", nargs="+", default=AMPS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = {(row["amp"], *row["row"]) for row in read_rows()}
    every = [dict(zip(AXES, row, strict=True)) for row in product(*AXES.values())]
    rows = [row for row in every if row_key(row) == tuple(row.values())]
    random.Random(0).shuffle(rows)
    for amp in options.amps:
        left = [row for row in rows if (amp, *row.values()) not in known]
        if not left:
            continue
        home = options.data.resolve() / amp
        if not home.is_dir():
            sys.exit(f"skipped: {options.data} has no {amp} recordings")
        config = grid_config(amp, home / "train.json")
        data = load_data(config.datasets[0])
        for row in left:
            point = config.space.complete(row)
            assert point
            (recipe,) = config.recipes(point, seed=0)
            trainer, curve, began = Trainer(recipe, data), [], time.process_time()
            try:
                while trainer.step < STEPS:
                    trainer.advance(EVERY)
                    curve.append(round(trainer.validate().mean, 5))
            except DivergedError:
                curve.append(None)
            macs = recipe.model.macs_per_sample(trainer.net.knobs)
            line = {"amp": amp, "row": list(row.values()), "macs": macs, "curve": curve}
            with CURVES.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            output.info(f"{amp} {row} {curve[-1]} in {time.process_time() - began:.1f} s")


def read_rows() -> list[dict[str, Any]]:
    """Every row of the table so far."""
    return [json.loads(text) for text in CURVES.read_text().splitlines()] if CURVES.exists() else []


if __name__ == "__main__":
    main()
