"""Small searches on tables of trained models in CSV files: what 6 to 20 trials find; see `benchmarks.search_small`.

The project's sampler and pruner against random rows (none twice, each trained to the end) and against the sampler
before there was a design. Two simulated workers. Scores, of models trained to the end: the share of the table's
hypervolume against the worst error and cost of the table, as in `search_small`, and against the median error, as in
`benchmarks.search`; and the lowest error as a multiple of the table's (geometric mean). Seeds and methods are
interleaved; mean and standard error over seeds.

    python -m benchmarks.search.tables small TABLES
    python -m benchmarks.search.small TABLES/*.csv --seeds 10
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from benchmarks.search.chance import RandomSearch
from benchmarks.search.clock import Method, Replay, Task
from benchmarks.search.ours import Ours
from benchmarks.search.table import Table, read_tables
from benchmarks.search_opponents import CheapFirst
from benchmarks.search_small import TRIALS, WORKERS, standard_error
from search.optimizer.pareto import hypervolume
from search.optimizer.sampler import SurrogateSampler
from zoo.cli import output


class FewOfOurs(Ours):
    """So many trials of the project's search, with a sampler."""

    def __init__(self, table: Table, seed: int, trials: int, kind: type[SurrogateSampler]) -> None:
        super().__init__(table, seed)
        self.sampler, self._trials = kind(self.pool, seed), trials

    def suggest(self, left: int | None = None) -> Task | None:
        """Return the next trial, or None when there were enough."""
        left = self._trials - len(self.pool.trained)
        return super().suggest(left) if left > 0 else None


class FewRows(RandomSearch):
    """So many rows by chance."""

    def __init__(self, table: Table, seed: int, trials: int) -> None:
        super().__init__(table, seed)
        self._rows = self._rows[:trials]


SMALL_SIDES: dict[str, Callable[[Table, int, int], Method]] = {
    "random, full training": FewRows,
    "before the design": lambda table, seed, trials: FewOfOurs(table, seed, trials, CheapFirst),
    "ours": lambda table, seed, trials: FewOfOurs(table, seed, trials, SurrogateSampler),
}


def main() -> None:
    """Replay and print one line for each table, number of trials and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", nargs="+", type=int, default=TRIALS)
    options = parser.parse_args()
    rows = []
    for table in read_tables(options.tables):
        whole = [row.end for row in table.rows]
        lowest, worst = min(whole)[0], (max(error for error, _ in whole), max(cost for _, cost in whole))
        for trials in options.trials:
            found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SMALL_SIDES}
            for seed in range(options.seeds):
                for name, make in SMALL_SIDES.items():
                    search = Replay(table, make(table, seed, trials), WORKERS)
                    search.run(math.inf)
                    ended = [row for _, row in search.finished.values()]
                    ends = [row.end for row in ended]
                    share = hypervolume(ends, worst) / hypervolume(whole, worst)
                    found[name].append((share, table.share(ended), min(ends)[0] - lowest))
            for name, scores in found.items():
                *volumes, errors = zip(*scores, strict=True)
                shares = [f"{fmean(volume):.3f} +- {standard_error(volume):.3f}" for volume in volumes]
                error = f"{10 ** fmean(errors):.2f} x/ {10 ** standard_error(errors):.2f}"
                rows.append((table.name, str(trials), name, *shares, error))
                output.info("\t".join(rows[-1]))
    output.data_table(("TABLE", "TRIALS", "METHOD", "HYPERVOLUME", "BELOW MEDIAN", "LOWEST ERROR"), rows)


if __name__ == "__main__":
    main()
