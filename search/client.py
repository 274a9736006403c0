"""A search driven from inside a cluster that is reached through Ray's client port (`ray://host:10001`)."""

import logging
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError

import models
import search
from search.config import SearchConfig


def run_remotely(
    config: SearchConfig, study: Path, environment: dict[str, str], address: str, *, resume: bool, storage: str | None
) -> dict[str, Any]:
    """Have a node of the cluster run the search, and return its board; raises what the search raises.

    Recordings and study are paths that the cluster sees. Ray Tune cannot report through a client, so the driver runs over there.
    """
    packages = [str(Path(module.__path__[0])) for module in (models, search)]
    logging.getLogger("ray").setLevel(logging.WARNING)
    ray.init(address, runtime_env={"py_modules": packages, "env_vars": environment}, log_to_driver=False)
    try:
        drive = ray.remote(num_cpus=0)(_drive)
        return ray.get(drive.remote(config.model_dump(mode="json"), str(study), resume, storage))
    except RayTaskError as problem:
        raise problem.cause from None
    finally:
        ray.shutdown()


def _drive(config: dict[str, Any], study: str, resume: bool, storage: str | None) -> dict[str, Any]:
    from search.study import run_search

    return run_search(SearchConfig.model_validate(config), Path(study), resume=resume, address="auto", storage=storage)
