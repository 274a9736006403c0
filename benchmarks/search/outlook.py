"""What another stretch of a search would probably bring, against what it brings.

At half of a budget the lowest error is predicted for its end (see `FrontResults.outlook`), as the report of a search
does it; then the search goes on. Shown: how often the error at the end lies above, inside and below the predicted
interval of 80 %, and the ratio of the median to it.

    python -m benchmarks.search.outlook TABLE... --seeds 5
"""

import argparse
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.search.clock import Replay
from benchmarks.search.ours import Ours
from benchmarks.search.replay import BUDGET, WORKERS
from benchmarks.search.space import RowCandidate
from benchmarks.search.table import Table, read_tables
from search.config.study import ALL
from search.optimizer.sampler import outlook_points


def predicted(method: Ours, seed: int, trials: int) -> tuple[float, float, float]:
    """Return the predicted quantiles of the lowest log error after so many more trials."""
    best = [method.pool.trained[trial].point for trial in method.sampler.forecast.best()]
    points = outlook_points(method.pool.space, Random(seed), best)
    candidates = [RowCandidate(method.table.nearest(point)) for point in points]
    known = {candidate.identity for candidate in method.pool.trained.values()}
    queries = [(one.features, one.log_cost) for one in candidates if one.identity not in known]
    return method.sampler.forecast.fronts[ALL].outlook(queries, trials)


def lowest(replay: Replay) -> float:
    """Return the lowest log error of a model trained to the end."""
    return min(row.end[0] for _, row in replay.finished.values())


def halves(table: Table, seed: int) -> tuple[tuple[float, float, float], float, float]:
    """Return the prediction at half of the budget, and the lowest log error then and at its end."""
    method, total = Ours(table, seed), BUDGET * table.mean_seconds
    replay = Replay(table, method, WORKERS)
    replay.run(total / 2)
    before = lowest(replay)
    found = predicted(method, seed, len(replay.finished))
    replay.run(total)
    return found, before, lowest(replay)


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("| table | error at half | predicted | at the end | above, inside, below |\n|---|---|---|---|---|")
    for table in read_tables(options.tables):
        runs = [halves(table, seed) for seed in range(options.seeds)]
        sides = [
            sum(end > high + 1e-9 for (_, _, high), _, end in runs),
            sum(low - 1e-9 <= end <= high + 1e-9 for (low, _, high), _, end in runs),
            sum(end < low - 1e-9 for (low, _, _), _, end in runs),
        ]
        middles = (
            median(10**one for one in column) for column in zip(*((b, m, e) for (_, m, _), b, e in runs), strict=True)
        )
        before, middle, end = middles
        print(
            f"| `{table.name}` | {before:.4g} | {middle:.4g} | {end:.4g} | {', '.join(map(str, sides))} |", flush=True
        )


if __name__ == "__main__":
    main()
