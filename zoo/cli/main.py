"""The command `zoo`: its verbs, and what becomes of their exceptions. Each verb parses its words, calls one function and shows the result."""

import sys
import traceback
from difflib import get_close_matches

import click

from zoo.cli import browse as cli_zoo
from zoo.cli import package
from zoo.cli import play as cli_play
from zoo.cli import recordings as cli_recordings
from zoo.cli import search as cli_search
from zoo.cli import signing as cli_trust
from zoo.cli import train as cli_make
from zoo.cli import transfer as cli_move
from zoo.version import __version__

ROAD = "plan -> recordings -> check, align -> train or search -> package -> push -> list -> pull -> render, export"

VERBS = (
    cli_make.quickstart,
    cli_recordings.plan,
    cli_recordings.signal,
    cli_recordings.check,
    cli_recordings.align,
    cli_make.train,
    cli_search.search,
    cli_search.board,
    package.package,
    cli_move.push,
    cli_move.pull,
    cli_zoo.list_amps,
    cli_zoo.show,
    cli_zoo.knobs,
    cli_play.render,
    cli_play.export,
    cli_move.verify,
    cli_trust.key,
    cli_trust.trust,
    cli_zoo.diff,
    cli_move.rm,
    cli_zoo.doctor,
)

EPILOG = """\b
Examples:
  zoo quickstart
  zoo list --zoo hub --knob gain --sort esr
  zoo pull OWNER/AMP --zoo hub
  zoo render OWNER/AMP in.wav out.wav --knob gain=7

Exit codes: 0 done, 1 error, 2 usage, 3 not found, 4 no access, 5 no network,
6 not to be trusted, 7 of a newer or unknown schema, 130 interrupted.

\b
Names complete with: eval "$(_ZOO_COMPLETE=bash_source zoo)"
"""


class Road(click.Group):
    """Commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As listed above."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the verb that was probably meant."""
        near = get_close_matches(args[0], self.commands, 1)
        if args[0] not in self.commands and near:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)


@click.group(
    cls=Road,
    help=f"Search, publish and play guitar amp models whose knobs turn live.\n\nThe road: {ROAD}.",
    epilog=EPILOG,
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="zoo")
def cli(debug: bool) -> None:
    """The command `zoo`."""


for verb in VERBS:
    cli.add_command(verb)


def main() -> None:
    """Run `zoo`, turning every expected exception into a sentence, a hint and an exit code."""
    from zoo.cli import output
    from zoo.cli.errors import FAILED, INTERRUPTED, explain

    try:
        sys.exit(cli.main(prog_name="zoo", standalone_mode=False))
    except (click.exceptions.Abort, KeyboardInterrupt):
        output.say("interrupted")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 (here everything is told)
        explained = explain(error)
        if explained is None or "--debug" in sys.argv[1:]:
            output.say(traceback.format_exc().rstrip())
        if explained is None:
            output.put_error(
                f"this is a fault of zoo itself: {type(error).__name__}: {error}",
                "Report it with the lines above and the command you gave.",
                FAILED,
            )
            sys.exit(FAILED)
        output.put_error(explained.message, explained.hint, explained.code)
        sys.exit(explained.code)
