"""Every file in configs/ is what its folder says."""

from pathlib import Path

import pytest

from models.core.schema import Frozen, read_document
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.recordings.config import DataConfig
from models.training.config import LearningConfig
from models.training.recommended import MEASURED_TAKES, recommended_learning, recommended_model
from search.config.study import SearchConfig

ROOT = Path(__file__).parent.parent / "configs"
KINDS: dict[str, type[Frozen]] = {
    "data": DataConfig,
    "models": WaveNetConfig,
    "learning": LearningConfig,
    "search": SearchConfig,
    "quickstart": SearchConfig,
}


CONFIGS = sorted(path for path in ROOT.rglob("*.json") if path.parent.name != "schema")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_config_validates(path: Path):
    assert read_document(path, KINDS[path.parent.name])


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("a1-standard", 13_802),
        ("a1-lite", 6_554),
        ("a1-feather", 3_026),
        ("a1-nano", 842),
        ("a2-full", 12_146),
        ("a2-lite", 1_871),
    ],
)
def test_stock_shapes_have_their_known_weight_counts(name: str, weights: int):
    """As many as NAM's own, the head scale counted."""
    config = read_document(ROOT / "models" / f"{name}.json", WaveNetConfig)
    assert WaveNet(config, 0).parameter_count + 1 == weights
    knobs = read_document(ROOT / "models" / f"{name}-film.json", WaveNetConfig)
    assert knobs.arrays == config.arrays and WaveNet(knobs, 0).parameter_count + 1 == weights


def test_the_recommended_recipe_has_a_name_of_its_own():
    assert read_document(ROOT / "models/recommended.json", WaveNetConfig) == recommended_model()
    assert read_document(ROOT / "learning/recommended.json", LearningConfig) == recommended_learning(MEASURED_TAKES[1])
