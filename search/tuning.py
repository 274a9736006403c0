"""Ray Tune at work on one study: start, restore, and start afresh where a snapshot was damaged. Imported after Ray's environment is set."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.error import TuneError

import models
import search
from models.errors import UserError
from search.ledger import read_ledger
from search.recorder import LISTENERS, Listener, Recorder
from search.searcher import FiniteOptunaSearch, Suggest
from search.space import SearchConfig
from search.trial import OBJECTIVES, run_trial

OBJECT_STORE_BYTES = 100 << 20


def run_trials(config: SearchConfig, study: Path, address: str | None, listener: Listener | None) -> None:
    """Run trials until the ledger holds as many as the config asks for, or the person interrupts.

    Each start of Tune keeps its snapshots in `ray/0`, `ray/1`, ...; there is a second one only where the first could not be restored
    whole (a disk that was full while it was written). Raises `UserError` when Tune itself cannot go on.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial is told in one line, by the recorder
    with _ray(address), _heard_by(listener):
        for start in count():
            left = config.trials - len(read_ledger(study))
            if left <= 0 or not _run_start(config, study, start, left):
                return


def _run_start(config: SearchConfig, study: Path, start: int, left: int) -> bool:
    """Run or restore one start of Tune; False when it was interrupted."""
    storage, name = study / "ray", str(start)
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, search=config.model_dump(mode="json")),
        {"cpu": config.cpus_per_trial, "gpu": config.gpus_per_trial},
    )
    try:
        if tune.Tuner.can_restore(str(storage / name)):
            tuner = tune.Tuner.restore(str(storage / name), trainable, resume_unfinished=True, resume_errored=True)
        else:
            tuner = _new_tuner(trainable, config, study, storage, name, left)
        with _interruptible() as interrupted:
            tuner.fit()
    except TuneError as problem:
        raise UserError(
            f"the search in {study} stopped: {str(problem).strip().splitlines()[-1]}",
            "Its finished trials are kept. Mend the cause, then go on with --resume.",
        ) from problem
    return not interrupted()


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells, afterwards, whether Ctrl-C ended Tune: its handler takes itself away when used, and stays else."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    used = False
    try:
        yield lambda: used
    finally:
        if main:
            used = signal.getsignal(signal.SIGINT) == before
            signal.signal(signal.SIGINT, before)


def _new_tuner(trainable: Any, config: SearchConfig, study: Path, storage: Path, name: str, left: int) -> tune.Tuner:
    seed = config.seed + int(name)
    searcher = FiniteOptunaSearch(Suggest(config.space), metric=list(OBJECTIVES), mode=["min", "min"], seed=seed)
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=left,
            max_concurrent_trials=config.concurrent,
            reuse_actors=True,
            trial_dirname_creator=_folder_of,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(storage),
            verbose=0,
            callbacks=[Recorder(study)],
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )


def _folder_of(trial: Any) -> str:
    return trial.trial_id


@contextmanager
def _ray(address: str | None) -> Iterator[None]:
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    shipped: dict[str, Any] = {
        "runtime_env": {"py_modules": [str(Path(module.__path__[0])) for module in (models, search)]}
    }
    ray.init(
        address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **(shipped if address else local)
    )
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _heard_by(listener: Listener | None) -> Iterator[None]:
    LISTENERS[:] = [listener] if listener else []
    try:
        yield
    finally:
        LISTENERS.clear()
