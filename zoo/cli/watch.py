"""A search with what a person sees of it: one live table on a terminal, lines in a log."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli.options import one_thread

if TYPE_CHECKING:
    from models.core.errors import UserError
    from models.core.progress import PhaseListener
    from search.config.study import SearchConfig
    from search.run_options import RunOptions
    from search.study.board import Board
    from search.study.lines import TrialRecord


@dataclass(frozen=True)
class Watcher:
    """What is told of a search: its records and phases. `close` ends what it draws, from any thread."""

    on_record: "Callable[[TrialRecord], None]"
    on_phase: "PhaseListener"
    close: Callable[[], None] = lambda: None


def watch(config: "SearchConfig", study: Path, again: str, options: "RunOptions") -> "Board":
    """Run a search, shown as a live table or in a log as lines, and return its board.

    `again` is the command that resumes it. Ctrl-C exits with `INTERRUPTED`.
    """
    from search.run_options import Interrupted
    from zoo.cli import output
    from zoo.cli.errors import INTERRUPTED

    one_thread()
    shows = _live_watcher if output.has_live_screen() else _log_watcher
    try:
        with _ended_with_ray(again), shows(config, study) as watcher:
            watcher.on_phase("loading libraries")
            from search.launch.launcher import run_search  # brings torch, for seconds

            def end(problem: "UserError") -> None:
                watcher.close()
                _end_process(problem, again)

            shown = replace(options, listener=watcher.on_record, on_phase=watcher.on_phase, on_ray_ended=end)
            return run_search(config, study, replace(shown, on_notice=output.info))
    except Interrupted as stop:
        output.show_stop(str(stop), f"The finished trials are saved. Go on with: {again}", INTERRUPTED)
        sys.exit(INTERRUPTED)


@contextmanager
def _log_watcher(config: "SearchConfig", study: Path) -> Iterator[Watcher]:
    """Show a search as lines: one for each phase, one for each ended trial."""
    from zoo.cli import output
    from zoo.cli.views import board as board_view

    begun = list[bool]()

    def on_record(record: "TrialRecord") -> None:
        if not begun:
            output.info(board_view.search_sentence(config))
            begun.append(True)
        if record.has_ended:
            output.info(board_view.trial_sentence(record))

    yield Watcher(on_record, output.PhaseLines(lambda done, total, text="": None))


@contextmanager
def _live_watcher(config: "SearchConfig", study: Path) -> Iterator[Watcher]:
    """Show a search as a live table; what failed stands above it as a line."""
    from search.report.live_view import LiveView
    from search.study.lines import DIVERGED, FAILED
    from zoo.cli import output
    from zoo.cli.views import board as board_view
    from zoo.cli.views import words

    several = f"/{config.datasets[0].name}" if len(config.datasets) > 1 else ""
    listen = shlex.join(["zoo", "play", words.relative(study) + several])
    view, begun = LiveView(config, study, listen), list[bool]()

    def on_record(record: "TrialRecord") -> None:
        if not begun:
            output.info(board_view.search_sentence(config))
            begun.append(True)
        view.on_record(record)
        if record.state in (FAILED, DIVERGED):
            output.info(board_view.trial_sentence(record))

    with output.live_lines(view.lines) as screen:

        def on_phase(phase: str, done: float = 0, total: float = 0) -> None:
            view.on_phase(phase, done, total)
            if not done:
                screen.refresh()

        yield Watcher(on_record, on_phase, screen.stop)


@contextmanager
def _ended_with_ray(again: str) -> Iterator[None]:
    """Tell that a part of Ray has died and end this process at once: Ray would end it later, with pages of logs."""
    from search.backends.environment import RayEnded

    try:
        yield
    except RayEnded as problem:
        _end_process(problem, again)


def _end_process(problem: "UserError", again: str) -> None:
    """Tell why the search ended and end this process at once."""
    from zoo.cli import output
    from zoo.cli.errors import FAILURE

    output.show_error(problem.message, f"The finished trials are saved. Resume with: {again}", FAILURE)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(FAILURE)
