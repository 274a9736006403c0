"""What differs between two amps, row by row."""

from typing import Any

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, EVAL
from models.knobs.text import format_value
from zoo.package.layout import MANIFEST
from zoo.package.manifest import PackageManifest
from zoo.registry.resolve import AmpView

Row = tuple[str, str, str]


def compare(one: AmpView, other: AmpView) -> list[Row]:
    """`(what, of the one, of the other)` for everything that is not the same: knobs, architecture, scores, license, files."""
    sides = [_facts(look) for look in (one, other)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    rows = [(name, sides[0].get(name, "-"), sides[1].get(name, "-")) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _facts(look: AmpView) -> dict[str, str]:
    config, evaluation = look.document(CONFIG, ModelConfig), look.document(EVAL, Evaluation)
    facts = {"revision": look.revision[:12], "license": str(look.front_matter().get("license") or "-")}
    facts |= {f"knob {k.name}": f"{k.legal}, default {format_value(k.default)}" for k in config.knobs.knobs}
    facts |= _flat("", config.model_dump(mode="json", exclude={"knobs"}))
    facts |= {"held ESR": f"{evaluation.held.mean:.4f}", "worst ESR": f"{evaluation.held.worst:.4f}"}
    facts |= {"parameters": f"{evaluation.parameters}", "cost": f"{evaluation.macs_per_sample}"}
    if look.revision:
        files = look.document(MANIFEST, PackageManifest).files
        facts |= {name: f"{entry.sha256[:12]} {entry.size:,} B" for name, entry in files.items()}
    return facts


def _flat(prefix: str, value: Any) -> dict[str, str]:
    """Nested JSON as `a.b.0` -> text."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: text for key, inner in pairs for name, text in _flat(f"{prefix}.{key}".strip("."), inner).items()}
    return {prefix: str(value)}
