"""Trains trials in this process, one group after another, without Ray; the decisions are the same."""

import math
import shutil
from collections.abc import Sequence
from contextlib import suppress

import torch

from models.core.errors import UserError
from models.core.files import staged_folder
from models.engines.select import device_for
from models.recordings.dataset import AmpData
from search.study.ledger import check_in_place
from search.study.lines import TrialReport
from search.study.results import fault_of
from search.study.scheduler import TrialScheduler
from search.study.tasks import Task
from search.study.trial_group import TrialGroup


def run_local(scheduler: TrialScheduler, amps: Sequence[AmpData]) -> None:
    """Train what the scheduler suggests until it has nothing left or no trial can continue."""
    config = scheduler.config
    device = device_for(config.gpu_share(cpus=config.cpus_per_trial, gpus=1))
    most = config.stacked_trials if device.type == "cuda" else 1
    while tasks := scheduler.suggest_group(most):
        trials = [task.trial for task in tasks]
        try:
            _run_group(scheduler, [task for task in tasks if scheduler.claim(task.trial)], amps, device)
        except KeyboardInterrupt:
            scheduler.release(trials)
            raise
        except Exception as problem:  # noqa: BLE001 (a trial may fail in any way; it is recorded)
            for trial in trials:
                if not scheduler.record(trial).is_trained:
                    scheduler.on_report(fault_of(trial, problem))
        for trial in trials:
            if not scheduler.on_complete(trial) and not scheduler.stopped:
                shutil.rmtree(scheduler.folder(trial), ignore_errors=True)
        if scheduler.stopped:
            with suppress(OSError, UserError):  # of a full disk or a moved study, which may be what stopped the search
                scheduler.release(trials)


def _run_group(scheduler: TrialScheduler, tasks: Sequence[Task], amps: Sequence[AmpData], device: torch.device) -> None:
    """Train a group of trials to their ends, saving each at every report."""
    starts = {task.trial: scheduler.folder(task.trial) for task in tasks}
    group = TrialGroup(scheduler.config, tasks, amps, starts, device)
    while group.active and not scheduler.stopped:
        results = group.advance()
        check_in_place(scheduler.study)  # a run folder would make its place again
        for trial, result in results.items():
            if isinstance(result, TrialReport) and math.isfinite(result.esr):
                with staged_folder(scheduler.folder(trial)) as staged:
                    group.save(trial, staged)
            if not scheduler.on_report(result):
                group.drop(trial)
