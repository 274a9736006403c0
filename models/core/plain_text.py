"""Text of strangers made plain: what cannot be seen, moves the cursor or turns the line around is replaced."""

import unicodedata

MAX_MARKS = 4  # combining marks after one letter; no writing needs more

UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})  # categories of Unicode

BLANKS = (  # the code points beside those that Unicode calls Default_Ignorable, and one letter without a stroke
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFC), (0xE0000, 0xE0FFF),
)  # fmt: skip

BLANK = frozenset(code for first, last in BLANKS for code in range(first, last + 1))


def plain_text(text: str, keep: str = "", max_length: int | None = None) -> str:
    """Return a text in which every character can be seen.

    Args:
        text: Any text.
        keep: Control characters that stay, such as line feeds.
        max_length: Longer texts are cut and end in "...".

    Control characters, halves of surrogate pairs, and characters that are invisible, blank, unassigned or turn the
    direction of writing become "?"; other spaces than " " become " "; of combining marks in a row the first
    `MAX_MARKS` stay.
    """
    if not (text.isascii() and text.translate(dict.fromkeys(map(ord, keep))).isprintable()):
        text = "".join(_plain_characters(text, keep))
    return text if max_length is None or len(text) <= max_length else f"{text[: max_length - 3]}..."


def _plain_characters(text: str, keep: str) -> list[str]:
    """Return the characters of a plain text."""
    shown, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character in keep:
            shown.append(character)
        elif category in UNSEEN or ord(character) in BLANK:
            shown.append("?")
        elif marks <= MAX_MARKS:
            shown.append(" " if category == "Zs" else character)
    return shown


def is_text(text: str) -> bool:
    """Return whether a text can be written as UTF-8; a path whose bytes are none has halves of characters in it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
