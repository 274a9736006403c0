"""The front matter of a model card: YAML of strangers, read as plain data and written again.

Legal are texts, numbers, dates, lists and mappings. Aliases and merge keys, which let a few bytes stand for millions of
values, are refused, and so are more values than any card has.
"""

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from models.core.plain_text import plain_text

if yaml.__with_libyaml__:
    from yaml.cyaml import CParser as EventParser  # a card takes a quarter of the time
else:

    class EventParser(Reader, Scanner, Parser):
        """Splits a text into events, as `CParser` does."""

        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)


FENCE = re.compile(r"\A\ufeff?---[ \t]*\r?\n(?P<front>.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)

MAX_FRONT = 64 << 10

MAX_NODES = 5000

MAX_DEPTH = 32

MAX_FRONT_DIGITS = 64  # of a number

LEGAL_KINDS = ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")

LEGAL_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in LEGAL_KINDS}


class _PlainLoader(Composer, EventParser, SafeConstructor, Resolver):
    """Loads plain data. Raises `ValueError` for what is not."""

    def __init__(self, text: str) -> None:
        EventParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._nodes = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one value; called for each, at any depth."""
        self._nodes += 1
        if self.check_event(yaml.AliasEvent):
            raise ValueError("its front matter has an alias (*); write the value out")
        if self._nodes > MAX_NODES:
            raise ValueError(f"its front matter has more than {MAX_NODES:,} values")
        if self._depth > MAX_DEPTH:
            raise ValueError(f"its front matter is nested more than {MAX_DEPTH} deep")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        assert node is not None
        tag = str(node.tag)
        if tag == "tag:yaml.org,2002:merge":
            raise ValueError("its front matter has a merge key (<<); write the values out")
        if tag not in LEGAL_TAGS:
            raise ValueError(f"its front matter has a value of the kind '{tag[-40:]}'; use texts and numbers")
        if tag.endswith((":int", ":float")) and len(node.value) > MAX_FRONT_DIGITS:
            raise ValueError(f"its front matter has a number of more than {MAX_FRONT_DIGITS} digits")
        return node


def parse_card(text: str) -> tuple[dict[str, Any], str]:
    """Split a card into `(front matter, page)`; without front matter the first is empty.

    Raises `ValueError` when it is too large, no plain data, or not a mapping.
    """
    fenced = FENCE.match(text)
    if not fenced:
        return {}, text
    if len(fenced["front"]) > MAX_FRONT:
        raise ValueError(f"its front matter is longer than {MAX_FRONT:,} characters")
    try:
        loader = _PlainLoader(fenced["front"])
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as problem:
        at = problem.problem_mark.line if problem.problem_mark else 0
        line = 2 + min(at, fenced["front"].count("\n"))  # the first line is the fence; the mark may be behind the last
        raise ValueError(f"its front matter is not YAML at line {line}") from None
    except (yaml.YAMLError, UnicodeEncodeError):
        raise ValueError("its front matter has a character that YAML does not allow") from None
    try:
        front = loader.construct_document(node) if node else None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError):
        raise ValueError("its front matter has a date, a number or a name that does not exist") from None
    if front is not None and not isinstance(front, dict):
        raise ValueError("its front matter is not a mapping of names to values")
    return front or {}, text[fenced.end() :]


def join_card(front: dict[str, Any], page: str) -> str:
    """Write a card."""
    text = yaml.dump(front, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    return f"---\n{text}---\n\n{page.lstrip()}"


class _PlainDumper(yaml.SafeDumper):
    """Writes a value that stands at two places twice, never as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that no value is an alias."""
        return True


def text_of(front: Any, key: str, max_length: int = 64) -> str:
    """Return a text of the front matter as one line in which every character can be seen, at most so long.

    It is "-" where there is none, or something that is no text.
    """
    value = front.get(key) if isinstance(front, dict) else None
    words = " ".join(value[:MAX_FRONT].split()) if isinstance(value, str) else ""
    return plain_text(words, max_length=max_length) or "-"
