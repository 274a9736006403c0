"""The command `zoo init`: all that training needs, from the names of recordings."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.core.errors import UserError, shell_words
from zoo.cli.options import PATH
from zoo.cli.recordings import show_checked

if TYPE_CHECKING:
    from models.capture.named_takes import NamedTakes

LISTED_NAMES = 5  # of the files that do not fit the pattern


@click.command(
    short_help="Make manifest and configs from file names.",
    epilog="Example: zoo init takes --pattern 'DS1 drive{drive} tone{tone}.wav' --dry di.wav",
)
@click.argument("folder", type=PATH)
@click.option(
    "--pattern",
    metavar="TEXT",
    help="How the takes are named: 'G{gain}' finds 'amp G4.wav'. As in zoo plan --from-nam. Default: the word before "
    "each number names its knob.",
)
@click.option("--dry", type=PATH, metavar="FILE", help="The signal that was played. Default: the file that is no take.")
@click.option(
    "--knob",
    "knobs",
    multiple=True,
    metavar="NAME=LOW:HIGH[:USUAL]",
    help="Range on the faceplate, drive=0:10, and the usual number, drive=0:10:4; or the positions of a switch, "
    "channel=clean,lead. Repeat it.",
)
@click.option("--device", default="", metavar="NAME", help="Name of the device. Default: the folder's.")
@click.option("--force", is_flag=True, help="Overwrite the files of an earlier zoo init.")
def init(
    folder: Path,
    pattern: str | None,
    dry: Path | None,
    knobs: tuple[str, ...],
    device: str,
    force: bool,
) -> None:
    """Make everything that training needs, from the names of the recordings in FOLDER.

    Writes takes.json (the manifest), data.json (D) and search.json (a search config) into FOLDER, then checks the takes
    as zoo check does. On a terminal it asks for the ranges that --knob does not state.
    """
    from models.capture.named_takes import parse_ranges, read_take_names
    from models.recordings.checks.rules import aligning_corrects
    from search.config.starter import write_starting_files
    from zoo.cli import output

    stated = parse_ranges(knobs)
    if dry and not dry.exists() and (folder / dry).exists():
        dry = folder / dry
    found = read_take_names(folder, pattern, dry, stated)
    if any(knob.assumed for knob in found.ranges.values()) and sys.stdin.isatty() and sys.stderr.isatty():
        found = read_take_names(folder, found.pattern, dry, {**stated, **_ask_ranges(found)})
    made = write_starting_files(found, device=device, overwrite=force)
    if not pattern:
        output.info(f"pattern: {shell_words(found.pattern)} (from the names; --pattern states another)")
    _tell_found(found)
    for path, what in ((made.manifest, "manifest"), (made.data, "data config D"), (made.search, "search config")):
        output.info(f"wrote {path} ({what})")
    begin = f"zoo train {shell_words(made.data)}, or zoo search {shell_words(made.search)}"
    faults = show_checked(made.manifest).faults
    wrong = [fault for fault in faults if not aligning_corrects(fault)]
    if wrong:
        output.info(f"next: mend the faults above; then {begin}")
        sys.exit(1)
    aligned = f"{made.data} aligns the takes, which corrects the faults above; " if faults else ""
    output.info(f"next: {aligned}{begin}")


def _ask_ranges(found: "NamedTakes") -> dict[str, dict[str, float]]:
    """Ask for each range that nobody stated; an empty answer keeps the one that was assumed."""
    from models.capture.named_takes import parse_range

    def read(name: str, text: str) -> dict[str, float]:
        try:
            return parse_range(name, text)
        except UserError as problem:
            raise click.UsageError(f"{problem.message}. {problem.hint}") from None

    return {
        name: click.prompt(
            f"{name}: lowest, highest and perhaps usual number on the faceplate, LOW:HIGH:USUAL "
            f"(takes have {knob.seen[0]:g} to {knob.seen[1]:g})",
            default=f"{knob.low:g}:{knob.high:g}",
            value_proc=lambda text, name=name: read(name, text),
            err=True,
        )
        for name, knob in found.ranges.items()
        if knob.assumed
    }


def _tell_found(found: "NamedTakes") -> None:
    """Say what the names say, and which files do not fit."""
    from zoo.cli import output
    from zoo.cli.views.words import count

    output.info(f"{count(found.settings, 'take')} of {found.dry}")
    for name, knob in found.ranges.items():
        how = f"assumed; takes have {knob.seen[0]:g} to {knob.seen[1]:g}; --knob {name}=LOW:HIGH states another range"
        output.info(f"{name}: {knob.low:g} to {knob.high:g}{f' ({how})' if knob.assumed else ''}")
    if found.left_out:
        names = [path.name for path in found.left_out]
        more = len(names) - LISTED_NAMES
        output.info(f"{count(names, 'file')} left out, which the pattern does not fit:")
        for name in names[:LISTED_NAMES]:
            output.info(f"  {name}")
        if more > 0:
            output.info(f"  and {more} more")
