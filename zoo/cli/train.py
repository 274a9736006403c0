"""The commands `zoo quickstart` and `zoo train`: train models here."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.core.errors import shell_words
from zoo.cli.options import PATH, one_thread, repeat_command, require_packages
from zoo.cli.watch import watch

if TYPE_CHECKING:
    from models.artifacts.evaluation import Score
    from models.recordings.config import DataConfig
    from models.training.config import Recipe


@click.command(short_help="Try all steps on a virtual amp.", epilog="Example: zoo quickstart")
@click.argument("config", type=PATH, default=Path("configs/quickstart/search.json"))
def quickstart(config: Path) -> None:
    """Record a built-in virtual amp, search, package and play the best model; takes a few minutes.

    CONFIG is a search config; its folder of takes is recorded first.
    """
    from models.core.schema import read_json

    read_json(config)  # a missing file is refused before heavy libraries are imported

    from search.config.study import read_search

    read = read_search(config)

    from search.run_options import RunOptions
    from zoo.cli.quickstart import run_quickstart

    again = repeat_command()
    run_quickstart(read, lambda search, study: watch(search, study, again, RunOptions(resume=study.exists())))


@click.command(epilog="Example: zoo train DS1/takes.json")
@click.argument("takes", type=PATH, required=False)
@click.option("--data", type=PATH, help="D: manifests and split, as configs/data/virtual-amp.json. In place of TAKES.")
@click.option("--model", type=PATH, help="M: the WaveNet, as configs/models/recommended.json, the default.")
@click.option(
    "--learning",
    type=PATH,
    help="L: the training, as configs/learning/recommended.json. Default: that, longer for many takes.",
)
@click.option(
    "--out", type=PATH, help="The run folder. The same command resumes an interrupted run. Default: runs/NAME of D."
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="N",
    help="First train N models, each without some of the settings, and score all settings by them; then one on all.",
)
def train(
    takes: Path | None,
    data: Path | None,
    model: Path | None,
    learning: Path | None,
    out: Path | None,
    folds: int | None,
) -> None:
    """Train one model into a run folder.

    TAKES is a manifest, or a data config D. A manifest is split into training, validation and held takes by itself.
    """
    require_packages("torch")
    recipe, chosen = _chosen_recipe(takes, data, model, learning)  # refused before heavy libraries are imported
    out = out or Path("runs") / recipe.data.name

    from models.artifacts.names import SPLIT
    from models.recordings.knob_filters import read_knob_filters
    from models.training.fit import TrainingProgress, fit
    from models.training.folds import FEW_TAKES, cross_validate, for_all_takes
    from models.training.recommended import count_takes
    from search.storage.recordings import load_amp
    from zoo.cli import output
    from zoo.cli.errors import INTERRUPTED
    from zoo.cli.views import words
    from zoo.package.finished_run import publishing_fault

    if chosen:
        output.info(chosen)
    if takes and recipe.data.train == takes.resolve():
        output.info(words.split_sentence(recipe.data))
    one_thread()
    with output.progress("training", "steps") as bar:
        score = ""

        def show(at: TrainingProgress) -> None:
            nonlocal score
            output.info(f"step {at.step:>6} of {at.steps}  loss {at.loss:.4f}  validation ESR {at.validation_esr:.4f}")
            score = f"ESR {at.validation_esr:.4f}"

        def show_step(step: int) -> None:
            bar(step, recipe.learning.steps, score)

        def show_fold(number: int, found: "Score") -> None:
            output.info(words.fold_sentence(number, found))

        try:
            if folds:
                judged = cross_validate(recipe, out, folds, show_fold, show_step, load_amp, output.PhaseLines(bar))
                output.info(words.folds_sentence(judged.whole, judged.spread, folds))
                recipe = recipe.model_copy(update={"data": for_all_takes(recipe.data)})
            evaluation = fit(recipe, out, show, show_step, load_amp, output.PhaseLines(bar))
        except KeyboardInterrupt:
            output.show_stop(f"stopped training into {out}", f"Go on with: {repeat_command()}", INTERRUPTED)
            sys.exit(INTERRUPTED)
    for sentence in words.composed_sentences(read_knob_filters(out / SPLIT)):
        output.info(sentence)
    output.info(words.held_sentence(evaluation))
    for sentence in words.advice_sentences(evaluation):
        output.info(sentence)
    if not folds and 0 < count_takes(recipe.data) < FEW_TAKES:
        output.info("few takes: --folds 4 into another folder scores every recorded setting, and trains on all")
    for warning in evaluation.warnings:
        output.warn(warning)
    play, package = f"zoo play {shell_words(out)}", f"zoo package {shell_words(out)} --license LICENSE"
    if fault := publishing_fault(evaluation):
        output.info(f"the model should not be published, and zoo package refuses it: {fault}")
    output.info(f"next: {play} (in the browser, its knobs alive){'' if fault else f', {package}'}")
    output.data(str(out))


def _chosen_recipe(
    takes: Path | None, data: Path | None, model: Path | None, learning: Path | None
) -> "tuple[Recipe, str]":
    """Return the recipe, and a line on what was chosen for lack of M or L; empty where both are given."""
    from models.core.schema import read_document
    from models.network.architecture import WaveNetConfig
    from models.training.config import LearningConfig, Recipe, read_recipe

    if (takes is None) == (data is None):
        problem = "Missing argument 'TAKES'" if takes is None else "TAKES and --data are two ways to name the takes"
        raise click.UsageError(f"{problem}. Name one manifest or data config: zoo train takes.json.")
    if data and model and learning:
        return read_recipe(data, model, learning), ""
    given = {
        "model": read_document(model, WaveNetConfig) if model else None,
        "learning": read_document(learning, LearningConfig) if learning else None,
    }
    config = _data_config(takes, data)
    if model and learning:
        return Recipe(data=config, **given), ""
    from models.training.recommended import (
        MEASURED_TAKES,
        RECOMMENDED_NAME,
        count_takes,
        recommended_learning,
        recommended_model,
    )

    count = count_takes(config)
    own = given["learning"] or recommended_learning(count)
    fewest, most = MEASURED_TAKES
    parts = [] if model else [RECOMMENDED_NAME]
    parts += [] if learning else [f"{own.optimizer.upper()}, {own.steps:,} steps"]
    much = f"{count} takes" if count else "takes at a URI"
    where = f"what measured best{'' if fewest <= count <= most else f', with {fewest} to {most} takes'}"
    recipe = Recipe(data=config, model=given["model"] or recommended_model(), learning=own)
    return recipe, f"recipe for {much}: {', '.join(parts)} ({where}; docs/results.md)"


def _data_config(takes: Path | None, data: Path | None) -> "DataConfig":
    """Return D: from its file, or that of a manifest."""
    from models.core.schema import read_document, read_json
    from models.recordings.config import DataConfig

    if data:
        return read_document(data, DataConfig).relative_to(data.resolve().parent)
    assert takes
    read_json(takes)  # a missing file is refused before heavy libraries are imported
    from models.recordings.default_split import data_for

    return data_for(takes)
