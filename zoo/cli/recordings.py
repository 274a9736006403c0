"""The commands `zoo signal`, `zoo check` and `zoo align`: recordings, before a model is made from them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import PATH, json_option

if TYPE_CHECKING:
    from models.recordings.checks.report import Report


@click.command(short_help="Write a signal to play and record.", epilog="Example: zoo signal di.wav --seconds 120")
@click.argument("target", metavar="OUT.wav", type=PATH)
@click.option("--seconds", type=float, default=180.0, show_default=True, help="Duration, 20 to 3600 s.")
@click.option("--rate", type=click.IntRange(8000, 192000), default=48000, show_default=True, help="In Hz.")
def signal(target: Path, seconds: float, rate: int) -> None:
    """Write a signal to play through the device and record."""
    from models.audio.io import write_audio
    from models.capture.excitation import excitation, find_parts
    from models.core.errors import UserError
    from zoo.cli import output

    parts = find_parts(seconds, rate)
    if target.exists():
        raise UserError(f"{target} exists already", "Choose another name, or remove the file if nobody needs it.")
    write_audio(target, excitation(seconds, rate), rate)
    blips = ", ".join(f"{blip / rate:.2f}" for blip in parts.blips)
    output.info(f"{seconds:g} s at {rate} Hz; timing blips at {blips} s")
    held_s = (parts.held.stop - parts.held.start) / rate
    output.info(f"the last {held_s:.1f} s are for scoring: held_seconds + validation_seconds")
    output.data(str(target))


@click.command(
    short_help="Check recordings for mistakes.", epilog="Example: zoo check takes/train.json --html takes.html"
)
@click.argument("manifest", type=PATH)
@json_option
@click.option("--html", "page", type=PATH, metavar="FILE", help="Also write a page with plots.")
@click.option("--fix", type=PATH, metavar="FOLDER", help="Also write aligned takes to a new folder, like zoo align.")
def check(manifest: Path, as_json: bool, page: Path | None, fix: Path | None) -> None:
    """Show the recordings of a manifest and what is wrong with them.

    MANIFEST lists takes and their settings. zoo init makes one from file names, zoo plan for a new session;
    quickstart/takes/train.json (of zoo quickstart) is an example, docs/reference/manifest.md describes it.

    Exits with 1 when there is a fault and --fix is not given.
    """
    from zoo.cli import output

    report = show_checked(manifest, as_json, page)
    if fix:
        output.info(f"Wrote {_align(manifest, fix)}")
    elif report.faults:
        sys.exit(1)


def show_checked(manifest: Path, as_json: bool = False, page: Path | None = None) -> "Report":
    """Check the recordings of a manifest, show what was found, and return it."""
    from models.recordings.checks.check import check as check_manifest
    from zoo.cli import output
    from zoo.cli.views import recordings as recordings_view

    with output.progress("checking") as bar:
        report = check_manifest(manifest, bar)
    if page:
        from zoo.cli.views.check_page import write_check_page

        write_check_page(report, page)
    if as_json:
        output.data_json(report.to_json())
    else:
        recordings_view.show_check(report)
        recordings_view.show_dry_signals(report)
        _tell_unrecorded(report)
    if page:
        output.info(f"Wrote {page}")
    return report


def _tell_unrecorded(report: "Report") -> None:
    """Say how a planned session that is not at its end goes on."""
    from models.capture.sheet import SHEET
    from models.core.errors import shell_words
    from models.core.locations import is_there
    from zoo.cli import output
    from zoo.cli.views.words import count

    missing, folder = [take for take in report.takes if not is_there(take.wet)], report.manifest.path.parent
    if missing and (folder / SHEET).exists():
        output.info(f"{count(missing, 'take')} not recorded yet: zoo record {shell_words(folder)} goes on there")


@click.command(
    short_help="Align recordings with their dry signal.", epilog="Example: zoo align takes/train.json --out aligned"
)
@click.argument("manifest", type=PATH)
@click.option("--out", type=PATH, required=True, help="A new folder for the aligned takes and their manifest.")
def align(manifest: Path, out: Path) -> None:
    """Write takes aligned with their dry signal, and their manifest, to a new folder."""
    from zoo.cli import output

    output.data(str(_align(manifest, out, show=True)))


def _align(manifest: Path, folder: Path, show: bool = False) -> Path:
    """Align the takes and return the new manifest; with `show`, also print a row for each."""
    from models.recordings.align_dataset import align_dataset
    from zoo.cli import output
    from zoo.cli.views import recordings as recordings_view
    from zoo.cli.views import words

    with output.progress("aligning") as bar:
        made, takes = align_dataset(manifest, folder, bar)
    if show:
        recordings_view.show_aligned(takes)
        output.info(f"Wrote {words.count(takes, 'aligned take')} and their manifest to {folder}, ready to train on")
    return made
