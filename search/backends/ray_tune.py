"""Trains trials with Ray Tune, whose searcher, scheduler and callback ask ours. Import it after `set_environment`."""

import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import ray
import torch
from ray import tune
from ray.exceptions import RayError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.schedulers import TrialScheduler as RayScheduler
from ray.tune.search import Searcher

import models
import search
from models.core.errors import UserError
from models.core.files import staged_folder
from models.core.locations import is_uri
from models.engines.select import device_for
from models.recordings.dataset import AmpData
from search.backends.environment import RayEnded
from search.backends.local_ray import abandon_ray, keep_credentials_here, own_ray
from search.backends.pruned_trials import PrunedTrials
from search.backends.ray_errors import part_died, ray_errors, refused_join
from search.backends.ray_parts import FirstLines, RayWatch, watch_ray
from search.config.study import SearchConfig
from search.storage.uri_store import below
from search.study.lines import TrialReport
from search.study.results import Result, fault_of, parse_result, reason_of, result_to_json
from search.study.scheduler import TrialScheduler
from search.study.tasks import Task
from search.study.trial_group import TrialGroup

MAX_FAILURES = 3  # deaths of a trial's process or node before the trial counts as failed

RAY_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}

STORE_BYTES = 100 << 20  # of Ray's shared memory, besides the recordings


class _NotRestored:
    """Base of the parts that Tune pickles into snapshots; snapshots are never restored, so nothing is stored."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SchedulerSearcher(_NotRestored, Searcher):
    """Our scheduler as Tune's searcher: a trial of Tune is a group of at most `most` trials."""

    def __init__(self, scheduler: TrialScheduler, most: int) -> None:
        super().__init__()
        self._scheduler, self._most = scheduler, most

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next group of tasks."""
        tasks = self._scheduler.suggest_group(self._most)
        return {"tasks": [asdict(task) for task in tasks]} if tasks else cast(dict[str, Any], Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: `EndRecorder` records ends."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing (see `_NotRestored`)."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing (see `_NotRestored`)."""


class ReportScheduler(_NotRestored, FIFOScheduler):
    """Our scheduler as Tune's scheduler.

    Tune stops a group as a whole. `pruned`, a handle of a `PrunedTrials` actor, informs the worker of single trials
    that are pruned before that.
    """

    def __init__(self, scheduler: TrialScheduler, storage: str, pruned: Any) -> None:
        super().__init__()
        self._scheduler, self._storage, self._pruned = scheduler, storage, pruned

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass the reports of a group on; return whether the group continues or stops."""
        if "results" not in result:
            return RayScheduler.CONTINUE
        name, continues = result.get("checkpoint_dir_name"), False
        for member, document in json.loads(result["results"]).items():
            found = parse_result(document)
            if name and isinstance(found, TrialReport):
                found = replace(found, checkpoint=below(self._storage, trial.trial_id, name, member))
            if self._scheduler.on_report(found):
                continues = True
            elif self._pruned:
                ray.get(self._pruned.add.remote(member))
        return RayScheduler.CONTINUE if continues else RayScheduler.STOP


class EndRecorder(_NotRestored, tune.Callback):
    """Tells our scheduler of ends, and copies the run folders of finished trials into the study."""

    def __init__(self, scheduler: TrialScheduler) -> None:
        self._scheduler = scheduler

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record the end of a group without a fault."""
        self._keep_finished(trial)
        for name in _names(trial):
            self._scheduler.on_complete(name)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a crash for those trials of a group that had not finished."""
        self._keep_finished(trial)
        error = trial.get_error()
        for name in _names(trial):
            self._scheduler.on_complete(name, reason_of(error) if error else "the trial's process died")

    def _keep_finished(self, trial: Trial) -> None:
        """End trials that reached their last step; the folder is copied first, so every finished trial has one."""
        for name in _names(trial):
            record, last = self._scheduler.record(name), trial.checkpoint
            if last and not record.has_ended and record.is_trained:
                with staged_folder(self._scheduler.folder(name)) as staged:
                    tune.Checkpoint(f"{last.path}/{name}", last.filesystem).to_directory(str(staged))
                self._scheduler.on_complete(name)


class SearchStopper(_NotRestored, tune.Stopper):
    """Ends Tune's run when no trial can continue, a person interrupts, or a part of Ray has died.

    Tune asks it at every turn of its loop.
    """

    def __init__(self, scheduler: TrialScheduler, watch: RayWatch) -> None:
        self._scheduler, self._watch = scheduler, watch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: no single trial is ended here."""
        return False

    def stop_all(self) -> bool:
        """Return whether a fault happened that no trial survives; raises what Tune must not catch."""
        self._watch.check()
        if self._watch.interrupted.is_set():
            raise KeyboardInterrupt
        return bool(self._scheduler.stopped)


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
        raise UserError(f"checkpoints cannot be stored: {reason_of(problem)}", "Check --storage.") from problem


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


def run_trials(
    scheduler: TrialScheduler,
    amps: Sequence[AmpData],
    storage: str,
    address: str | None,
    on_stuck: Callable[[RayEnded], object] = lambda problem: None,
) -> None:
    """Train what the scheduler suggests until it has nothing left, no trial can continue, or the person interrupts.

    Checkpoints go to `storage`, a folder that all nodes see or a URI. Raises `UserError` where Tune itself cannot
    continue, and where the GPUs that each trial asks for do not exist; `RayEnded` where a part of Ray has died;
    `KeyboardInterrupt` for a person's interrupt. `on_stuck` is called, on another thread, where a part of Ray has died
    and Ray does not come back to this thread: it will end the process, in words of its own.
    """
    wanted, seen = scheduler.config.gpus_per_trial or 0, torch.cuda.device_count()
    if wanted > seen and not address and not ray.is_initialized():
        raise UserError(
            f"gpus_per_trial is {wanted:g}, and torch sees {seen or 'no'} GPU{'s' if seen > 1 else ''} here",
            "Leave it out to use what there is, or search on a cluster that has them (--address).",
        )
    for name in ("ray.tune", "ray.train"):  # our scheduler records failed trials
        logging.getLogger(name).setLevel(logging.CRITICAL)
    keep_credentials_here()
    # Ray prints lost nodes on stdout, which is for data.
    with (
        redirect_stdout(FirstLines(sys.stderr)),
        _scratch(scheduler.study, storage) as scratch,
        _ray(address, amps),
        ray_errors(scheduler),
        watch_ray(lambda name: (abandon_ray(), on_stuck(part_died(scheduler, name)))) as watch,
    ):
        _run_trials(scheduler, amps, storage, scratch, watch)


@contextmanager
def _scratch(study: Path, storage: str) -> Iterator[str | None]:
    """Yield a folder beside the checkpoints for those that are being written; None where they are at a URI.

    It is removed afterwards; what a killed search left in it is removed first. One process drives a study at a time.
    """
    if is_uri(storage):
        yield None
        return
    inside = Path(storage).resolve().is_relative_to(study.resolve())
    name = "scratch" if inside else f"scratch-{sha256(os.fsencode(study)).hexdigest()[:12]}"
    folder = Path(storage).absolute() / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_trials(
    scheduler: TrialScheduler, amps: Sequence[AmpData], storage: str, scratch: str | None, watch: RayWatch
) -> None:
    """Run Tune once, with its files in a new folder below `storage`."""
    config, name = scheduler.config, uuid4().hex[:8]
    there = ray.cluster_resources()
    gpus = config.gpu_share(there.get("CPU", 0), there.get("GPU", 0))
    most = config.stacked_trials if gpus else 1
    actor = ray.remote(
        num_cpus=0, max_restarts=-1, max_task_retries=-1
    )  # after a restart it has lost its trials, no more
    pruned = actor(PrunedTrials).remote() if most > 1 else None
    known = {"search": config.model_dump(mode="json"), "amps": list(amps), "gpus": gpus, "pruned": pruned}
    trainable = tune.with_resources(
        tune.with_parameters(run_group, **known, scratch=scratch), {"cpu": config.cpus_per_trial, "gpu": gpus}
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=SchedulerSearcher(scheduler, most),
            scheduler=ReportScheduler(scheduler, below(storage, name), pruned),
            num_samples=-1,
            max_concurrent_trials=config.concurrent,
            reuse_actors=True,
            trial_dirname_creator=_folder_of,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=storage,
            verbose=0,
            stop=SearchStopper(scheduler, watch),
            callbacks=[EndRecorder(scheduler)],
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )
    tuner.fit()


def _folder_of(trial: Any) -> str:
    return trial.trial_id


def _names(trial: Trial) -> list[str]:
    """Return the trials of the search in a trial of Tune."""
    return [task["trial"] for task in trial.config["tasks"]]


@contextmanager
def _ray(address: str | None, amps: Sequence[AmpData]) -> Iterator[None]:
    """Start Ray here, or join it. Recordings go through its shared memory: each node has one copy."""
    recordings_bytes = sum(piece.wet_T.nbytes for data in amps for piece in data.recorded) + sum(
        x.nbytes for d in amps for x in d.dry_T
    )
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES + 2 * recordings_bytes}
    local |= {} if torch.cuda.is_available() else {"num_gpus": 0}  # Ray may find a GPU that this torch cannot use
    with _join_parts(address) if address or ray.is_initialized() else own_ray(**local, **RAY_QUIET):
        ray.util.register_serializer(torch.Tensor, serializer=_to_array, deserializer=_from_array)
        try:
            yield
        finally:
            ray.util.deregister_serializer(torch.Tensor)


@contextmanager
def _join_parts(address: str | None) -> Iterator[None]:
    """Join a cluster, unless this driver is itself a task of it, and leave it afterwards."""
    inside, ended = ray.is_initialized(), False
    if not inside:
        packages = [str(Path(module.__path__[0])) for module in (models, search)]
        try:
            ray.init(address=address, runtime_env={"py_modules": packages}, **RAY_QUIET)
        except ConnectionError:
            raise
        except Exception as problem:
            raise refused_join(str(address), problem) from problem
    try:
        yield
    except RayEnded:
        ended = True  # a shutdown would wait for what has died
        raise
    finally:
        if not inside and not ended:
            ray.shutdown()


def _to_array(tensor: torch.Tensor) -> Any:
    return tensor.numpy()


def _from_array(array: Any) -> torch.Tensor:
    """Return a tensor on the array's memory, which is shared and read-only; nothing writes to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)
