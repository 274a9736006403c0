"""Verbs that make a model: recordings -> run folder, study, package. Heavy imports wait inside them."""

import sys
from pathlib import Path
from typing import Any

import click

from zoo.cli_search import watch
from zoo.options import PATH, one_thread

KINDS = ["amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio"]
TONES = ["clean", "overdrive", "crunch", "hi_gain", "fuzz"]


@click.command(short_help="The whole road on a virtual amp.", epilog="Example: zoo quickstart")
@click.argument("config", type=PATH, default=Path("configs/quickstart/search.json"))
def quickstart(config: Path) -> None:
    """The whole road on a built-in virtual amp, in a few minutes."""
    from search.study import read_search
    from zoo.quickstart import quickstart as walk

    again = f"zoo quickstart {config}"
    walk(read_search(config), lambda search, study: watch(search, study, again, resume=study.exists()))


@click.command(epilog="Example: zoo train --data D.json --model M.json --learning L.json --out runs/one")
@click.option("--data", type=PATH, required=True, help="D: manifests and split.")
@click.option("--model", type=PATH, required=True, help="M: the WaveNet.")
@click.option("--learning", type=PATH, required=True, help="L: the optimisation.")
@click.option("--out", type=PATH, required=True, help="The run folder; the same command goes on where it stopped.")
def train(data: Path, model: Path, learning: Path, out: Path) -> None:
    """Train one model into a run folder."""
    from models.recipe import read_recipe
    from models.train import Progress, fit
    from search.recordings import load_amp
    from zoo import output, views
    from zoo.errors import INTERRUPTED

    one_thread()
    recipe = read_recipe(data, model, learning)
    with output.progress("training", "steps") as bar:
        found = ""

        def show(at: Progress) -> None:
            nonlocal found
            output.say(f"step {at.step:>6} of {at.steps}  loss {at.loss:.4f}  validation ESR {at.validation_esr:.4f}")
            found = f"ESR {at.validation_esr:.4f}"

        try:
            evaluation = fit(recipe, out, show, lambda step: bar(step, recipe.learning.steps, found), load_amp)
        except KeyboardInterrupt:
            output.put_error(f"training into {out} was interrupted", "The same command goes on where it stopped.")
            sys.exit(INTERRUPTED)
    output.say(views.held_sentence(evaluation))
    output.put(str(out))


@click.command(
    short_help="Package a run, or a study's best.",
    epilog="Example: zoo package studies/mine --license cc-by-4.0 --kind amp --tone crunch",
)
@click.argument("run", type=PATH)
@click.option(
    "--license",
    "license_id",
    required=True,
    help="Licence of the model, as a hub knows it: cc-by-4.0, mit, cc0-1.0 ...",
)
@click.option("--license-name", default="", help="The name of a licence that is 'other'.")
@click.option("--license-link", default="", help="Where a licence that is 'other' can be read.")
@click.option("--kind", type=click.Choice(KINDS), default="amp", show_default=True, help="What sort of device it is.")
@click.option("--tone", "tones", type=click.Choice(TONES), multiple=True, help="What it sounds like; may be repeated.")
@click.option("--dataset", "datasets", multiple=True, metavar="OWNER/NAME", help="A hub's data set of its recordings.")
@click.option(
    "--out", type=PATH, default=Path("packages"), show_default=True, help="Folder that gets one package per amp."
)
@click.option("--tiers/--no-tiers", default=True, help="Put a study's smaller models below tiers/ (the default).")
@click.option("--with-take", is_flag=True, help="Add a held take, beside the model's; where its licence allows.")
@click.option("--sign", is_flag=True, help="Sign it with your key (zoo key makes one).")
@click.option("--force", is_flag=True, help="Package one worse than the nearest recording; its card tells.")
def package(
    run: Path,
    license_id: str,
    license_name: str,
    license_link: str,
    kind: Any,
    tones: tuple[Any, ...],
    datasets: tuple[str, ...],
    out: Path,
    tiers: bool,
    with_take: bool,
    sign: bool,
    force: bool,
) -> None:
    """Package a finished run, or the best trial of a study with what is best at smaller costs."""
    from models.documents import CONFIG
    from models.errors import UserError
    from search.board import tier_runs
    from zoo import output
    from zoo.card import Terms
    from zoo.names import NAME
    from zoo.package import package as make
    from zoo.trust import own_key
    from zoo.trust import sign as put_signature

    key = own_key() if sign else None
    if odd := [name for name in datasets if not NAME.fullmatch(name)]:
        raise UserError(f"'{odd[0]}' names no data set", "Write OWNER/NAME, as the hub does.")
    terms = Terms(
        license=license_id,
        license_name=license_name,
        license_link=license_link,
        kind=kind,
        tone=tones,
        datasets=datasets,
    )
    one = (run / CONFIG).exists() or not (run / "study.json").exists()
    for amp, runs in {run.resolve().name: {"": run}}.items() if one else tier_runs(run).items():
        best, known = list(runs.values())[-1], None if one else runs
        with output.progress(f"packaging {amp}") as bar:
            made = make(best, out / amp, terms, force, known if tiers else {}, with_take, bar)
        if key is not None:
            put_signature(made, key)
        output.put(str(made))
