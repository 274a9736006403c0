"""The command `zoo`: its subcommands in groups, and the way from an exception to an exit code."""

import io
import os
import sys
import traceback
import warnings
from contextlib import nullcontext
from difflib import get_close_matches
from typing import TextIO

import click

from models.core.errors import Notice, WaitNotice
from models.core.scratch import sweep_scratch
from zoo.cli.bench import bench
from zoo.cli.browse import diff, doctor, knobs, list_amps, show
from zoo.cli.init import init
from zoo.cli.package import package
from zoo.cli.plan import plan
from zoo.cli.play import export, render
from zoo.cli.player_page import play_in_browser, write_page
from zoo.cli.plugins import install, uninstall
from zoo.cli.record import record
from zoo.cli.recordings import align, check, signal
from zoo.cli.score import score
from zoo.cli.search import board, search
from zoo.cli.session import session
from zoo.cli.signing import key, trust
from zoo.cli.train import quickstart, train
from zoo.cli.transfer import pull, push, rm, verify
from zoo.cli.updates import lock, outdated
from zoo.version import __version__

GROUPS = {  # heading -> commands, in the order in which one needs them
    "Start": (quickstart, doctor),
    "Record": (plan, signal, record, session, init, check, align),
    "Make": (train, search, board, score, bench, package),
    "Share": (push, list_amps, show, diff, pull, outdated, lock, verify, rm, key, trust),
    "Play": (knobs, play_in_browser, write_page, render, export, install, uninstall),
}

ELSEWHERE = {  # a command of hf, ollama, uv, npm or optuna -> what does the same here
    "login": "hf auth login logs in to the hub",
    "whoami": "zoo doctor shows your login",
    "info": "zoo show AMP tells all of an amp, zoo pull AMP --dry-run lists its files",
    "ls": "zoo list",
    "find": "zoo list WORD looks for amps",
    "browse": "zoo play AMP opens its page in the browser",
    "open": "zoo play AMP opens its page in the browser",
    "run": "zoo play AMP plays it live, zoo render AMP IN.wav OUT.wav a file",
    "cp": "zoo push FOLDER OWNER/AMP copies to a shelf or hub, zoo pull AMP --to FOLDER from one",
    "upload": "zoo push",
    "publish": "zoo push",
    "download": "zoo pull",
    "add": "zoo pull",
    "remove": "zoo rm",
    "delete": "zoo rm",
    "update": "zoo outdated lists what is newer, zoo pull AMP --zoo hub fetches it",
    "upgrade": "zoo lock --upgrade renews ./zoo.lock; pip or uv upgrade ampzoo itself",
    "sync": "zoo pull --locked fetches what ./zoo.lock lists",
    "du": "zoo doctor shows your shelf and the free space",
    "stop": "Ctrl-C stops a search, and says how it goes on",
    "dashboard": "zoo board STUDY --follow, or optuna-dashboard STUDY/optuna.journal",
}

HELP = """Search, publish and play guitar amp models whose knobs turn live.

From an amp to a model: signal, plan, record, check, train or search, package, push.

From a zoo to a sound: list, pull, play, render or export.
"""

EPILOG = """\b
Examples:
  zoo quickstart
  zoo list --zoo hub --knob gain --sort esr
  zoo pull OWNER/AMP --zoo hub
  zoo render OWNER/AMP in.wav out.wav --knob gain=7

Exit codes: 0 done, 1 error, 2 wrong usage, 3 not found, 4 no access,
5 no network, 6 not trusted, 7 newer or unknown schema, 130 interrupted.

\b
Tab completion
  bash: eval "$(_ZOO_COMPLETE=bash_source zoo)"
  zsh:  eval "$(_ZOO_COMPLETE=zsh_source zoo)"
  fish: _ZOO_COMPLETE=fish_source zoo | source
"""


class GroupedCommands(click.Group):
    """Subcommands under headings, in the order of `GROUPS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section of the help for each group, all aligned alike."""
        width = max(map(len, self.commands))
        room = formatter.width - width - 4
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{c.name:<{width}}", c.get_short_help_str(room)) for c in commands])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; the error for an unknown one names the nearest, or what does the same."""
        near = get_close_matches(args[0], self.commands, 1)
        if known := ELSEWHERE.get(args[0]):
            ctx.fail(f"No such command '{args[0]}'. Here: {known}.")
        if args[0] not in self.commands and near:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)


@click.group(cls=GroupedCommands, help=HELP, epilog=EPILOG)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="zoo")
def cli(debug: bool) -> None:
    """Run the command `zoo`; what killed ones left is removed first."""
    sweep_scratch()


for group in GROUPS.values():
    for command in group:
        cli.add_command(command)


def main() -> None:
    """Run `zoo` and exit; every expected exception becomes a message, a hint and an exit code."""
    from zoo.cli import output
    from zoo.cli.errors import INTERRUPTED

    output.open_closed_streams()
    output.name_stdout()
    warnings.showwarning = _show_warning
    try:
        with output.naming_stdout() if os.environ.get("_ZOO_COMPLETE") else nullcontext():  # click writes bytes then
            sys.exit(cli.main(prog_name="zoo", standalone_mode=False))
    except (click.exceptions.Abort, KeyboardInterrupt) as stopped:
        if isinstance(stopped.__cause__, EOFError):  # click takes every end of a file for a person's
            sys.exit(_show_exception(stopped.__cause__))
        output.info("interrupted")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        output.info(shown.getvalue().rstrip())
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 (the one place where all errors are shown)
        sys.exit(_show_exception(error))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show our own warnings as sentences, all others as Python does, without what the terminal must not get."""
    from zoo.cli import output

    if issubclass(category, WaitNotice):
        output.info(str(message))
    elif issubclass(category, Notice):
        output.warn(str(message))
    else:
        output.info(warnings.formatwarning(message, category, filename, lineno, line).rstrip())


def _show_exception(error: Exception) -> int:
    """Print an exception for the user and return the exit code; a bug and `--debug` also print the traceback."""
    from zoo.cli import output
    from zoo.cli.errors import FAILURE, explain

    explained = explain(error)
    if isinstance(error, OSError) and error.filename == output.STDOUT:
        output.close_data()  # else Python would try it once more as it ends
    if explained is None or "--debug" in sys.argv[1:]:
        output.info(traceback.format_exc().rstrip())
    if explained is None:
        message = f"this is a bug in zoo: {type(error).__name__}: {error}"
        output.show_error(message, "Report it with the lines above and the command you gave.", FAILURE)
        return FAILURE
    output.show_error(explained.message, explained.hint, explained.code)
    return explained.code
