"""What verbs share: the types and options of their words, and how many threads they take."""

from collections.abc import Callable
from pathlib import Path

import click

PATH = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Give one JSON document.")


def zoo_option(command: Callable) -> Callable:
    """The option every verb on a zoo has."""
    text = "A shelf (a folder), 'hub' for the Hugging Face hub, or a hub's URL. Default: your own shelf, $ZOO_HOME or ~/.ampzoo/shelf."
    return click.option("--zoo", "where", metavar="WHERE", help=text)(command)


def one_thread() -> None:
    """Nets this small are slower on several threads, and far slower on a busy machine."""
    import torch

    torch.set_num_threads(1)
