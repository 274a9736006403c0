"""Text of strangers: every character that is shown can be seen, whatever it is."""

import sys
import unicodedata

import pytest

from models.core.plain_text import MAX_MARKS, plain_text
from models.reporting.html import escape_page

UNSEEN = {
    "escape": "\x1b[31m", "bell": "\x07", "C1": "\x9b", "delete": "\x7f", "return": "\r", "soft hyphen": "\u00ad",
    "right to left": "\u202e", "isolate": "\u2066", "zero width": "\u200b", "joiner": "\u2060", "BOM": "\ufeff",
    "line separator": "\u2028", "hangul filler": "\u3164", "half filler": "\uffa0", "braille blank": "\u2800",
    "grapheme joiner": "\u034f", "mongolian selector": "\u180b", "variation": "\ufe0f", "tag": "\U000e0041",
    "supplementary variation": "\U000e0100", "private": "\ue000", "half a pair": "\ud800", "unassigned": "\U000e0fff",
    "annotation": "\ufff9", "object": "\ufffc", "khmer": "\u17b4", "choseong": "\u115f", "arabic mark": "\u061c",
}  # fmt: skip


@pytest.mark.parametrize("what", UNSEEN)
def test_what_cannot_be_seen_is_a_question_mark(what: str):
    shown = plain_text(f"a{UNSEEN[what]}b")
    assert shown == f"a?{UNSEEN[what][1:]}b" and escape_page(f"a{UNSEEN[what]}b") == shown


def test_every_character_there_is_shows():
    for code in range(sys.maxunicode + 1):
        shown = plain_text(f"a{chr(code)}")
        assert len(shown) == 2 and unicodedata.category(shown[1])[0] not in "CZ" or shown == "a ", hex(code)


def test_marks_do_not_pile_up():
    assert plain_text("o" + "\u0301" * 200 + "k") == "o" + "\u0301" * MAX_MARKS + "k"
    assert plain_text("e\u0301\u0323 ส้ม हिन्दी Ångström 東京 🎸") == "e\u0301\u0323 ส้ม हिन्दी Ångström 東京 🎸"


def test_length_and_kept_characters():
    assert plain_text("a\nb\tc") == "a?b?c" and plain_text("a\nb\tc", keep="\n\t") == "a\nb\tc"
    assert plain_text("x" * 100, max_length=10) == "x" * 7 + "..."
    assert plain_text("a\u00a0b\u3000c") == "a b c"
