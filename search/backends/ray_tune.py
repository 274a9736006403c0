"""Ray Tune as the engine of a search: its searcher, scheduler and callback ask the conductor. Imported after Ray's environment is set."""

import json
import logging
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import ray
import torch
from ray import tune
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

import models
import search
from models.core.errors import UserError
from models.core.files import staged_folder
from models.engines.select import device_for
from models.recordings.dataset import AmpData
from search.backends.pruned_trials import Pruned
from search.config.study import SearchConfig
from search.storage.uri_store import below
from search.study.ledger import ENDS
from search.study.scheduler import Conductor, Task
from search.study.trial import Pack, fault_of, reason_of

DEATHS = 3  # of a trial's process or node, before the trial counts as failed

STORE_BYTES = 100 << 20  # of Ray's shared memory, beside the recordings


class _Fresh:
    """Tune pickles its parts into snapshots; these are never restored, so nothing of them is kept."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Suggests(_Fresh, Searcher):
    """The conductor as Tune's searcher: what Tune calls a trial is a pack of at most so many."""

    def __init__(self, conductor: Conductor, most: int) -> None:
        super().__init__()
        self.conductor, self.most = conductor, most

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next tasks."""
        tasks = self.conductor.propose_pack(self.most)
        return {"tasks": [asdict(task) for task in tasks]} if tasks else cast(dict[str, Any], Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The recorder hears of ends."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: see `_Fresh`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class Judges(_Fresh, FIFOScheduler):
    """The conductor as Tune's scheduler. Tune stops a pack as a whole; of trials that are pruned before that, its worker hears by `pruned`."""

    def __init__(self, conductor: Conductor, storage: str, pruned: Any) -> None:
        super().__init__()
        self.conductor, self.storage, self.pruned = conductor, storage, pruned

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Go on or stop."""
        if "told" not in result:
            return TrialScheduler.CONTINUE
        name, go_on = result.get("checkpoint_dir_name"), False
        for member, told in json.loads(result["told"]).items():
            place = {"checkpoint": below(self.storage, trial.trial_id, name, member)} if name else {}
            if self.conductor.report(member, told | place):
                go_on = True
            elif self.pruned:
                ray.get(self.pruned.add.remote(member))
        return TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP


class Records(_Fresh, tune.Callback):
    """Tells the conductor of ends, and keeps the run folders of finished trials in the study."""

    def __init__(self, conductor: Conductor) -> None:
        self.conductor = conductor

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """An end without a fault."""
        self._keep_finished(trial)
        for name in _names(trial):
            self.conductor.end(name)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A crash: recorded with its last line, of those in the pack that had not finished."""
        self._keep_finished(trial)
        error = trial.get_error()
        for name in _names(trial):
            self.conductor.end(name, reason_of(error) if error else "the trial's process died")

    def _keep_finished(self, trial: Trial) -> None:
        """End those that came to their last step. The folder comes first: a finished trial has one."""
        for name in _names(trial):
            state, last = self.conductor.trials[name]["state"], trial.checkpoint
            if last and state not in ENDS and self.conductor.is_trained(name):
                with staged_folder(self.conductor.folder(name)) as staged:
                    tune.Checkpoint(f"{last.path}/{name}", last.filesystem).to_directory(str(staged))
                self.conductor.end(name)


class Halts(_Fresh, tune.Stopper):
    """Ends the run when no trial can go on."""

    def __init__(self, conductor: Conductor) -> None:
        self.conductor = conductor

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is ended here."""
        return False

    def stop_all(self) -> bool:
        """Whether something happened that no trial survives."""
        return bool(self.conductor.stopped)


def run_pack(pack: dict[str, Any], search: dict[str, Any], amps: Sequence[AmpData], gpus: float, pruned: Any) -> None:
    """Train the tasks of a pack on a worker, reporting to Tune with a checkpoint of all each time; those that Tune then prunes are dropped."""
    tasks = [Task(**task) for task in pack["tasks"]]
    going = [task.trial for task in tasks]
    try:
        with tempfile.TemporaryDirectory() as start:
            starts = _starts(tasks, Path(start))
            left = [task for task in tasks if task.trial in starts]
            training = Pack(SearchConfig.model_validate(search), left, amps, starts, device_for(gpus))
            while training.going:
                told = json.dumps(training.advance())  # as text: Tune flattens what is nested
                with tempfile.TemporaryDirectory() as folder:
                    for trial in training.members:
                        training.save(trial, Path(folder) / trial)
                    _report(told, folder if training.members else None)
                going = list(training.going)
                for trial in ray.get(pruned.among.remote(training.going)) if pruned else ():
                    training.drop(trial)
    except Exception as problem:  # noqa: BLE001 (a trial may fail in any way; only a process that dies is tried again)
        tune.report({"told": json.dumps({trial: fault_of(problem) for trial in going})})


def _report(told: str, folder: str | None) -> None:
    """Tell Tune, with a checkpoint where there is one; returns when the driver has heard it.

    Raises `UserError` where the checkpoint cannot be kept: no trial's own fault.
    """
    checkpoint = tune.Checkpoint.from_directory(folder) if folder else None
    try:
        tune.report({"told": told}, checkpoint=checkpoint)
    except Exception as problem:
        raise UserError(f"checkpoints cannot be kept: {reason_of(problem)}", "Check --storage.") from problem


def _starts(tasks: Sequence[Task], folder: Path) -> dict[str, Path]:
    """Brings here what the tasks go on from: the pack's own last checkpoint after its process died, and those it holds go on; else each its own."""
    places = {task.trial: folder / task.trial for task in tasks}
    if latest := tune.get_checkpoint():
        _fetch(latest, folder)
        if kept := {trial: place for trial, place in places.items() if place.exists()}:
            return kept
    for task in tasks:
        if task.checkpoint:
            _fetch(tune.Checkpoint(task.checkpoint), places[task.trial])
    return places


def _fetch(checkpoint: tune.Checkpoint, folder: Path) -> None:
    """Bring a checkpoint here, if it is still there; an unreadable one is trained again."""
    try:
        checkpoint.to_directory(str(folder))
    except OSError as problem:
        logging.getLogger(__name__).warning("checkpoint %s cannot be read: %s", checkpoint.path, problem)


def run_trials(conductor: Conductor, amps: Sequence[AmpData], storage: str, address: str | None) -> None:
    """Run what the conductor proposes until it has nothing left, no trial can go on, or the person interrupts.

    `storage` is a folder that all nodes see, or a URI. Raises `UserError` when Tune itself cannot go on, or where the GPUs that a trial is to
    have are not here.
    """
    wanted, seen = conductor.config.gpus_per_trial or 0, torch.cuda.device_count()
    if wanted > seen and not address and not ray.is_initialized():
        raise UserError(
            f"gpus_per_trial is {wanted:g}, and torch sees {seen or 'no'} GPU{'s' if seen > 1 else ''} here",
            "Leave it out to use what there is, or search on a cluster that has them (--address).",
        )
    for name in ("ray.tune", "ray.train"):  # a failed trial is told in one line, by the conductor
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with redirect_stdout(sys.stderr), _ray(address, amps):  # Ray tells of lost nodes on stdout, which is for data
        _run(conductor, amps, storage)


def _run(conductor: Conductor, amps: Sequence[AmpData], storage: str) -> None:
    """One run of Tune, with its files in a folder of its own below `storage`."""
    config, name = conductor.config, uuid4().hex[:8]
    there = ray.cluster_resources()
    gpus = config.gpu_share(there.get("CPU", 0), there.get("GPU", 0))
    most = config.stacked_trials if gpus else 1
    lasting = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)  # begun anew it has only forgotten
    pruned = lasting(Pruned).remote() if most > 1 else None
    known = {"search": config.model_dump(mode="json"), "amps": list(amps), "gpus": gpus, "pruned": pruned}
    trainable = tune.with_resources(
        tune.with_parameters(run_pack, **known), {"cpu": config.cpus_per_trial, "gpu": gpus}
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=Suggests(conductor, most),
            scheduler=Judges(conductor, below(storage, name), pruned),
            num_samples=-1,
            max_concurrent_trials=config.concurrent,
            reuse_actors=True,
            trial_dirname_creator=_folder_of,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=storage,
            verbose=0,
            stop=Halts(conductor),
            callbacks=[Records(conductor)],
            failure_config=tune.FailureConfig(max_failures=DEATHS),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        with _quiet_interrupt():
            tuner.fit()
    except (TuneError, OSError) as problem:  # also what keeps Tune from writing to a URI
        raise UserError(
            f"the search in {conductor.study} stopped: {conductor.stopped or reason_of(problem)}",
            "Its finished trials are kept. Mend the cause, then go on with --resume.",
        ) from problem


@contextmanager
def _quiet_interrupt() -> Iterator[None]:
    """Tune ends a run by itself on Ctrl-C, with a handler that it may leave behind; here the one before comes back."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def _folder_of(trial: Any) -> str:
    return trial.trial_id


def _names(trial: Trial) -> list[str]:
    """The search's trials in one of Tune's."""
    return [task["trial"] for task in trial.config["tasks"]]


@contextmanager
def _ray(address: str | None, amps: Sequence[AmpData]) -> Iterator[None]:
    """Ray started here, or joined. The recordings go through its shared memory: read once by the driver, kept once per node."""
    held = sum(piece.wet_T.nbytes for data in amps for piece in data.recorded) + sum(
        x.nbytes for d in amps for x in d.dry_T
    )
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES + 2 * held}
    local |= {} if torch.cuda.is_available() else {"num_gpus": 0}  # Ray may see one that this torch cannot use
    shipped: dict[str, Any] = {
        "runtime_env": {"py_modules": [str(Path(module.__path__[0])) for module in (models, search)]}
    }
    here = ray.is_initialized()  # this driver is itself a task of the cluster
    if not here:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(shipped if address else local),
        )
    ray.util.register_serializer(torch.Tensor, serializer=_to_array, deserializer=_from_array)
    try:
        yield
    finally:
        ray.util.deregister_serializer(torch.Tensor)
        if not here:
            ray.shutdown()


def _to_array(tensor: torch.Tensor) -> Any:
    return tensor.numpy()


def _from_array(array: Any) -> torch.Tensor:
    """The array where it lies, which is shared memory that nobody may write to, and nobody does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)
