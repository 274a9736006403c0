"""Trials of one architecture, trained side by side step by step, for any backend."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch

from models.artifacts.evaluation import RUNAWAY_DB, Score
from models.artifacts.folder import save_model
from models.core.errors import DivergedError, UserError
from models.evaluation.robustness import scan_corners, worst_move
from models.recordings.dataset import AmpData
from models.training.placement import SoloTrainer, place_trainers
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer
from search.config.study import SearchConfig
from search.study.lines import TrialReport
from search.study.results import Result, TrialFault, fault_of
from search.study.tasks import Task

SCANNED_SETTINGS = 64  # of the runaway scan of each trial, beside the corners; the front is scanned in full later

MOVE_MS = 50


class TrialGroup:
    """Trials of one architecture: stacked on a GPU, one after another on a CPU. A fault of one affects no other.

    `active` are the trials that continue training; `trainers` holds a trainer per amp of each trial that has something
    to save.

    Args:
        config: the search.
        tasks: what to train.
        amps: the recordings, in the order of the config's datasets.
        starts: trial -> folder to continue from, where that exists.
        device: where to train.
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
        self.trainers = {task.trial: _make_trainers(config, task, amps, starts[task.trial]) for task in tasks}
        self.active = list(self.trainers)
        self._trial_of = {trainer: trial for trial, trainers in self.trainers.items() for trainer in trainers}
        unfinished = [trainer for trainer, trial in self._trial_of.items() if trainer.step < self._steps[trial]]
        self._parts = place_trainers(unfinished, device)

    def advance(self) -> dict[str, Result]:
        """Train all active trials for `report_every` steps; return the report or the fault of each.

        A trial that has reached its last step or met a fault is no longer active. The last report has `limits`.
        """
        self._parts = [part for part in self._parts if self._shrink(part)]
        began, faults = time.monotonic(), dict[str, TrialFault]()
        for part in self._parts:
            trials = {self._trial_of[trainer] for trainer in part.trainers}
            if not trials <= faults.keys():  # on another amp
                try:
                    part.advance(self._config.learning.report_every)
                except Exception as problem:  # noqa: BLE001 (a trial may fail in any way; it is recorded)
                    faults |= {trial: self._fault(trial, problem) for trial in trials}
        seconds = (time.monotonic() - began) / len(self.active)
        results = {trial: faults.get(trial) or self._report(trial, seconds) for trial in self.active}
        for trial, result in results.items():
            if isinstance(result, TrialFault) or not math.isfinite(result.esr):
                self.drop(trial)
            elif result.step >= self._steps[trial]:
                self.active.remove(trial)
        return results

    def drop(self, trial: str) -> None:
        """Stop training a trial and forget what it has to save."""
        self.trainers.pop(trial, None)
        self.active = [other for other in self.active if other != trial]

    def save(self, trial: str, folder: Path) -> None:
        """Write one run folder per amp; the model of an unfinished trial is in it, too, so that it can be played."""
        for trainer in self.trainers[trial]:
            run = folder / trainer.data.config.name
            trainer.save(run)
            if trainer.step >= self._steps[trial]:
                trainer.finish(run)
            else:
                save_model(run, trainer.config, trainer.model)

    def _shrink(self, part: StackedTrainers | SoloTrainer) -> bool:
        """Remove the trainers of trials that are no longer active from a part; return whether any is left."""
        kept = [member for member, trainer in enumerate(part.trainers) if self._trial_of[trainer] in self.active]
        if isinstance(part, StackedTrainers) and 0 < len(kept) < len(part.trainers):
            part.select(kept)
        return bool(kept)

    def _report(self, trial: str, seconds: float) -> Result:
        """Return the report of a trial that has trained for so long."""
        began, trainers = time.monotonic(), self.trainers[trial]
        try:
            for trainer in trainers:
                trainer.check()
            scores = {trainer.data.config.name: trainer.validate() for trainer in trainers}
            step, errors = trainers[0].step, summarize_scores(scores)
            spent, limits = round(seconds + time.monotonic() - began, 2), None
            if step >= self._steps[trial]:
                pairs = zip(scores.items(), trainers, strict=True)
                limits = {name: _measure_limits(self._config, trainer, score) for (name, score), trainer in pairs}
        except Exception as problem:  # noqa: BLE001 (as above)
            return self._fault(trial, problem)
        return TrialReport(trial=trial, step=step, **errors, seconds=spent, limits=limits)

    def _fault(self, trial: str, problem: Exception) -> TrialFault:
        if isinstance(problem, DivergedError):
            step = min(trainer.step for trainer in self.trainers[trial])
            return TrialFault(trial, "diverged", str(problem), step)
        return fault_of(trial, problem)


def summarize_scores(scores: Mapping[str, Score]) -> dict[str, Any]:
    """Return the errors of a report: `esr`, `relative`, `amps` and `worst` (see `TrialReport`)."""
    means = {name: score.mean for name, score in scores.items()}
    against = [score.mean / (score.baseline_mean or 1.0) for score in scores.values()]
    return {
        "esr": geometric_mean(means.values()),
        "relative": geometric_mean(against),
        "amps": means,
        "worst": {name: score.worst for name, score in scores.items()},
    }


def _make_trainers(config: SearchConfig, task: Task, amps: Sequence[AmpData], start: Path) -> list[Trainer]:
    """Return one trainer per amp; they continue from `start`, or all begin at 0 where one checkpoint cannot be read."""
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


def _measure_limits(config: SearchConfig, trainer: Trainer, score: Score) -> dict[str, float]:
    """Return by how much each limit is broken (above 0) or respected on one amp."""
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
    """Return by how many decibels the loudest corner of the knobs exceeds what is allowed."""
    data = trainer.data
    peak = max(piece.peak for piece in data.recorded)
    scan = scan_corners(trainer.model, data.knobs, data.dry_T[data.validation[0].dry], peak, SCANNED_SETTINGS)
    return scan.peak_dbfs - scan.recorded_peak_dbfs - RUNAWAY_DB
