"""Replays one method on tables, and prints one JSON line per table and seed. It runs in the environment of its method.

python -m benchmarks.search.replay METHOD TABLE... --seeds 0 1 2
"""

import argparse
import importlib
import json
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.search.clock import Replay
from benchmarks.search.table import Table, read_tables

BUDGET, WORKERS = 40.0, 4  # in average full trainings; how many train at once


class Side(NamedTuple):
    """A method: where it is defined, and the environment in which it runs (see `environments`)."""

    module: str
    name: str
    environment: str = "ours"
    workers: int | None = None  # where a method cannot be asked for several trials at once


SIDES = {
    "ours": Side("ours", "Ours"),
    "random": Side("chance", "RandomSearch"),
    "Optuna TPE": Side("optuna_samplers", "OptunaTPE"),
    "Optuna GP": Side("optuna_samplers", "OptunaGP"),
    "NSGA-II": Side("optuna_samplers", "OptunaNSGAII"),
    "BoTorch qLogNEHVI": Side("botorch_nehvi", "NoisyHypervolume", "neps"),
    "Syne Tune MO-ASHA": Side("syne_tune_moasha", "MultiObjectiveASHA", "syne-tune"),
    "NePS PriMO": Side("neps_primo", "PriMO", "neps", workers=1),
    "SMAC ParEGO": Side("smac_parego", "ParEGO", "smac"),
}


def run_side(table: Table, name: str, seed: int, budget: float, workers: int) -> dict[str, object]:
    """Return a record of one replay; shares are those at `clock.MARKS`."""
    side = SIDES[name]
    made = getattr(importlib.import_module(f"benchmarks.search.{side.module}"), side.name)
    began, total, workers = time.process_time(), budget * table.mean_seconds, side.workers or workers
    replay = Replay(table, made(table, seed), workers)
    replay.run(total)
    shares = [round(share, 5) for share in replay.shares(total)]
    what = {"table": table.name, "method": name, "seed": seed, "budget": budget, "workers": workers}
    facts = {"trials": replay.trials, "finished": len(replay.finished)}
    return {**what, "shares": shares, **facts, "cpu_s": round(time.process_time() - began, 2)}


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=list(SIDES))
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", type=float, default=BUDGET, help="in average full trainings")
    parser.add_argument("--workers", type=int, default=WORKERS)
    options = parser.parse_args()
    tables = read_tables(options.tables)
    for seed in options.seeds:
        for table in tables:
            print(json.dumps(run_side(table, options.method, seed, options.budget, options.workers)), flush=True)


if __name__ == "__main__":
    main()
