"""What commands share: types and decorators of their options, and the number of threads."""

import functools
import importlib.util
import math
import shlex
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from models.core.user_folders import expand_home


class ExpandedPath(click.Path):
    """A path; `~` is the home folder also where the shell leaves it, as in `--out=~/takes`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path that was written."""
        return super().convert(expand_home(str(value)), param, ctx)


PATH = ExpandedPath(path_type=Path)


class FiniteRange(click.FloatRange):
    """A number in a range; NaN, which is in every range by its comparisons, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number that was written."""
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value} is not a number.", param, ctx)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

tier_option = click.option("--tier", default="", metavar="NAME", help="A smaller or larger model of the same amp.")

max_peak_option = click.option(
    "--max-peak",
    "max_peak_dbfs",
    type=FiniteRange(-120, 200),
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
    """Return the known amps, the folders and the `.nam` files whose names begin with `incomplete`.

    Reads the disk, never the network.
    """
    from zoo.registry.known import known_names
    from zoo.registry.resolve import address_of

    address = address_of(context.params.get("where"))
    names = [name for name in known_names(address.label if address else None) if name.startswith(incomplete)]
    return [*names, *(folder for folder in _folders(incomplete) if folder not in names)]


def _folders(incomplete: str) -> list[str]:
    """Return the folders and `.nam` files whose paths begin with `incomplete`.

    Those with a dot in front are among them only when it is typed.
    """
    parent, _, begin = incomplete.rpartition("/")
    place = Path(f"{parent}/" if incomplete.startswith("/") or parent else ".")
    if not (parent or begin) or not place.is_dir():
        return []
    prefix = f"{parent}/" if "/" in incomplete else ""
    wanted = (path for path in place.iterdir() if path.is_dir() or path.suffix == ".nam")
    names = sorted(path.name for path in wanted if path.name.startswith(begin))
    return [prefix + name for name in names if begin or not name.startswith(".")]


def complete_knobs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return `NAME=` for each knob of the amp that the command names, and `NAME=POSITION` for switches.

    Only an amp on this machine is looked at. After a comma, as in `--bake gain=7,`, the next knob is completed.
    """
    from models.core.errors import UserError
    from models.knobs.schema import Switch
    from zoo.registry.resolve import resolve_config

    amp = context.params.get("amp") or next(iter(context.args), None)  # an option without its value ends the parsing
    try:
        config = resolve_config(amp, context.params.get("where")) if amp else None
    except UserError:
        config = None
    if config is None:
        return []
    before, comma, last = incomplete.rpartition(",")
    words = []
    for knob in config.knobs.knobs:
        words += [f"{knob.name}={p}" for p in knob.positions] if isinstance(knob, Switch) else [f"{knob.name}="]
    return [before + comma + word for word in words if word.startswith(last)]


def complete_knob_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of knobs of the amps that are known without a network."""
    from zoo.registry.known import known_knobs
    from zoo.registry.resolve import address_of

    address = address_of(context.params.get("where"))
    return [name for name in known_knobs(address.label if address else None) if name.startswith(incomplete)]


def amp_argument(command: Callable) -> Callable:
    """Add the argument AMP, which completes to the names of known amps."""
    return click.argument("amp", shell_complete=complete_amps)(command)


def repeat_command(left_out: Collection[str] = (), **changes: Any) -> str:
    """Return the current command as it was given, with `changes`, as a line that a shell reads.

    Options that were not given are not written unless they are changed. `left_out` names parameters to leave out, with
    the options of the groups above always left out.
    """
    context = click.get_current_context()
    words = [*context.command_path.split()[-1:]]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
        if name in left_out or not (given or name in changes):
            continue
        value = changes.get(name, context.params[name])
        values = list(value) if isinstance(value, tuple) else [value]
        flag = max(parameter.opts, key=len) if isinstance(parameter, click.Option) else None
        if flag and isinstance(parameter, click.Option) and parameter.is_flag:
            words += [flag] if value else [*parameter.secondary_opts]
        else:
            words += [word for one in values if one is not None for word in ([flag] if flag else []) + [str(one)]]
    return shlex.join(["zoo", *words])


def require_packages(*packages: str) -> None:
    """Raise `ModuleNotFoundError`, which is explained with the extra to install, for one that is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"{package} is not installed", name=package)


def one_thread() -> None:
    """Let torch use one thread: nets this small are slower on several, and far slower on a busy machine."""
    import torch

    torch.set_num_threads(1)


def knob_option(help_text: str) -> Callable[[Any], Any]:
    """Return the option `-k`, `--knob NAME=VALUE`, given any number of times."""
    return click.option(
        "-k", "--knob", "pairs", multiple=True, metavar="NAME=VALUE", shell_complete=complete_knobs, help=help_text
    )
