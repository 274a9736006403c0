"""Samplers and schedulers against each other on real learning curves (`search_curves.jsonl`): how much of the front a budget finds.

Every method proposes from the same space to the same simulated workers; a trial's errors are those of the recipe that was really trained (the nearest
of the grid's learning rates), its time is proportional to its multiply-accumulates and a fixed part. Hypervolume in (log10 ESR, log10 MACs), of all models at the
error they had reached, as a share of that of the whole table trained to the end. Methods and seeds are interleaved; mean and standard error over seeds.

    python -m benchmarks.search_replay --seeds 10
"""

import argparse
import heapq
import math
import random
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple, Protocol

import optuna

import search.study.cost
from benchmarks.search_curves import AMPS, AXES, EVERY, STEPS, Row, grid_config, read_rows, row_key
from models.knobs.schema import Knob, Knobs
from models.recordings.dataset import AmpData
from search.config.study import Heard
from search.optimizer.pareto import front, hypervolume
from search.optimizer.surrogate import Weighed
from search.study.ledger import FINISHED, latest, read_lines
from search.study.scheduler import Conductor
from search.study.warm_start import MOST, heard_of
from zoo.cli import output

MARKS = (0.25, 0.5, 1.0)
FULL, WORKERS = 120, 4  # the budget in average full trainings, and who spends it
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
ETA = 3
FIXED = 300  # multiply-accumulates that take as long as what does not grow with the model


class Method(Protocol):
    """A search as the simulated workers see it."""

    def propose(self) -> tuple[str, dict[str, Any]] | None:
        """A trial's name and point."""
        ...

    def report(self, trial: str, step: int, esr: float, macs: int) -> bool:
        """Whether to go on."""
        ...

    def end(self, trial: str) -> None:
        """The trial is over."""
        ...


class Study(NamedTuple):
    """What a search that was made before hands on: the points of its front, the cheapest first, and all its trials."""

    front: list[dict[str, Any]]
    trials: tuple[Heard, ...]


class Ours:
    """The project's own conductor, all of it; perhaps begun from studies of the other amps, as `--from` does."""

    def __init__(self, amp: str, seed: int, folder: Path, studies: Sequence[Study] = ()) -> None:
        config = grid_config(amp, Path("train.json")).model_copy(update={"seed": seed, "trials": 10_000})
        points = [point for study in studies for point in study.front]
        config = config.model_copy(
            update={"warm": tuple(points[:MOST]), "prior": tuple(study.trials for study in studies)}
        )
        knobs = Knobs(knobs=tuple(Knob(name=f"k{n}", min=0, max=1, default=0.5) for n in range(4)))
        self.conductor = _Tabular(config, folder, [AmpData(config.datasets[0], knobs, 48_000, "", "")])

    def propose(self) -> tuple[str, dict[str, Any]] | None:
        task = self.conductor.propose()
        return (task.trial, task.point) if task else None

    def report(self, trial: str, step: int, esr: float, macs: int) -> bool:
        return self.conductor.report(trial, {"step": step, "esr": esr, "amps": {"a": esr}}) and step < STEPS

    def end(self, trial: str) -> None:
        self.conductor.end(trial)


class _Tabular(Conductor):
    """A conductor without recordings: every point of the grid may be trained, once: points that one row of the table stands for are one recipe."""

    def _weigh(self, point: dict[str, Any]) -> Weighed | None:
        return super()._weigh({**point, "learning_rate": row_key(point)[-1]})

    def _fault(self, point: dict[str, Any]) -> str | None:
        known = {row_key(line["point"]) for line in self.trials.values()}
        return "it was trained already" if row_key(point) in known else None


class _OnGrid:
    """A trial of Optuna's that chooses among the grid's learning rates."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.suggest_categorical = trial.suggest_categorical

    @property
    def params(self) -> dict[str, Any]:
        return self.trial.params

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        return self.trial.suggest_categorical(name, AXES[name])


class Stock:
    """Optuna's sampler, and perhaps asynchronous halving by error alone that tells partial results as they are: what Ray's own parts do."""

    def __init__(self, amp: str, seed: int, sampler: str, *, halving: bool = False, once: bool = False) -> None:
        self.known: set[Row] | None = set() if once else None  # with `once` no row of the table is trained twice
        self.space = grid_config(amp, Path("train.json")).space
        tpe = optuna.samplers.TPESampler(seed=seed)
        self.chance = optuna.samplers.RandomSampler(seed=seed)
        made = tpe if sampler == "tpe" else self.chance
        self.study = optuna.create_study(directions=["minimize", "minimize"], sampler=made)
        self.trials: dict[str, optuna.Trial] = {}
        self.last: dict[str, tuple[float, float]] = {}
        self.rungs: dict[int, list[float]] = {}
        step = EVERY
        while halving and step < STEPS:
            self.rungs[step] = []
            step *= ETA

    def propose(self) -> tuple[str, dict[str, Any]] | None:
        trial, point = self._ask()
        while self.known is not None and row_key(point) in self.known:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            trial, point = self._ask(by_chance=True)
        if self.known is not None:
            self.known.add(row_key(point))
        self.trials[str(trial.number)] = trial
        return str(trial.number), point

    def _ask(self, *, by_chance: bool = False) -> tuple[optuna.Trial, dict[str, Any]]:
        own = self.study.sampler
        if by_chance:
            self.study.sampler = self.chance
        trial = self.study.ask()
        point = self.space.suggest(_OnGrid(trial))
        self.study.sampler = own
        return trial, point

    def report(self, trial: str, step: int, esr: float, macs: int) -> bool:
        self.last[trial] = math.log10(esr), math.log10(macs)
        if step in self.rungs:
            book = self.rungs[step]
            book.append(esr)
            return sorted(book).index(esr) < max(1, len(book) // ETA)
        return step < STEPS

    def end(self, trial: str) -> None:
        self.study.tell(self.trials[trial], list(self.last[trial]))


def row_of(point: dict[str, Any], table: dict[Row, Any]) -> Row:
    """The row that stands for a point: while the table is not whole, the one with the fewest differences."""
    wanted = row_key(point)
    return min(table, key=lambda row: sum(a != b for a, b in zip(row, wanted, strict=True)))


def simulate(method: Method, table: dict[Row, Any], budget: float, workers: int) -> tuple[list[float], int]:
    """Hypervolume at each mark of the budget (in worker-seconds, so to say), and how many trials there were."""
    heap: list[tuple[float, int, str, Any, int]] = []
    reached: dict[str, tuple[float, float]] = {}
    found: list[float] = []
    order = now = 0

    def start() -> None:
        nonlocal order
        if proposed := method.propose():
            row, order = table[row_of(proposed[1], table)], order + 1
            heapq.heappush(heap, (now + row["seconds"], order, proposed[0], row, 1))

    for _ in range(workers):
        start()
    while heap:
        now, _, trial, row, reports = heapq.heappop(heap)
        while len(found) < len(MARKS) and now * workers > MARKS[len(found)] * budget:
            found.append(hypervolume(list(reached.values()), REFERENCE))
        if len(found) == len(MARKS):
            break
        esr = row["curve"][reports - 1]
        reached[trial] = math.log10(esr), math.log10(row["macs"])
        if method.report(trial, reports * EVERY, esr, row["macs"]):
            order += 1
            heapq.heappush(heap, (now + row["seconds"], order, trial, row, reports + 1))
        else:
            method.end(trial)
            start()
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
def study_of(amp: str, seed: int) -> Study:
    """A whole search of an amp with a seed of its own."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        method, table = Ours(amp, seed + 1000, Path(folder)), table_of(amp)
        simulate(method, table, budget_of(table, FULL), WORKERS)
        lines = read_lines(Path(folder))
    ended = [line for line in latest(lines) if line["state"] == FINISHED]
    ahead = front([(line["esr"], line["macs"]) for line in ended])
    return Study([ended[index]["point"] for index in reversed(ahead)], heard_of(lines))


def others(amp: str, seed: int) -> list[Study]:
    """Studies of all the other amps."""
    return [study_of(other, seed) for other in AMPS if other != amp]


def misleading(amp: str, seed: int) -> list[Study]:
    """The same with the errors of their trials exchanged by chance, fronts too."""
    found = []
    for study in others(amp, seed):
        chance = random.Random(seed)
        errors = chance.sample([trial.esr for trial in study.trials], len(study.trials))
        trials = tuple(trial.model_copy(update={"esr": esr}) for trial, esr in zip(study.trials, errors, strict=True))
        ahead = front([(trial.esr, trial.macs) for trial in trials])
        found.append(Study([trials[index].point for index in reversed(ahead)], trials))
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
    search.study.cost.MEASURED = False  # costs are counted: what a machine measures would make every replay another one
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
            output.say(f"{amp}: seed {seed} done")
        output.put(f"{amp}: {len(table)} recipes, a budget of {options.full} full trainings, {options.seeds} seeds")
        rows = []
        for name, runs in found.items():
            cells = [f"{fmean(mark):.3f} +- {_error(mark):.3f}" for mark in zip(*runs, strict=True)]
            rows.append((name, *cells, f"{fmean(trials[name]):.0f}"))
        output.put_table(("METHOD", *(f"AT {mark:.0%}" for mark in MARKS), "TRIALS"), rows)
        tpe = fmean(run[-1] for run in found[STOCK[1]]) if STOCK[1] in found else math.nan
        for name in [name for name in options.methods if name not in STOCK]:
            for mark, values in zip(MARKS, zip(*found[name], strict=True), strict=True):
                output.put(f"{name}, at {mark:.0%} of the budget / TPE at 100%: {fmean(values) / tpe:.3f}")


def _error(values: tuple[float, ...]) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
