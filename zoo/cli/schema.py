"""JSON schemas of the files that users write: `python -m zoo.cli.schema` writes them into `configs/schema`.

They are generated from the classes that read those files, so the two always agree.
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

SCHEMA_FOLDER = Path("configs/schema")

DRAFT = "https://json-schema.org/draft/2020-12/schema"

DOCUMENT_TYPES: dict[str, type[Frozen]] = {
    "knobs": KnobsFile,
    "manifest": ManifestDocument,
    "data": DataConfig,
    "model": WaveNetConfig,
    "learning": LearningConfig,
    "search": SearchConfig,
}


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON schema of one kind of file, a key of `DOCUMENT_TYPES`."""
    made = DOCUMENT_TYPES[kind].model_json_schema()
    if "$ref" in made:  # a recursive document
        made = {**made["$defs"][made.pop("$ref").rpartition("/")[2]], **made}
    made["properties"] = {"$schema": {"type": "string"}, **made["properties"]}
    for name, described in made.get("$defs", {}).items():
        if name in ("Knob", "Switch"):  # when it is left out: the middle, or the first position
            described["required"].remove("default")
    return {"$schema": DRAFT, "$id": f"urn:ampzoo:{kind}:1", **made}


def write_schemas(folder: Path) -> list[Path]:
    """Write `KIND.json` for each kind and return the paths."""
    for kind in DOCUMENT_TYPES:
        write_json(folder / f"{kind}.json", schema(kind))
    return [folder / f"{kind}.json" for kind in DOCUMENT_TYPES]


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]) if len(sys.argv) > 1 else SCHEMA_FOLDER)
