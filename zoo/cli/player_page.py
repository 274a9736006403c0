"""The commands `zoo play` and `zoo page`: play an amp in a browser, or write the page as files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.core.user_folders import expand_home
from zoo.cli.options import PATH, complete_amps, tier_option, zoo_option

if TYPE_CHECKING:
    from zoo.player_page.site import Site

optional_amp = click.argument("amp", required=False, shell_complete=complete_amps)


@click.command(
    "play", short_help="Play an amp in the browser, its knobs alive.", epilog="Example: zoo play alice/plexi-59"
)
@optional_amp
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port of the page; 0: a free one.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@zoo_option
@tier_option
def play_in_browser(amp: str | None, port: int, no_browser: bool, where: str | None, tier: str) -> None:
    """Play an amp in the browser, with live knobs; without AMP choose one from the zoo.

    The page is on this machine alone. It plays the amp's dry clip, a file of yours or your guitar.
    """
    import webbrowser

    from zoo.cli import output
    from zoo.player_page.server import PageServer

    site = _site(amp, where, tier)
    site.read("engine.wasm")  # compiled at the first use; what is missing is said here
    with PageServer(site, port) as server:
        output.data(server.url)
        output.info("Press Ctrl-C to stop.")
        if not no_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            output.info()


@click.command(
    "page", short_help="Write the page as static files.", epilog="Example: zoo page alice/plexi-59 --out site"
)
@optional_amp
@click.option("--out", type=PATH, required=True, metavar="DIR", help="Folder to write; an earlier page is replaced.")
@zoo_option
@tier_option
def write_page(amp: str | None, out: Path, where: str | None, tier: str) -> None:
    """Write the page of an amp as static files for any web server; without AMP that of a whole shelf."""
    from zoo.cli import output
    from zoo.player_page.site import write_site

    size = write_site(_site(amp, where, tier), out)
    output.info(f"{size / 1e6:.1f} MB; a web server must give these files (a browser plays none from a disk)")
    output.data(str(out))


def _site(amp: str | None, where: str | None, tier: str) -> "Site":
    """Return the page of an amp, or of all amps of a zoo."""
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.player_page.documents import model_name, shelf_row
    from zoo.player_page.site import many_amps, one_amp
    from zoo.registry.resolve import resolve_model, resolve_zoo

    if amp:
        with output.progress("fetching") as bar:
            folder = resolve_model(amp, where, tier, bar, output.warn)
        return one_amp(model_name(folder) if expand_home(amp).is_dir() else amp.partition("@")[0], folder)
    if tier:
        raise UserError("--tier needs an amp", "Name the amp, or leave out --tier.")
    zoo = resolve_zoo(where)
    rows = [shelf_row(summary) for summary in zoo.list(output.info)]
    if not rows:
        raise UserError(f"there is no amp on {zoo.label}", "Get one: zoo pull OWNER/AMP --zoo hub.")
    return many_amps(zoo.label, rows, lambda name: resolve_model(name, where))
