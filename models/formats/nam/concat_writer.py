"""Write a model as a `ConcatWaveNet` file for NamParametricPlugin: knobs are inputs beside the audio.

The layout is that of github.com/phillipmself/neural-amp-modeler-parametric, version 1.0.0: a stock WaveNet with more
inputs, and the knobs in `config.params`. The plugin turns them from -1 to 1, and switches into one number per position.
"""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.artifacts.model_config import ModelConfig
from models.core.errors import Notice, UserError
from models.core.files import write_text
from models.formats.nam.writer import OLD_PLAYERS, film_left_out_by_old_players, to_nam
from models.knobs.schema import AnyKnob, Switch
from models.network.numpy_wavenet import NumpyWaveNet, as_numpy

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet

CONCAT_VERSION = "1.0.0"


def to_concat(config: ModelConfig, net: "WaveNet | NumpyWaveNet") -> dict[str, Any]:
    """Return the document of a model with knobs; raises `UserError` for one that this form cannot express."""
    inject = config.architecture.inject
    found = {
        "no knobs": not config.knobs.knobs,
        "a knob encoder or a warp": inject.encodes,
        "a condition network": config.architecture.condition is not None,
        "the encoding type_level": inject.encoding != "levels",
    }
    if reasons := [words for words, has in found.items() if has]:
        raise UserError(
            f"{config.name} has {' and '.join(reasons)}, which NamParametricPlugin's files cannot express",
            "Write it at one setting instead.",
        )
    document = to_nam(config, net)
    shape = {key: value for key, value in document["config"].items() if key != "in_channels"}
    stated = {key: value for key, value in document["metadata"].items() if key not in ("knobs", "knob_encoding")}
    return {
        **document,
        "version": CONCAT_VERSION,
        "architecture": "ConcatWaveNet",
        "config": {**shape, "params": [_describe_param(knob) for knob in config.knobs.knobs]},
        "metadata": {key: value for key, value in stated.items() if value is not None},
    }


def write_concat(path: Path, config: ModelConfig, net: "WaveNet | NumpyWaveNet") -> None:
    """Write `to_concat(...)` whole or not at all.

    Warns (`Notice`) of what the plugin shows or plays otherwise: a log taper, FiLM after 1x1s.
    """
    document, weights = to_concat(config, net), as_numpy(net)
    if film_left_out_by_old_players(weights):
        warnings.warn(f"{path}: {OLD_PLAYERS}", Notice, stacklevel=2)
    if names := [knob.name for knob in config.knobs.knobs if _is_log(knob)]:
        text = f"{path}: the plugin knows no log taper, so it shows {' and '.join(names)} from -1 to 1"
        warnings.warn(text, Notice, stacklevel=2)
    write_text(path, json.dumps(document, allow_nan=False) + "\n")


def _is_log(knob: AnyKnob) -> bool:
    return not isinstance(knob, Switch) and knob.taper == "log"


def _describe_param(knob: AnyKnob) -> dict[str, Any]:
    if isinstance(knob, Switch):
        last, rest = len(knob.positions) - 1, knob.positions.index(knob.default)
        values = {"min": 0, "max": last, "default": rest, "type": "switch", "enum_names": list(knob.positions)}
        return {"name": knob.name, **values, "step": None, "avoid_zero": False}
    low, high, rest, step = float(knob.min), float(knob.max), float(knob.default), knob.step
    if _is_log(knob):
        low, high, rest, step = -1.0, 1.0, float(knob.level(knob.default)), None
    return {
        "name": knob.name,
        "min": low,
        "max": high,
        "default": rest,
        "type": "continuous",
        "enum_names": None,
        "step": step,
        "avoid_zero": knob.avoid_zero,
    }
