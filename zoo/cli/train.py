"""The commands `zoo quickstart` and `zoo train`: train models here."""

import sys
from pathlib import Path

import click

from zoo.cli.options import PATH, one_thread, repeat_command
from zoo.cli.search import watch


@click.command(short_help="Try all steps on a virtual amp.", epilog="Example: zoo quickstart")
@click.argument("config", type=PATH, default=Path("configs/quickstart/search.json"))
def quickstart(config: Path) -> None:
    """Record a built-in virtual amp, search, package and play the best model; takes a few minutes.

    CONFIG is a search config; its folder of takes is recorded first.
    """
    from models.core.schema import read_json

    read_json(config)  # a missing file is refused before heavy libraries are imported

    from search.config.study import read_search
    from search.run import RunOptions
    from zoo.cli.quickstart import run_quickstart

    again = repeat_command()
    run_quickstart(
        read_search(config), lambda search, study: watch(search, study, again, RunOptions(resume=study.exists()))
    )


@click.command(epilog="Example: zoo train --data D.json --model M.json --learning L.json --out runs/one")
@click.option("--data", type=PATH, required=True, help="D: manifests and split; see configs/data.")
@click.option("--model", type=PATH, required=True, help="M: the WaveNet; see configs/models.")
@click.option("--learning", type=PATH, required=True, help="L: the training; see configs/learning.")
@click.option("--out", type=PATH, required=True, help="The run folder. The same command resumes an interrupted run.")
def train(data: Path, model: Path, learning: Path, out: Path) -> None:
    """Train one model into a run folder."""
    from models.artifacts.names import SPLIT
    from models.recordings.knob_filters import read_knob_filters
    from models.training.config import read_recipe

    recipe = read_recipe(data, model, learning)  # refused before heavy libraries are imported

    from models.training.fit import TrainingProgress, fit
    from search.storage.recordings import load_amp
    from zoo.cli import output
    from zoo.cli.errors import INTERRUPTED
    from zoo.cli.views import words

    one_thread()
    with output.progress("training", "steps") as bar:
        score = ""

        def show(at: TrainingProgress) -> None:
            nonlocal score
            output.info(f"step {at.step:>6} of {at.steps}  loss {at.loss:.4f}  validation ESR {at.validation_esr:.4f}")
            score = f"ESR {at.validation_esr:.4f}"

        try:
            evaluation = fit(
                recipe,
                out,
                show,
                lambda step: bar(step, recipe.learning.steps, score),
                load_amp,
                output.PhaseLines(bar),
            )
        except KeyboardInterrupt:
            output.show_stop(f"stopped training into {out}", f"Go on with: {repeat_command()}", INTERRUPTED)
            sys.exit(INTERRUPTED)
    for sentence in words.composed_sentences(read_knob_filters(out / SPLIT)):
        output.info_wrapped(sentence)
    output.info(words.held_sentence(evaluation))
    for sentence in words.advice_sentences(evaluation):
        output.info(sentence)
    for warning in words.warning_sentences(evaluation):
        output.warn(warning)
    output.data(str(out))
