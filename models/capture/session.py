"""A recording session on disk: the manifests of takes that are to be recorded, and the sheet to record them by."""

import os
import re
import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from models.audio import read_length
from models.documents import UNSTATED, Levels
from models.errors import UserError
from models.files import staged_folder, write_json, write_text
from models.knobs import Knobs, Setting, format_value
from models.manifest import Take
from models.manifest_forms import MANIFEST_SCHEMA

TRAIN, HELD, SHEET = "train.json", "held.json", "sheet.html"
MAX_NAME = 120
STYLE = """
body { font: 11pt/1.35 sans-serif; margin: 1.5cm; color: #000; background: #fff }
table { border-collapse: collapse; margin: .5em 0 1.5em } tr { page-break-inside: avoid } thead { display: table-header-group }
th, td { border: 1px solid #999; padding: .25em .7em; text-align: right } th { background: #eee }
td.file, th.file { text-align: left; font-family: monospace } td.rest { color: #777 } td.turn { font-weight: bold; border: 2px solid #000 }
"""


def write_session(
    folder: Path,
    knobs: Knobs,
    train: Sequence[Setting],
    held: Sequence[Setting],
    signal: Path,
    *,
    device: str = "",
    license_id: str = "",
    levels: Levels = UNSTATED,
    existing: Sequence[Take] = (),
) -> list[Path]:
    """Write `train.json`, `held.json` (where settings are held), `sheet.html` and a copy of the signal into a new folder.

    Manifests name the files that are to be recorded; `existing` takes open the training manifest, where they are. Returns the paths.
    Raises `UserError` when the signal is not audio or the folder holds anything.
    """
    rate_hz = read_length(signal)[1]
    new_folder(folder)
    top = manifest_top(knobs, device, license_id, rate_hz, levels)
    parts = [(TRAIN, "", train, existing)] + ([(HELD, "held_", held, ())] if held else [])
    with staged_folder(folder) as staged:
        shutil.copyfile(signal, staged / signal.name)
        for manifest, prefix, settings, before in parts:
            made = [entry(signal.name, name_take(prefix, n, s), s) for n, s in enumerate(settings, len(before) + 1)]
            old = [_existing(take, folder) for take in before]
            write_json(staged / manifest, {**top, "entries": old + made})
        write_text(staged / SHEET, sheet(knobs, train, held, signal.name, rate_hz, device, len(existing)))
    return [folder / name for name in (*(part[0] for part in parts), SHEET)]


def new_folder(folder: Path) -> None:
    """Raise `UserError` unless a folder is empty or not there yet: recordings are never written over."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is in the way: it holds something already", "Name a new or empty folder with --out.")


def manifest_top(knobs: Knobs, device: str, license_id: str, rate_hz: int, levels: Levels = UNSTATED) -> dict[str, Any]:
    """Everything of a manifest but its entries."""
    said = {"device": device, "license": license_id}
    return {
        "$schema": MANIFEST_SCHEMA,
        **{key: value for key, value in said.items() if value},
        "sample_rate": rate_hz,
        **levels.model_dump(),
        "knobs": [knob.model_dump(mode="json") for knob in knobs.knobs],
    }


def entry(dry: str, wet: str, setting: Setting) -> dict[str, Any]:
    """One entry in joint form."""
    return {"input_file": dry, "output_file": wet, "knobs": setting}


def name_take(prefix: str, number: int, setting: Setting) -> str:
    """`007_gain2_tone7.5.wav`: the place in the session, then the setting as far as it fits."""
    words = "_".join(f"{name}{format_value(value)}" for name, value in setting.items())
    words = re.sub(r"[^A-Za-z0-9_.+-]", "-", words)
    return f"{prefix}{number:03d}{f'_{words}' if words and len(words) <= MAX_NAME else ''}.wav"


def sheet(
    knobs: Knobs,
    train: Sequence[Setting],
    held: Sequence[Setting],
    signal: str,
    rate_hz: int,
    device: str,
    before: int = 0,
) -> str:
    """A page to print and record by: one row per take, the knobs to turn since the row above in a heavy frame."""
    name = escape(device) or "Recording session"
    scales = ", ".join(f"{escape(knob.name)} {escape(knob.legal)}" for knob in knobs.knobs)
    parts = [("Takes to train on", "", train, before)] + ([("Takes to judge by", "held_", held, 0)] if held else [])
    steps = (
        f"Play <code>{escape(signal)}</code> whole, at {rate_hz} Hz, and record it whole: mono, 24 bit, named as in the row.",
        "Set the levels once, at the loudest setting, without clipping; after that touch neither interface nor microphone.",
        "From row to row turn only what is framed. Everything else on the device stays where it is: write it down.",
        "One session, the device warm; then: <code>zoo check train.json</code>.",
    )
    body = "".join(f"<li>{step}</li>" for step in steps)
    tables = "".join(f"<h2>{title}</h2>{_table(knobs, prefix, rows, at)}" for title, prefix, rows, at in parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style></head>'
        f"<body><h1>{name}</h1><p>{scales}</p><ol>{body}</ol>{tables}</body></html>\n"
    )


def _table(knobs: Knobs, prefix: str, settings: Sequence[Setting], before: int) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in knobs.names)
    rows, last = [], None
    for number, setting in enumerate(settings, before + 1):
        cells = "".join(
            _cell(format_value(value), last is None or last[name] != value) for name, value in setting.items()
        )
        file = escape(name_take(prefix, number, setting))
        rows.append(f'<tr><td>&#9744;</td><td>{number}</td>{cells}<td class="file">{file}</td></tr>')
        last = setting
    header = f'<thead><tr><th></th><th>#</th>{head}<th class="file">file</th></tr></thead>'
    return f"<table>{header}<tbody>{''.join(rows)}</tbody></table>"


def _cell(value: str, turned: bool) -> str:
    return f'<td class="{"turn" if turned else "rest"}">{escape(value)}</td>'


def _existing(take: Take, folder: Path) -> dict[str, Any]:
    """An entry of another manifest, its paths written from this folder."""
    dry, wet = (Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix() for path in (take.dry, take.wet))
    more = {"delay_samples": take.delay_samples, "channel": take.channel}
    return {**entry(dry, wet, take.setting), **{key: value for key, value in more.items() if value is not None}}
