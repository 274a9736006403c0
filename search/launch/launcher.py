"""Starts a search: here, or through the client port of a cluster."""

from pathlib import Path
from typing import Any

from search.backends.environment import RAY_ENVIRONMENT, _set_environment
from search.config.study import SearchConfig
from search.run import run_study
from search.study.scheduler import Listener

CLIENT = "ray://"


def run_search(
    config: SearchConfig,
    study: Path,
    *,
    resume: bool = False,
    local: bool = False,
    address: str | None = None,
    storage: str | None = None,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Search into the folder `study` and return its board.

    `listener(line)` hears every start, report and end of a trial. Trials run on Ray, started on this machine or joined at `address`, or one
    after the other in this process (`local`). Their checkpoints go to `storage`, a folder that all nodes see (default: inside the study), or a
    URI, where the study itself is then kept too. A study that was interrupted goes on with `resume`, from its folder or, where that is lost, from
    the URI, with the `warm` points and the `prior` that it began with; a finished one only has its board made again. Raises `UserError` for
    recordings that cannot be used or are others than it began with, a place that holds another study, a study that another process drives, a
    search that cannot go on, or one where no trial finished; `Interrupted` on Ctrl-C.
    """
    if address and address.startswith(CLIENT):
        _set_environment(address)
        from search.launch.ray_client import run_remotely

        return run_remotely(
            config, study.resolve(), RAY_ENVIRONMENT, address, resume=resume, storage=storage, listener=listener
        )
    return run_study(config, study, resume=resume, local=local, address=address, storage=storage, listener=listener)
