"""zoo/cli/package.py."""

from pathlib import Path
from typing import Any, get_args

import click

from zoo.cli.options import PATH
from zoo.package.vocabulary import Kind, Tone


@click.command(
    short_help="Package a run, or a study's best.",
    epilog="Example: zoo package studies/mine --license cc-by-4.0 --kind amp --tone crunch",
)
@click.argument("run", type=PATH)
@click.option(
    "--license",
    "license_id",
    required=True,
    help="License of the model, as a hub knows it: cc-by-4.0, mit, cc0-1.0 ...",
)
@click.option("--license-name", default="", help="The name of a license that is 'other'.")
@click.option("--license-link", default="", help="Where a license that is 'other' can be read.")
@click.option(
    "--kind", type=click.Choice(get_args(Kind)), default="amp", show_default=True, help="What sort of device it is."
)
@click.option(
    "--tone", "tones", type=click.Choice(get_args(Tone)), multiple=True, help="What it sounds like; may be repeated."
)
@click.option("--dataset", "datasets", multiple=True, metavar="OWNER/NAME", help="A hub's data set of its recordings.")
@click.option(
    "--out", type=PATH, default=Path("packages"), show_default=True, help="Folder that gets one package per amp."
)
@click.option("--tiers/--no-tiers", default=True, help="Put a study's smaller models below tiers/ (the default).")
@click.option("--with-take", is_flag=True, help="Add a held take, beside the model's; where its license allows.")
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
    from zoo.package.build import PackageRequest
    from zoo.package.build import package as make_package
    from zoo.package.card_schema import Terms
    from zoo.package.signing import load_signing_key

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
        known = None if one else runs
        request = PackageRequest(
            run=list(runs.values())[-1],
            out=out / amp,
            terms=terms,
            force=force,
            tiers=known if tiers else {},
            take=with_take,
            key=key,
        )
        with output.progress(f"packaging {amp}") as bar:
            made = make_package(request, bar, output.warn)
        output.data(str(made))
