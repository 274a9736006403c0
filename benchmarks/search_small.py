"""Small searches on real learning curves (`search_curves.jsonl`): what 6 to 20 trials find.

The project's sampler and pruner against random recipes (none twice, each trained to the end) and against the sampler
before there was a design. Two simulated workers; a trial's errors are those of the recipe that was really trained.
Scores: the hypervolume in (log10 ESR, log10 MACs) as a share of that of the whole table, and the lowest error as a
multiple of the table's (geometric mean). Methods and seeds are interleaved; mean and standard error over seeds.

    python -m benchmarks.search_small --seeds 10
"""

import argparse
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev

import optuna

from benchmarks.replayed_training import Method, ScheduledSearch, replay
from benchmarks.search_curves import AMPS, grid_config
from benchmarks.search_opponents import CheapFirst
from benchmarks.search_replay import MEMORY, REFERENCE, Stock, table_of, table_pool
from search.config.space import Point
from search.optimizer.pareto import hypervolume
from search.optimizer.sampler import SurrogateSampler
from search.study.build import make_pruner
from search.study.scheduler import TrialScheduler
from zoo.cli import output

TRIALS, WORKERS = (6, 8, 12, 20), 2


class SmallSearch(ScheduledSearch):
    """The project's scheduler and pruner with a sampler, for a stated number of trials."""

    def __init__(self, kind: type[SurrogateSampler], amp: str, seed: int, folder: Path, trials: int) -> None:
        config = grid_config(amp, Path("train.json")).model_copy(update={"seed": seed, "trials": trials})
        pool, constraints = table_pool(config)
        sampler = kind(pool, seed)
        super().__init__(TrialScheduler(config, folder, pool, sampler, make_pruner(config), sizes=constraints.sizes))


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
                        method = make(amp, seed, Path(folder), trials)
                        reached = {report.trial: report.values for report in replay(method, table, WORKERS)}
                    points = list(reached.values())
                    found[name].append((hypervolume(points, REFERENCE) / whole, min(points)[0] - lowest))
            for name, scores in found.items():
                volumes, errors = zip(*scores, strict=True)
                volume = f"{fmean(volumes):.3f} +- {standard_error(volumes):.3f}"
                error = f"{10 ** fmean(errors):.2f} x/ {10 ** standard_error(errors):.2f}"
                rows.append((amp, str(trials), name, volume, error))
                output.info("\t".join(rows[-1]))
    output.data_table(("AMP", "TRIALS", "METHOD", "HYPERVOLUME", "LOWEST ERROR"), rows)


def standard_error(values: tuple[float, ...]) -> float:
    """Return the standard error of a mean."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
