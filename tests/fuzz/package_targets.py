"""The parsers of a package's documents: what strangers publish."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.artifacts.evaluation import Evaluation
from models.core.schema import Frozen, read_document
from tests.fuzz.harness import Target
from tests.support.makers import model
from tests.support.packages import evaluation
from zoo.package.card import parse_card
from zoo.package.manifest import PackageManifest, file_entry, parse_package_document
from zoo.package.presets import Presets
from zoo.package.signing import Trust
from zoo.plugins.installed import InstalledPlugins
from zoo.registry.lockfile import LockFile, read_lock

DIGEST = "0" * 64


def _published(kind: type[Frozen]) -> Callable[[bytes, Path], object]:
    return lambda data, folder: parse_package_document(data, kind, "f.json")


def _parse_lock(data: bytes, folder: Path) -> LockFile:
    (folder / "zoo.lock").write_bytes(data)
    return read_lock(folder / "zoo.lock")


def _parse_installed(data: bytes, folder: Path) -> object:
    """Read what `zoo install` noted: whatever it says, only plugins of ours are touched."""
    (folder / "installed.json").write_bytes(data)
    found = read_document(folder / "installed.json", InstalledPlugins).paths
    assert all(path.name in ("ampzoo.clap", "ampzoo.vst3", "ampzoo.lv2") for path in found)
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


CARD = b"""---
license: cc-by-4.0
tags: [guitar, "amp: tube", ampzoo]
ampzoo:
  name: tiny
  knobs: [gain, tone]
  esr: 0.0123
  tiers:
  - {name: lite, macs: 1200}
---
# Tiny

<!-- BEGIN -->
Text.
<!-- END -->
"""

ENTRY = file_entry(b"content").model_dump(mode="json")
MANIFEST = PackageManifest.model_validate(
    {"tool": "ampzoo 0.2.0", "package": DIGEST, "files": {"config.json": ENTRY, "model.safetensors": ENTRY}}
)
PRESETS = {"presets": [{"id": "lead", "knobs": {"gain": 7, "mode": "1"}, "audio": "audio/lead.flac", "gain_db": -3}]}
LOCK = {"amps": {"alice/tiny": {"zoo": "hub", "revision": "v1", "commit": "0" * 40, "manifest": DIGEST}}}

INSTALLED = {"plugins": ["/home/a/.clap/ampzoo.clap"], "amps": {"alice/tiny": DIGEST}, "max_peak_dbfs": 3}

PACKAGE_TARGETS = (
    Target("card", (CARD,), lambda data, folder: parse_card(data.decode("utf-8", "replace")), (ValueError,)),
    Target("eval", (evaluation(model()[1]).model_dump_json(by_alias=True).encode(),), _published(Evaluation)),
    Target("package", (MANIFEST.model_dump_json(by_alias=True).encode(),), _published(PackageManifest)),
    Target("presets", (_json(PRESETS),), _published(Presets)),
    Target("trust", (_json({"owners": {"alice": DIGEST}}),), _published(Trust)),
    Target("installed", (_json(INSTALLED),), _parse_installed),
    Target("lock", (_json(LOCK),), _parse_lock),
)
