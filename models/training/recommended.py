"""The recipe for a first model, where nobody chose one.

It is the one that measured best in benchmarks/optimizers.py: on amps with 9 to 42 takes, the same net and the same
number of steps. A1 lite is a shape of NAM 0.13.
"""

from pathlib import Path

from models.network.architecture import Film, Injection, LayerArray, WaveNetConfig
from models.recordings.config import DataConfig
from models.recordings.manifest import read_manifest
from models.training.config import LearningConfig

MEASURED_TAKES = (9, 42)  # fewest and most takes of the amps that it was measured on

MEASURED_STEPS = 1200

LONGEST_STEPS = 12_000

RECOMMENDED_NAME = "A1 lite with FiLM"
RECOMMENDED_ARRAYS = (  # channels and dilations
    (12, (1, 2, 4, 8, 16, 32, 64)),
    (6, (128, 256, 512, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)),
)


def recommended_model() -> WaveNetConfig:
    """Return A1 lite, with FiLM before the activation."""
    arrays = tuple(LayerArray(channels=channels, dilations=dilations) for channels, dilations in RECOMMENDED_ARRAYS)
    return WaveNetConfig(arrays=arrays, inject=Injection(film=(Film(slot="activation_pre"),)))


def recommended_learning(takes: int) -> LearningConfig:
    """Return SOAP with the measured steps; of more takes than were measured, each gets as many steps as there."""
    steps = MEASURED_STEPS * max(takes, MEASURED_TAKES[1]) / MEASURED_TAKES[1]
    return LearningConfig(steps=min(round(steps / 100) * 100, LONGEST_STEPS))


def count_takes(data: DataConfig) -> int:
    """Return how many takes a data config trains on and takes out of training; 0 for a manifest at a URI."""
    return len(read_manifest(data.train).takes) if isinstance(data.train, Path) else 0
