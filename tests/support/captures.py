"""Stock `.nam` captures of the tiny net."""

from pathlib import Path

from models.formats.nam.writer import write_nam
from models.network.baking import bake
from tests.support.makers import KNOBS, model

CONFIG, NET = model()


def capture(folder: Path, name: str, gain: float, loud: float = 1.0) -> Path:
    """A stock `.nam` of the tiny net at one gain."""
    folder.mkdir(exist_ok=True)
    fixed = bake(NET, KNOBS.encode({"gain": gain}))
    fixed.head_scale.data.mul_(loud)
    write_nam(folder / name, CONFIG, fixed, {"gain": gain})
    return folder / name
