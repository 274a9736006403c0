"""Our sampler and pruner against those of others on tables: the share of the hypervolume that a budget finds.

    python -m benchmarks.search TABLE... --seeds 10 --log RECORDS.jsonl --picture ranks.png

TABLE is a CSV file (see README.md here). Each method runs in its own environment (`environments`); one that is not
installed is left out, and said so. With a log, what is there is not run again.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.search.clock import MARKS
from benchmarks.search.environments import python_of
from benchmarks.search.ranks import (
    Scores,
    collect,
    complete_methods,
    critical_difference,
    draw,
    friedman,
    mean_at,
    mean_ranks,
)
from benchmarks.search.replay import BUDGET, SIDES, WORKERS
from benchmarks.search.table import read_tables

Record = dict[str, Any]
ROOT = Path(__file__).parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def read_log(path: Path | None) -> list[Record]:
    """Return the records of a log, none where there is none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path and path.exists() else []


def run_method(method: str, tables: list[Path], seeds: list[int], options: argparse.Namespace) -> Iterator[Record]:
    """Replay one method in its environment."""
    command = [str(python_of(SIDES[method].environment)), "-m", "benchmarks.search.replay", method, *map(str, tables)]
    command += ["--seeds", *map(str, seeds), "--budget", str(options.budget), "--workers", str(options.workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}) as process:
        assert process.stdout
        yield from map(json.loads, process.stdout)
    if process.returncode:
        print(f"{method} failed with exit status {process.returncode}", file=sys.stderr)


def run_missing(options: argparse.Namespace) -> list[Record]:
    """Run what the log lacks, and return all records of the tables and methods at this budget."""
    records = read_log(options.log)
    tables = {path.name.split(".")[0]: path.resolve() for path in options.tables}
    for method in options.methods:
        if not python_of(SIDES[method].environment).exists():
            name = SIDES[method].environment
            print(f"{method}: not installed; python -m benchmarks.search.environments {name}", file=sys.stderr)
            continue
        known = {
            (one["table"], one["seed"])
            for one in records
            if one["method"] == method and one["budget"] == options.budget
        }
        for seed in range(options.seeds):
            left = [path for name, path in tables.items() if (name, seed) not in known]
            for record in run_method(method, left, [seed], options) if left else ():
                records.append(record)
                if options.log:
                    with options.log.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(record) + "\n")
    return [
        one
        for one in records
        if one["table"] in tables and one["method"] in options.methods and one["budget"] == options.budget
    ]


def table_lines(scores: Scores) -> Iterator[str]:
    """Yield Markdown: for each table, mean and standard error over seeds by method and mark."""
    for table, of_table in scores.items():
        yield f"\n| `{table}` | " + " | ".join(f"{mark:.0%}" for mark in MARKS) + " | seeds |"
        yield "|---" * (len(MARKS) + 2) + "|"
        for method, shares in sorted(of_table.items(), key=lambda item: -mean_at(item[1], -1)[0]):
            cells = [mean_at(shares, mark) for mark in range(len(MARKS))]
            shown = " | ".join(f"{mean:.3f} ± {error:.3f}" for mean, error in cells)
            yield f"| {method} | {shown} | {len(shares)} |"


def rank_lines(scores: Scores, methods: list[str]) -> Iterator[str]:
    """Yield Markdown: the mean rank of each method at each mark."""
    ranks = [mean_ranks(scores, methods, mark) for mark in range(len(MARKS))]
    yield "\n| mean rank | " + " | ".join(f"{mark:.0%}" for mark in MARKS) + " |"
    yield "|---" * (len(MARKS) + 1) + "|"
    for method in sorted(methods, key=lambda name: sum(found[name] for found in ranks[1:])):
        yield f"| {method} | " + " | ".join(f"{found[method]:.2f}" for found in ranks) + " |"
    if len(methods) > 2 and len(scores) > 1:
        chances = ", ".join(f"{friedman(scores, methods, mark):.2g}" for mark in range(len(MARKS)))
        yield f"\nFriedman p: {chances}; critical difference {critical_difference(len(methods), len(scores)):.2f}"


def main() -> None:
    """Run, print tables and ranks, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--methods", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=float, default=BUDGET, help="in average full trainings")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--log", type=Path, help="records are appended here, and not run again")
    parser.add_argument("--picture", type=Path, help="draw the critical differences")
    options = parser.parse_args()
    read_tables(options.tables)  # what is no table is told once, before any method runs
    scores = collect(run_missing(options))
    methods = complete_methods(scores)
    for line in (*table_lines(scores), *(rank_lines(scores, methods) if methods else ())):
        print(line)
    if options.picture and len(methods) > 1:
        ranks = {f"{MARKS[at]:.0%} of the budget": mean_ranks(scores, methods, at) for at in range(1, len(MARKS))}
        draw(ranks, critical_difference(len(methods), len(scores)), options.picture)


if __name__ == "__main__":
    main()
