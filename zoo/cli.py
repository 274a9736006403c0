"""The command `zoo`: its verbs, and what becomes of their exceptions. Each verb parses its words, calls one function and shows the result."""

import sys

import click

from zoo import __version__, cli_make, cli_play, cli_zoo

ROAD = "recordings -> check -> train or search -> package -> push -> list -> pull -> render, export"
VERBS = (
    cli_make.quickstart,
    cli_make.check,
    cli_make.train,
    cli_make.search,
    cli_make.package,
    cli_zoo.push,
    cli_zoo.pull,
    cli_zoo.list_amps,
    cli_zoo.show,
    cli_zoo.knobs,
    cli_play.render,
    cli_play.export,
)


class Road(click.Group):
    """Commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As listed above."""
        return list(self.commands)


@click.group(cls=Road, help=f"Search, publish and play guitar amp models whose knobs turn live.\n\nThe road: {ROAD}.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="zoo")
def cli(debug: bool) -> None:
    """The command `zoo`."""


for verb in VERBS:
    cli.add_command(verb)


def main() -> None:
    """Run `zoo`, turning every expected exception into a sentence, a hint and an exit code."""
    from zoo import output
    from zoo.errors import INTERRUPTED, explain

    try:
        sys.exit(cli.main(standalone_mode=False))
    except (click.exceptions.Abort, KeyboardInterrupt):
        output.say("interrupted")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        explained = explain(error)
        if explained is None or "--debug" in sys.argv[1:]:
            raise
        output.put_error(explained.message, explained.hint)
        sys.exit(explained.code)
