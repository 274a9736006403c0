"""Mean ranks of methods over tables, and the critical difference below which they do not differ.

Friedman's test and Nemenyi's critical difference, as in Demsar 2006, "Statistical comparisons of classifiers over
multiple data sets" (JMLR 7).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import friedmanchisquare, rankdata, studentized_range

Scores = dict[str, dict[str, list[list[float]]]]  # table -> method -> one list of shares (see `clock.MARKS`) per seed

ALPHA = 0.05


def collect(records: Iterable[Mapping[str, Any]]) -> Scores:
    """Return the shares of records of `replay`."""
    found: Scores = defaultdict(lambda: defaultdict(list))
    for record in records:
        found[record["table"]][record["method"]].append(record["shares"])
    return found


def complete_methods(scores: Scores) -> list[str]:
    """Return the methods that ran on every table."""
    every = [set(of_table) for of_table in scores.values()]
    return sorted(set.intersection(*every)) if every else []


def mean_at(shares: list[list[float]], mark: int) -> tuple[float, float]:
    """Return mean and standard error over seeds at the `mark`th mark of the budget."""
    values = [one[mark] for one in shares]
    return fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def mean_ranks(scores: Scores, methods: list[str], mark: int) -> dict[str, float]:
    """Return method -> mean over tables of its rank by mean share; 1 is the best, equal ones share a rank."""
    ranks = [rankdata([-mean_at(scores[table][method], mark)[0] for method in methods]) for table in scores]
    return {method: fmean(rank) for method, rank in zip(methods, zip(*ranks, strict=True), strict=True)}


def friedman(scores: Scores, methods: list[str], mark: int) -> float:
    """Return the probability of such ranks if all methods were equal."""
    columns = [[mean_at(scores[table][method], mark)[0] for table in scores] for method in methods]
    return float(friedmanchisquare(*columns).pvalue)


def critical_difference(methods: int, tables: int) -> float:
    """Return how far two mean ranks must lie apart to differ at 5 % (Nemenyi)."""
    q = float(studentized_range.ppf(1 - ALPHA, methods, 10_000)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * tables))


def draw(ranks: Mapping[str, Mapping[str, float]], difference: float, path: Path) -> None:
    """Draw one line of ranks for each mark; methods that do not differ from the best lie on its gray bar."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    count = len(next(iter(ranks.values())))
    figure, rows = pyplot.subplots(len(ranks), 1, figsize=(8, 2.3 * len(ranks)), squeeze=False, sharex=True)
    for axes, (title, found) in zip(rows[:, 0], ranks.items(), strict=True):
        ordered = sorted(found, key=found.__getitem__)
        axes.axhline(0, color="black", linewidth=1)
        axes.plot([found[ordered[0]], found[ordered[0]] + difference], [0, 0], color="0.7", linewidth=8, zorder=0)
        for place, method in enumerate(ordered):
            height = (1 + place % 3) * (1 if place % 2 else -1)
            axes.plot([found[method]] * 2, [0, height], color="0.5", linewidth=0.8)
            axes.plot(found[method], 0, "o", color="tab:red" if method == "ours" else "tab:blue")
            side = "bottom" if height > 0 else "top"
            weight = "bold" if method == "ours" else None
            axes.text(found[method], height, f"{method} {found[method]:.1f}", ha="center", va=side, weight=weight)
        axes.set_ylim(-4.6, 4.6)
        axes.set_yticks([])
        axes.set_title(title, loc="left", fontsize=10)
    rows[-1, 0].set_xlim(0.5, count + 0.5)
    rows[-1, 0].set_xlabel(f"mean rank; gray: within the critical difference ({difference:.1f}) of the best")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
