"""A search driven from inside a cluster that is reached through Ray's client port (`ray://host:10001`)."""

import logging
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError

import models
import search
from models.core.errors import UserError
from search.backends.ray_errors import HINT_KEPT, is_of_ray, refused_join
from search.config.study import SearchConfig
from search.run import run_study
from search.run_options import RunOptions
from search.study.board import Board
from search.study.lines import TrialRecord
from search.study.results import reason_of

POLL_S = 1.0  # seconds between two reads of the queue


Phase = tuple[str, int, int]  # what the search does, how much of it is done, and of how much


class LineQueue:
    """A Ray actor that holds records and phases until the client takes them; after a restart it has lost some."""

    def __init__(self) -> None:
        self._news: list[TrialRecord | Phase] = []

    def add(self, news: TrialRecord | Phase) -> None:
        """Append a record or a phase."""
        self._news.append(news)

    def take(self) -> list[TrialRecord | Phase]:
        """Return what was not taken yet."""
        taken, self._news = self._news, []
        return taken


def run_remotely(
    config: SearchConfig, study: Path, environment: dict[str, str], address: str, options: RunOptions
) -> Board:
    """Have a node of the cluster run the search and return its board; raises what the search raises.

    Recordings and study are paths that the cluster sees. Ray Tune cannot report through a client, so the search is
    driven on the cluster; `options.listener` and `options.on_phase` are called here.
    """
    options.on_phase("joining the Ray cluster")
    packages = [str(Path(module.__path__[0])) for module in (models, search)]
    shipped = {"py_modules": packages, "env_vars": environment}
    try:
        ray.init(address, runtime_env=shipped, log_to_driver=False, logging_level=logging.WARNING)
    except ConnectionError:
        raise
    except Exception as problem:
        raise refused_join(address, problem) from problem
    try:
        queue: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(LineQueue).remote()
        drive: Any = ray.remote(num_cpus=0, max_retries=0)(_search_remotely)
        running = drive.remote(config.model_dump(mode="json"), str(study), options.resume, options.storage, queue)
        ended: list[Any] = []
        while not ended:
            ended, _ = ray.wait([running], timeout=POLL_S)
            for news in ray.get(queue.take.remote()):
                if isinstance(news, tuple):
                    options.on_phase(*news)
                elif options.listener:
                    options.listener(news)
        return ray.get(running)
    except RayTaskError as problem:
        raise problem.cause from None
    except Exception as problem:  # the node that drives the search died, the worker on it, or the way to it
        if not is_of_ray(problem):
            raise
        raise UserError(
            f"the search in {study} stopped: the cluster lost what drives it ({reason_of(problem)})",
            HINT_KEPT,
        ) from problem
    finally:
        ray.shutdown()


def _search_remotely(config: dict[str, Any], study: str, resume: bool, storage: str | None, queue: Any) -> Board:
    """Run the search on a node of the cluster, and pass its records on to a queue."""

    def pass_on(news: TrialRecord | Phase) -> None:
        ray.get(queue.add.remote(news))

    def on_phase(phase: str, done: int = 0, total: int = 0) -> None:
        pass_on((phase, done, total))

    options = RunOptions(resume=resume, address="auto", storage=storage, listener=pass_on, on_phase=on_phase)
    return run_study(SearchConfig.model_validate(config), Path(study), options)
