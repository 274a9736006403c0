"""Opens what holds a model: the folder of a run or a package, or a `.nam` file."""

from pathlib import Path

from models.artifacts.folder import read_model
from models.artifacts.model_config import ModelConfig
from models.core.errors import UserError
from models.formats.nam.reader import read_nam_weights
from models.network.numpy_wavenet import NumpyWaveNet

NAM_SUFFIX = ".nam"


def is_nam_file(path: Path) -> bool:
    """Return whether this is a file with the suffix of `.nam` files."""
    return path.suffix.lower() == NAM_SUFFIX and path.is_file()


def open_model(source: Path) -> tuple[ModelConfig, NumpyWaveNet]:
    """Read the model of a run folder, a package or a `.nam` file; raises as `read_model` and `read_nam_weights` do."""
    return read_nam_weights(source) if is_nam_file(source) else read_model(source)


def refuse_nam_file(path: Path) -> None:
    """Raise `UserError` for a `.nam` file, where a package or a run is asked for."""
    if is_nam_file(path):
        raise UserError(
            f"{path} is a .nam file, which has no scores of held takes",
            "zoo render, play, export, knobs and score take it; a package is made of a run (zoo train).",
        )
