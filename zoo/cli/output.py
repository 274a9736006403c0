"""The only module that prints: data on stdout, messages on stderr."""

import io
import json
import math
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from models.core.plain_text import plain_text
from models.core.userinfo import without_userinfo
from models.reporting.text_plots import ASCII
from models.reporting.text_tables import fit_table

if TYPE_CHECKING:
    from rich.live import Live

LOG_SECONDS = 10.0  # least time between two lines about one phase

NARROWEST = 40  # messages are not wrapped on terminals narrower than this

MAX_MESSAGE = 4000  # characters of an error or its hint

REFRESH_HZ = 2.0  # of what is drawn in place

PLAIN_TERMINALS = ("dumb", "unknown")  # values of TERM

STDOUT = "the standard output"

TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")

# A command to copy, as it stands in a sentence: to the end of the sentence or of its part, quoted words whole.
COMMAND_WORD = r"""(?:'[^']*'|"[^"]*"|[.?!;,](?=\S)|[^\s'".?!;,()])"""

COMMAND_TO_COPY = re.compile(rf"\b(?:zoo|pip|hf)(?= )(?: *{COMMAND_WORD})+[.?!;,]?")

HELD_SPACE = "\0"  # stands for a space at which no line may be broken; no message holds one


Cells = Sequence[str]

ShowTable = Callable[[Cells, Sequence[Cells], int, Sequence[str]], None]


class Bar(Protocol):
    """A progress bar that can be moved."""

    def __call__(self, done: float, total: float | None, text: str = "") -> None:
        """Move to `done` of `total` (None: unknown), in any unit, and show `text` beside the bar."""


def open_closed_streams() -> None:
    """Give a process that was started without stdin, stdout or stderr one that is empty.

    Else the next file that is opened would take its number, and what a library prints would go into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (open until the end of the process)


class _NamedStdout(io.TextIOWrapper):
    """Stdout whose errors name it, whoever writes there: also click its help, or a library."""

    def write(self, text: str) -> int:
        """Write a text."""
        with naming_stdout():
            return super().write(text)

    def flush(self) -> None:
        """Write what is held."""
        with naming_stdout():
            super().flush()


@contextmanager
def naming_stdout() -> Iterator[None]:
    """Let errors of what only writes to stdout name it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, STDOUT) from None


def name_stdout() -> None:
    """Let errors of stdout name it; the system's own say nothing of where the disk is full."""
    plain = sys.stdout
    if type(plain) is io.TextIOWrapper and plain is sys.__stdout__:  # which keeps what both write to open
        how = {"line_buffering": plain.line_buffering, "write_through": plain.write_through}
        sys.stdout = _NamedStdout(plain.buffer, plain.encoding, plain.errors, **how)


def info(text: str = "") -> None:
    """Print a message on stderr, without passwords in URIs; on a terminal a long line is wrapped between words.

    The rest is indented. A command to copy is never broken, nor is a line that begins with a space.
    """
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else 0
    if width < NARROWEST or len(text) <= width or "\n" in text or text.startswith(" "):
        _write_message(text)
        return
    for line in _wrap(text, width, indent="  "):
        _write_message(line)


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Return the lines of a text, wrapped between words; a command to copy stays whole, on a longer line if need be."""
    held = COMMAND_TO_COPY.sub(lambda found: found[0].replace(" ", HELD_SPACE), text)
    fold = textwrap.TextWrapper(width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
    return [line.replace(HELD_SPACE, " ") for line in fold.wrap(held)]


def _write_message(text: str) -> None:
    """Write a line; where nobody can read it the work goes on."""
    try:
        sys.stderr.write(_printable(without_userinfo(text), sys.stderr) + "\n")
        sys.stderr.flush()
    except OSError:  # a pipe whose reader is gone, a full disk
        _discard(sys.stderr)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    info(f"warning: {text}")


def data(text: str) -> None:
    """Print data on stdout. When the reader of a pipe has closed it, the command ends without an error."""
    try:
        sys.stdout.write(_printable(text, sys.stdout) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
        raise SystemExit(0) from None


def _discard(stream: Any) -> None:
    """Send what a stream still holds, and all that follows, nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def data_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    data(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=True))


def data_table(header: Sequence[str], rows: Sequence[Sequence[str]], min_columns: int = 2) -> None:
    """Print a table on stdout, without borders; in a pipe, cells are separated by one tab and not padded.

    On a narrow terminal the last columns are left out. The first `min_columns` always stay; all but the first of them
    are shortened as needed.
    """
    _write_table(header, rows, min_columns, sys.stdout, data)


def info_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Like `data_table`, but on stderr."""
    _write_table(header, rows, 2, sys.stderr, _write_message)


def _write_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    min_columns: int,
    stream: Any,
    write_line: Callable[[str], None],
) -> None:
    if not stream.isatty():
        for row in (header, *rows):
            write_line("\t".join(" ".join(cell.split()) for cell in row))
        return
    lines, left_out = fit_table(header, rows, min_columns, shutil.get_terminal_size().columns)
    for line in lines:
        write_line(line)
    if left_out:
        info(left_out)


def data_pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values on stdout, separated by one tab in a pipe; on a terminal a long value is wrapped."""
    rows = [(key, " ".join(value.split())) for key, value in rows]  # what is in a value never begins a line
    if not sys.stdout.isatty():
        for key, value in rows:
            data(f"{key}\t{value}")
        return
    space = max(len(key) for key, _ in rows) + 2
    room = max(shutil.get_terminal_size().columns - space, 20)
    for key, value in rows:
        for number, line in enumerate(textwrap.wrap(value, room) or [""]):
            data(f"{'' if number else key:<{space}}{line}")


def show_error(message: str, hint: str, code: int = 1) -> None:
    """Print an error and a hint on stderr; as one JSON document when the command was given `--json`."""
    message, hint = (plain_text(" ".join(text.split()), max_length=MAX_MESSAGE) for text in (message, hint))
    if "--json" in sys.argv[1:]:
        error = {"exit": code, "message": _printable(message, sys.stderr), "hint": _printable(hint, sys.stderr)}
        info(json.dumps({"schema": "zoo.error/1", "error": error}))
        return
    info(f"error: {message}")
    if hint:
        info()
        info(f"hint: {hint}")


def show_stop(message: str, hint: str, code: int) -> None:
    """Print on stderr that a person stopped the command, and how it continues; with `--json` as `show_error` does."""
    if "--json" in sys.argv[1:]:
        show_error(message, hint, code)
        return
    info(message)
    info(hint)


def close_data() -> None:
    """Close stdout when it is a pipe: its reader need not wait for the end of the command."""
    if not sys.stdout.isatty():
        _discard(sys.stdout)


def confirm(question: str, alternative: str) -> None:
    """Ask before what cannot be undone.

    Raises `UserError` with `alternative` as its hint where nobody can answer, and `click.Abort` when the answer is no.
    """
    import click

    from models.core.errors import UserError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError(f"{question}; this needs your confirmation", alternative)
    click.confirm(_printable(f"{question}. Continue?", sys.stderr), abort=True, err=True)


@contextmanager
def progress(label: str, unit: str = "") -> Iterator[Bar]:
    """Show a progress bar with the time left, and the speed in `unit`, on stderr; nothing where that is no terminal."""
    if not has_live_screen():
        yield lambda done, total, text="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn

    class Speed(TextColumn):
        def render(self, task: Task) -> Any:
            return super().render(task) if task.speed else ""

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        *([Speed("{task.speed:.1f} " + unit + "/s")] if unit else []),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(_printable(label, sys.stderr), total=None, text="")

        def move(done: float, total: float | None, text: str = "") -> None:
            bars.update(task, completed=done, total=total, text=_printable(text, sys.stderr))

        yield move


class PhaseLines:
    """Shows the phases of long work: beside a bar on a terminal, as lines elsewhere.

    A line is printed when a phase begins and, while it goes on, at most every `LOG_SECONDS`. Lines begin with `work`,
    if it is stated.
    """

    def __init__(self, bar: Bar, work: str = "") -> None:
        self._bar, self._work = bar, work
        self._phase, self._shown_s = "", -math.inf

    def __call__(self, phase: str, done: float = 0, total: float = 0) -> None:
        """Show a phase, and how much of it is done."""
        text = f"{phase} {done:g} of {total:g}" if done and total else phase
        if has_live_screen():
            self._bar(done, total or None, text)
            return
        now_s = time.monotonic()
        if phase != self._phase or now_s - self._shown_s >= LOG_SECONDS:
            self._phase, self._shown_s = phase, now_s
            info(f"{self._work}: {text}" if self._work else text)

    def stage(self, done: float, total: float, text: str) -> None:
        """Show a stage of work that has `total` of them."""
        if has_live_screen():
            self._bar(done, total, text)
        else:
            self(text)


def has_live_screen() -> bool:
    """Return whether stderr is a terminal on which lines can be drawn again in place."""
    return bool(sys.stderr and sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in PLAIN_TERMINALS)


@contextmanager
def live_lines(lines: Callable[[int, int], Sequence[str]]) -> Iterator["Live"]:
    """Draw `lines(width, height)` in place on a terminal (stderr), `REFRESH_HZ` times a second, until the end.

    Messages that are printed meanwhile stand above. At the end nothing is left of the lines. Of what it yields,
    `refresh` draws at once, and `stop` ends it at once, for a process that ends itself.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, stream = Console(stderr=True), sys.stderr
    shows_all = "utf" in (stream.encoding or "").lower()

    def draw() -> Text:
        width, height = console.size
        text = "\n".join(lines(width, height - 1))
        return Text(_printable(text if shows_all else text.translate(ASCII), stream), no_wrap=True)

    live = Live(
        get_renderable=draw,
        console=console,
        refresh_per_second=REFRESH_HZ,
        transient=True,
        redirect_stdout=bool(sys.stdout and sys.stdout.isatty()),
        vertical_overflow="crop",
    )
    with live:
        yield live


@contextmanager
def live_table() -> Iterator[ShowTable]:
    """Yield `show(header, rows, min_columns, news)`; the first three are those of `data_table`.

    On a terminal it redraws the table in place; elsewhere it prints each line of `news`.
    """
    if not sys.stdout.isatty():

        def show_news(header: Cells, rows: Sequence[Cells], min_columns: int, news: Sequence[str]) -> None:
            for line in news:
                data(line)

        yield show_news
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False, vertical_overflow="ellipsis") as screen:

        def show(header: Cells, rows: Sequence[Cells], min_columns: int, news: Sequence[str]) -> None:
            lines, left_out = fit_table(header, rows, min_columns, shutil.get_terminal_size().columns)
            text = "\n".join(_printable(line, sys.stdout) for line in (*lines, left_out))
            screen.update(Text(text, no_wrap=True), refresh=True)

        yield show


def _printable(text: str, stream: Any) -> str:
    """Replace escape sequences, access tokens and what the encoding of the stream cannot show."""
    encoding = stream.encoding or "ascii"
    for token in filter(None, _tokens()):
        text = text.replace(token, "hf_***")
    plain = plain_text(TOKEN.sub("hf_***", text), keep="\n\t")
    return plain.encode(encoding, "replace").decode(encoding)


def _tokens() -> list[str | None]:
    """Return the user's own access tokens, whatever they look like."""
    hub = sys.modules.get("huggingface_hub.utils")
    return [os.environ.get("HF_TOKEN"), hub.get_token() if hub else None]
