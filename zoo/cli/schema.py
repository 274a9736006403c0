"""JSON schemas of the files people write, for their editors: `python -m zoo.cli.schema` writes them into `configs/schema`.

They are made from the documents that read those files, so that they cannot say anything else.
"""

import sys
from pathlib import Path
from typing import Any

from models.capture.plan import KnobsFile
from models.core.files import write_json
from models.core.schema import Frozen
from models.network.architecture import WaveNetConfig
from models.recordings.config import DataConfig
from models.recordings.manifest_formats import ManifestDocument
from models.training.config import LearningConfig
from search.config.study import SearchConfig

FOLDER = Path("configs/schema")

DRAFT = "https://json-schema.org/draft/2020-12/schema"

KINDS: dict[str, type[Frozen]] = {
    "knobs": KnobsFile,
    "manifest": ManifestDocument,
    "data": DataConfig,
    "model": WaveNetConfig,
    "learning": LearningConfig,
    "search": SearchConfig,
}


def schema(kind: str) -> dict[str, Any]:
    """The JSON schema of one kind of file."""
    made = KINDS[kind].model_json_schema()
    if "$ref" in made:  # of a document that may hold itself
        made = {**made["$defs"][made.pop("$ref").rpartition("/")[2]], **made}
    made["properties"] = {"$schema": {"type": "string"}, **made["properties"]}
    for name, described in made.get("$defs", {}).items():
        if name in ("Knob", "Switch"):  # they rest in the middle, or at the first position, when nothing else is said
            described["required"].remove("default")
    return {"$schema": DRAFT, "$id": f"urn:ampzoo:{kind}:1", **made}


def write_schemas(folder: Path) -> list[Path]:
    """Write all of them, `KIND.json` each; returns the paths."""
    for kind in KINDS:
        write_json(folder / f"{kind}.json", schema(kind))
    return [folder / f"{kind}.json" for kind in KINDS]


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
