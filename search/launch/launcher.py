"""Starts a search: in this process, or through the client port of a cluster."""

from pathlib import Path

from search.backends.environment import RAY_ENVIRONMENT, set_environment
from search.config.study import SearchConfig
from search.run import run_study
from search.run_options import DEFAULT_OPTIONS, RunOptions
from search.study.board import Board

CLIENT = "ray://"


def run_search(config: SearchConfig, study: Path, options: RunOptions = DEFAULT_OPTIONS) -> Board:
    """Search into the folder `study` and return its board.

    A study that was interrupted continues with `options.resume`, from its folder or, where that is lost, from the URI
    of `options.storage`, with the `warm` points that it began with; a finished one only has its
    board written again. `options.cost_model` applies to searches in this process alone.

    Raises `UserError` for recordings that cannot be used or have changed, a folder that holds another study, a
    study that another process drives, a search that cannot continue, and one where no trial finished;
    `ConnectionError` where no cluster answers; `Interrupted` on Ctrl-C.
    """
    if options.address and options.address.startswith(CLIENT):
        set_environment(options.address)
        from search.launch.ray_client import run_remotely

        return run_remotely(config, study.resolve(), RAY_ENVIRONMENT, options.address, options)
    return run_study(config, study, options)
