"""The command `zoo`: each verb parses its words, calls one function and shows the result. Heavy imports wait inside the verbs."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from zoo import __version__, cli_search

PATH = click.Path(path_type=Path)
ROAD = "recordings -> check -> train or search -> package -> push -> list -> pull -> render, export"


class Road(click.Group):
    """Commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As written below."""
        return list(self.commands)


@click.group(cls=Road, help=f"Search, publish and play guitar amp models whose knobs turn live.\n\nThe road: {ROAD}.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="zoo")
def cli(debug: bool) -> None:
    """The command `zoo`."""


def zoo_option(command: Callable) -> Callable:
    """The option every verb on a zoo has."""
    text = "A shelf (a folder), 'hub' for the Hugging Face hub, or a hub's URL. Default: your own shelf, $ZOO_HOME or ~/.ampzoo/shelf."
    return click.option("--zoo", "where", metavar="WHERE", help=text)(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Give one JSON document.")


@cli.command()
@click.argument("config", type=PATH, default=Path("configs/quickstart/search.json"))
def quickstart(config: Path) -> None:
    """The whole road on a built-in virtual amp, in a few minutes."""
    from search.study import read_search
    from zoo.quickstart import quickstart as walk

    again = f"zoo quickstart {config}"
    walk(
        read_search(config),
        lambda search, study: cli_search.watch(search, study, again, resume=study.exists()),
    )


@cli.command()
@click.argument("manifest", type=PATH)
@json_option
def check(manifest: Path, as_json: bool) -> None:
    """See what is in a knob dataset and what is wrong with it."""
    from models.check import check as check_manifest
    from zoo import output, views

    report = check_manifest(manifest)
    if as_json:
        output.put_json(report.to_json())
    else:
        views.show_check(report)
    if report.faults:
        sys.exit(1)


@cli.command()
@click.option("--data", type=PATH, required=True, help="D: manifests and split.")
@click.option("--model", type=PATH, required=True, help="M: the WaveNet.")
@click.option("--learning", type=PATH, required=True, help="L: the optimisation.")
@click.option("--out", type=PATH, required=True, help="The run folder; the same command goes on where it stopped.")
def train(data: Path, model: Path, learning: Path, out: Path) -> None:
    """Train one model into a run folder."""
    from models.recipe import read_recipe
    from models.train import Progress, fit
    from zoo import output, views
    from zoo.errors import INTERRUPTED

    _one_thread()
    recipe = read_recipe(data, model, learning)
    with output.progress("training") as bar:

        def show(at: Progress) -> None:
            output.say(f"step {at.step:>6} of {at.steps}  loss {at.loss:.4f}  validation ESR {at.validation_esr:.4f}")
            bar(at.step, at.steps, f"ESR {at.validation_esr:.4f}")

        try:
            evaluation = fit(recipe, out, show)
        except KeyboardInterrupt:
            output.put_error(f"training into {out} was interrupted", "The same command goes on where it stopped.")
            sys.exit(INTERRUPTED)
    output.say(views.held_sentence(evaluation))
    output.put(str(out))


cli.add_command(cli_search.search)
cli.add_command(cli_search.board)


@cli.command()
@click.argument("run", type=PATH)
@click.option(
    "--license",
    "license_id",
    required=True,
    help="Licence of the model, as a hub knows it: cc-by-4.0, mit, cc0-1.0 ...",
)
@click.option(
    "--out", type=PATH, default=Path("packages"), show_default=True, help="Folder that gets one package per amp."
)
def package(run: Path, license_id: str, out: Path) -> None:
    """Package a finished run, or the best trial of a study."""
    from models.documents import CONFIG
    from search.board import best_runs
    from zoo import output
    from zoo.package import package as make

    runs = [run] if (run / CONFIG).exists() or not (run / "study.json").exists() else best_runs(run)
    for folder in runs:
        output.put(str(make(folder, out / folder.resolve().name, license_id)))


@cli.command()
@click.argument("package", type=PATH)
@click.argument("name", metavar="OWNER/AMP")
@zoo_option
@json_option
def push(package: Path, name: str, where: str | None, as_json: bool) -> None:
    """Publish a package to a shelf or a hub."""
    from models.errors import UserError
    from zoo import output
    from zoo.find import find_zoo
    from zoo.names import parse_ref

    ref = parse_ref(name)
    if ref.revision:
        raise UserError(f"'{name}' names a revision; a push makes a new one", f"Write {ref.name}.")
    zoo = find_zoo(where, new=True)
    revision = zoo.push(package, ref.name)
    output.say(f"published on {zoo.label} at revision {revision[:12]}")
    if as_json:
        output.put_json({"schema": "zoo.push/1", "name": ref.name, "revision": revision, "zoo": zoo.label})
    else:
        output.put(ref.name)


@cli.command()
@click.argument("amp", metavar="OWNER/AMP[@REVISION]")
@zoo_option
@click.option("--to", type=PATH, help="Folder for the package. Default: its place on your own shelf.")
@json_option
def pull(amp: str, where: str | None, to: Path | None, as_json: bool) -> None:
    """Fetch an amp, checked byte for byte."""
    from zoo import output
    from zoo.find import find_zoo
    from zoo.names import parse_ref
    from zoo.shelf import home

    ref, zoo = parse_ref(amp), find_zoo(where)
    target = to or home() / ref.name
    revision = zoo.pull(ref, target)
    output.say(f"{ref.name} at revision {revision[:12]} from {zoo.label}")
    if as_json:
        output.put_json({"schema": "zoo.pull/1", "name": ref.name, "revision": revision, "folder": str(target)})
    else:
        output.put(str(target))


@cli.command("list")
@zoo_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Names alone.")
def list_amps(where: str | None, as_json: bool, quiet: bool) -> None:
    """List the amps of a shelf or a hub."""
    from zoo import output, views
    from zoo.find import find_zoo

    zoo = find_zoo(where)
    rows = zoo.list(output.say)
    if as_json:
        amps = [row.model_dump(mode="json", by_alias=True) for row in rows]
        output.put_json({"schema": "zoo.list/1", "zoo": zoo.label, "amps": amps})
    elif quiet:
        for row in rows:
            output.put(row.name)
    elif rows:
        views.show_list(rows)
    else:
        output.say(f"no amps on {zoo.label}; publish one with zoo push PACKAGE OWNER/AMP")


@cli.command()
@click.argument("amp")
@zoo_option
@json_option
def show(amp: str, where: str | None, as_json: bool) -> None:
    """All about one amp."""
    from models.documents import CONFIG, EVAL, Evaluation, ModelConfig
    from zoo import output, views
    from zoo.find import read_of

    config = read_of(amp, where, CONFIG, ModelConfig)
    evaluation = read_of(amp, where, EVAL, Evaluation)
    if as_json:
        documents = {
            "config": config.model_dump(mode="json"),
            "eval": evaluation.model_dump(mode="json", by_alias=True),
        }
        output.put_json({"schema": "zoo.show/1", "name": amp, **documents})
    else:
        views.show_amp(amp, config, evaluation)


@cli.command()
@click.argument("amp")
@zoo_option
@json_option
def knobs(amp: str, where: str | None, as_json: bool) -> None:
    """The knobs of an amp and their ranges."""
    from models.documents import CONFIG, ModelConfig
    from zoo import output, views
    from zoo.find import read_of

    schema = read_of(amp, where, CONFIG, ModelConfig).knobs
    if as_json:
        output.put_json({"schema": "zoo.knobs/1", "name": amp, **schema.model_dump(mode="json")})
    else:
        views.show_knobs(schema)


@cli.command()
@click.argument("amp")
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
@zoo_option
def render(
    amp: str,
    source: Path,
    target: Path,
    pairs: tuple[str, ...],
    sweeps: tuple[str, ...],
    automate: Path | None,
    where: str | None,
) -> None:
    """Play a file through an amp at any knob setting, still or moving."""
    from models.audio import open_audio
    from models.automation import read_automation, sweep
    from models.errors import UserError
    from models.knobs import format_setting, parse_setting
    from models.render import render as play
    from models.run import load_model
    from zoo import output
    from zoo.find import find_model

    _one_thread()
    setting = parse_setting(pairs)
    model = load_model(find_model(amp, where))
    knobs = model[0].knobs
    if automate and sweeps:
        raise UserError("say either --sweep or --automate", "A CSV can hold the sweep too.")
    moves = read_automation(automate, knobs, setting) if automate else None
    if sweeps:
        with open_audio(source) as file:
            moves = sweep(knobs, setting, sweeps, file.frames / file.samplerate)
    with output.progress("playing") as bar:
        done = play(model, source, target, moves or setting, bar)
    output.say(f"{done.seconds:.1f} s {f'at {format_setting(done.setting)}' if done.setting else 'with moving knobs'}")
    if done.peak > 1:
        output.say(f"warning: the output clips (peak {done.peak:.2f}); turn the input down")
    output.put(str(done.path))


@cli.command()
@click.argument("amp")
@click.argument("target", metavar="OUT.nam", type=PATH)
@click.option("--live", is_flag=True, help="Keep the knobs as inputs (players with multi-input support).")
@click.option("--bake", metavar="NAME=VALUE,...", help="Fix a setting: a stock file for every player.")
@click.option(
    "--bake-grid", "grid", multiple=True, metavar="NAME=VALUE,...", help="A folder of stock files, one per setting."
)
@zoo_option
def export(amp: str, target: Path, live: bool, bake: str | None, grid: tuple[str, ...], where: str | None) -> None:
    """Write Neural Amp Modeler files, with live knobs or baked."""
    from models.bake import bake as fold
    from models.errors import UserError
    from models.knobs import format_setting, format_value, parse_grid, parse_setting
    from models.nam import write_nam
    from models.run import load_model
    from zoo import output
    from zoo.find import find_model

    if live + (bake is not None) + bool(grid) != 1:
        raise UserError("say one of --live, --bake and --bake-grid", "For example: --bake gain=7,tone=3.")
    if not grid and target.suffix != ".nam":
        raise UserError(f"{target} does not end in .nam", f"Name it {target.stem or 'amp'}.nam.")
    one = [] if bake is None else [parse_setting(bake.split(",") if bake else [])]
    settings = parse_grid(grid) if grid else one
    config, net = load_model(find_model(amp, where))
    if live:
        write_nam(target, config, net)
        output.put(str(target))
    for full in [config.knobs.complete(setting, config.name) for setting in settings]:
        named = [f"{name}{format_value(full[name])}" for name in settings[0]]
        path = target / f"{'-'.join([config.name, *named])}.nam" if grid else target
        write_nam(path, config, fold(net, config.encode(full)), full)
        output.say(f"baked at {format_setting(full)}")
        output.put(str(path))


def _one_thread() -> None:
    """Nets this small are slower on several threads, and far slower on a busy machine."""
    import torch

    torch.set_num_threads(1)


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
