"""The only file that prints: data on stdout, talk on stderr."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

NARROW = 8  # characters that a shortened column keeps

UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)

NARROWEST = 40  # columns that talk is folded to

TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")


class Bar(Protocol):
    """A progress bar."""

    def __call__(self, done: float, total: float, text: str = "") -> None:
        """Move to `done` of `total`."""


def say(text: str = "") -> None:
    """Talk to the person: stderr."""
    sys.stderr.write(_printable(text, sys.stderr) + "\n")
    sys.stderr.flush()


def warn(text: str) -> None:
    """Print a warning on stderr."""
    say(f"warning: {text}")


def tell(text: str) -> None:
    """Talk in sentences: on a terminal they are folded between words, and what is folded stands in from the left."""
    width = shutil.get_terminal_size().columns if sys.stderr and sys.stderr.isatty() else 0
    fold = textwrap.TextWrapper(width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    for line in fold.wrap(text) if width >= NARROWEST else [text]:
        say(line)


def put(text: str) -> None:
    """Give data: stdout. A reader that has seen enough ends the command quietly."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(_printable(text, sys.stdout) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def put_json(document: Any) -> None:
    """Give one JSON document."""
    put(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=True))


def put_table(header: Sequence[str], rows: Sequence[Sequence[str]], keep: int = 2) -> None:
    """Give a table without borders; in a pipe, columns are separated by one tab and nothing is padded.

    On a narrow terminal the last columns are left out rather than folded; the first `keep` always stay, all but the first shortened.
    """
    _table(header, rows, keep, sys.stdout, put)


def say_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same as talk: what a command did on the way to what it gives."""
    _table(header, rows, 2, sys.stderr, say)


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], keep: int, stream: Any, give: Callable[[str], None]
) -> None:
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    if stream is None or not stream.isatty():
        for row in (header, *rows):
            give("\t".join(row))
        return
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    width, shown = shutil.get_terminal_size().columns, len(header)
    while shown > keep and sum(widths[:shown]) + 2 * (shown - 1) > width:
        shown -= 1
    while sum(widths[:shown]) + 2 * (shown - 1) > width and (wide := max(widths[1:shown], default=0)) > NARROW:
        widths[widths.index(wide, 1)] -= 1
    for row in (header, *rows):
        cells = [
            cell if len(cell) <= space else cell[: space - 3] + "..." for cell, space in zip(row, widths, strict=True)
        ]
        give("  ".join(cell.ljust(space) for cell, space in zip(cells[:shown], widths, strict=False)).rstrip())
    if shown < len(header):
        say(f"(narrow terminal: {', '.join(header[shown:])} left out)")


def put_pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Give names and values, one tab between them in a pipe; on a terminal a long value goes on below itself."""
    if sys.stdout is None or not sys.stdout.isatty():
        for key, value in rows:
            put(f"{key}\t{value}")
        return
    space = max(len(key) for key, _ in rows) + 2
    room = max(shutil.get_terminal_size().columns - space, 20)
    for key, value in rows:
        for number, line in enumerate(textwrap.wrap(value, room) or [""]):
            put(f"{'' if number else key:<{space}}{line}")


def put_error(message: str, hint: str, code: int = 1) -> None:
    """One sentence, then what to do; one JSON document where the command gives JSON."""
    message = " ".join(message.split())
    if "--json" in sys.argv[1:]:
        error = {"exit": code, "message": _printable(message, sys.stderr), "hint": hint}
        say(json.dumps({"schema": "zoo.error/1", "error": error}))
        return
    tell(f"error: {message}")
    if hint:
        say()
        tell(f"hint: {hint}")


def close_data() -> None:
    """No more data will come: who reads it in a pipe need not wait for what else the command does."""
    if sys.stdout is not None and not sys.stdout.isatty():
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ask(question: str, otherwise: str) -> None:
    """Ask the person before what cannot be undone; raises `UserError` where nobody can answer, `click.Abort` on no."""
    import click

    from models.core.errors import UserError

    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError(question, otherwise)
    click.confirm(_printable(f"{question}. Go on?", sys.stderr), abort=True, err=True)


@contextmanager
def progress(label: str, unit: str = "") -> Iterator[Bar]:
    """A progress bar on stderr with the time left, and how much is done a second where it counts a `unit`, only on a terminal; silent elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total, text="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn

    class Speed(TextColumn):
        def render(self, task: Task) -> Any:
            return super().render(task) if task.speed else ""

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        *([Speed("{task.speed:.1f} " + unit + "/s")] if unit else []),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None, text="")

        def move(done: float, total: float, text: str = "") -> None:
            bars.update(task, completed=done, total=total, text=_printable(text, sys.stderr))

        yield move


@contextmanager
def live_table() -> Iterator[Callable[[Sequence[str], Sequence[Sequence[str]], Sequence[str]], None]]:
    """Yield `show(header, rows, news)`: on a terminal the table is drawn again in place, elsewhere each line of news is given once."""
    if sys.stdout is None or not sys.stdout.isatty():

        def tell(header: Sequence[str], rows: Sequence[Sequence[str]], news: Sequence[str]) -> None:
            for line in news:
                put(line)

        yield tell
        return
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    with Live(console=Console(), auto_refresh=False, vertical_overflow="ellipsis") as screen:

        def show(header: Sequence[str], rows: Sequence[Sequence[str]], news: Sequence[str]) -> None:
            table = Table(*header, box=None, pad_edge=False, header_style="")
            for row in rows:
                table.add_row(*(_printable(" ".join(cell.split()), sys.stdout) for cell in row))
            screen.update(table, refresh=True)

        yield show


def _printable(text: str, stream: Any) -> str:
    """No escape sequences from files and hubs, no tokens, and nothing the terminal's encoding cannot show."""
    encoding = stream.encoding or "ascii"
    for token in filter(None, _tokens()):
        text = text.replace(token, "hf_***")
    return UNSAFE.sub("?", TOKEN.sub("hf_***", text)).encode(encoding, "replace").decode(encoding)


def _tokens() -> list[str | None]:
    """The person's own: whatever it looks like, no output has it."""
    hub = sys.modules.get("huggingface_hub.utils")
    return [os.environ.get("HF_TOKEN"), hub.get_token() if hub else None]
