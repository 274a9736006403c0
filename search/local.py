"""The search in this process, one trial after the other: no Ray, the same decisions."""

import math
import shutil
from collections.abc import Sequence

from models.dataset import AmpData
from models.files import staged_folder
from search.conductor import Conductor, Task
from search.trial import reason_of, stops_all, train


def run_local(conductor: Conductor, amps: Sequence[AmpData]) -> None:
    """Train what the conductor proposes until it has nothing left, or no trial can go on."""
    while task := conductor.propose():
        try:
            _run(conductor, task, amps)
            finished = conductor.end(task.trial)
        except Exception as problem:  # noqa: BLE001 (a trial may fail in any way; it is written down)
            conductor.stopped = stops_all(problem)
            finished = conductor.end(task.trial, reason_of(problem))
        if not finished and not conductor.stopped:
            shutil.rmtree(conductor.folder(task.trial), ignore_errors=True)


def _run(conductor: Conductor, task: Task, amps: Sequence[AmpData]) -> None:
    folder = conductor.folder(task.trial)
    for result, save in train(conductor.config, task, amps, folder if folder.exists() else None):
        if math.isfinite(result["esr"]):
            with staged_folder(folder) as staged:
                save(staged)
        if not conductor.report(task.trial, result):
            return
