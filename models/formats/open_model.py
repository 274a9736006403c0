"""Opens what holds a model: the folder of a run or a package, or a `.nam` file."""

from pathlib import Path

from models.artifacts.folder import read_model
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import is_nam_file
from models.formats.nam.reader import read_nam_weights
from models.network.numpy_wavenet import NumpyWaveNet


def open_model(source: Path) -> tuple[ModelConfig, NumpyWaveNet]:
    """Read the model of a run folder, a package or a `.nam` file; raises as `read_model` and `read_nam_weights` do."""
    return read_nam_weights(source) if is_nam_file(source) else read_model(source)
