"""The model card `README.md`: made from a run, parsed, and merged with what its owner wrote on the hub."""

from pathlib import Path
from typing import Any

from models.artifacts.evaluation import Evaluation
from models.core.errors import UserError
from models.core.files import read_regular
from zoo.package.card_page import CardContent, make_page
from zoo.package.card_schema import LIBRARY, CardBlock, Tier
from zoo.package.front_matter import join_card, parse_card
from zoo.package.layout import MAX_BYTES

TAGS = ("guitar", "amp-modeling", "wavenet", "neural-amp-modeler", "knob-conditioned")

# the marks of the generated part of a page; published cards hold them, so their words are part of the format
BEGIN = (
    "<!-- ampzoo: from here to the line that says so, a push writes this page anew; "
    "your own words are safe outside. -->"
)

END = "<!-- ampzoo: end -->"

HINT_CARD = "Push or pull the amp again."


def make_card(content: CardContent) -> str:
    """Write the text of a package's `README.md`: front matter and page."""
    config, terms = content.config, content.terms
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
            for preset in content.presets
        ],
        "model-index": [{"name": config.name, "results": [_results(content)]}],
        LIBRARY: _card_block(content).model_dump(mode="json", by_alias=True),
    }
    return join_card(front, f"{BEGIN}\n\n{make_page(content)}\n{END}\n")


def read_front_matter(card: Path) -> dict[str, Any]:
    """Read the front matter of a card as plain data. Raises `UserError` when the card is unreadable or not YAML."""
    try:
        return parse_card(read_regular(card, MAX_BYTES[".md"]).decode("utf-8"))[0]
    except UserError as problem:
        raise UserError(problem.message, HINT_CARD) from None
    except UnicodeDecodeError:
        raise UserError(f"{card} cannot be read: it is not UTF-8 text", HINT_CARD) from None
    except OSError as problem:
        raise UserError(f"{card} cannot be read: {problem.strerror}", HINT_CARD) from None
    except ValueError as problem:
        raise UserError(f"{card} cannot be read: {problem}", HINT_CARD) from None


def merge_cards(ours: str, theirs: str) -> str:
    """Merge a new card `ours` with the published one, keeping the owner's text, keys and tags.

    The owner's text is all that stands outside `BEGIN` and `END`. Where the owner removed these marks, the whole page
    is the owner's and only the front matter is new.
    """
    front, page = parse_card(ours)
    try:
        their_front, their_page = parse_card(theirs)
    except ValueError:
        return ours
    if not their_front and not their_page.strip():
        return ours
    tags = their_front.get("tags")
    own_tags = (
        [tag for tag in tags if isinstance(tag, str) and tag not in front["tags"]] if isinstance(tags, list) else []
    )
    own = {key: value for key, value in their_front.items() if key not in front}
    before, begin, rest = their_page.partition(BEGIN)
    _, end, after = rest.partition(END)
    _, _, generated = page.partition(BEGIN)
    merged = before + BEGIN + generated.partition(END)[0] + END + after if begin and end else their_page
    return join_card({**front, "tags": [*front["tags"], *own_tags], **own}, merged)


def _card_block(content: CardContent) -> CardBlock:
    """Make the `ampzoo:` block, from which `zoo list` shows a row."""
    config, evaluation, terms = content.config, content.evaluation, content.terms
    return CardBlock(
        kind=terms.kind,
        tone=terms.tone,
        knobs=config.knobs.knobs,
        esr=round(evaluation.held.mean, 6),
        parameters=evaluation.parameters,
        macs_per_sample=evaluation.macs_per_sample,
        sample_rate=config.audio.sample_rate,
        inject=config.architecture.inject.label,
        tiers=tuple(_tier(name, scores) for name, scores in content.tiers.items()),
    )


def _results(content: CardContent) -> dict[str, Any]:
    """Make an entry of `model-index`, from which a hub shows the evaluation results."""
    return {
        "task": {"type": "audio-to-audio", "name": "Guitar amplifier emulation"},
        "dataset": {"type": content.config.name, "name": "Knob settings and audio never trained on"},
        "metrics": [{"type": "esr", "value": round(content.evaluation.held.mean, 6), "name": "ESR"}],
    }


def _tier(name: str, scores: Evaluation) -> Tier:
    return Tier(
        name=name,
        esr=round(scores.held.mean, 6),
        parameters=scores.parameters,
        macs_per_sample=scores.macs_per_sample,
        realtime_factor=scores.realtime_factor,
    )
