"""What commands share: types and decorators of their options, and the number of threads."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from models.core.user_folders import expand_home


class ExpandedPath(click.Path):
    """A path; `~` is the home folder also where the shell leaves it, as in `--out=~/takes`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path that was written."""
        return super().convert(expand_home(str(value)), param, ctx)


PATH = ExpandedPath(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

tier_option = click.option("--tier", default="", metavar="NAME", help="A smaller or larger model of the same amp.")

max_peak_option = click.option(
    "--max-peak",
    "max_peak_dbfs",
    type=click.FloatRange(-120, 200),
    metavar="DBFS",
    help="Refuse an amp that peaks higher. Default: 12 dB above what it claims, at most 24 dBFS.",
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def zoo_option(command: Callable) -> Callable:
    """Add `--zoo`, which every command on a zoo has."""
    text = (
        "A shelf (a folder), 'hub', hub:OWNER, hub:OWNER/COLLECTION, or a URL. "
        "Default: your shelf, $ZOO_HOME or ~/.ampzoo/shelf."
    )
    return click.option("--zoo", "where", metavar="WHERE", help=text)(command)


def bundle(kind: type) -> Callable[[Callable], Callable]:
    """Return a decorator that passes all options and arguments of a command as one object.

    `kind` is a frozen dataclass with a field for each of them.
    """

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def run(**options: Any) -> Any:
            return command(kind(**options))

        return run

    return decorate


def complete_amps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the known amps whose names begin with `incomplete`; reads the disk, never the network."""
    from zoo.registry.index import known_names
    from zoo.registry.resolve import address_of

    address = address_of(context.params.get("where"))
    return [name for name in known_names(address.label if address else None) if name.startswith(incomplete)]


def amp_argument(command: Callable) -> Callable:
    """Add the argument AMP, which completes to the names of known amps."""
    return click.argument("amp", shell_complete=complete_amps)(command)


def one_thread() -> None:
    """Let torch use one thread: nets this small are slower on several, and far slower on a busy machine."""
    import torch

    torch.set_num_threads(1)
