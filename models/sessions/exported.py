"""Files that another program exported, as takes of a session: which file is which take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.audio.io import read_audio
from models.capture.named_takes import RECORDED_SUFFIXES
from models.capture.take_names import compile_pattern, positions_of
from models.core.errors import NotFound, UserError
from models.knobs.text import format_setting
from models.sessions.session_takes import PlannedTake, SessionTakes


@dataclass(frozen=True)
class ExportedTake:
    """A file and the take that it is."""

    file: Path
    planned: PlannedTake


@dataclass(frozen=True)
class Exports:
    """The files of a folder: those that are takes, those that are none, and how they were told apart."""

    takes: list[ExportedTake]
    left_out: list[Path]
    how: str


def match_exports(folder: Path, session: SessionTakes, pattern: str | None = None, first: int | None = None) -> Exports:
    """Say which file of a folder is which take.

    With a `pattern` (see `NamePattern`) the names state the settings. Without one, the files are named as on the sheet,
    in any format, or by the numbers of the takes. Where they are neither, they are in the order of the session: the
    first is take number `first`, or the first one that is missing. Raises `UserError` where that is not clear.
    """
    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder", "Name the folder of the exported files.")
    signals = {planned.take.dry.resolve() for planned in session.takes}
    files = sorted(
        (path for path in folder.iterdir() if _is_export(path, signals)), key=lambda path: natural_key(path.name)
    )
    if not files:
        raise UserError(f"{folder} has no WAV, FLAC or AIFF file", "Export the takes into it, one file each.")
    if pattern is not None:
        return _by_pattern(files, session, pattern)
    named = {planned.take.wet.stem: planned for planned in session.takes}
    if first is None and any(path.stem in named for path in files):
        takes = [ExportedTake(path, named[path.stem]) for path in files if path.stem in named]
        return _without_twins(takes, [path for path in files if path.stem not in named], "by name")
    numbers = _numbers_of(files) if first is None else []
    if numbers and max(numbers) <= len(session.takes) and min(numbers) > 0:
        return _by_number(files, numbers, session)
    return _by_order(files, session, first)


def read_export(exported: ExportedTake, session: SessionTakes) -> Path:
    """Write an exported file into the session as a take that nobody decided on yet; return its file.

    Raises `UserError` for audio that cannot be read, is stereo with two sounds, or has another rate than the session.
    """
    x_T, rate_hz = read_audio(exported.file, exported.planned.take.channel)
    if rate_hz != session.rate_hz:
        raise UserError(
            f"{exported.file} is at {rate_hz} Hz; the session is at {session.rate_hz} Hz",
            "Set the project of the other program to that rate, and record and export it again.",
        )
    return session.write_unkept(exported.planned, x_T)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts names as people do: `take 9` before `take 10`."""
    parts = enumerate(_split_at_numbers(name))
    return tuple((0, int(part), "") if place % 2 else (1, 0, part) for place, part in parts if part)


def _split_at_numbers(name: str) -> list[str]:
    """Return words and numbers of a name in turn, a word, which may be empty, first and last."""
    return re.split(r"([0-9]+)", name.casefold())


def _by_pattern(files: Sequence[Path], session: SessionTakes, pattern: str) -> Exports:
    wanted = compile_pattern(pattern, positions_of(session.knobs))
    if unknown := next((name for name in wanted.names if name not in session.knobs.names), None):
        raise UserError(
            f"'{pattern}': no knob of the session is called '{unknown}'",
            f"Its knobs are {', '.join(session.knobs.names)}.",
        )
    takes, left_out = [], []
    for path in files:
        found = wanted.find(path)
        if len(found) != 1:
            left_out.append(path)
            continue
        fitting = [planned for planned in session.takes if found[0].items() <= planned.take.setting.items()]
        if len(fitting) != 1:
            told = "is not planned" if not fitting else f"fits {len(fitting)} takes"
            raise UserError(
                f"{path.name}: {format_setting(found[0])} {told}",
                "Name every knob that turns in the pattern, and the files by the settings of the sheet.",
            )
        takes.append(ExportedTake(path, fitting[0]))
    if not takes:
        raise UserError(
            f"no file name fits '{pattern}'; the first is {files[0].name}",
            "Write what all names have, with each number as {knob}: 'G{gain} T{tone}'.",
        )
    return _without_twins(takes, left_out, f"by '{pattern}'")


def _numbers_of(files: Sequence[Path]) -> list[int]:
    """Return the number that differs between names which are else alike, of a single name its last; else nothing."""
    parts = [_split_at_numbers(path.stem) for path in files]
    words = [tuple(each[::2]) for each in parts]
    columns = [[int(number) for number in column] for column in zip(*(each[1::2] for each in parts), strict=False)]
    if len(set(words)) > 1 or not columns:
        return []
    if len(files) == 1:
        return columns[-1]
    varying = [column for column in columns if len(set(column)) > 1]
    return varying[0] if len(varying) == 1 and len(set(varying[0])) == len(files) else []


def _by_number(files: Sequence[Path], numbers: Sequence[int], session: SessionTakes) -> Exports:
    """Take the numbers in names for those of takes; raises `UserError` where one of these is there already."""
    missing = {planned.number for planned in session.missing}
    for path, number in zip(files, numbers, strict=True):
        if number not in missing:
            raise UserError(
                f"{path.name} may be take {number}, which is recorded, or one of those that are missing, in order",
                "State the number of the take that the first file is, or name the files as on the sheet.",
            )
    takes = [ExportedTake(path, session.takes[number - 1]) for path, number in zip(files, numbers, strict=True)]
    return Exports(takes, [], "by the numbers of the takes")


def _by_order(files: Sequence[Path], session: SessionTakes, first: int | None) -> Exports:
    missing, count = session.missing, len(session.takes)
    if first is not None and not 1 <= first <= count:
        raise UserError(f"there is no take {first}; the session has takes 1 to {count}", "Count as the sheet does.")
    wanted = missing if first is None else session.takes[first - 1 :]
    if len(files) > len(wanted):
        what = "that are missing" if first is None else f"from number {first} on"
        raise UserError(
            f"{files[0].parent} has {len(files)} files; takes {what}: {len(wanted)}",
            "Leave the files of these takes alone in the folder, name them as on the sheet, or give a pattern.",
        )
    return Exports(
        [ExportedTake(*pair) for pair in zip(files, wanted, strict=False)], [], "in the order of their names"
    )


def _without_twins(takes: list[ExportedTake], left_out: list[Path], how: str) -> Exports:
    """Return the exports, in the order of the session; raises `UserError` for two files of one take."""
    by_number: dict[int, ExportedTake] = {}
    for exported in takes:
        twin = by_number.setdefault(exported.planned.number, exported)
        if twin is not exported:
            raise UserError(
                f"{twin.file.name} and {exported.file.name} are both take {exported.planned.number}",
                "Move one of them out of the folder.",
            )
    return Exports([by_number[number] for number in sorted(by_number)], left_out, how)


def _is_export(path: Path, signals: set[Path]) -> bool:
    listed = path.suffix.lower() in RECORDED_SUFFIXES and not path.name.startswith(".") and path.is_file()
    return listed and path.resolve() not in signals
