"""Verbs that play a model: through a file, and as files for plugins. Heavy imports wait inside them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import PATH, amp_argument, one_thread, tier_option, zoo_option

if TYPE_CHECKING:
    from models.artifacts.model_config import ModelConfig
    from models.knobs.automation import Automation
    from models.knobs.schema import Setting


RATE_HINT = "Add --resample to have it played at the model's rate and converted back."


@click.command(
    short_help="Play a file through an amp.", epilog="Example: zoo render alice/plexi-59 in.wav out.wav --knob gain=7"
)
@amp_argument
@click.argument("source", metavar="IN.wav", type=PATH)
@click.argument("target", metavar="OUT.wav", type=PATH)
@click.option(
    "-k", "--knob", "pairs", multiple=True, metavar="NAME=VALUE", help="Turn a knob; the others rest at their default."
)
@click.option(
    "--sweep", "sweeps", multiple=True, metavar="NAME=FROM:TO", help="Turn a knob evenly over the whole file."
)
@click.option(
    "--automate", type=PATH, metavar="MOVES.csv", help="Knob moves: a CSV with a header such as seconds,gain."
)
@click.option("--resample", is_flag=True, help="Play a file at another rate than the amp's, and bring it back.")
@zoo_option
@tier_option
def render(
    amp: str,
    source: Path,
    target: Path,
    pairs: tuple[str, ...],
    sweeps: tuple[str, ...],
    automate: Path | None,
    resample: bool,
    where: str | None,
    tier: str,
) -> None:
    """Play a file through an amp at any knob setting, still or moving."""
    from models.audio.io import check_playable
    from models.core.errors import UserError
    from models.knobs.automation import Automation, read_automation, sweep
    from models.knobs.text import format_setting, parse_setting
    from zoo.cli import output
    from zoo.registry.resolve import resolve_config, resolve_model

    setting = parse_setting(pairs)
    if automate and sweeps:
        raise UserError("say either --sweep or --automate", "A CSV can hold the sweep too.")

    def plan(config: "ModelConfig") -> "Setting | Automation":
        frames, rate_hz = check_playable(
            source, target, config.audio.sample_rate, config.name, any_rate=resample, rate_hint=RATE_HINT
        )
        if automate:
            return read_automation(automate, config.knobs, setting)
        if sweeps:
            return sweep(config.knobs, setting, sweeps, frames / rate_hz)
        return config.knobs.complete(setting, config.name)

    if here := resolve_config(amp, where, tier):
        plan(here)  # what is wrong is told before torch is loaded
    from models.artifacts.folder import load_model
    from models.playback.render import render as play

    one_thread()
    with output.progress("fetching") as bar:
        model = load_model(resolve_model(amp, where, tier, bar, output.warn))
    moves = plan(model[0])
    with output.progress("playing") as bar:
        done = play(model, source, target, moves, bar, any_rate=resample)
    said = f"at {format_setting(done.setting or {})}"
    if isinstance(moves, Automation):
        rest = {name: value for name, value in moves.first.items() if name not in moves.moving}
        said = f"{' and '.join(moves.moving) or 'no knob'} moving, {format_setting(rest) or 'no other'} at rest"
    output.info(f"{done.seconds:.1f} s {said}")
    if done.peak > 1:
        output.info(f"warning: the output clips (peak {done.peak:.2f}); turn the input down")
    output.data(str(done.path))


@click.command(
    short_help="Write Neural Amp Modeler files.", epilog="Example: zoo export alice/plexi-59 --bake gain=7 crunch.nam"
)
@amp_argument
@click.argument("target", metavar="OUT.nam", type=PATH)
@click.option("--live", is_flag=True, help="Keep the knobs as inputs (players with multi-input support).")
@click.option("--bake", metavar="NAME=VALUE,...", help="Fix a setting: a stock file for every player.")
@click.option(
    "--bake-grid", "grid", multiple=True, metavar="NAME=VALUE,...", help="A folder of stock files, one per setting."
)
@zoo_option
@tier_option
def export(
    amp: str, target: Path, live: bool, bake: str | None, grid: tuple[str, ...], where: str | None, tier: str
) -> None:
    """Write Neural Amp Modeler files, with live knobs or baked."""
    from models.artifacts.folder import load_model
    from models.core.errors import UserError
    from models.formats.nam.writer import write_nam
    from models.knobs.text import format_setting, format_value, parse_grid, parse_setting
    from models.network.baking import bake as fold
    from zoo.cli import output
    from zoo.registry.resolve import resolve_model

    if live + (bake is not None) + bool(grid) != 1:
        raise UserError("say one of --live, --bake and --bake-grid", "For example: --bake gain=7,tone=3.")
    if not grid and target.suffix != ".nam":
        raise UserError(f"{target} does not end in .nam", f"Name it {target.stem or 'amp'}.nam.")
    one = [] if bake is None else [parse_setting(bake.split(",") if bake else [])]
    settings = parse_grid(grid) if grid else one
    with output.progress("fetching") as bar:
        config, net = load_model(resolve_model(amp, where, tier, bar, output.warn))
    if live:
        write_nam(target, config, net)
        output.data(str(target))
    for full in [config.knobs.complete(setting, config.name) for setting in settings]:
        named = [f"{name}{format_value(full[name])}" for name in settings[0]]
        path = target / f"{'-'.join([config.name, *named])}.nam" if grid else target
        write_nam(path, config, fold(net, config.encode(full)), full)
        output.info(f"baked at {format_setting(full)}")
        output.data(str(path))
