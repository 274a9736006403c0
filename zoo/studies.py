"""A search from Python, as the command `zoo search` makes it; and the best model of a study that a person names."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.core.errors import UserError
from models.core.schema import short_repr
from models.core.user_folders import expand_home

if TYPE_CHECKING:
    from search.study.best_so_far import StudyModel
    from search.study.board import Board


def named_study(amp: str) -> tuple[Path, str] | None:
    """Return the study folder that AMP names, and which of its amps: `STUDY` or `STUDY/NAME`; None for other words.

    A study that still reads its recordings is one, too.
    """
    from search.study.files import STUDY
    from search.study.lock import is_starting

    folder = expand_home(amp)
    if (folder / STUDY).is_file() or is_starting(folder):
        return folder, ""
    return (folder.parent, folder.name) if (folder.parent / STUDY).is_file() and not folder.exists() else None


@contextmanager
def open_best(study: Path, amp: str, tier: str) -> Iterator["StudyModel"]:
    """Yield the best model of a study so far; see `best_so_far`, whose libraries are loaded here."""
    from search.study.best_so_far import best_so_far

    with best_so_far(study, amp, tier) as best:
        yield best


# What an error calls an option of `zoo search` that is an argument here; a command to type stays as it is.
OPTION_OR_COMMAND = re.compile(r"(?P<command>\bzoo [a-z]+ .*)|--(?P<option>resume|local|out|budget|address)\b")


@contextmanager
def _options_as_arguments() -> Iterator[None]:
    """Let errors speak of arguments: `resume=True` for `--resume`, `out` for `--out`."""

    def spell(found: re.Match[str]) -> str:
        option = found["option"]
        return found["command"] or (f"{option}=True" if option in ("resume", "local") else option)

    try:
        yield
    except UserError as problem:
        problem.message, problem.hint = (OPTION_OR_COMMAND.sub(spell, text) for text in (problem.message, problem.hint))
        problem.args = (problem.message,)
        raise


def _as_path(value: Any, name: str, example: str) -> Path:
    """Return a path that Python code states; raises `UserError` for what is neither text nor a path."""
    if not isinstance(value, str | Path):
        raise UserError(f"{name} is {short_repr(value)}, which is no path", f"Name a path in quotes, as {example!r}.")
    return expand_home(str(value))


@_options_as_arguments()
def search_models(
    config: str | Path,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    budget: str | int = "",
    local: bool = False,
    address: str = "",
    progress: bool = True,
) -> "Board":
    """Search for the best model and return the board of the study: `zoo.search("search.json").best`.

    Args:
        config: The JSON file of the search.
        out: The study's folder, `studies/NAME` where it is None.
        resume: Continue a study that was interrupted.
        budget: Number of trials, as `24` or `"24"`, or the time of the whole search, as `"30m"`; empty for what the
            config states.
        local: One trial after the other in this process, without Ray.
        address: A running Ray cluster: `auto`, `host:port` or `ray://host:10001`; empty for one on this machine.
        progress: In a notebook, show how far the search is: one output, written again in place.

    Raises `UserError` for a config or recordings that cannot be used, and where the folder holds another study.
    """
    from search.config.study import read_search
    from search.report.live_view import LiveView
    from search.report.notebook import NotebookView, notebook_display
    from search.run_options import RunOptions

    file = _as_path(config, "config", "search.json")
    read = read_search(file)
    read = read if budget == "" else read.with_budget(budget)
    study = _as_path(out, "out", "studies/mine") if out else Path("studies") / read.name
    options = RunOptions(resume=resume, local=local, address=address or None, config_file=file)
    display = notebook_display() if progress else None
    shown = NotebookView(LiveView(read, study), display) if display else None
    if shown:
        shown.on_phase("loading libraries")
        options = replace(options, listener=shown.on_record, on_phase=shown.on_phase, on_notice=shown.on_notice)
    from search.launch.launcher import run_search  # brings torch, for seconds

    board = run_search(read, study, options)
    if shown:
        shown.on_phase("done")
    return board
