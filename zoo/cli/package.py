"""zoo/cli/package.py."""

from pathlib import Path
from typing import Any

import click

from zoo.cli.options import PATH

KINDS = ["amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio"]

TONES = ["clean", "overdrive", "crunch", "hi_gain", "fuzz"]


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
    from models.artifacts.names import CONFIG
    from models.core.errors import UserError
    from search.study.board import tier_runs
    from zoo.cli import output
    from zoo.names import NAME
    from zoo.package.build import package as make
    from zoo.package.card_schema import Terms
    from zoo.package.signing import load_signing_key
    from zoo.package.signing import sign as put_signature

    key = load_signing_key() if sign else None
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
            made = make(best, out / amp, terms, force, known if tiers else {}, with_take, bar, output.warn)
        if key is not None:
            put_signature(made, key)
        output.data(str(made))
