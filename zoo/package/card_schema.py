"""zoo/package/card_schema.py."""

from typing import Annotated, Any, Literal

from pydantic import Field

from models.core.errors import UserError
from models.core.schema import Frozen, check_document
from models.knobs.schema import AnyKnob
from zoo.names import NAME
from zoo.package.layout import SLUG

LIBRARY = "ampzoo"


Kind = Literal["amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio"]

Tone = Literal["clean", "overdrive", "crunch", "hi_gain", "fuzz"]


class Tier(Frozen):
    """A smaller or larger model of an amp, in `tiers/NAME/` or at the root; `realtime_factor` as in `eval.json`."""

    name: Annotated[str, Field(pattern=rf"^{SLUG}$")]
    esr: Annotated[float, Field(ge=0)]
    parameters: Annotated[int, Field(ge=1, le=1 << 32)]
    macs_per_sample: Annotated[int, Field(ge=1, le=1 << 32)]
    realtime_factor: Annotated[float, Field(ge=0)]


class CardBlock(Frozen):
    """The `ampzoo:` block of the front matter: what a listing shows, so that listing needs no second request."""

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
    """One row of `zoo list`; `downloads` and `updated` (ISO 8601) where the zoo knows them."""

    name: str
    revision: str
    license: str
    downloads: int | None = None
    updated: str = ""
    amp: CardBlock


class Terms(Frozen):
    """What its owner says of an amp: licence, what sort of amp it is, and the hub's data sets of its recordings."""

    license: str
    license_name: str = ""
    license_link: str = ""
    kind: Kind = "amp"
    tone: tuple[Tone, ...] = ()
    datasets: tuple[Annotated[str, Field(pattern=NAME.pattern)], ...] = ()


def read_summary(
    name: str, revision: str, front_matter: Any, downloads: object = None, updated: object = None
) -> AmpSummary:
    """A row of `zoo list` from parsed front matter; raises `UserError` when its `ampzoo:` block is missing or malformed."""
    if not NAME.fullmatch(name):
        raise UserError(f"{name}: nobody could ask for an amp of this name", "Call it owner/amp.")
    block = front_matter.get(LIBRARY) if isinstance(front_matter, dict) else None
    if not isinstance(block, dict):
        raise UserError(f"{name}: its card has no '{LIBRARY}' block", "Package it again with zoo package.")
    license_id = front_matter.get("license")
    return AmpSummary(
        name=name,
        revision=revision,
        license=license_id[:64] if isinstance(license_id, str) else "-",
        downloads=downloads if isinstance(downloads, int) and abs(downloads) < 1 << 53 else None,
        updated=updated[:32] if isinstance(updated, str) else "",
        amp=check_document(block, CardBlock, f"{name}: card"),
    )


def read_tiers(name: str, front_matter: dict[str, Any]) -> tuple[Tier, ...]:
    """The tiers that a card tells of; raises `UserError` when its `ampzoo:` block is malformed."""
    block = front_matter.get(LIBRARY)
    return check_document(block, CardBlock, f"{name}: card").tiers if isinstance(block, dict) else ()


def format_knobs(knobs: tuple[AnyKnob, ...]) -> str:
    """`gain tone volume`, for tables."""
    return " ".join(knob.name for knob in knobs)
