"""The model card: front matter a hub can list by, and a page a player can read and its owner can add to."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.core.errors import UserError
from zoo.package.card_page import make_page
from zoo.package.card_schema import LIBRARY, CardBlock, Terms, Tier
from zoo.package.layout import MAX_BYTES
from zoo.package.presets import Preset

TAGS = ("guitar", "amp-modeling", "wavenet", "neural-amp-modeler", "knob-conditioned")

BEGIN = "<!-- ampzoo: from here to the line that says so, a push writes this page anew; your own words are safe outside. -->"

END = "<!-- ampzoo: end -->"

FENCE = re.compile(r"\A---[ \t]*\r?\n(?P<front>.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)

MAX_FRONT = 64 << 10


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
