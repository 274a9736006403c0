"""Settings that file names state, read by a pattern: `G{gain}` finds gain 4 in `JCM900 G4.nam`."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.core.errors import UserError
from models.knobs.schema import Knobs, Setting, Switch
from models.knobs.text import format_setting

NUMBER_PATTERN = r"[+-]?\d+(?:[.,]\d+)?"

NAME_SUFFIX = re.compile(r"\.(nam|wav|flac|aiff?)$", re.IGNORECASE)


@dataclass(frozen=True)
class NamePattern:
    """How the files of a folder are named.

    `{gain}` stands for a number, or for one of the `positions` of a switch of that name. All else stands for itself,
    with no letter or digit next to it. `suffix` is that of the pattern, in lower case; empty where it has none.
    """

    text: str
    names: tuple[str, ...]
    suffix: str
    positions: Mapping[str, Sequence[str]]
    expression: re.Pattern[str]

    def find(self, path: Path) -> list[Setting]:
        """Return the setting of each place in a file's name that fits; the name is right if there is one."""
        if self.suffix and path.suffix.lower() != self.suffix:
            return []
        return [
            {
                name: text if name in self.positions else float(text.replace(",", "."))
                for name, text in zip(self.names, match.groups(), strict=True)
            }
            for match in self.expression.finditer(unicodedata.normalize("NFC", path.stem))
        ]

    def numbers(self, name: str, settings: Iterable[Setting], where: str) -> list[float]:
        """Return the numbers of a knob in these settings; raises `UserError`, naming `where`, for one that is alone."""
        found = [float(setting[name]) for setting in settings]
        if min(found) == max(found):
            raise UserError(
                f"{where}: '{name}' is {found[0]:g} in every name", "Leave it out of the pattern: it does not turn."
            )
        return found


def compile_pattern(pattern: str, positions: Mapping[str, Sequence[str]]) -> NamePattern:
    """Return the pattern that a person wrote; raises `UserError` for one without knobs, or with a knob twice."""
    pattern = unicodedata.normalize("NFC", pattern)  # accents are part of their letters, as keyboards write them
    suffix = NAME_SUFFIX.search(pattern)
    parts = re.split(r"\{([a-z][a-z0-9_-]*)\}", pattern[: suffix.start()] if suffix else pattern)
    names = parts[1::2]
    if not names or len(set(names)) < len(names) or re.search(r"[{}]", "".join(parts[::2])):
        raise UserError(
            f"'{pattern}' is not a pattern of knobs",
            "Write each knob once, in lower case: 'G{gain}' finds 'JCM900 G4.nam'.",
        )
    groups = [f"({_value_expression(positions.get(name))})" for name in names]
    body = re.escape(parts[0]) + "".join(g + re.escape(text) for g, text in zip(groups, parts[2::2], strict=True))
    expression = re.compile(rf"(?<![A-Za-z0-9]){body}(?![A-Za-z0-9])")
    return NamePattern(pattern, tuple(names), suffix[0].lower() if suffix else "", positions, expression)


def guess_pattern(paths: Sequence[Path], where: str) -> str:
    """Return the pattern of file names in which a word stands before each number that differs: `DS1 D{d} T{t}.wav`.

    Numbers without a word at either end, such as those of a recorder, are left out of it. Raises `UserError`, naming
    `where`, for names without such words, and for names of several forms.
    """
    forms: defaultdict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for path in paths:
        parts = re.split(f"({NUMBER_PATTERN})", path.stem)
        forms[(*parts[::2], path.suffix.lower())].append(parts[1::2])
    found = {}
    for (*texts, suffix), numbers in forms.items():
        if len(numbers) > 1 and (pattern := _pattern_of(texts, list(zip(*numbers, strict=True)))):
            found[pattern + suffix] = len(numbers)
    if len(found) != 1:
        several = f"are of several forms, such as {' and '.join(map(repr, sorted(found)[:2]))}"
        raise UserError(
            f"the file names in {where} {several if found else 'do not say which number is which knob'}",
            "State the pattern of the names, each number as {knob}: 'DS1 drive{drive} tone{tone}.wav'.",
        )
    return next(iter(found))


def _pattern_of(texts: Sequence[str], numbers: Sequence[tuple[str, ...]]) -> str | None:
    """Return the pattern of names with these texts around these numbers, None where one of its numbers has no word."""
    parts, names = [texts[0]], list[str | None]()
    for values, text in zip(numbers, texts[1:], strict=True):
        if len(set(values)) == 1:
            parts[-1] += values[0] + text
            continue
        dash = "-" if all(value.startswith("-") for value in values) else ""
        word = re.search(r"([a-z]+)[ _=.]*-?$", (parts[-1] + dash).lower())
        parts[-1] += dash
        names.append(word[1] if word else None)
        parts.append(text)
    words_last = bool(re.search("[A-Za-z]", parts[-1]))  # "5 drive 3 tone": words may stand behind their numbers
    while names and names[-1] is None and not parts[-2][:1].isalnum():
        names.pop()
        parts[-2:] = [""]
    while names and names[0] is None and not (words_last or parts[1][:1].isalnum()):
        names.pop(0)
        parts[:2] = [parts[1].lstrip(" _-.")]
    if not names or None in names or len(set(names)) < len(names) or set("{}") & set("".join(parts)):
        return None
    return parts[0] + "".join(f"{{{name}}}{text}" for name, text in zip(names, parts[1:], strict=True))


def positions_of(knobs: Knobs) -> dict[str, Sequence[str]]:
    """Return the positions of each switch, by its name."""
    return {knob.name: knob.positions for knob in knobs.knobs if isinstance(knob, Switch)}


def refuse_twins(settings: Mapping[Path, Setting]) -> None:
    """Raise `UserError` for two files at one setting."""
    for path, setting in settings.items():
        twin = next(other for other in settings if settings[other] == setting)
        if twin != path:
            raise UserError(
                f"{twin.name} and {path.name} are both at {format_setting(setting)}",
                "Move one of them out of the folder.",
            )


def _value_expression(positions: Sequence[str] | None) -> str:
    if positions is None:
        return NUMBER_PATTERN
    return "|".join(map(re.escape, sorted(positions, key=len, reverse=True)))  # "1.5" before "1"
