"""Trains trials with Ray Tune, whose searcher, scheduler and callback ask ours. Import it after `set_environment`."""

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from uuid import uuid4

import ray
import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.schedulers import TrialScheduler as RayScheduler
from ray.tune.search import Searcher

import models
import search
from models.core.errors import UserError
from models.core.files import staged_folder
from models.core.locations import is_uri
from models.recordings.dataset import AmpData
from search.backends.environment import RayEnded
from search.backends.local_ray import abandon_ray, own_ray, set_propagated
from search.backends.pruned_trials import PrunedTrials
from search.backends.ray_errors import part_died, ray_errors, refused_join
from search.backends.ray_parts import FirstLines, RayWatch, watch_ray
from search.backends.ray_worker import run_group, tensor_from_array, tensor_to_array
from search.config.study import SearchConfig
from search.run_options import DEFAULT_OPTIONS, RunOptions
from search.storage.uri_store import below
from search.study.lines import TrialReport
from search.study.results import parse_result, reason_of
from search.study.scheduler import TrialScheduler

MAX_FAILURES = 3  # deaths of a trial's process or node before the trial counts as failed

RAY_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}

WORKERS_END_S = 10.0  # within which workers notice that their Ray has died
SETTLED_S = 1.0  # for which a folder must be gone before they count as ended

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


class RayTrials:
    """Trains trials on Ray, which starts here, or is joined, at the first `begin`; leaving it ends Ray.

    Args:
        scheduler: suggests trials and takes their reports.
        amps: the recordings. They go through Ray's shared memory: each node has one copy.
        storage: where checkpoints go: a folder that all nodes see, or a URI.
        options: `address` is the cluster to join, None starts Ray on this machine; `on_phase` is told of that;
            `on_ray_ended` is called where a part of Ray has died and Ray does not come back to this thread.
    """

    def __init__(
        self, scheduler: TrialScheduler, amps: Sequence[AmpData], storage: str, options: RunOptions = DEFAULT_OPTIONS
    ) -> None:
        self._scheduler, self._amps, self._storage = scheduler, amps, storage
        self._options, self._open = options, ExitStack()
        self._work: _Work | None = None

    def __enter__(self) -> Self:
        """Keep stdout, where Ray prints lost nodes, for data, and make room for checkpoints that are being written."""
        self._open.enter_context(redirect_stdout(FirstLines(sys.stderr)))
        self._scratch = self._open.enter_context(_scratch(self._scheduler.study, self._storage))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, place: TracebackType | None
    ) -> None:
        """End Ray, or leave the cluster."""
        self._open.__exit__(kind, problem, place)

    def begin(self) -> Callable[[], None]:
        """Return what trains all that the scheduler suggests, until no trial can continue or a person interrupts.

        Both raise `UserError` where Ray does not start, where Tune itself cannot continue, and where the GPUs that each
        trial asks for do not exist; `RayEnded` where a part of Ray has died; `KeyboardInterrupt` for a person's
        interrupt.
        """
        self._work = self._work or self._start()
        return partial(self._run, self._work)

    def _run(self, work: "_Work") -> None:
        with self._watched() as watch:
            _run_tune(self._scheduler, self._storage, work, watch)

    @contextmanager
    def _watched(self) -> Iterator[RayWatch]:
        """Raise our own errors for what happens to Ray inside."""

        def on_stuck(name: str) -> None:
            abandon_ray()
            if self._scratch:
                _remove_written(Path(self._scratch))  # leaving the search, which would do it, may never come
            self._options.on_ray_ended(part_died(self._scheduler, name))

        with ray_errors(self._scheduler), watch_ray(on_stuck) as watch:
            yield watch

    def _start(self) -> "_Work":
        """Start Ray, or join it, and give it the recordings."""
        config, address = self._scheduler.config, self._options.address
        wanted, seen = config.gpus_per_trial or 0, torch.cuda.device_count()
        if wanted > seen and not address and not ray.is_initialized():
            raise UserError(
                f"gpus_per_trial is {wanted:g}, and torch sees {seen or 'no'} GPU{'s' if seen > 1 else ''} here",
                "Leave it out to use what there is, or search on a cluster that has them (--address).",
            )
        self._options.on_phase("joining the Ray cluster" if address else "starting Ray")
        for name in ("ray.tune", "ray.train"):  # our scheduler records failed trials
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._open.enter_context(_ray(address, self._amps))
        with self._watched():
            return _Work.of(config, self._amps, self._scratch)


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
    except BaseException:
        _remove_written(folder)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _remove_written(folder: Path) -> None:
    """Remove a folder that workers of a Ray that has died may still write into, or make again, for a moment."""
    last = there = time.monotonic()
    last += WORKERS_END_S
    while (now := time.monotonic()) < min(last, there + SETTLED_S):
        if folder.exists():
            there = now
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


@dataclass(frozen=True)
class _Work:
    """What Tune runs: the trainable, with the recordings in Ray's shared memory, and the most trials of a group."""

    trainable: Any
    most: int
    pruned: Any  # handle of a `PrunedTrials` actor, or None

    @classmethod
    def of(cls, config: SearchConfig, amps: Sequence[AmpData], scratch: str | None) -> "_Work":
        """Return the work of a search on the Ray that this process is part of."""
        there = ray.cluster_resources()
        gpus = config.gpu_share(there.get("CPU", 0), there.get("GPU", 0))
        most = config.stacked_trials if gpus else 1
        # After a restart the actor has lost its trials, no more.
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        pruned = actor(PrunedTrials).remote() if most > 1 else None
        known = {"search": config.model_dump(mode="json"), "amps": list(amps), "gpus": gpus, "pruned": pruned}
        trainable = tune.with_resources(
            tune.with_parameters(run_group, **known, scratch=scratch), {"cpu": config.cpus_per_trial, "gpu": gpus}
        )
        return cls(trainable, most, pruned)


def _run_tune(scheduler: TrialScheduler, storage: str, work: _Work, watch: RayWatch) -> None:
    """Run Tune once, with its files in a new folder below `storage`."""
    name = uuid4().hex[:8]
    tuner = tune.Tuner(
        work.trainable,
        tune_config=tune.TuneConfig(
            search_alg=SchedulerSearcher(scheduler, work.most),
            scheduler=ReportScheduler(scheduler, below(storage, name), work.pruned),
            num_samples=-1,
            max_concurrent_trials=scheduler.config.concurrent,
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
    """Start Ray here, or join it, with room for the recordings in its shared memory."""
    set_propagated(own=not address and not ray.is_initialized())
    recordings_bytes = sum(piece.wet_T.nbytes for data in amps for piece in data.recorded) + sum(
        x.nbytes for d in amps for x in d.dry_T
    )
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES + 2 * recordings_bytes}
    local |= {} if torch.cuda.is_available() else {"num_gpus": 0}  # Ray may find a GPU that this torch cannot use
    with _join_parts(address) if address or ray.is_initialized() else own_ray(**local, **RAY_QUIET):
        ray.util.register_serializer(torch.Tensor, serializer=tensor_to_array, deserializer=tensor_from_array)
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
