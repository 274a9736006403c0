"""The one way in which free text gets into a card: as text, never as HTML or Markdown."""

from urllib.parse import quote, urlsplit

from models.core.plain_text import plain_text

MAX_FREE_TEXT = 200

SPECIAL = {character: f"&#{ord(character)};" for character in "&<>\"'[]|`*\\_~#"}

BEGINS = ("://", "www.", "@")  # of what Markdown turns into links by itself


def escape_card(text: str, max_length: int = MAX_FREE_TEXT) -> str:
    """Return free text for a card: one line, at most so long, without HTML, Markdown, links and unseen characters."""
    plain = plain_text(" ".join(text.split()), max_length=max_length)
    escaped = "".join(SPECIAL.get(character, character) for character in plain)
    for begin in BEGINS:
        escaped = escaped.replace(begin, f"&#{ord(begin[0])};{begin[1:]}")
    return escaped


def card_link(title: str, url: str) -> str:
    """Return a Markdown link to a web page; one to anything else is written as text."""
    try:
        known = urlsplit(url).scheme in ("http", "https")
    except ValueError:
        known = False
    if not known:
        return f"{escape_card(title)} ({escape_card(url)})"
    return f"[{escape_card(title)}]({quote(plain_text(url)[:2000], safe=':/?#@!$&*+,;=%-._~')})"
