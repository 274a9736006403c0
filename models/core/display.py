"""Free text as people may see it: names of files, amps and authors that anybody could have chosen."""

import re

UNSEEN = re.compile(  # control characters, invisible ones, those that turn the direction of text, and half pairs
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)

_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"

PILED_MARKS = re.compile(rf"({_MARK}{{4}}){_MARK}+")  # languages need up to four on one letter


def visible_text(text: str) -> str:
    """Return text whose characters can be seen: others become question marks, piles of accents are cut.

    Line breaks and tabs stay.
    """
    return PILED_MARKS.sub(r"\1", UNSEEN.sub("?", text))


def one_line(text: str, most: int) -> str:
    """Return visible text on one line, shortened to `most` characters."""
    shown = visible_text(" ".join(text.split()))
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
