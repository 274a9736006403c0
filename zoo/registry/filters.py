"""Filters and orders of a list of amps."""

from collections.abc import Iterable
from dataclasses import dataclass

from zoo.package.card_schema import AmpSummary


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
        sort: The order: `name`, `esr`, `macs`, `downloads` or `updated`.
    """

    query: str = ""
    knobs: tuple[str, ...] = ()
    kind: str = ""
    tone: str = ""
    license: str = ""
    max_macs: int | None = None
    sort: str = "name"

    def matches(self, row: AmpSummary) -> bool:
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

    def select(self, rows: Iterable[AmpSummary]) -> list[AmpSummary]:
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
