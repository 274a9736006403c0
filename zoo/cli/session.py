"""The command `zoo session import`: takes that another program recorded, into a planned session."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import PATH

if TYPE_CHECKING:
    from models.sessions.exported import Exports
    from models.sessions.session_takes import PlannedTake, SessionTakes


@click.group(short_help="Import takes of another program.", epilog="Example: zoo session import exports session")
def session() -> None:
    """Work on a session that zoo plan wrote: import takes."""


@session.command(
    "import",
    short_help="Bring exported takes into a session.",
    epilog="Example: zoo session import exports session --pattern 'G{gain} T{tone}'",
)
@click.argument("folder", type=PATH)
@click.argument("target", metavar="SESSION", type=PATH)
@click.option("--pattern", metavar="TEXT", help="How the files are named: 'G{gain}' finds 'amp G4.wav'.")
@click.option("--first", type=int, metavar="N", help="The first file is take N. Default: the first that is missing.")
@click.option("--keep-faulty", is_flag=True, help="Also take what the check finds a fault in.")
def import_takes(folder: Path, target: Path, pattern: str | None, first: int | None, keep_faulty: bool) -> None:
    """Bring the files that another program exported into FOLDER into SESSION, check them, and say which to redo.

    Files are told apart by their names: those on the sheet, the numbers of takes, or a --pattern; else they are taken
    in the order of their names. A take that was there moves into the folder `replaced`. Exits with 1 when a file is to
    be recorded again.
    """
    from models.sessions.exported import match_exports
    from models.sessions.session_takes import SessionTakes
    from zoo.cli import output
    from zoo.cli.views import session as session_view
    from zoo.cli.views.words import count, first_names

    takes = SessionTakes(target)
    exports = match_exports(folder, takes, pattern, first)
    output.info(f"{count(exports.takes, 'file')} of {folder}, {exports.how}")
    if exports.left_out:
        names = first_names([path.name for path in exports.left_out])
        output.info(f"{count(exports.left_out, 'file')} left out, which are no takes: {names}")
    redo, doubtful = _import_each(exports, takes, keep_faulty)
    session_view.show_end(takes, [], "export the missing takes into an empty folder, and import that")
    if takes.missing:
        output.info(f"missing: {first_names([f'take {one.number} ({one.name})' for one in takes.missing])}")
    if doubtful:
        output.info(f"kept, but better recorded again: {_name_takes(doubtful)}")
    if redo:
        output.info(f"record again: {_name_takes(redo)}")
        sys.exit(1)


def _name_takes(takes: "list[PlannedTake]") -> str:
    return ", ".join(f"take {one.number} ({one.name})" for one in takes)


def _import_each(
    exports: "Exports", takes: "SessionTakes", keep_faulty: bool
) -> "tuple[list[PlannedTake], list[PlannedTake]]":
    """Judge every file and keep those without a fault; return the takes to record again, and the doubtful kept ones."""
    from models.core.errors import UserError
    from models.sessions.exported import read_export
    from models.sessions.judge import Judge
    from models.sessions.session_takes import REPLACED
    from zoo.cli import output
    from zoo.cli.views import session as session_view

    takes.clean()
    judge, redo, doubtful = Judge(takes), [], []
    with output.progress("reading the kept takes") as bar:
        coming = {exported.planned.number for exported in exports.takes}
        judge.read_kept([one for one in takes.takes if one.is_recorded and one.number not in coming], bar)
    for exported in exports.takes:
        planned = exported.planned
        output.info(f"{exported.file.name} is take {planned.number}, {planned.name}")
        try:
            unkept = read_export(exported, takes)
        except UserError as problem:
            output.info(f"fault: {problem.message}. {problem.hint}")
            redo.append(planned)
            continue
        verdict = judge.judge(planned, unkept)
        session_view.show_verdict(verdict, planned)
        if verdict.needs_recording and not keep_faulty:
            redo.append(planned)
            judge.drop(planned, unkept)
            takes.clean()
        else:
            if planned.is_recorded:
                output.info(f"the take that was there is in {takes.folder / REPLACED} now")
            takes.keep(planned, unkept)
            judge.keep(planned, unkept)
            doubtful += [planned] * (verdict.is_better_again and not verdict.needs_recording)
    return redo, doubtful
