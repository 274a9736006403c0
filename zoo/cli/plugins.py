"""The commands `zoo install` and `zoo uninstall`, and `zoo export --plugin`: amps in a DAW."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.core.user_folders import expand_home
from zoo.cli.options import max_peak_option, zoo_option

if TYPE_CHECKING:
    from zoo.registry.shelf import Shelf

format_option = click.option(
    "--format", "kinds", metavar="vst3,clap,lv2", default="", help="Plugin formats. Default: all of this machine."
)


@click.command(
    short_help="Put the amps of a shelf into your DAW.",
    epilog="Example: zoo install; then pull amps and rescan plugins in the DAW",
)
@format_option
@zoo_option
@max_peak_option
def install(kinds: str, where: str | None, max_peak_dbfs: float | None) -> None:
    """Write one plugin into your plugin folders that plays every amp of a shelf.

    Amps that are pulled later are in it, too, after a rescan in the DAW.
    """
    from zoo.cli import output
    from zoo.cli.views.words import count
    from zoo.plugins.installed import install_plugins

    shelf = _open_shelf(where)
    with output.progress("building") as bar:
        bar(0, 0, "compiled at the first use of a system")
        made = install_plugins(shelf, split_words(kinds), max_peak_dbfs, output.warn)
    output.info(f"{count(shelf.names(), 'amp')} on {shelf.label}; rescan plugins in your DAW")
    for path in made:
        output.data(str(path))


@click.command(short_help="Remove the plugin of `zoo install`.", epilog="Example: zoo uninstall")
@zoo_option
def uninstall(where: str | None) -> None:
    """Remove the plugin that `zoo install` wrote; the amps stay on the shelf."""
    from zoo.cli import output
    from zoo.plugins.installed import uninstall_plugins

    for path in uninstall_plugins(_open_shelf(where)):
        output.data(str(path))


def export_as_plugin(
    amp: str, place: Path, kinds: str, systems: str, where: str | None, tier: str, max_peak_dbfs: float | None
) -> None:
    """Write an amp as plugins and print their paths; options as those of `zoo export`."""
    from zoo.cli import output
    from zoo.names import parse_ref
    from zoo.player_page.documents import model_name
    from zoo.plugins.export import check_formats, export_plugins, plugin_amp, targets_of
    from zoo.registry.resolve import FetchOptions, resolve_for_ears

    words, names, path = split_words(kinds), split_words(systems), expand_home(amp)
    check_formats(words, targets_of(names))  # before anything is fetched
    with output.progress("fetching") as bar:
        model = resolve_for_ears(amp, FetchOptions(where, tier, bar, output.warn, max_peak_dbfs))
    name = model_name(model) if path.exists() else parse_ref(amp).name
    with output.progress("building") as bar:
        bar(0, 0, "compiled at the first use of a system")
        made = export_plugins(plugin_amp(model, name, tier), place, words, names)
    for path in made:
        output.data(str(path))


def refresh_installed(where: str | None = None) -> None:
    """Bring an installed plugin up to date with its shelf, or warn; nothing happens without one, and for hubs."""
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.cli.errors import explain
    from zoo.plugins.installed import refresh_plugins
    from zoo.registry.resolve import address_of

    try:
        if address_of(where) is None and refresh_plugins(_open_shelf(where), output.warn):
            output.info("the plugin in your DAW has changed: rescan plugins there")
    except (UserError, OSError) as problem:  # what was pulled or pushed stays
        explained = explain(problem)
        reason = explained.message if explained else problem
        output.warn(f"the plugin in your DAW is not up to date, write it again with zoo install: {reason}")


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a list with commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _open_shelf(where: str | None) -> "Shelf":
    """Open a shelf. Raises `UserError` for a hub."""
    from models.core.errors import UserError
    from zoo.registry.resolve import resolve_zoo
    from zoo.registry.shelf import Shelf

    shelf = resolve_zoo(where)
    if not isinstance(shelf, Shelf):
        raise UserError(
            f"{shelf.label} is a hub, a plugin plays the amps of a shelf", "Pull them, and leave out --zoo."
        )
    return shelf
