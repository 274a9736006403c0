"""A running search in a notebook: lines of text in one output of the cell, which is written again in place."""

import sys
import time
from collections.abc import Callable
from html import escape
from typing import Any

from models.core.plain_text import plain_text
from search.report.live_view import LiveView
from search.study.lines import REPORT, TrialRecord

OUTPUT_WIDTH, OUTPUT_HEIGHT = 100, 34

EVERY_S = 0.5  # least time between two drawings


def notebook_display() -> Callable[..., Any] | None:
    """Return IPython's `display` where this code runs in a notebook, else None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display  # pyrefly: ignore[missing-import]  # there, where a notebook is

    return display


class NotebookView:
    """Draws a `LiveView` as the search goes on.

    Args:
        view: what to draw.
        display: IPython's `display`.
        clock: seconds since any moment.
    """

    def __init__(
        self, view: LiveView, display: Callable[..., Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._view, self._clock = view, clock
        self._notices: list[str] = []
        self._drawn_s = clock()
        self._handle = display(self._bundle(), raw=True, display_id=True)

    def on_phase(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Show a phase of the search."""
        self._view.on_phase(phase, done, total)
        self.draw(now=not done)

    def on_record(self, record: TrialRecord) -> None:
        """Show the record of a trial after its latest line; starts and ends are drawn at once."""
        self._view.on_record(record)
        self.draw(now=record.state != REPORT)

    def on_notice(self, sentence: str) -> None:
        """Show a sentence that a person should read, above all else."""
        self._notices.append(sentence)
        self.draw(now=True)

    def draw(self, *, now: bool = False) -> None:
        """Draw, unless that was done less than `EVERY_S` ago; `now` draws in any case."""
        if now or self._clock() - self._drawn_s >= EVERY_S:
            self._drawn_s = self._clock()
            self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        """Return what is shown as plain text and as HTML."""
        text = plain_text("\n".join([*self._notices, *self._view.lines(OUTPUT_WIDTH, OUTPUT_HEIGHT)]), keep="\n")
        style = "line-height: 1.2; white-space: pre; overflow-x: auto"
        return {"text/plain": text, "text/html": f'<pre style="{style}">{escape(text)}</pre>'}
