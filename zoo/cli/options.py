"""What verbs share: the types and options of their words, and how many threads they take."""

from collections.abc import Callable
from pathlib import Path

import click

PATH = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Give one JSON document.")

tier_option = click.option("--tier", default="", metavar="NAME", help="A smaller or larger model of the same amp.")


def zoo_option(command: Callable) -> Callable:
    """The option every verb on a zoo has."""
    text = "A shelf (a folder), 'hub', hub:OWNER, hub:OWNER/COLLECTION, or a URL. Default: your shelf, $ZOO_HOME or ~/.ampzoo/shelf."
    return click.option("--zoo", "where", metavar="WHERE", help=text)(command)


def complete_amps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The amps whose names begin so, from what is on disk; no network."""
    from zoo.registry.index import known_names
    from zoo.registry.resolve import address_of

    address = address_of(context.params.get("where"))
    return [name for name in known_names(address.label if address else None) if name.startswith(incomplete)]


def amp_argument(command: Callable) -> Callable:
    """The amp a verb is about."""
    return click.argument("amp", shell_complete=complete_amps)(command)


def one_thread() -> None:
    """Nets this small are slower on several threads, and far slower on a busy machine."""
    import torch

    torch.set_num_threads(1)
