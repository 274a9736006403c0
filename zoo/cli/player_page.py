"""The commands `zoo play` and `zoo page`: play an amp in a browser or live, or write the page as files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.core.user_folders import expand_home
from zoo.cli.errors import WrongUsage
from zoo.cli.offer import offer_to_pull
from zoo.cli.options import (
    PATH,
    bundle,
    complete_amps,
    knob_option,
    max_peak_option,
    tier_option,
    zoo_option,
)

if TYPE_CHECKING:
    from zoo.player_page.site import Site


@dataclass(frozen=True)
class PlayOptions:
    """The options of `zoo play`."""

    amp: str | None
    port: int
    no_browser: bool
    live: bool
    device: str | None
    input_channel: int
    output_channel: int
    buffer: int
    midi: str | None
    controllers: tuple[str, ...]
    pairs: tuple[str, ...]
    where: str | None
    tier: str
    max_peak_dbfs: float | None


optional_amp = click.argument("amp", required=False, shell_complete=complete_amps)


@click.command(
    "play", short_help="Play an amp in the browser, its knobs alive.", epilog="Example: zoo play alice/plexi-59"
)
@optional_amp
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port of the page; 0: a free one.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option("--live", is_flag=True, help="Play through a sound card from the terminal, without a browser.")
@click.option("--device", metavar="NAME", help="Sound card (--live): a number, a name or a part of it.")
@click.option("--in", "input_channel", type=click.IntRange(1, 1024), default=1, help="Input channel (--live).")
@click.option("--out", "output_channel", type=click.IntRange(1, 1024), default=1, help="Output channel (--live).")
@click.option(
    "--buffer", type=click.IntRange(0, 8192), default=64, help="Samples per block (--live).", show_default=True
)
@click.option(
    "--midi", metavar="PORT", help="Turn knobs by MIDI (--live): a part of the port's name, '' for the first."
)
@click.option(
    "--cc", "controllers", multiple=True, metavar="KNOB=N", help="MIDI controller of a knob. Default: 20, 21, ..."
)
@knob_option("Set a knob (--live).")
@zoo_option
@tier_option
@max_peak_option
@bundle(PlayOptions)
def play_in_browser(options: PlayOptions) -> None:
    """Play an amp in the browser, with live knobs; without AMP choose one from the zoo.

    The page is on this machine alone. It plays the amp's dry clip, a file of yours or your guitar. With --live the amp
    plays what comes into a sound card; keys and MIDI controllers turn its knobs. AMP may be a study: its best model is
    played, also while the search runs.
    """
    import webbrowser

    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.player_page.server import PageServer

    amp, where, tier, port, no_browser = options.amp, options.where, options.tier, options.port, options.no_browser
    if not options.live:
        _refuse_live_options(options)
    if amp:
        offer_to_pull(amp, where, tier)
    if options.live:
        from zoo.cli.live import LiveOptions, play_live

        if amp is None:
            raise UserError("--live needs an amp", "zoo list shows those of your shelf.")
        channels = options.input_channel, options.output_channel
        live = LiveOptions(options.device, channels, options.buffer, options.midi, options.controllers, options.pairs)
        play_live(amp, where, tier, live, options.max_peak_dbfs)
        return
    with _site(amp, where, tier, options.max_peak_dbfs) as site, PageServer(site, port) as server:
        with output.progress("preparing") as bar:
            bar(0, 0, "the engine is compiled at the first use")
            for name in ("engine.wasm", *([] if amp is None else [f"amps/{site.document.amps[0].name}/amp.bin"])):
                site.read(name)  # what is missing, or cannot be played, is said here
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
@max_peak_option
def write_page(amp: str | None, out: Path, where: str | None, tier: str, max_peak_dbfs: float | None) -> None:
    """Write the page of an amp as static files for any web server; without AMP that of a whole shelf."""
    from zoo.cli import output
    from zoo.player_page.site import write_site

    if amp:
        offer_to_pull(amp, where, tier)
    with _site(amp, where, tier, max_peak_dbfs) as site, output.progress("writing") as bar:
        bar(0, 0, "the engine is compiled at the first use")
        size = write_site(site, out)
    output.info(f"{size / 1e6:.1f} MB; a web server must give these files (a browser plays none from a disk)")
    output.data(str(out))


def _refuse_live_options(options: PlayOptions) -> None:
    """Raise `WrongUsage` for options that the page does not have."""
    stated = {
        "--device": options.device is not None,
        "--midi": options.midi is not None,
        "--cc": bool(options.controllers),
        "--knob": bool(options.pairs),
    }
    if given := [name for name, is_given in stated.items() if is_given]:
        raise WrongUsage(
            f"{' and '.join(given)}: only for --live", "Add --live; on the page, knobs are set in its address: #gain=3."
        )


@contextmanager
def _site(amp: str | None, where: str | None, tier: str, max_peak_dbfs: float | None = None) -> Iterator["Site"]:
    """Yield the page of an amp, or of all amps of a zoo."""
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.cli.study_amp import model_to_play
    from zoo.player_page.documents import model_name, shelf_row
    from zoo.player_page.site import many_amps, one_amp
    from zoo.registry.resolve import FetchOptions, resolve_for_ears, resolve_zoo
    from zoo.registry.shelf import Shelf
    from zoo.studies import named_study

    if amp:
        with model_to_play(amp, where, tier, max_peak_dbfs=max_peak_dbfs) as model:
            is_here = expand_home(amp).exists() or named_study(amp)
            yield one_amp(model_name(model) if is_here else amp.partition("@")[0], model)
        return
    if tier:
        raise UserError("--tier needs an amp", "Name the amp, or leave out --tier.")
    zoo = resolve_zoo(where)
    rows = [shelf_row(summary) for summary in zoo.list(output.info)]
    if not rows:
        raise UserError(f"there is no amp on {zoo.label}", "Get one: zoo pull OWNER/AMP --zoo hub.")
    options = FetchOptions(where, max_peak_dbfs=max_peak_dbfs)
    label = zoo.folder.name if isinstance(zoo, Shelf) else zoo.label  # a page may be public: no path of this machine
    yield many_amps(label, rows, lambda name: resolve_for_ears(name, options))
