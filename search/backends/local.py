"""The search in this process, one pack of trials after the other: no Ray, the same decisions."""

import math
import shutil
from collections.abc import Sequence
from contextlib import suppress

import torch

from models.core.files import staged_folder
from models.engines.select import device_for
from models.recordings.dataset import AmpData
from search.study.scheduler import Conductor, Task
from search.study.trial import Pack, fault_of


def run_local(conductor: Conductor, amps: Sequence[AmpData]) -> None:
    """Train what the conductor proposes until it has nothing left, or no trial can go on."""
    device = device_for(conductor.config.gpu_share(cpus=conductor.config.cpus_per_trial, gpus=1))
    most = conductor.config.stacked_trials if device.type == "cuda" else 1
    while tasks := conductor.propose_pack(most):
        trials = [task.trial for task in tasks]
        try:
            _run(conductor, [task for task in tasks if conductor.begin_here(task.trial)], amps, device)
        except KeyboardInterrupt:
            conductor.leave(trials)
            raise
        except Exception as problem:  # noqa: BLE001 (a trial may fail in any way; it is written down)
            for trial in trials:
                if not conductor.is_trained(trial):
                    conductor.report(trial, fault_of(problem))
        for trial in trials:
            if not conductor.end(trial) and not conductor.stopped:
                shutil.rmtree(conductor.folder(trial), ignore_errors=True)
        if conductor.stopped:
            with suppress(OSError):  # of a full disk, which is what stopped it
                conductor.leave(trials)


def _run(conductor: Conductor, tasks: Sequence[Task], amps: Sequence[AmpData], device: torch.device) -> None:
    pack = Pack(conductor.config, tasks, amps, {task.trial: conductor.folder(task.trial) for task in tasks}, device)
    while pack.going and not conductor.stopped:
        for trial, result in pack.advance().items():
            if math.isfinite(result.get("esr", math.nan)):
                with staged_folder(conductor.folder(trial)) as staged:
                    pack.save(trial, staged)
            if not conductor.report(trial, result):
                pack.drop(trial)
