"""Filters and orders of a list of amps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from models.core.errors import UserError
from models.core.schema import short_repr

if TYPE_CHECKING:
    from zoo.package.card_schema import AmpSummary


SORTS = ("name", "esr", "macs", "downloads", "updated")


@dataclass(frozen=True)
class AmpFilter:
    """The conditions on an amp; an empty one is fulfilled by every amp.

    Attributes:
        query: Words, each of which is in the name, the kind, a tone or a knob.
        knobs: Knobs that the amp has.
        kind: Its kind.
        tone: One of its tones.
        license: Its license; case does not matter.
        max_macs: Its largest number of multiply-accumulates per sample.
        sort: The order, one of `SORTS`.

    Raises `UserError` for a condition of another kind.
    """

    query: str = ""
    knobs: tuple[str, ...] = ()
    kind: str = ""
    tone: str = ""
    license: str = ""
    max_macs: int | None = None
    sort: str = "name"

    def __post_init__(self) -> None:
        """Check what Python code states; one knob may be stated as text."""
        if isinstance(self.knobs, str):
            object.__setattr__(self, "knobs", (self.knobs,))
        if self.sort not in SORTS:
            raise UserError(f"amps cannot be sorted by {short_repr(self.sort)}", f"Choose one of {', '.join(SORTS)}.")
        texts = {"query": self.query, "kind": self.kind, "tone": self.tone, "license": self.license}
        for name, value in (*texts.items(), *(("knobs", knob) for knob in self.knobs)):
            if not isinstance(value, str):
                raise UserError(f"{name} is {short_repr(value)}, which is no text", "Write it in quotes.")
        most = 0 if self.max_macs is None else self.max_macs
        if isinstance(most, bool) or not isinstance(most, int | float):
            raise UserError(f"max_macs is {short_repr(self.max_macs)}, which is no number", "Write a whole number.")

    @classmethod
    def from_conditions(cls, conditions: Mapping[str, Any]) -> "AmpFilter":
        """Return the filter with these conditions by name; raises `UserError` for a name that is none."""
        known = [field.name for field in fields(cls)]
        if odd := [name for name in conditions if name not in known]:
            raise UserError(f"amps have no condition '{odd[0]}'", f"Choose from {', '.join(known)}.")
        return cls(**conditions)

    def matches(self, row: "AmpSummary") -> bool:
        """Return whether an amp fulfills every condition."""
        amp, names = row.amp, [knob.name for knob in row.amp.knobs]
        words = " ".join([row.name, amp.kind, *amp.tone, *names]).lower()
        return (
            all(word in words for word in self.query.lower().split())
            and all(knob in names for knob in self.knobs)
            and self.kind in ("", amp.kind)
            and (not self.tone or self.tone in amp.tone)
            and self.license.lower() in ("", row.license.lower())
            and (self.max_macs is None or amp.macs_per_sample <= self.max_macs)
        )

    def explain_none(self, rows: "Sequence[AmpSummary]", label: str) -> str:
        """Return in a sentence why none of these amps fulfills the conditions, and what there is instead."""
        count = f"{len(rows)} amp{'' if len(rows) == 1 else 's'} on {label}"
        for knob in self.knobs:
            there = {known.name for row in rows for known in row.amp.knobs}
            if knob not in there:
                return f"{count}, none with a knob '{knob}'; there are {_named_words(there)}"
        stated = {
            "kind": (self.kind, {row.amp.kind for row in rows}),
            "tone": (self.tone, {tone for row in rows for tone in row.amp.tone}),
            "license": (self.license, {row.license for row in rows}),
        }
        for name, (wanted, there) in stated.items():
            if wanted and wanted.lower() not in {one.lower() for one in there}:
                return f"{count}, none of {name} '{wanted}'; there are {_named_words(there)}"
        if self.max_macs is not None and all(row.amp.macs_per_sample > self.max_macs for row in rows):
            least = min(row.amp.macs_per_sample for row in rows)
            return f"{count}, none within {self.max_macs} MACs; the smallest has {least}"
        return f"{count}, none that fulfills all conditions; leave one out"

    def select(self, rows: "Iterable[AmpSummary]") -> "list[AmpSummary]":
        """Return the amps that match, the best first: lowest ESR or MACs, most downloads, newest."""
        found = sorted((row for row in rows if self.matches(row)), key=lambda row: row.name)
        match self.sort:
            case "esr":
                found.sort(key=lambda row: row.amp.esr)
            case "macs":
                found.sort(key=lambda row: row.amp.macs_per_sample)
            case "downloads":
                found.sort(key=lambda row: row.downloads or 0, reverse=True)
            case "updated":
                found.sort(key=lambda row: row.updated, reverse=True)
        return found


def _named_words(words: Iterable[str], most: int = 12) -> str:
    """Join words in order, at most so many of them."""
    ordered = sorted(words)
    rest = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return (", ".join(ordered[:most]) or "none") + rest
