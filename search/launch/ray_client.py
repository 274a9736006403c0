"""A search driven from inside a cluster that is reached through Ray's client port (`ray://host:10001`)."""

import logging
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError

import models
import search
from search.config.study import SearchConfig
from search.run import run_study
from search.study.ledger import Line
from search.study.scheduler import Listener

ASKED_S = 1.0  # between two looks at what the driver has told


class Told:
    """An actor that keeps the lines a driver tells until the client takes them. One begun anew has forgotten some; the ledger has them."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    def add(self, line: Line) -> None:
        """One more."""
        self._lines.append(line)

    def take(self) -> list[Line]:
        """Those that nobody has taken."""
        taken, self._lines = self._lines, []
        return taken


def run_remotely(
    config: SearchConfig,
    study: Path,
    environment: dict[str, str],
    address: str,
    *,
    resume: bool,
    storage: str | None,
    listener: Listener | None,
) -> dict[str, Any]:
    """Have a node of the cluster run the search, and return its board; raises what the search raises. `listener` hears as it would there.

    Recordings and study are paths that the cluster sees. Ray Tune cannot report through a client, so the driver runs over there.
    """
    packages = [str(Path(module.__path__[0])) for module in (models, search)]
    shipped = {"py_modules": packages, "env_vars": environment}
    ray.init(address, runtime_env=shipped, log_to_driver=False, logging_level=logging.WARNING)
    try:
        told: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Told).remote()
        known = config.model_dump(mode="json")
        drive: Any = ray.remote(num_cpus=0, max_retries=0)(_drive)
        running, ended = drive.remote(known, str(study), resume, storage, told), []
        while not ended:
            ended, _ = ray.wait([running], timeout=ASKED_S)
            for line in ray.get(told.take.remote()):
                if listener:
                    listener(line)
        return ray.get(running)
    except RayTaskError as problem:
        raise problem.cause from None
    finally:
        ray.shutdown()


def _drive(config: dict[str, Any], study: str, resume: bool, storage: str | None, told: Any) -> dict[str, Any]:
    def tell(line: Line) -> None:
        ray.get(told.add.remote(line))

    known = SearchConfig.model_validate(config)
    return run_study(known, Path(study), resume=resume, address="auto", storage=storage, listener=tell)
