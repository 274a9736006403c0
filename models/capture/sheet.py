"""models/capture/sheet.py."""

import re
from collections.abc import Sequence
from html import escape

from models.knobs.schema import Knobs, Setting
from models.knobs.text import format_value

TRAIN, HELD, SHEET = "train.json", "held.json", "sheet.html"

MAX_NAME = 120

STYLE = """
body { font: 11pt/1.35 sans-serif; margin: 1.5cm; color: #000; background: #fff }
table { border-collapse: collapse; margin: .5em 0 1.5em } tr { page-break-inside: avoid } thead { display: table-header-group }
th, td { border: 1px solid #999; padding: .25em .7em; text-align: right } th { background: #eee }
td.file, th.file { text-align: left; font-family: monospace } td.rest { color: #777 } td.turn { font-weight: bold; border: 2px solid #000 }
"""


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
