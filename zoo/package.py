"""A finished run folder -> a package folder: everything a stranger needs to list, trust, hear and play a model."""

from pathlib import Path
from typing import Any

import numpy as np

from models.audio import write_audio
from models.documents import EVAL, ModelConfig, read_evaluation
from models.files import staged_folder, write_json, write_text
from models.run import load_model, save_model
from models.signal import guitar
from models.stream import play
from models.wavenet import WaveNet
from zoo import __version__
from zoo.card import make_card
from zoo.shelf import check_target
from zoo.verify import CARD, PRESETS, verify, write_manifest

DEMO_SECONDS, DEMO_SEED = 6.0, 2000
HEADROOM = 0.95  # demo clips are turned down to this peak where they would clip


def package(run: Path, out: Path, license_id: str) -> Path:
    """Package a finished run into the folder `out` and return it; the same run gives the same bytes.

    An earlier package of the same name there is replaced whole. Raises `UserError` when the run is not finished, has no held
    scores, or `out` holds something else.
    """
    config, net = load_model(run)
    check_target(out)
    evaluation = read_evaluation(run)
    with staged_folder(out) as folder:
        save_model(folder, config, net)
        write_json(folder / EVAL, evaluation.model_dump(mode="json", by_alias=True))
        presets = _demo(folder, config, net)
        write_json(folder / PRESETS, {"schema_version": "1.0", "presets": presets})
        write_text(folder / CARD, make_card(config, evaluation, license_id, presets))
        write_manifest(folder, config.name, f"ampzoo {__version__}")
        verify(folder)
    return out


def _demo(folder: Path, config: ModelConfig, net: WaveNet) -> list[dict[str, Any]]:
    """A dry clip of our own making and the model playing it: at rest, and with the first knob low and high."""
    rate = config.audio.sample_rate
    dry_T = guitar(DEMO_SECONDS, rate, DEMO_SEED)
    write_audio(folder / "audio" / "di.flac", dry_T, rate)
    first = config.knobs.knobs[0]
    turns = {"default": None, f"{first.name}-low": 0.1, f"{first.name}-high": 0.9}
    presets = []
    for name, turn in turns.items():
        moved = {} if turn is None else {first.name: round(first.min + turn * (first.max - first.min), 6)}
        setting = config.knobs.complete(moved)
        wet_T = play(net, dry_T, config.knobs.encode(setting))
        audio = f"audio/{name}.flac"
        write_audio(folder / audio, wet_T * min(1.0, HEADROOM / float(np.abs(wet_T).max())), rate)
        presets.append({"id": name, "knobs": setting, "audio": audio})
    return presets
