"""The command `zoo package`: make a package from a run or a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from zoo.cli.options import PATH, bundle, max_peak_option
from zoo.package.vocabulary import Kind, Tone


@dataclass(frozen=True)
class PackageOptions:
    """The options of `zoo package`."""

    run: Path
    license: str
    license_name: str
    license_link: str
    kind: Any
    tone: tuple[Any, ...]
    datasets: tuple[str, ...]
    out: Path
    tiers: bool
    with_take: bool
    sign: bool
    force: bool
    max_peak_dbfs: float | None


@click.command(
    short_help="Package a run, or a study's best.",
    epilog="Example: zoo package studies/mine --license cc-by-4.0 --kind amp --tone crunch",
)
@click.argument("run", type=PATH)
@click.option("--license", required=True, help="License of the model, as hubs name it: cc-by-4.0, mit, cc0-1.0 ...")
@click.option("--license-name", default="", help="The name of the license, if it is 'other'.")
@click.option("--license-link", default="", help="Where to read the license, if it is 'other'.")
@click.option("--kind", type=click.Choice(get_args(Kind)), default="amp", show_default=True, help="The kind of device.")
@click.option("--tone", type=click.Choice(get_args(Tone)), multiple=True, help="What it sounds like; may be repeated.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="OWNER/NAME",
    help="The data set of its recordings on a hub; may be repeated.",
)
@click.option(
    "--out", type=PATH, default=Path("packages"), show_default=True, help="Folder that gets one package per amp."
)
@click.option("--tiers/--no-tiers", default=True, help="Add a study's smaller models as tiers (the default).")
@click.option("--with-take", is_flag=True, help="Add a held-out take, as recorded and as modeled, if licensed.")
@click.option("--sign", is_flag=True, help="Sign it with your key (zoo key makes one).")
@click.option("--force", is_flag=True, help="Allow a model worse than the nearest recording; the card says so.")
@max_peak_option
@bundle(PackageOptions)
def package(options: PackageOptions) -> None:
    """Package a finished run, or the best trial of a study together with the best smaller models.

    RUN is a run folder or a study folder.
    """
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.names import NAME
    from zoo.package.build import PackageRequest
    from zoo.package.build import package as make_package
    from zoo.package.card_schema import Terms
    from zoo.package.layout import refuse_nam_file
    from zoo.package.signing import load_signing_key

    refuse_nam_file(options.run)
    key = load_signing_key() if options.sign else None
    if odd := [name for name in options.datasets if not NAME.fullmatch(name)]:
        raise UserError(f"'{odd[0]}' is not the name of a data set", "Write OWNER/NAME, as on the hub.")
    terms = Terms(
        license=options.license,
        license_name=options.license_name,
        license_link=options.license_link,
        kind=options.kind,
        tone=options.tone,
        datasets=options.datasets,
    )
    amps, of_study = _runs(options.run)
    for amp, tiers in amps.items():
        known = tiers if of_study else None
        request = PackageRequest(
            run=list(tiers.values())[-1],
            out=options.out / amp,
            terms=terms,
            force=options.force,
            tiers=known if options.tiers else {},
            take=options.with_take,
            key=key,
            max_peak_dbfs=options.max_peak_dbfs,
        )
        with output.progress(f"packaging {amp}") as bar:
            made = make_package(request, output.PhaseLines(bar, f"packaging {amp}").stage, output.warn)
        output.data(str(made))


def _runs(folder: Path) -> tuple[Mapping[str, Mapping[str, Path]], bool]:
    """Return amp -> tier -> run folder, the best last, and whether `folder` is a study; a run is its only tier.

    Raises `NotFound` for what is neither.
    """
    from models.artifacts.names import CONFIG, RECIPE
    from models.core.errors import NotFound
    from search.study.board import tier_runs
    from search.study.files import STUDY
    from zoo.package.provenance import run_inside

    hint = "Name a run folder, as zoo train makes it, or a study folder, as zoo search makes it."
    if not folder.exists():
        raise NotFound(f"{folder} does not exist", hint)
    if (folder / STUDY).exists() and not (folder / CONFIG).exists():
        return tier_runs(folder), True
    run = run_inside(folder)
    if not (run / CONFIG).exists() and (run / RECIPE).exists():
        raise NotFound(f"{run} is a run that has not ended", "The same zoo train command resumes an interrupted run.")
    if not (run / CONFIG).exists():
        raise NotFound(f"{folder} is neither a run nor a study ({CONFIG} and {STUDY} are missing)", hint)
    return {run.resolve().name: {"": run}}, False
