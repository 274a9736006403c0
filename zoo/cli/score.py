"""The command `zoo score`: how far a model is from recorded takes."""

from dataclasses import dataclass
from pathlib import Path

import click

from zoo.cli.offer import offer_to_pull
from zoo.cli.options import PATH, bundle, json_option, one_thread, tier_option, zoo_option


@dataclass(frozen=True)
class ScoreOptions:
    """The options of `zoo score`."""

    model: str
    manifest: Path
    page: Path | None
    align: bool | None
    where: str | None
    tier: str
    as_json: bool


@click.command(
    short_help="Score a model at recorded takes.",
    epilog="Example: zoo score packages/plexi takes/held.json --html s.html",
)
@click.argument("model")
@click.argument("manifest", type=PATH)
@click.option("--html", "page", type=PATH, metavar="FILE", help="Also write a page with the sound beside the takes.")
@click.option(
    "--align/--no-align", default=None, help="Align the takes first. Default: as the run was trained, else if cut."
)
@zoo_option
@tier_option
@json_option
@bundle(ScoreOptions)
def score(options: ScoreOptions) -> None:
    """Score a model at the takes of a manifest: at all of them, by knob and by region.

    MODEL is an amp, a package or run folder, a .nam file, or a folder of sound files that a plugin rendered from the
    dry signals, named as the recorded files. A constant lag is found, said and removed.
    """
    from zoo.cli import output
    from zoo.cli.views import scores as scores_view
    from zoo.registry.score_model import score_model

    offer_to_pull(options.model, options.where, options.tier)
    one_thread()
    with output.progress("scoring") as bar:
        found = score_model(
            options.model,
            options.manifest,
            options.where,
            options.tier,
            align=options.align,
            clips=options.page is not None,
            on_take=bar,
            on_warning=output.warn,
        )
    if options.page:
        from zoo.cli.views.score_page import write_score_page

        write_score_page(found, options.page)
    if options.as_json:
        output.data_json(found.to_json())
    else:
        scores_view.show_scores(found)
    if options.page:
        output.info(f"Wrote {options.page}")
