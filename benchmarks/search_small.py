"""Small searches on real learning curves (`search_curves.jsonl`): what 6 to 20 trials find.

The project's sampler and pruner against random recipes (none twice, each trained to the end) and against the sampler
before there was a design. Two simulated workers; a trial's errors are those of the recipe that was really trained.
Scores: the hypervolume in (log10 ESR, log10 MACs) as a share of that of the whole table, and the lowest error as a
multiple of the table's (geometric mean). Methods and seeds are interleaved; mean and standard error over seeds.

    python -m benchmarks.search_small --seeds 10
"""

import argparse
import heapq
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna

from benchmarks.search_curves import AMPS, EVERY, STEPS, Row, grid_config
from benchmarks.search_opponents import CheapFirst
from benchmarks.search_replay import MEMORY, REFERENCE, Method, Stock, row_of, table_of, table_pool
from search.config.space import Point
from search.optimizer.pareto import hypervolume
from search.optimizer.sampler import SurrogateSampler
from search.study.build import make_pruner
from search.study.lines import TrialReport
from search.study.scheduler import TrialScheduler
from zoo.cli import output

TRIALS, WORKERS = (6, 8, 12, 20), 2


class SmallSearch:
    """The project's scheduler and pruner with a sampler, for a stated number of trials."""

    def __init__(self, kind: type[SurrogateSampler], amp: str, seed: int, folder: Path, trials: int) -> None:
        config = grid_config(amp, Path("train.json")).model_copy(update={"seed": seed, "trials": trials})
        pool, constraints = table_pool(config)
        sampler = kind(pool, seed)
        self.scheduler = TrialScheduler(config, folder, pool, sampler, make_pruner(config), sizes=constraints.sizes)

    def suggest(self) -> tuple[str, Point] | None:
        task = self.scheduler.suggest()
        return (task.trial, task.point) if task else None

    def on_report(self, trial: str, step: int, esr: float, macs: int) -> bool:
        report = TrialReport(trial=trial, step=step, esr=esr, amps={"a": esr})
        return self.scheduler.on_report(report) and step < STEPS

    def on_complete(self, trial: str) -> None:
        self.scheduler.on_complete(trial)


class FewAtRandom(Stock):
    """Random recipes, so many."""

    def __init__(self, amp: str, seed: int, trials: int) -> None:
        super().__init__(amp, seed, "random", once=True)
        self.left = trials

    def suggest(self) -> tuple[str, Point] | None:
        self.left -= 1
        return super().suggest() if self.left >= 0 else None


METHODS: dict[str, Callable[[str, int, Path, int], Method]] = {
    "random, full training": lambda amp, seed, _, trials: FewAtRandom(amp, seed, trials),
    "before the design": lambda amp, seed, folder, trials: SmallSearch(CheapFirst, amp, seed, folder, trials),
    "ours": lambda amp, seed, folder, trials: SmallSearch(SurrogateSampler, amp, seed, folder, trials),
}


def search_all(method: Method, table: dict[Row, Any]) -> list[tuple[float, float]]:
    """Train all that a method suggests; return log10 of error and of multiply-accumulates of every trial."""
    running: list[tuple[float, int, str, Any, int]] = []
    reached: dict[str, tuple[float, float]] = {}
    order = now = 0

    def start() -> None:
        nonlocal order
        if suggested := method.suggest():
            row, order = table[row_of(suggested[1], table)], order + 1
            heapq.heappush(running, (now + row["seconds"], order, suggested[0], row, 1))

    for _ in range(WORKERS):
        start()
    while running:
        now, _, trial, row, reports = heapq.heappop(running)
        esr = row["curve"][reports - 1]
        reached[trial] = math.log10(esr), math.log10(row["macs"])
        if method.on_report(trial, reports * EVERY, esr, row["macs"]):
            order += 1
            heapq.heappush(running, (now + row["seconds"], order, trial, row, reports + 1))
        else:
            method.on_complete(trial)
            start()
    return list(reached.values())


def main() -> None:
    """Replay and print one table per amp and number of trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", nargs="+", type=int, default=TRIALS)
    parser.add_argument("--amps", nargs="+", choices=AMPS, default=AMPS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    for amp in options.amps:
        table = table_of(amp)
        ends = [(math.log10(row["curve"][-1]), math.log10(row["macs"])) for row in table.values()]
        whole, lowest = hypervolume(ends, REFERENCE), min(ends)[0]
        for trials in options.trials:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
            for seed in range(options.seeds):
                for name, make in METHODS.items():
                    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
                        points = search_all(make(amp, seed, Path(folder), trials), table)
                    found[name].append((hypervolume(points, REFERENCE) / whole, min(points)[0] - lowest))
            for name, scores in found.items():
                volumes, errors = zip(*scores, strict=True)
                volume = f"{fmean(volumes):.3f} +- {_deviation(volumes):.3f}"
                error = f"{10 ** fmean(errors):.2f} x/ {10 ** _deviation(errors):.2f}"
                rows.append((amp, str(trials), name, volume, error))
                output.info("\t".join(rows[-1]))
    output.data_table(("AMP", "TRIALS", "METHOD", "HYPERVOLUME", "LOWEST ERROR"), rows)


def _deviation(values: tuple[float, ...]) -> float:
    """Return the standard error of a mean."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
