"""Samplers and pruners compared on real learning curves (`search_curves.jsonl`): what share of the front is found.

Every method suggests points of the same space to the same simulated workers. A trial's errors are those of the
recipe that was really trained (the nearest of the grid's learning rates); its time is proportional to its
multiply-accumulates plus a fixed part. The score is the hypervolume in (log10 ESR, log10 MACs) of all models at the
error they had reached, as a share of that of the whole table trained to the end. Methods and seeds are interleaved;
mean and standard error over seeds.

    python -m benchmarks.search_replay --seeds 10
"""

import argparse
import math
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna

from benchmarks.replayed_training import Method, ScheduledSearch, replay
from benchmarks.search_curves import AMPS, AXES, EVERY, STEPS, Row, grid_config, read_rows, row_key
from benchmarks.search_opponents import ErrorHalving, OptunaSampler
from models.knobs.schema import Knob, Knobs
from models.recordings.dataset import AmpData
from search.config.space import Point
from search.config.study import ALL, SearchConfig
from search.optimizer.candidates import CandidatePool
from search.optimizer.pareto import front, hypervolume
from search.optimizer.protocols import Pruner, Sampler, Values
from search.study.build import make_pruner, make_sampler
from search.study.constraints import Constraints, ModelCandidate
from search.study.cost import CountedCost
from search.study.ledger import read_lines
from search.study.lines import FINISHED, TrialRecord, latest
from search.study.scheduler import TrialScheduler
from search.study.warm_start import MAX_FIRST_POINTS
from zoo.cli import output

MARKS = (0.25, 0.5, 1.0)
FULL, WORKERS = 120, 4  # the budget in average full trainings, and who spends it
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
ETA = 3
FIXED = 300  # multiply-accumulates that take as long as what does not grow with the model


def table_pool(config: SearchConfig, *, once: bool = True) -> tuple[CandidatePool, Constraints]:
    """Candidates without recordings: every point of the grid may be trained, with `once` each row of the table once."""
    knobs = Knobs(knobs=tuple(Knob(name=f"k{n}", min=0, max=1, default=0.5) for n in range(4)))
    constraints = Constraints(config, [AmpData(config.datasets[0], knobs, 48_000, "", "")], CountedCost())

    def to_candidate(point: Point) -> ModelCandidate:
        candidate = constraints.to_candidate(point)
        return replace(candidate, features={**candidate.features, "learning_rate": math.log2(row_key(point)[-1])})

    def violation(candidate: ModelCandidate) -> str | None:
        known = {row_key(other.point) for other in pool.trained.values()} if once else set()
        return "it was trained already" if row_key(candidate.point) in known else None

    pool = CandidatePool(config.space, to_candidate, violation, [to_candidate(point) for point in config.warm])
    return pool, constraints


class Ours(ScheduledSearch):
    """The project's own scheduler, sampler and pruner; perhaps begun from studies of other amps, as `--from` does."""

    def __init__(self, amp: str, seed: int, folder: Path, fronts: Sequence[list[Point]] = ()) -> None:
        warm = tuple([point for points in fronts for point in points][:MAX_FIRST_POINTS])
        start = {"seed": seed, "trials": 10_000, "warm": warm}
        config = grid_config(amp, Path("train.json")).model_copy(update=start)
        pool, constraints = table_pool(config)
        sampler, pruner = make_sampler(config, pool), make_pruner(config)
        super().__init__(TrialScheduler(config, folder, pool, sampler, pruner, sizes=constraints.sizes))


class Stock:
    """Optuna's sampler, and perhaps asynchronous halving by error alone: what Ray's own parts do."""

    def __init__(self, amp: str, seed: int, sampler: str, *, halving: bool = False, once: bool = False) -> None:
        self.pool, _ = table_pool(grid_config(amp, Path("train.json")), once=once)
        tpe = optuna.samplers.TPESampler(seed=seed)
        chance = optuna.samplers.RandomSampler(seed=seed)
        made = tpe if sampler == "tpe" else chance
        self.sampler: Sampler = OptunaSampler(self.pool, made, chance, once=once, rates=AXES["learning_rate"])
        self.pruner: Pruner | None = ErrorHalving(EVERY, STEPS, ETA) if halving else None
        self.last: dict[str, Values] = {}

    def suggest(self) -> tuple[str, Point] | None:
        candidate = self.sampler.suggest()
        if candidate is None:
            return None
        trial = str(len(self.pool.trained))
        self.pool.start(trial, candidate.point)
        self.sampler.on_start(trial, candidate)
        return trial, candidate.point

    def on_report(self, trial: str, step: int, esr: float, macs: int) -> bool:
        self.last[trial] = math.log10(esr), math.log10(macs)
        survives = self.pruner.should_continue(trial, step, [self.last[trial]]) if self.pruner else None
        return survives is not False and step < STEPS

    def on_complete(self, trial: str) -> None:
        self.sampler.on_end(trial, {ALL: self.last[trial]}, {})


def simulate(method: Method, table: dict[Row, Any], budget: float, workers: int) -> tuple[list[float], int]:
    """Return the hypervolume at each mark of the budget (in simulated worker-seconds), and the number of trials."""
    reached: dict[str, tuple[float, float]] = {}
    found: list[float] = []
    for report in replay(method, table, workers):
        while len(found) < len(MARKS) and report.seconds * workers > MARKS[len(found)] * budget:
            found.append(hypervolume(list(reached.values()), REFERENCE))
        if len(found) == len(MARKS):
            break
        reached[report.trial] = report.values
    found += [hypervolume(list(reached.values()), REFERENCE)] * (len(MARKS) - len(found))
    return found, len(reached)


REFERENCE = (0.3, 4.0)  # log10 of ESR 2 and of 10,000 multiply-accumulates: worse than any model here


STOCK = (
    "random, full training",
    "TPE, full training",
    "TPE, full training, no recipe twice",
    "TPE + halving by ESR (stock)",
)
METHODS: dict[str, Callable[[str, int, Path], Method]] = {
    STOCK[0]: lambda amp, seed, _: Stock(amp, seed, "random"),
    STOCK[1]: lambda amp, seed, _: Stock(amp, seed, "tpe"),
    STOCK[2]: lambda amp, seed, _: Stock(amp, seed, "tpe", once=True),
    STOCK[3]: lambda amp, seed, _: Stock(amp, seed, "tpe", halving=True),
    "ours": Ours,
    "ours, from a study of the other amp": lambda amp, seed, folder: Ours(amp, seed, folder, others(amp, seed)),
    "the same, their errors shuffled": lambda amp, seed, folder: Ours(amp, seed, folder, misleading(amp, seed)),
}


def table_of(amp: str, fixed: int = FIXED) -> dict[Row, Any]:
    """Every recipe of an amp that was trained to the end, and what the steps between two reports take."""
    rows = [row for row in read_rows() if row["amp"] == amp and None not in row["curve"]]
    return {tuple(row["row"]): {**row, "seconds": row["macs"] + fixed} for row in rows}


def budget_of(table: dict[Row, Any], full: int) -> float:
    """So many average full trainings, in worker-seconds."""
    return full * fmean(row["seconds"] for row in table.values()) * STEPS / EVERY


@cache
def study_of(amp: str, seed: int) -> list[TrialRecord]:
    """The finished trials of a whole search of an amp with a seed of its own."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        method, table = Ours(amp, seed + 1000, Path(folder)), table_of(amp)
        simulate(method, table, budget_of(table, FULL), WORKERS)
        lines = read_lines(Path(folder))
    return [record for record in latest(lines) if record.state == FINISHED]


def front_points(ended: list[TrialRecord]) -> list[Point]:
    """The points of the front of finished trials, the cheapest first."""
    ahead = front([(record.esr, record.macs) for record in ended])
    return [ended[index].point for index in reversed(ahead)]


def others(amp: str, seed: int) -> list[list[Point]]:
    """The fronts of all the other amps."""
    return [front_points(study_of(other, seed)) for other in AMPS if other != amp]


def misleading(amp: str, seed: int) -> list[list[Point]]:
    """The same with the errors of their trials exchanged by chance."""
    found = []
    for ended in (study_of(other, seed) for other in AMPS if other != amp):
        errors = random.Random(seed).sample([record.esr for record in ended], len(ended))
        found.append(front_points([replace(record, esr=esr) for record, esr in zip(ended, errors, strict=True)]))
    return found


def main() -> None:
    """Replay and print one table per amp."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--full", type=int, default=FULL, help="the budget, in average full trainings")
    parser.add_argument("--fixed", type=int, default=FIXED, help="of a step, in multiply-accumulates")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--amps", nargs="+", choices=AMPS, default=AMPS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for amp in options.amps:
        table = table_of(amp, options.fixed)
        budget = budget_of(table, options.full)
        best = hypervolume([(math.log10(r["curve"][-1]), math.log10(r["macs"])) for r in table.values()], REFERENCE)
        found: dict[str, list[list[float]]] = {name: [] for name in options.methods}
        trials: dict[str, list[int]] = {name: [] for name in options.methods}
        for seed in range(options.seeds):
            for name in options.methods:
                with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
                    marks, count = simulate(METHODS[name](amp, seed, Path(folder)), table, budget, WORKERS)
                found[name].append([mark / best for mark in marks])
                trials[name].append(count)
            output.info(f"{amp}: seed {seed} done")
        output.data(f"{amp}: {len(table)} recipes, a budget of {options.full} full trainings, {options.seeds} seeds")
        rows = []
        for name, runs in found.items():
            cells = [f"{fmean(mark):.3f} +- {_error(mark):.3f}" for mark in zip(*runs, strict=True)]
            rows.append((name, *cells, f"{fmean(trials[name]):.0f}"))
        output.data_table(("METHOD", *(f"AT {mark:.0%}" for mark in MARKS), "TRIALS"), rows)
        tpe = fmean(run[-1] for run in found[STOCK[1]]) if STOCK[1] in found else math.nan
        for name in [name for name in options.methods if name not in STOCK]:
            for mark, values in zip(MARKS, zip(*found[name], strict=True), strict=True):
                output.data(f"{name}, at {mark:.0%} of the budget / TPE at 100%: {fmean(values) / tpe:.3f}")


def _error(values: tuple[float, ...]) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
