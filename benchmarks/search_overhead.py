"""What the search itself costs: per trial and report, for 1 to 512 simulated workers, long ledgers, and Ray.

Simulated: scheduler, sampler and ledger with trials that take no time; the wall time of the calls is measured. Ray:
a search of trials that train one step, on Ray and in this process, interleaved; the difference is Ray's.

    python benchmarks/search_overhead.py --trials 150 --grown 100 1000 10000 --ray 12
"""

import argparse
import json
import random
import tempfile
import time
from collections import deque
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.search_curves import grid_config
from models.capture.virtual_amp import render_takes
from models.core.schema import check_document
from models.knobs.schema import Knob, Knobs
from models.recordings.dataset import AmpData
from search.config.space import Space
from search.config.study import SearchConfig
from search.launch.launcher import run_search
from search.optimizer.candidates import CandidatePool
from search.run_options import RunOptions
from search.study.build import make_pruner, make_sampler
from search.study.constraints import Constraints
from search.study.cost import MeasuredCost
from search.study.ledger import ledger_path
from search.study.lines import LedgerLine, TrialEnd, TrialReport, parse_line, to_json
from search.study.scheduler import TrialScheduler
from search.study.tasks import Task
from zoo.cli import output

WORKERS = (1, 2, 8, 64, 512)
REPORTS = 10


def make_free_scheduler(folder: Path, trials: int) -> TrialScheduler:
    """A scheduler without recordings, with a space of seven axes, about 10,000 points; all of them may be trained."""
    knobs = Knobs(knobs=tuple(Knob(name=f"k{n}", min=0, max=1, default=0.5) for n in range(4)))
    space = Space(
        depth=tuple(range(4, 13)), channels=tuple(range(2, 17)), inject=("input", "mixin", "film", "mixin+film")
    )
    config = grid_config("amp", Path("train.json")).model_copy(update={"space": space, "trials": trials})
    amps = [AmpData(config.datasets[0], knobs, 48_000, "", "")]
    constraints = Constraints(config, amps, MeasuredCost())
    pool = CandidatePool(space, constraints.to_candidate, lambda candidate: None)
    sampler, pruner = make_sampler(config, pool), make_pruner(config)
    return TrialScheduler(config, folder, pool, sampler, pruner, sizes=constraints.sizes)


def simulate(scheduler: TrialScheduler, workers: int, spent: dict[str, list[float]]) -> None:
    """Run the search on workers that answer in turn, noting the seconds of every suggestion and report."""
    running: deque[tuple[Task, int]] = deque()
    steps = scheduler.config.learning.steps
    while True:
        while len(running) < workers and (task := _timed(spent["suggestion"], scheduler.suggest)):
            running.append((task, 0))
        if not running:
            return
        task, step = running.popleft()
        step += steps // REPORTS
        error = random.Random(task.trial).random() / 10 + 1 / (9 + step)
        report = TrialReport(trial=task.trial, step=step, esr=error, amps={"amp": error})
        if _timed(spent["report"], scheduler.on_report, report) and step < steps:
            running.append((task, step))
        else:
            scheduler.on_complete(task.trial)


def _timed(seconds: list[float], call: Any, *words: Any) -> Any:
    began = time.perf_counter()
    answer = call(*words)
    seconds.append(time.perf_counter() - began)
    return answer


def grow(folder: Path, count: int) -> None:
    """Write the ledger of a search of `count` trials at random points, five reports each."""
    scheduler, draw = make_free_scheduler(folder, count), random.Random(0)
    space, steps = scheduler.config.space, scheduler.config.learning.steps
    sizes = {"cost": 1000, "macs": 1000, "parameters": 1, "receptive_field": 1, "columns": 4, "rate_hz": 48_000}
    facts = {"label": "", "form": "", "steps": steps, "seed": 0, **sizes}
    lines: list[LedgerLine] = []
    for number in range(count):
        point = space.complete(
            {
                "depth": draw.choice(space.depth),
                "channels": draw.choice(space.channels),
                "inject": draw.choice(space.inject),
                "learning_rate": draw.uniform(*space.learning_rate),
            }
        )
        trial = f"{number:08x}"
        start = {"state": "start", "trial": trial, "number": number, "point": point, "control": number < 8, **facts}
        lines.append(parse_line(start))
        for report in range(1, 6):
            error = draw.random() / report
            lines.append(TrialReport(trial=trial, step=report * steps // 5, esr=error, amps={"amp": error}))
        lines.append(TrialEnd(trial=trial, state="finished"))
    ledger_path(folder).write_text("".join(json.dumps(to_json(line)) + "\n" for line in lines))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--grown", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--ray", type=int, default=12, help="trials of the search on Ray; 0 for none")
    options = parser.parse_args()
    rows = []
    for workers in WORKERS:
        spent: dict[str, list[float]] = {"suggestion": [], "report": []}
        with tempfile.TemporaryDirectory() as folder:
            simulate(make_free_scheduler(Path(folder), max(options.trials, workers)), workers, spent)
        rows.append((str(workers), *(f"{1000 * at(spent[what]):.1f}" for what in spent for at in (median, max))))
    output.data_table(("WORKERS", "SUGGESTION ms", "MOST", "REPORT ms", "MOST"), rows)
    rows = []
    for count in options.grown:
        with tempfile.TemporaryDirectory() as folder:
            grow(Path(folder), count)
            began = time.perf_counter()
            scheduler = make_free_scheduler(Path(folder), 10 * count)
            again, suggested, reported = time.perf_counter() - began, [], []
            for _ in range(3):
                task = _timed(suggested, scheduler.suggest)
                report = TrialReport(trial=task.trial, step=12, esr=0.1, amps={"amp": 0.1})
                _timed(reported, scheduler.on_report, report)
            size = ledger_path(Path(folder)).stat().st_size / 1e6
        rows.append(
            (
                str(count),
                f"{1000 * median(suggested):.0f}",
                f"{1000 * median(reported):.1f}",
                f"{again:.1f}",
                f"{size:.1f}",
            )
        )
    output.data_table(("TRIALS BEFORE", "SUGGESTION ms", "REPORT ms", "RESUMED IN s", "LEDGER MB"), rows)
    if options.ray:
        measure_ray(options.ray)


def measure_ray(trials: int) -> None:
    """Seconds per trial of one step, on Ray and in this process."""
    with tempfile.TemporaryDirectory() as folder:
        train, held = render_takes(Path(folder) / "takes")
        data = {
            "name": "amp",
            "train": str(train),
            "held": str(held),
            "validation_settings": 1,
            "validation_seconds": 0.1,
        }
        learning = {"steps": 1, "batch": 1, "segment": 64, "report_every": 1}
        space = {"shapes": [], "channels": [2, 3], "depth": [1, 2, 3], "dilations": ["pow2"]}
        found: dict[str, float] = {}
        for count in (2, 2 + trials):  # the difference leaves out what is paid once
            document = {"name": "overhead", "datasets": [data], "space": space, "learning": learning, "trials": count}
            only = {"limits": {"runaway": False}, "concurrent": 1, "final": None}
            config = check_document({**document, **only}, SearchConfig, "benchmark")
            for engine, local in (("Ray", False), ("this process", True)):
                began = time.perf_counter()
                run_search(config, Path(folder) / f"{engine}{count}", RunOptions(local=local))
                found[engine] = time.perf_counter() - began - found.get(engine, 0.0)
    per_trial = {engine: seconds / trials for engine, seconds in found.items()}
    output.data_table(("ENGINE", "SECONDS PER TRIAL OF ONE STEP"), [(e, f"{s:.3f}") for e, s in per_trial.items()])
    output.data(f"Ray - this process: {per_trial['Ray'] - per_trial['this process']:.3f} s")


if __name__ == "__main__":
    main()
