"""Trials: each one architecture trained on every dataset, step by step, reporting as it goes. Knows no engine."""

import errno
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch

from models.artifacts.evaluation import RUNAWAY_DB, Score
from models.core.errors import DivergedError, UserError
from models.evaluation.robustness import scan_corners, worst_move
from models.recordings.dataset import AmpData
from models.training.placement import SoloTrainer, place_trainers
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer
from search.config.study import SearchConfig
from search.study.scheduler import Task

BETWEEN = 64  # random settings beside the corners: the whole scan is for the front alone

MOVE_MS = 50

ENVIRONMENT = {errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ESTALE, errno.EROFS}  # what no other trial would survive

Result = dict[str, Any]


class TrialGroup:
    """Trials of one architecture, trained side by side: on a GPU as stacks, on a CPU one after another. What becomes of one touches no other.

    `going` are the trials that train on, `members` those that have anything to save: a trainer per amp. Each goes on from its folder in
    `starts` where that holds it.
    """

    def __init__(
        self,
        config: SearchConfig,
        tasks: Sequence[Task],
        amps: Sequence[AmpData],
        starts: Mapping[str, Path],
        device: torch.device,
    ) -> None:
        torch.set_num_threads(max(1, int(config.cpus_per_trial)))
        self._config, self._steps = config, {task.trial: task.steps for task in tasks}
        self.members = {task.trial: _trainers(config, task, amps, starts[task.trial]) for task in tasks}
        self.going = list(self.members)
        self._trial_of = {trainer: trial for trial, trainers in self.members.items() for trainer in trainers}
        unfinished = [trainer for trainer, trial in self._trial_of.items() if trainer.step < self._steps[trial]]
        self._parts = place_trainers(unfinished, device)

    def advance(self) -> dict[str, Result]:
        """Train all that go on for `report_every` steps, and report each.

        A report has `step`; `esr`, validation, the geometric mean over amps; `relative`, the same over what the nearest recorded setting would
        give; `amps` and `worst`, each amp's mean and worst setting; at the end `limits`, for each amp, each above 0 where it is broken.
        Training that leaves the finite numbers ends with `esr` NaN and the reason, another fault with what `fault_of` says.
        """
        self._parts = [part for part in self._parts if self._keeps(part)]
        began, lost = time.monotonic(), dict[str, Result]()
        for part in self._parts:
            trials = {self._trial_of[trainer] for trainer in part.trainers}
            if not trials <= lost.keys():  # on another amp
                try:
                    part.advance(self._config.learning.report_every)
                except Exception as problem:  # noqa: BLE001 (a trial may fail in any way; it is written down)
                    lost |= {trial: self._loss(trial, problem) for trial in trials}
        seconds = (time.monotonic() - began) / len(self.going)
        found = {trial: lost.get(trial) or self._judge(trial, seconds) for trial in self.going}
        for trial, result in found.items():
            if not math.isfinite(result.get("esr", math.nan)):
                self.drop(trial)
            elif result["step"] >= self._steps[trial]:
                self.going.remove(trial)
        return found

    def drop(self, trial: str) -> None:
        """Train and save it no further."""
        self.members.pop(trial, None)
        self.going = [other for other in self.going if other != trial]

    def save(self, trial: str, folder: Path) -> None:
        """One run folder per amp."""
        for trainer in self.members[trial]:
            run = folder / trainer.data.config.name
            trainer.save(run)
            if trainer.step >= self._steps[trial]:
                trainer.finish(run)

    def _keeps(self, part: StackedTrainers | SoloTrainer) -> bool:
        """Leave those that go on in a part; false where there are none."""
        kept = [member for member, trainer in enumerate(part.trainers) if self._trial_of[trainer] in self.going]
        if isinstance(part, StackedTrainers) and 0 < len(kept) < len(part.trainers):
            part.select(kept)
        return bool(kept)

    def _judge(self, trial: str, seconds: float) -> Result:
        """The report of a trial whose training took so long."""
        began, trainers = time.monotonic(), self.members[trial]
        try:
            for trainer in trainers:
                trainer.check()
            scores = {trainer.data.config.name: trainer.validate() for trainer in trainers}
            step, found = trainers[0].step, summary(scores)
            found |= {"seconds": round(seconds + time.monotonic() - began, 2)}
            if step >= self._steps[trial]:
                found["limits"] = {
                    name: _limits(self._config, t, scores[name]) for name, t in zip(scores, trainers, strict=True)
                }
        except Exception as problem:  # noqa: BLE001 (as above)
            return self._loss(trial, problem)
        return {"step": step, **found}

    def _loss(self, trial: str, problem: Exception) -> Result:
        """The report of a trial that does not go on."""
        if isinstance(problem, DivergedError):
            step = min(trainer.step for trainer in self.members[trial])
            return {"step": step, "esr": math.nan, "reason": str(problem)}
        return fault_of(problem)


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


def fault_of(problem: BaseException) -> Result:
    """The report of a trial that met a problem: `stopped`, where no trial can go on after it (recordings that are gone, a full disk), or
    `failed`, where it is this trial's own.
    """
    if isinstance(problem, UserError):
        return {"stopped": problem.message}
    if isinstance(problem, OSError) and problem.errno in ENVIRONMENT:
        return {"stopped": f"{problem.filename or 'a file'}: {problem.strerror}"}
    return {"failed": reason_of(problem)}


def reason_of(problem: BaseException) -> str:
    """The last line of what an exception says."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[-1]


def _trainers(config: SearchConfig, task: Task, amps: Sequence[AmpData], start: Path) -> list[Trainer]:
    """One for each amp; they go on from their checkpoints, or all begin anew where one cannot be read."""
    recipes = config.recipes(task.point, task.steps, task.seed)

    def begin() -> list[Trainer]:
        return [Trainer(recipe, data) for recipe, data in zip(recipes, amps, strict=True)]

    trainers = begin()
    try:
        for trainer in trainers if start.exists() else ():
            trainer.load(start / trainer.data.config.name)
    except (UserError, OSError):
        return begin()
    return trainers


def _limits(config: SearchConfig, trainer: Trainer, score: Score) -> dict[str, float]:
    """How far each limit is broken (above 0) or kept."""
    limits, data, found = config.limits, trainer.data, {}
    if limits.worst_esr is not None:
        found["worst_esr"] = score.worst - limits.worst_esr
    if limits.runaway:
        found["runaway"] = _runaway_db(trainer)
    if limits.knob_move_dbfs is not None:
        dry_T = data.dry_T[data.validation[0].dry]
        move = worst_move(trainer.model, data.knobs, dry_T, data.rate_hz, MOVE_MS)
        found["knob_move"] = move - limits.knob_move_dbfs
    return {name: round(value, 4) for name, value in found.items()}


def _runaway_db(trainer: Trainer) -> float:
    data = trainer.data
    peak = max(piece.peak for piece in data.recorded)
    scan = scan_corners(trainer.model, data.knobs, data.dry_T[data.validation[0].dry], peak, BETWEEN)
    return scan.peak_dbfs - scan.recorded_peak_dbfs - RUNAWAY_DB
