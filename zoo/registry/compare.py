"""The differences between two amps, row by row."""

from typing import Any

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, EVAL
from models.knobs.text import format_value
from zoo.package.front_matter import text_of
from zoo.package.layout import MANIFEST
from zoo.package.manifest import PackageManifest
from zoo.registry.resolve import AmpView

Row = tuple[str, str, str]


def compare(one: AmpView, other: AmpView) -> list[Row]:
    """Return `(fact, of one, of the other)` for all that differs: knobs, architecture, scores, license, files."""
    sides = [_facts(view) for view in (one, other)]
    names = sorted(dict.fromkeys([*sides[0], *sides[1]]), key=_is_architecture)
    rows = [(name, sides[0].get(name, "-"), sides[1].get(name, "-")) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _is_architecture(name: str) -> bool:
    return name.startswith("architecture.")


def _facts(view: AmpView) -> dict[str, str]:
    """Collect the facts about an amp, name -> text: quality and cost first, details of the architecture last."""
    config, evaluation = view.document(CONFIG, ModelConfig), view.document(EVAL, Evaluation)
    revision = view.revision
    facts = {"held ESR": f"{evaluation.held.mean:.4f}", "worst ESR": f"{evaluation.held.worst:.4f}"}
    facts |= {"parameters": f"{evaluation.parameters}", "MACs": f"{evaluation.macs_per_sample}"}
    facts |= {"revision": revision[:12], "license": text_of(view.front_matter(), "license")}
    facts |= {f"knob {k.name}": f"{k.legal}, default {format_value(k.default)}" for k in config.knobs.knobs}
    if revision:
        files = view.document(MANIFEST, PackageManifest).files
        facts |= {name: f"{entry.sha256[:12]} {entry.size:,} B" for name, entry in files.items()}
    return facts | _flatten("", config.model_dump(mode="json", exclude={"knobs"}))


def _flatten(prefix: str, value: Any) -> dict[str, str]:
    """Flatten nested JSON into `a.b.0` -> text."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            name: text for key, inner in pairs for name, text in _flatten(f"{prefix}.{key}".strip("."), inner).items()
        }
    return {prefix: str(value)}
