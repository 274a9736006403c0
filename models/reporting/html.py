"""HTML pages that need no other file: one shell, one style, one table, one figure; all text is escaped."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Literal, NamedTuple

import numpy as np
import soundfile as sf

from models.core.plain_text import plain_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
p, li { max-width: 48rem } figure { margin: 0 } img, svg { max-width: 100%; height: auto }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: 0 2rem }
.tip:hover { stroke: #222; stroke-width: 2 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .55rem; text-align: left; white-space: nowrap; border-bottom: 1px solid #e4e4e4 }
th { border-bottom-color: #999 }
th:first-child, td:first-child { padding-left: 0 }
.number, .changed, .same { text-align: right }
.file, code { font-family: ui-monospace, monospace; font-size: .95em }
.file { white-space: normal; overflow-wrap: anywhere; min-width: 12rem }
.blanks span { display: inline-block; min-width: 15rem; margin: 0 1rem .6rem 0; border-bottom: 1px solid #222 }
.same { color: #777 } .changed { font-weight: bold; border: 2px solid #222 }
.notice { border-left: 4px solid #b8860b; padding: .2rem .8rem; margin: .6rem 0 } .fault { border-color: #b22222 }
.hint { color: #555 } label { display: inline-flex; align-items: center; gap: .5rem; margin-right: 1rem }
@media print {
  body { font-size: 11pt; max-width: none; margin: 1cm } thead { display: table-header-group }
  tr, figure { break-inside: avoid } .wide { overflow: visible }
}
"""

TIP = "tip:"  # in place of a URL: the text that a part of a drawing shows under the pointer

LINK = re.compile(rf'<a xlink:href="{TIP}([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)

# What a drawing in a page does without: comments, metadata, namespaces, and names of groups that others may have too.
NOT_INLINE = re.compile(
    r'<!--.*?-->|<metadata>.*?</metadata>| xmlns(:\w+)?="[^"]*"| id="[a-zA-Z][a-zA-Z0-9]*_\d+"', re.DOTALL
)

MAX_TEXT = 10_000  # characters of one cell or paragraph

NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?")


class Cell(NamedTuple):
    """A table cell with a look of its own: a value that changed since the row above or not, or a file name."""

    text: str
    look: Literal["changed", "same", "file"]


def escape_page(text: str) -> str:
    """Return free text for a page: the one way in which text gets into one; unseen characters become "?"."""
    return escape(plain_text(text, keep="\n\t", max_length=MAX_TEXT))


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole page whose title is also its first heading; `parts` are made by the other functions here."""
    name = escape_page(title)
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{name}</title><style>{STYLE}</style></head>\n<body>\n<h1>{name}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    """Return a heading of the second level."""
    return f"<h2>{escape_page(text)}</h2>"


def paragraph(text: str) -> str:
    """Return a paragraph; what stands between backticks is shown as code."""
    return f"<p>{_inline(text)}</p>"


def numbered_list(items: Iterable[str]) -> str:
    """Return a list of steps; what stands between backticks is shown as code."""
    return f"<ol>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ol>"


def blanks(names: Iterable[str]) -> str:
    """Return lines to fill in by hand, each with its name."""
    return f'<p class="blanks">{"".join(f"<span>{escape_page(name)}</span>" for name in names)}</p>'


def notice(severity: str, message: str, hint: str) -> str:
    """Return a box that states a problem and what to do; `severity` is "fault" or "warning"."""
    text = f'<b>{severity}</b> {escape_page(message)}<div class="hint">{escape_page(hint)}</div>'
    return f'<div class="notice {severity}">{text}</div>'


def table(header: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> str:
    """Return a table; columns whose cells are all numbers (or empty, or "-") are aligned to the right."""
    numeric = [_is_numeric([row[column] for row in rows]) for column in range(len(header))]
    head = _table_row("th", header, numeric)
    body = "\n".join(_table_row("td", row, numeric) for row in rows)
    return f'<div class="wide"><table><thead>{head}</thead><tbody>\n{body}</tbody></table></div>'


def figure(svg: bytes, alt: str) -> str:
    """Return a picture, held by the page itself; `alt` is read where pictures are not shown."""
    data = b64encode(svg).decode()
    return f'<figure><img alt="{escape_page(alt)}" src="data:image/svg+xml;base64,{data}"></figure>'


def drawing(svg: bytes, alt: str) -> str:
    """Return a picture as a part of the page, whose marks with a URL `tip:TEXT` show that text under the pointer."""
    inline = NOT_INLINE.sub("", svg.decode()[svg.decode().index("<svg") :])
    inline = LINK.sub(r'<g class="tip"><title>\1</title>\2</g>', inline)
    return f'<figure role="img" aria-label="{escape_page(alt)}">{inline}</figure>'


def beside(parts: Iterable[str]) -> str:
    """Return parts of a page side by side where it is wide enough."""
    return f'<div class="beside">{"".join(f"<section>{part}</section>" for part in parts)}</div>'


def sounds(title: str, clips: Mapping[str, np.ndarray], rate_hz: int) -> str:
    """Return players of clips side by side, held by the page itself: name -> mono `(T,)` with full scale 1."""
    players = "".join(_sound(name, x_T, rate_hz) for name, x_T in clips.items())
    return f"<section><p>{escape_page(title)}</p>{players}</section>"


def _sound(name: str, x_T: np.ndarray, rate_hz: int) -> str:
    file = BytesIO()
    sf.write(file, x_T, rate_hz, format="FLAC", subtype="PCM_16")
    source = f"data:audio/flac;base64,{b64encode(file.getvalue()).decode()}"
    return f'<label>{escape_page(name)} <audio controls preload="none" src="{source}"></audio></label>'


def _inline(text: str) -> str:
    return re.sub("`(.*?)`", r"<code>\1</code>", escape_page(text))


def _is_numeric(cells: Sequence[str | Cell]) -> bool:
    texts = [cell for cell in cells if isinstance(cell, str) and cell not in ("", "-")]
    return bool(texts) and all(NUMBER.fullmatch(text) for text in texts)


def _table_row(tag: Literal["th", "td"], cells: Sequence[str | Cell], numeric: Sequence[bool]) -> str:
    parts = []
    for cell, number in zip(cells, numeric, strict=True):
        text, look = (cell, "number" if number else "") if isinstance(cell, str) else cell
        attribute = f' class="{look}"' if look else ""
        parts.append(f"<{tag}{attribute}>{escape_page(text)}</{tag}>")
    return f"<tr>{''.join(parts)}</tr>"
