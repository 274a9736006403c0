"""One trial: one architecture trained on every dataset, step by step, reporting as it goes. Knows no engine."""

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch

from models.dataset import AmpData
from models.documents import RUNAWAY_DB, Score
from models.engine import device_for
from models.errors import DivergedError, UserError
from models.guards import knob_moves, scan_corners
from models.stacks import stacks_of
from models.train import Trainer
from search.conductor import Task
from search.config import SearchConfig

BETWEEN = 64  # random settings beside the corners: the whole scan is for the front alone
MOVE_MS = "50"
ENVIRONMENT = {errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ESTALE, errno.EROFS}  # what no other trial would survive
Save = Callable[[Path], None]


def train(
    config: SearchConfig, task: Task, amps: Sequence[AmpData], start: Path | None
) -> Iterator[tuple[dict[str, Any], Save]]:
    """Train a point and yield, every `report_every` steps, its report and a function that saves it: one run folder per amp.

    A report has `step`; `esr`, validation, the geometric mean over amps; `relative`, the same over what the nearest recorded setting would give;
    `amps` and `worst`, each amp's mean and worst setting; at the end `limits`, each above 0 where a limit is broken. Goes on from the
    folder `start` where it holds this trial. Training that leaves the finite numbers ends with `esr` NaN and the reason.
    """
    torch.set_num_threads(max(1, int(config.cpus_per_trial)))
    recipes = config.recipes(task.point, task.steps, task.seed)
    trainers = [Trainer(recipe, data) for recipe, data in zip(recipes, amps, strict=True)]
    if start:
        _load(trainers, start)
    device = device_for(config.gpus_per_trial)
    stacks = stacks_of(trainers, device) if device.type == "cuda" else trainers  # on a CPU one after another is faster
    while True:
        began = time.monotonic()
        try:
            for part in stacks:
                part.advance(config.learning.report_every)
            for trainer in trainers:
                trainer.check()
            scores = {trainer.data.config.name: trainer.validate() for trainer in trainers}
        except DivergedError as problem:
            step = min(trainer.step for trainer in trainers)
            yield {"step": step, "esr": float("nan"), "reason": str(problem)}, lambda folder: None
            return
        step = trainers[0].step
        result = {"step": step, **summary(scores), "seconds": round(time.monotonic() - began, 2)}
        done = step >= task.steps
        if done:
            result["limits"] = _limits(config, trainers, scores)

        def save(folder: Path, done: bool = done) -> None:
            for trainer in trainers:
                run = folder / trainer.data.config.name
                trainer.save(run)
                if done:
                    trainer.finish(run)

        yield result, save
        if done:
            return


def summary(scores: dict[str, Score]) -> dict[str, Any]:
    """The errors of one report over all amps."""
    means = {name: score.mean for name, score in scores.items()}
    against = [score.mean / (score.baseline_mean or 1.0) for score in scores.values()]
    return {
        "esr": geometric_mean(means.values()),
        "relative": geometric_mean(against),
        "amps": means,
        "worst": {name: score.worst for name, score in scores.items()},
    }


def stops_all(problem: BaseException) -> str | None:
    """Why no trial can go on after this problem (recordings that are gone, a full disk), or None where it is this trial's own."""
    if isinstance(problem, UserError):
        return problem.message
    if isinstance(problem, OSError) and problem.errno in ENVIRONMENT:
        return f"{problem.filename or 'a file'}: {problem.strerror}"
    return None


def reason_of(problem: BaseException) -> str:
    """The last line of what an exception says."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[-1]


def _load(trainers: list[Trainer], start: Path) -> None:
    """Go on from checkpoints; where one cannot be read all begin anew."""
    folders = [start / trainer.data.config.name for trainer in trainers]
    try:
        for trainer, folder in zip(trainers, folders, strict=True):
            trainer.load(folder)
    except (UserError, OSError):
        trainers[:] = [Trainer(trainer.recipe, trainer.data) for trainer in trainers]


def _limits(config: SearchConfig, trainers: list[Trainer], scores: dict[str, Score]) -> dict[str, float]:
    """How far each limit is broken (above 0) or kept, on the amp that fares worst."""
    limits, found = config.limits, {}
    if limits.worst_esr is not None:
        found["worst_esr"] = max(score.worst for score in scores.values()) - limits.worst_esr
    if limits.runaway:
        found["runaway"] = max(map(_runaway_db, trainers))
    if limits.knob_move_dbfs is not None:
        moves = (
            knob_moves(t.model, t.data.knobs, t.data.dry_T[t.data.validation[0].dry], t.data.rate_hz) for t in trainers
        )
        found["knob_move"] = max((move[MOVE_MS] for move in moves if move), default=-300.0) - limits.knob_move_dbfs
    return {name: round(value, 4) for name, value in found.items()}


def _runaway_db(trainer: Trainer) -> float:
    data = trainer.data
    peak = max(piece.peak for piece in data.recorded)
    scan = scan_corners(trainer.model, data.knobs, data.dry_T[data.validation[0].dry], peak, BETWEEN)
    return scan.peak_dbfs - scan.recorded_peak_dbfs - RUNAWAY_DB
