"""The records of `amp.bin` are the same in Python, in C and on the page that describes them."""

import re
from pathlib import Path

import numpy as np
import pytest

from models.engines.cpu_stream.program import NONE
from models.formats.player import layout
from models.formats.player.layout import FILE_OPERATION, HEADER, KNOB
from models.knobs.schema import MAX_COLUMNS, MAX_KNOBS, MAX_POSITIONS

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "reference" / "amp-bin.md").read_text(encoding="utf-8")
C_HEADER = (ROOT / "player" / "amp.h").read_text(encoding="utf-8")
LIMITS = {
    "AMP_VERSION": layout.AMP_VERSION,
    "AMP_TEXT": layout.TEXT_BYTES,
    "AMP_UNIT": layout.UNIT_BYTES,
    "AMP_NAME": layout.NAME_BYTES,
    "AMP_IDENTITY": layout.IDENTITY_BYTES,
    "AMP_NONE": NONE,
    "AMP_MAX_COLUMNS": MAX_COLUMNS,
    "AMP_MAX_KNOBS": MAX_KNOBS,
    "AMP_MAX_POSITIONS": MAX_POSITIONS,
    **{
        f"AMP_{name}": getattr(layout, name)
        for name in (
            *("MAX_BUFFERS", "MAX_OPERATIONS", "MAX_ROWS"),
            *("MAX_TAPS", "MAX_HISTORY", "MAX_WEIGHTS"),
        )
    },
}


def fields(struct: str) -> tuple[str, ...]:
    """Return the names of the int32_t fields of a C structure."""
    (body,) = re.findall(rf"typedef struct \{{([^}}]*)\}} {struct};", C_HEADER)
    plain = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
    return tuple(name.strip() for names in re.findall(r"int32_t ([^;]*);", plain) for name in names.split(","))


def table(heading: str) -> dict[str, int]:
    """Return the offset of each field in the table below a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \|(?: [^|`]* \|)? `(\w+)`", section, re.MULTILINE)
    return {name: int(offset) for offset, name in rows}


def offsets(record: np.dtype) -> dict[str, int]:
    """Return the offset of each field of a record."""
    return {name: place[1] for name, place in (record.fields or {}).items()}


@pytest.mark.parametrize(("struct", "names"), [("AmpHeader", layout.COUNTS), ("Operation", layout.OPERATION_FIELDS)])
def test_c_has_the_same_fields(struct: str, names: tuple[str, ...]):
    assert fields(struct) == names


@pytest.mark.parametrize(("name", "value"), LIMITS.items())
def test_c_has_the_same_limits(name: str, value: int):
    (found,) = re.findall(rf"\b{name} = ([^,]+),", C_HEADER)
    left, _, shift = found.partition(" << ")
    assert int(left) << int(shift or 0) == value


@pytest.mark.parametrize(("heading", "record"), [("Header", HEADER), ("Knobs", KNOB), ("Operations", FILE_OPERATION)])
def test_the_page_has_the_same_offsets(heading: str, record: np.dtype):
    wanted = offsets(record)
    wanted.pop("magic", None)
    found = table(heading)
    found.pop("AMPB", None)
    assert found == wanted


def test_the_page_has_the_same_sizes():
    for part, record in (("header", HEADER), ("knobs", KNOB), ("operations", FILE_OPERATION)):
        assert re.search(rf"^\| {part} \| {record.itemsize}( each)? \|$", PAGE, re.MULTILINE)
