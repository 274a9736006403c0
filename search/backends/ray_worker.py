"""What a worker of Ray does: it trains a group of trials and reports to Tune. Import it after `set_environment`."""

import json
import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.exceptions import RayError

from models.core.errors import UserError
from models.engines.select import device_for
from models.recordings.dataset import AmpData
from search.config.study import SearchConfig
from search.storage.storage_errors import storage_reason
from search.study.results import Result, fault_of, result_to_json
from search.study.tasks import Task
from search.study.trial_group import TrialGroup


def run_group(
    group: dict[str, Any],
    search: dict[str, Any],
    amps: Sequence[AmpData],
    gpus: float,
    pruned: Any,
    scratch: str | None = None,
) -> None:
    """Train a group on a worker; report to Tune each time, with one checkpoint of all trials.

    Args:
        group: the tasks, as `SchedulerSearcher` suggests them.
        search: the search config as JSON.
        amps: the recordings.
        gpus: the share of a GPU that the group has.
        pruned: handle of a `PrunedTrials` actor, or None.
        scratch: a folder for checkpoints that are being read or written; None means one of this node's Ray.
    """
    tasks = [Task(**task) for task in group["tasks"]]
    active = [task.trial for task in tasks]
    scratch = scratch or tune.get_context().get_trial_dir()
    try:
        Path(scratch).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as start:
            starts = _fetch_starts(tasks, Path(start))
            left = [task for task in tasks if task.trial in starts]
            training = TrialGroup(SearchConfig.model_validate(search), left, amps, starts, device_for(gpus))
            while training.active:
                results = _to_text(training.advance())
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    for trial in training.trainers:
                        training.save(trial, Path(folder) / trial)
                    _report(results, folder if training.trainers else None)
                active = list(training.active)
                for trial in _pruned_among(training.active, pruned):
                    training.drop(trial)
    except Exception as problem:  # noqa: BLE001 (a trial may fail in any way; Tune retries only after a process died)
        tune.report({"results": _to_text({trial: fault_of(trial, problem) for trial in active})})


def _pruned_among(trials: Sequence[str], pruned: Any) -> Sequence[str]:
    """Return those trials that the driver has pruned; none while what keeps their names is gone: they train on."""
    try:
        return ray.get(pruned.among.remote(trials)) if pruned else ()
    except RayError as problem:
        logging.getLogger(__name__).warning("pruned trials are not known: %s", problem)
        return ()


def _to_text(results: Mapping[str, Result]) -> str:
    """Return results as JSON text: Tune flattens nested objects."""
    return json.dumps({trial: result_to_json(result) for trial, result in results.items()})


def _report(results: str, folder: str | None) -> None:
    """Report to Tune, with a checkpoint where there is one; return when the driver has processed it.

    Raises `UserError` where the checkpoint cannot be stored: no trial's own fault.
    """
    checkpoint = tune.Checkpoint.from_directory(folder) if folder else None
    try:
        tune.report({"results": results}, checkpoint=checkpoint)
    except Exception as problem:
        raise UserError(f"checkpoints cannot be stored: {storage_reason(problem)}", "Check --storage.") from problem


def _fetch_starts(tasks: Sequence[Task], folder: Path) -> dict[str, Path]:
    """Copy here what the tasks continue from; return trial -> its folder.

    After the group's process died this is the group's own last checkpoint, and only the trials in it continue.
    Otherwise it is each task's own checkpoint.
    """
    places = {task.trial: folder / task.trial for task in tasks}
    if latest := tune.get_checkpoint():
        _fetch_checkpoint(latest, folder)
        if kept := {trial: place for trial, place in places.items() if place.exists()}:
            return kept
    for task in tasks:
        if task.checkpoint:
            _fetch_checkpoint(tune.Checkpoint(task.checkpoint), places[task.trial])
    return places


def _fetch_checkpoint(checkpoint: tune.Checkpoint, folder: Path) -> None:
    """Copy a checkpoint here if it still exists; a trial whose checkpoint cannot be read begins at step 0."""
    try:
        checkpoint.to_directory(str(folder))
    except OSError as problem:
        logging.getLogger(__name__).warning("checkpoint %s cannot be read: %s", checkpoint.path, problem)


def tensor_to_array(tensor: torch.Tensor) -> Any:
    """Return the array on a tensor's memory."""
    return tensor.numpy()


def tensor_from_array(array: Any) -> torch.Tensor:
    """Return a tensor on the array's memory, which is shared and read-only; nothing writes to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)
