"""Verbs that make a model: recordings -> run folder, study, package. Heavy imports wait inside them."""

import sys
from pathlib import Path

import click

from zoo.cli.options import PATH, one_thread
from zoo.cli.search import watch


@click.command(short_help="The whole road on a virtual amp.", epilog="Example: zoo quickstart")
@click.argument("config", type=PATH, default=Path("configs/quickstart/search.json"))
def quickstart(config: Path) -> None:
    """The whole road on a built-in virtual amp, in a few minutes."""
    from search.run import RunOptions, read_search
    from zoo.cli.quickstart import quickstart as walk

    again = f"zoo quickstart {config}"
    walk(read_search(config), lambda search, study: watch(search, study, again, RunOptions(resume=study.exists())))


@click.command(epilog="Example: zoo train --data D.json --model M.json --learning L.json --out runs/one")
@click.option("--data", type=PATH, required=True, help="D: manifests and split.")
@click.option("--model", type=PATH, required=True, help="M: the WaveNet.")
@click.option("--learning", type=PATH, required=True, help="L: the optimisation.")
@click.option("--out", type=PATH, required=True, help="The run folder; the same command goes on where it stopped.")
def train(data: Path, model: Path, learning: Path, out: Path) -> None:
    """Train one model into a run folder."""
    from models.training.config import read_recipe
    from models.training.fit import Progress, fit
    from search.storage.recordings import load_amp
    from zoo.cli import output
    from zoo.cli.errors import INTERRUPTED
    from zoo.cli.views import words

    one_thread()
    recipe = read_recipe(data, model, learning)
    with output.progress("training", "steps") as bar:
        found = ""

        def show(at: Progress) -> None:
            nonlocal found
            output.info(f"step {at.step:>6} of {at.steps}  loss {at.loss:.4f}  validation ESR {at.validation_esr:.4f}")
            found = f"ESR {at.validation_esr:.4f}"

        try:
            evaluation = fit(recipe, out, show, lambda step: bar(step, recipe.learning.steps, found), load_amp)
        except KeyboardInterrupt:
            output.put_error(f"training into {out} was interrupted", "The same command goes on where it stopped.")
            sys.exit(INTERRUPTED)
    output.info(words.held_sentence(evaluation))
    output.data(str(out))
