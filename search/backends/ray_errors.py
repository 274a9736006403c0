"""The one boundary at which errors of Ray become ours, with what to do next."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import worker as ray_worker
from ray.exceptions import (
    NodeDiedError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    WorkerCrashedError,
)
from ray.tune.error import TuneError

from models.core.errors import UserError
from search.backends.environment import RayEnded
from search.backends.ray_parts import RayPartDied, dead_part
from search.study.scheduler import TrialScheduler

HINT_KEPT = "Its finished trials are kept. Remove the cause, then continue with --resume."

RAY_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")  # of Ray's message on a cluster of other versions

FAILURES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((ObjectStoreFullError, OutOfDiskError), "Ray's shared memory or its disk is full"),
    (
        (RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError),
        "a process of Ray died; perhaps the system killed it when memory was short",
    ),
)

RAYS_WORDS = "After 'zoo --debug', its own words are shown."

RAYS_MODULES = ("ray", "grpc")


@contextmanager
def ray_errors(scheduler: TrialScheduler) -> Iterator[None]:
    """Raise what ends a search in our words.

    `RayEnded` where a part of Ray has died or Ray itself fails, `UserError` where Tune or a disk does.
    """
    stopped = f"the search in {scheduler.study} stopped"
    try:
        yield
    except RayPartDied as problem:
        raise part_died(scheduler, str(problem)) from None
    except Exception as problem:
        if name := dead_part(ray_worker._global_node):
            raise part_died(scheduler, name) from problem
        if isinstance(problem, TuneError | OSError | UserError):  # also where Tune cannot write to a URI
            reason = scheduler.stopped or _own_reason(problem) or what_failed(problem)
            raise UserError(f"{stopped}: {reason}", HINT_KEPT) from problem
        if not is_of_ray(problem):
            raise
        raise RayEnded(f"{stopped}: {what_failed(problem)}", HINT_KEPT) from problem


def what_failed(problem: Exception) -> str:
    """Return in our words, or in those of the system, what an error that came through Ray means; Ray's fill a page."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    if isinstance(problem, UserError):
        return problem.message
    for kinds, words in FAILURES:
        if isinstance(problem, kinds):
            return words
    return f"Ray failed with {type(problem).__name__}"


def part_died(scheduler: TrialScheduler, name: str) -> RayEnded:
    """Return the error for a part of Ray that has died."""
    return RayEnded(
        f"the search in {scheduler.study} stopped: Ray's {name} died; perhaps the system killed it when memory was "
        "short",
        "Its finished trials are kept; continue with --resume.",
    )


def refused_join(address: str, problem: Exception) -> UserError:
    """Return the error for a cluster that answers and cannot be joined."""
    versions = RAY_VERSIONS.findall(str(problem))
    if len(versions) == 2 and versions[0] != versions[1]:
        there, here = (f"Ray {ray_version} and Python {python}" for ray_version, python in versions)
        return UserError(
            f"the cluster at {address} runs {there}, this machine {here}", "Install the same versions on both."
        )
    return UserError(
        f"the cluster at {address} cannot be joined: {what_failed(problem)}",
        f"Check its state with 'ray status' on its head, then run the same command again. {RAYS_WORDS}",
    )


def is_of_ray(problem: BaseException) -> bool:
    """Return whether an error is one of Ray's classes, or of another class and raised inside Ray."""
    if isinstance(problem, RayError | TuneError):
        return True
    place = problem.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__")).split(".")[0] in RAYS_MODULES


def _own_reason(problem: BaseException | None) -> str | None:
    """Return the message of our own error among the causes of an exception, if there is one."""
    while problem:
        if isinstance(problem, UserError):
            return problem.message
        problem = problem.__cause__ or problem.__context__
    return None
