"""The parsers of a search: what people write, and what a disk may damage."""

import json
from pathlib import Path
from typing import Any

from models.core.schema import check_document, parse_json
from search.config.study import SearchConfig
from tests.fuzz.harness import Target
from tests.support.searches import SMALL, WIDE, config_of


def _dumped_config(**changes: Any) -> bytes:
    return json.dumps(config_of(**changes).model_dump(mode="json")).encode()


def _parse_search(data: bytes, folder: Path) -> object:
    return check_document(parse_json(data, "search.json"), SearchConfig, "search.json")


POINT = {"shape": "free", "depth": 3, "channels": 4, "dilations": "pow2", "learning_rate": 0.01}

CONFIGS = (
    _dumped_config(**SMALL),
    _dumped_config(space=WIDE.model_dump(mode="json"), mode="per_amp", limits={"worst_esr": 0.5}, bounds={"cost": 1}),
    json.dumps({"name": "s", "datasets": [{"name": "a", "train": "s3://bucket/train.json"}]}).encode(),
)

SEARCH_TARGETS = (Target("search", CONFIGS, _parse_search),)
