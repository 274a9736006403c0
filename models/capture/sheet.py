"""The sheet to record a session by: a page to print, one row per take."""

import re
from collections.abc import Sequence

from models.knobs.schema import Knobs, Setting, Switch
from models.knobs.text import format_value
from models.reporting.html import Cell, blanks, heading, numbered_list, page, paragraph, table

TRAIN_MANIFEST, SHEET = "train.json", "sheet.html"

MAX_SETTING_NAME = 120  # characters of a setting in a file name

NOTES = ("date", "player", "serial number", "gain of the interface", "microphone and its place")  # to fill in

BOX = "\u2610"  # to tick


def name_take(prefix: str, number: int, setting: Setting) -> str:
    """Return a file name such as `007_gain2_tone7.5.wav`: the number in the session, then the setting if it fits."""
    words = "_".join(f"{name}{format_value(value)}" for name, value in setting.items())
    words = re.sub(r"[^A-Za-z0-9_.+-]", "-", words)
    return f"{prefix}{number:03d}{f'_{words}' if words and len(words) <= MAX_SETTING_NAME else ''}.wav"


def name_files(prefix: str, number: int, setting: Setting, outputs: Switch | None = None) -> dict[str | None, str]:
    """Return the names of the files of a take, by position of `outputs`; by None where it is one file."""
    name = name_take(prefix, number, setting)
    if outputs is None:
        return {None: name}
    stem = name.removesuffix(".wav")
    return {position: f"{stem}_{re.sub(r'[^A-Za-z0-9_.+-]', '-', position)}.wav" for position in outputs.positions}


def make_sheet(
    knobs: Knobs,
    train: Sequence[Setting],
    held: Sequence[Setting],
    signal: str,
    rate_hz: int,
    device: str,
    before: int = 0,
    outputs: Switch | None = None,
) -> str:
    """Return the sheet as an HTML page: in each row, the knobs that change since the row above are framed.

    `signal` is the name of the file to play, `before` the number of takes that are recorded already, `outputs` the
    switch of the files that each take is recorded into.
    """
    steps = (
        f"Play `{signal}` whole, at {rate_hz} Hz, and record it whole: mono, 24 bit, named as in the row.",
        "Set the levels once, at the loudest setting, without clipping. Then leave interface and microphone alone.",
        "From row to row turn only the knobs that are framed. Leave everything else on the device, and write it down.",
        f"Record all takes in one session, with the device warm. Then check `{TRAIN_MANIFEST}` before you train on it.",
    )
    parts = [
        paragraph(", ".join(f"{knob.name} {knob.legal}" for knob in knobs.knobs)),
        blanks(NOTES),
        numbered_list(steps),
        heading("Takes to train on"),
        _settings_table(knobs, "", train, before, outputs),
    ]
    if held:
        parts += [heading("Takes to test with"), _settings_table(knobs, "held_", held, 0, outputs)]
    return page(device or "Recording session", parts)


def _settings_table(knobs: Knobs, prefix: str, settings: Sequence[Setting], before: int, outputs: Switch | None) -> str:
    rows, last = [], None
    for number, setting in enumerate(settings, before + 1):
        cells = [
            Cell(format_value(value), "changed" if last is None or last[name] != value else "same")
            for name, value in setting.items()
        ]
        rows.append(
            [BOX, str(number), *cells, Cell(", ".join(name_files(prefix, number, setting, outputs).values()), "file")]
        )
        last = setting
    return table(("", "#", *knobs.names, "file"), rows)
