"""Which optimizer, at which rate, for how many steps: every one tuned alike, on several amps and shapes.

Trains each optimizer at each of its rates, for each length, shape, amp and seed, and writes a line of JSON for each.
What the file already has is not trained again, so that a table may grow over days. Then prints, for each length and
shape, the geometric means over amps and seeds of validation ESR, held mean and held worst, relative to the default, and
marks for each optimizer the rate that validation chooses.

    python -m benchmarks.tuning RECORDINGS OUT.jsonl [--steps 400 1200] [--shapes w12 a1-lite-film] [--amps ts808] \
        [--seeds 0] [--table-only]
"""

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.optimizers import SHAPES, SPLITS, load, shape_config, train_once
from models.evaluation.scoring import score
from models.recordings.dataset import AmpData
from zoo.cli import output
from zoo.cli.options import one_thread

RATES = {"soap": (0.01, 0.02, 0.04), "muon": (0.01, 0.02, 0.04), "adam": (0.004, 0.008, 0.016)}
DEFAULT = ("soap", 0.02)
KEY = ("optimizer", "learning_rate", "steps", "shape", "amp", "seed")
SCORES = ("validation", "mean", "worst")


def train(data: AmpData, row: dict[str, Any]) -> dict[str, Any]:
    """Train what a row states; return its scores and the CPU seconds."""
    learning = {name: row[name] for name in ("optimizer", "learning_rate", "steps", "seed")}
    trainer, net, seconds = train_once(data, shape_config(row["shape"]), learning)
    held = score(net, data, data.held)
    return {
        "validation": trainer.validate().mean,
        "mean": held.mean,
        "median": held.median,
        "worst": held.worst,
        "seconds": round(seconds, 1),
    }


def missing(options: argparse.Namespace, known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the trainings that are asked for and not known yet, those of one amp and seed beside each other."""
    done = {tuple(row[name] for name in KEY) for row in known}
    recipes = [(optimizer, rate) for optimizer, rates in RATES.items() for rate in rates]
    for steps, shape, seed, amp in product(options.steps, options.shapes, options.seeds, options.amps):
        for optimizer, rate in recipes:
            key = optimizer, rate, steps, shape, amp, seed
            if key not in done:
                yield dict(zip(KEY, key, strict=True))


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print, for each length and shape, errors relative to the default at equal amps and seeds."""
    lines = []
    for steps, shape in sorted({(row["steps"], row["shape"]) for row in rows}):
        own = [row for row in rows if (row["steps"], row["shape"]) == (steps, shape)]
        errors: dict[tuple[str, float], dict[tuple[str, int], dict[str, float]]] = {}
        for row in own:
            errors.setdefault((row["optimizer"], row["learning_rate"]), {})[row["amp"], row["seed"]] = row
        base, ratios = errors.get(DEFAULT, {}), {}
        for recipe, found in errors.items():
            shared = sorted(found.keys() & base.keys())
            if shared:
                ratios[recipe] = (
                    len(shared),
                    *(math.exp(fmean(math.log(found[at][name] / base[at][name]) for at in shared)) for name in SCORES),
                )
        chosen = {
            min((at for at in ratios if at[0] == optimizer), key=lambda at: ratios[at][1])
            for optimizer in {at[0] for at in ratios}
        }
        for (optimizer, rate), (count, *means) in sorted(ratios.items()):
            mark = "chosen" if (optimizer, rate) in chosen else ""
            cells = (f"{mean:.2f}" for mean in means)
            lines.append((f"{steps:,}", shape, optimizer, f"{rate:g}", *cells, str(count), mark))
    heads = ("STEPS", "SHAPE", "OPTIMIZER", "RATE", "VALIDATION", "HELD MEAN", "WORST", "TRAININGS", "BY VALIDATION")
    output.data_table(heads, lines)


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[400, 1200, 4000, 12000])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=SHAPES)
    amps = ["virtual", *SPLITS]
    parser.add_argument("--amps", nargs="+", choices=amps, default=["virtual", "ts808", "gxamp-6v6"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table-only", action="store_true")
    options = parser.parse_args()
    one_thread()
    lines = options.out.read_text(encoding="utf-8").splitlines() if options.out.exists() else []
    known = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as scratch:
        loaded: dict[str, AmpData | None] = {}
        for row in () if options.table_only else missing(options, known):
            amp = row["amp"]
            if amp not in loaded:
                loaded[amp] = load(amp, options.recordings, Path(scratch) / "takes")
            if (data := loaded[amp]) is None:
                continue
            known.append(row | train(data, row))
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[-1]) + "\n")
            output.info(json.dumps(known[-1]))
    print_table(known)


if __name__ == "__main__":
    main()
