"""The commands `zoo render` and `zoo export`: play a model, or write it for other players."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.offer import offer_to_pull
from zoo.cli.options import (
    PATH,
    amp_argument,
    bundle,
    complete_knobs,
    knob_option,
    max_peak_option,
    tier_option,
    zoo_option,
)
from zoo.cli.plugins import format_option

if TYPE_CHECKING:
    from models.artifacts.model_config import ModelConfig
    from models.knobs.automation import Automation
    from models.knobs.schema import Setting


RATE_HINT = "Add --resample to have it played at the model's rate and converted back."


@dataclass(frozen=True)
class RenderOptions:
    """The options of `zoo render`."""

    amp: str
    source: Path
    target: Path
    pairs: tuple[str, ...]
    sweeps: tuple[str, ...]
    automate: Path | None
    resample: bool
    where: str | None
    tier: str


@dataclass(frozen=True)
class ExportOptions:
    """The options of `zoo export`."""

    amp: str
    target: Path | None
    live: bool
    parametric: bool
    bake: str | None
    grid: tuple[str, ...]
    plugin: Path | None
    kinds: str
    systems: str
    where: str | None
    tier: str
    max_peak_dbfs: float | None


@click.command(
    short_help="Play an audio file through an amp.",
    epilog="Example: zoo render alice/plexi-59 in.wav out.wav --knob gain=7",
)
@amp_argument
@click.argument("source", metavar="IN.wav", type=PATH)
@click.argument("target", metavar="OUT.wav", type=PATH)
@knob_option("Set a knob; the others stay at their default.")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="NAME=FROM:TO",
    shell_complete=complete_knobs,
    help="Turn a knob evenly over the whole file.",
)
@click.option(
    "--automate", type=PATH, metavar="MOVES.csv", help="Knob moves: a CSV with a header such as seconds,gain."
)
@click.option("--resample", is_flag=True, help="Convert a file of another sample rate to the amp's rate and back.")
@zoo_option
@tier_option
@bundle(RenderOptions)
def render(options: RenderOptions) -> None:
    """Play an audio file through an amp, with fixed or moving knobs.

    AMP may be a study: its best model is played, also while the search runs.
    """
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.cli.study_amp import model_to_play
    from zoo.registry.resolve import resolve_config
    from zoo.studies import named_study

    if options.automate and options.sweeps:
        raise UserError("give either --sweep or --automate", "A CSV can hold the sweep too.")
    offer_to_pull(options.amp, options.where, options.tier)
    if not named_study(options.amp) and (config := resolve_config(options.amp, options.where, options.tier)):
        _read_moves(options, config)  # finds mistakes before anything is fetched or verified
    from models.formats.open_model import open_model
    from models.formats.player.offline import fastest_players
    from models.playback.render import render as play

    with model_to_play(options.amp, options.where, options.tier, for_ears=False) as source:
        model = open_model(source)
    moves, players = _read_moves(options, model[0]), fastest_players(*model)
    with output.progress("playing") as bar:
        done = play(model, options.source, options.target, moves, bar, any_rate=options.resample, create_player=players)
    output.info(f"{done.seconds:.1f} s {_knobs_text(moves, done.setting)}")
    if done.peak > 1:
        output.warn(f"the output clips (peak {done.peak:.2f}); turn the input down")
    output.data(str(done.path))


def _read_moves(options: RenderOptions, config: "ModelConfig") -> "Setting | Automation":
    """Return the setting or the knob moves to play.

    Raises `UserError` for a knob, a sweep or a file that does not fit the model.
    """
    from models.audio.io import check_playable
    from models.knobs.automation import read_automation, sweep
    from models.knobs.text import parse_setting

    setting, rate_hz = parse_setting(options.pairs), config.audio.sample_rate
    frames, file_hz = check_playable(
        options.source, options.target, rate_hz, config.name, any_rate=options.resample, rate_hint=RATE_HINT
    )
    if options.automate:
        return read_automation(options.automate, config.knobs, setting)
    if options.sweeps:
        return sweep(config.knobs, setting, options.sweeps, frames / file_hz)
    return config.knobs.complete(setting, config.name)


def _knobs_text(moves: "Setting | Automation", setting: "Setting | None") -> str:
    """Return `at gain=7 tone=5`, or which knobs moved and where the others were."""
    from models.knobs.automation import Automation
    from models.knobs.text import format_setting

    if not isinstance(moves, Automation):
        return f"at {format_setting(setting)}" if setting else "without knobs"
    rest = {name: value for name, value in moves.first.items() if name not in moves.moving}
    return f"{' and '.join(moves.moving) or 'no knob'} moving, {format_setting(rest) or 'no other'} at rest"


@click.command(
    short_help="Write plugins or Neural Amp Modeler files.",
    epilog="Example: zoo export alice/plexi-59 --plugin plugins",
)
@amp_argument
@click.argument("target", metavar="[OUT.nam]", type=PATH, required=False)
@click.option("--live", is_flag=True, help="Keep the knobs as inputs, for players with multi-input support.")
@click.option(
    "--for-parametric-plugin", "parametric", is_flag=True, help="A file with live knobs for NamParametricPlugin."
)
@click.option(
    "--bake",
    metavar="NAME=VALUE,...",
    shell_complete=complete_knobs,
    help="Fix one setting: a standard file for every player.",
)
@click.option(
    "--bake-grid", "grid", multiple=True, metavar="NAME=VALUE,...", help="A folder of standard files, one per setting."
)
@click.option("--plugin", type=PATH, metavar="DIR", help="Write plugins for a DAW into this folder.")
@format_option
@click.option(
    "--for", "systems", metavar="linux,windows,macos", default="", help="Systems of the plugins. Default: this machine."
)
@zoo_option
@tier_option
@max_peak_option
@bundle(ExportOptions)
def export(options: ExportOptions) -> None:
    """Write plugins for a DAW, or Neural Amp Modeler files with live knobs or with a fixed setting.

    OUT.nam is a file; with --bake-grid it is a folder.
    """
    from models.core.errors import UserError
    from zoo.cli.plugins import export_as_plugin

    written_as = options.live + options.parametric + (options.bake is not None) + bool(options.grid)
    if options.plugin is None:
        if options.kinds or options.systems:
            raise UserError("--format and --for are for plugins", "Add --plugin DIR, or leave them out.")
        _export_nam(options, written_as)
        return
    if options.target or written_as:
        raise UserError("--plugin writes plugins, not .nam files", "Give OUT.nam and its options in a second command.")
    offer_to_pull(options.amp, options.where, options.tier)
    export_as_plugin(
        options.amp,
        options.plugin,
        options.kinds,
        options.systems,
        options.where,
        options.tier,
        options.max_peak_dbfs,
    )


def _export_nam(options: ExportOptions, written_as: int) -> None:
    """Write `.nam` files; `written_as` says how many ways to write them were given."""
    from models.core.errors import UserError
    from models.formats.nam.concat_writer import write_concat
    from models.formats.nam.writer import write_nam
    from models.formats.open_model import open_model
    from models.knobs.text import format_setting, format_value, parse_grid, parse_setting
    from models.network.baking import bake
    from zoo.cli import output
    from zoo.registry.resolve import FetchOptions, resolve_for_ears

    target, fixed, grid = options.target, options.bake, options.grid
    if target is None:
        raise click.UsageError("Missing argument 'OUT.nam' (or --plugin DIR).")
    if written_as != 1:
        raise UserError(
            "give one of --live, --for-parametric-plugin, --bake and --bake-grid", "For example: --bake gain=7,tone=3."
        )
    if not grid and target.suffix != ".nam":
        raise UserError(f"{target} does not end in .nam", f"Name it {target.stem or 'amp'}.nam.")
    one = [] if fixed is None else [parse_setting(fixed.split(",") if fixed else [])]
    settings = parse_grid(grid) if grid else one
    offer_to_pull(options.amp, options.where, options.tier)
    with output.progress("fetching") as bar:
        fetch = FetchOptions(options.where, options.tier, bar, output.warn, options.max_peak_dbfs)
        config, net = open_model(resolve_for_ears(options.amp, fetch))
    if options.live or options.parametric:
        (write_nam if options.live else write_concat)(target, config, net)
        output.data(str(target))
    for full in [config.knobs.complete(setting, config.name) for setting in settings]:
        named = [f"{name}{format_value(full[name])}" for name in settings[0]]
        path = target / f"{'-'.join([config.name, *named])}.nam" if grid else target
        write_nam(path, config, bake(net, config.encode(full)), full)
        output.info(f"baked at {format_setting(full)}")
        output.data(str(path))
