"""Every file in configs/ is what its folder says."""

from pathlib import Path

import pytest

from models.architecture import WaveNetConfig
from models.files import Frozen, read_document
from models.recipe import DataConfig, LearningConfig
from search.space import SearchConfig

ROOT = Path(__file__).parent.parent / "configs"
KINDS: dict[str, type[Frozen]] = {
    "data": DataConfig,
    "models": WaveNetConfig,
    "learning": LearningConfig,
    "search": SearchConfig,
    "quickstart": SearchConfig,
}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.json")), ids=lambda path: str(path.relative_to(ROOT)))
def test_config_validates(path: Path):
    assert read_document(path, KINDS[path.parent.name])
