"""The model card: front matter a hub can list by, and a page a player can read and its owner can add to."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from models.documents import Evaluation, ModelConfig
from models.errors import UserError
from models.files import Frozen, check_document
from models.knobs import AnyKnob
from zoo.layout import MAX_BYTES, SLUG, Preset
from zoo.names import NAME
from zoo.page import make_page

LIBRARY = "ampzoo"
TAGS = ("guitar", "amp-modeling", "wavenet", "neural-amp-modeler", "knob-conditioned")
BEGIN = "<!-- ampzoo: from here to the line that says so, a push writes this page anew; your own words are safe outside. -->"
END = "<!-- ampzoo: end -->"
FENCE = re.compile(r"\A---[ \t]*\r?\n(?P<front>.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)
MAX_FRONT = 64 << 10

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


class Listed(Frozen):
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


def make_card(
    config: ModelConfig,
    evaluation: Evaluation,
    terms: Terms,
    presets: tuple[Preset, ...],
    fault: str | None = None,
    tiers: Mapping[str, Evaluation] = {},
    searched: bool = False,
) -> str:
    """The text of a package's `README.md`; `fault` is what it is published in spite of, `tiers` all of them, this amp's own included.

    Of an amp that was `searched` for there is a picture of the front.
    """
    held, knobs = evaluation.held, config.knobs
    block = CardBlock(
        kind=terms.kind,
        tone=terms.tone,
        knobs=knobs.knobs,
        esr=round(held.mean, 6),
        parameters=evaluation.parameters,
        macs_per_sample=evaluation.macs_per_sample,
        sample_rate=config.audio.sample_rate,
        inject=config.architecture.inject.label,
        tiers=tuple(_tier(name, scores) for name, scores in tiers.items()),
    )
    metrics = [{"type": "esr", "value": round(held.mean, 6), "name": "ESR"}]
    results = {
        "task": {"type": "audio-to-audio", "name": "Guitar amplifier emulation"},
        "dataset": {"type": config.name, "name": "Knob settings and audio never trained on"},
        "metrics": metrics,
    }
    named = {"license_name": terms.license_name, "license_link": terms.license_link}
    front = {
        "license": terms.license,
        **{key: value for key, value in named.items() if value},
        "library_name": LIBRARY,
        "pipeline_tag": "audio-to-audio",
        "tags": [*TAGS, terms.kind, *terms.tone],
        **({"datasets": list(terms.datasets)} if terms.datasets else {}),
        "widget": [
            {"src": preset.dry or "audio/di.flac", "example_title": preset.id, "output": {"url": preset.audio}}
            for preset in presets
        ],
        "model-index": [{"name": config.name, "results": [results]}],
        LIBRARY: block.model_dump(mode="json", by_alias=True),
    }
    body = make_page(config, evaluation, terms, presets, fault, tiers, searched)
    return _page(front, f"{BEGIN}\n\n{body}\n{END}\n")


def read_row(name: str, revision: str, front_matter: Any, downloads: object = None, updated: object = None) -> Listed:
    """A row of `zoo list` from parsed front matter; raises `UserError` when its `ampzoo:` block is missing or malformed."""
    if not NAME.fullmatch(name):
        raise UserError(f"{name}: nobody could ask for an amp of this name", "Call it owner/amp.")
    block = front_matter.get(LIBRARY) if isinstance(front_matter, dict) else None
    if not isinstance(block, dict):
        raise UserError(f"{name}: its card has no '{LIBRARY}' block", "Package it again with zoo package.")
    license_id = front_matter.get("license")
    return Listed(
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


def read_front_matter(card: Path) -> dict[str, Any]:
    """The front matter of a card as plain data; raises `UserError` when there is none or it is not YAML."""
    try:
        if card.stat().st_size > MAX_BYTES[".md"]:
            raise ValueError(f"it is larger than {MAX_BYTES['.md']:,} bytes")
        return parse_card(card.read_text(encoding="utf-8"))[0]
    except (OSError, ValueError) as problem:
        raise UserError(f"{card} cannot be read: {_first_line(problem)}", "Push or pull the amp again.") from None


def parse_card(text: str) -> tuple[dict[str, Any], str]:
    """`(front matter, page)` of a card; raises `ValueError` when the front matter is not YAML with names for keys."""
    fenced = FENCE.match(text)
    if not fenced:
        return {}, text
    if len(fenced["front"]) > MAX_FRONT:
        raise ValueError(f"its front matter is longer than {MAX_FRONT:,} characters")
    try:
        front = yaml.safe_load(fenced["front"])
    except (yaml.YAMLError, TypeError, RecursionError, OverflowError) as problem:
        raise ValueError(_first_line(problem)) from None
    if front is not None and not isinstance(front, dict):
        raise ValueError("its front matter is not a list of names and values")
    return front or {}, text[fenced.end() :]


def merge_cards(ours: str, theirs: str) -> str:
    """A new card that keeps what the owner of the published one wrote: text outside our lines, keys and tags of their own.

    Where the owner took our lines out, the whole page is theirs and only the front matter is written anew.
    """
    front, page = parse_card(ours)
    try:
        their_front, their_page = parse_card(theirs)
    except ValueError:
        return ours
    if not their_front and not their_page.strip():
        return ours
    tags = their_front.get("tags")
    more = [tag for tag in tags if isinstance(tag, str) and tag not in front["tags"]] if isinstance(tags, list) else []
    own = {key: value for key, value in their_front.items() if key not in front}
    before, begin, rest = their_page.partition(BEGIN)
    _, end, after = rest.partition(END)
    _, _, generated = page.partition(BEGIN)
    kept = before + BEGIN + generated.partition(END)[0] + END + after if begin and end else their_page
    return _page({**front, "tags": [*front["tags"], *more], **own}, kept)


def _page(front: dict[str, Any], body: str) -> str:
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1 << 20)
    return f"---\n{text}---\n\n{body.lstrip()}"


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0] or type(problem).__name__


def _tier(name: str, scores: Evaluation) -> Tier:
    return Tier(
        name=name,
        esr=round(scores.held.mean, 6),
        parameters=scores.parameters,
        macs_per_sample=scores.macs_per_sample,
        realtime_factor=scores.realtime_factor,
    )


def format_knobs(knobs: tuple[AnyKnob, ...]) -> str:
    """`gain tone volume`, for tables."""
    return " ".join(knob.name for knob in knobs)
