"""The front matter of a model card as data: the `ampzoo:` block, and the row of `zoo list` read from it."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from models.core.errors import UserError
from models.core.plain_text import plain_text
from models.core.schema import Frozen, check_document, spelled
from models.knobs.schema import AnyKnob
from zoo.names import NAME
from zoo.package.front_matter import text_of
from zoo.package.layout import SLUG, SLUG_WORDS
from zoo.package.vocabulary import Kind, Tone

LIBRARY = "ampzoo"


class Tier(Frozen):
    """A model of an amp at one cost, in `tiers/NAME/` or at the package's root.

    `esr` is the mean over held settings, `realtime_factor` the fraction of a CPU core, as in `eval.json`.
    """

    name: Annotated[str, spelled(rf"^{SLUG}$", SLUG_WORDS)]
    esr: Annotated[float, Field(ge=0)]
    parameters: Annotated[int, Field(ge=1, le=1 << 32)]
    macs_per_sample: Annotated[int, Field(ge=1, le=1 << 32)]
    realtime_factor: Annotated[float, Field(ge=0)]


class CardBlock(Frozen):
    """The `ampzoo:` block of the front matter: all that `zoo list` shows, so that it needs no second request."""

    schema_version: Annotated[Literal["1.0"], Field(alias="schema")] = "1.0"
    kind: Kind = "amp"
    tone: Annotated[tuple[Tone, ...], Field(max_length=5)] = ()
    knobs: Annotated[tuple[AnyKnob, ...], Field(max_length=32)]
    esr: Annotated[float, Field(ge=0)]
    parameters: Annotated[int, Field(ge=1, le=1 << 32)]
    macs_per_sample: Annotated[int, Field(ge=1, le=1 << 32)]
    sample_rate: Annotated[int, Field(ge=8000, le=192000)]
    inject: Annotated[str, Field(max_length=64)]
    tiers: Annotated[tuple[Tier, ...], Field(max_length=8)] = ()


class AmpSummary(Frozen):
    """One row of `zoo list`; `downloads` and `updated` (ISO 8601) are set where the zoo knows them."""

    name: str
    revision: str
    license: str
    downloads: int | None = None
    updated: str = ""
    amp: CardBlock


class Terms(Frozen):
    """What the owner states about an amp: license, kind, tone, and the hub's data sets of its recordings."""

    license: Annotated[str, StringConstraints(to_lower=True)]
    license_name: str = ""
    license_link: str = ""
    kind: Kind = "amp"
    tone: tuple[Tone, ...] = ()
    datasets: tuple[Annotated[str, spelled(NAME.pattern, "OWNER/NAME, for example 'alice/plexi'")], ...] = ()


def read_summary(
    name: str, revision: str, front_matter: Any, downloads: object = None, updated: object = None
) -> AmpSummary:
    """Make a row of `zoo list` from parsed front matter; the zoo's own fields are checked, too.

    Raises `UserError` for a name that is not `owner/amp`, and when the `ampzoo:` block is missing or malformed.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name}: this is not a name of the form owner/amp", "Rename it to owner/amp.")
    block = front_matter.get(LIBRARY) if isinstance(front_matter, dict) else None
    if not isinstance(block, dict):
        raise UserError(f"{name}: its card has no '{LIBRARY}' block", "Package it again with zoo package.")
    return AmpSummary(
        name=name,
        revision=revision,
        license=text_of(front_matter, "license"),
        downloads=downloads if isinstance(downloads, int) and abs(downloads) < 1 << 53 else None,
        updated=plain_text(updated, max_length=32) if isinstance(updated, str) else "",
        amp=check_document(block, CardBlock, f"{name}: card"),
    )


def read_tiers(name: str, front_matter: dict[str, Any]) -> tuple[Tier, ...]:
    """Return the tiers that a card lists. Raises `UserError` when its `ampzoo:` block is malformed."""
    block = front_matter.get(LIBRARY)
    return check_document(block, CardBlock, f"{name}: card").tiers if isinstance(block, dict) else ()


def format_knobs(knobs: tuple[AnyKnob, ...]) -> str:
    """Join the names of knobs for a table: `gain tone volume`."""
    return " ".join(knob.name for knob in knobs)
