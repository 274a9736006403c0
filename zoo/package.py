"""A finished run folder -> a package folder: everything a stranger needs to list, trust, hear and play a model."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from models.audio import write_audio
from models.documents import EVAL, ModelConfig, read_evaluation
from models.errors import UserError
from models.files import staged_folder, write_json, write_text
from models.knobs import Knob, Setting, format_setting
from models.run import load_model, save_model
from models.signal import guitar
from models.stream import play
from models.wavenet import WaveNet
from zoo import __version__
from zoo.card import make_card
from zoo.shelf import check_target
from zoo.verify import CARD, PRESETS, verify, write_manifest

DEMO_SECONDS, DEMO_SEED = 6.0, 2000
LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]{1,63}")
HEADROOM = 0.95  # demo clips are turned down to this peak where they would clip


def package(run: Path, out: Path, license_id: str) -> Path:
    """Package a finished run into the folder `out` and return it; the same run gives the same bytes.

    An earlier package of the same name there is replaced whole. Raises `UserError` when the run is not finished, has no held
    scores, or `out` holds something else.
    """
    if not LICENSE_ID.fullmatch(license_id):
        raise UserError(
            f"'{license_id}' is not a licence identifier", "Name one as a hub knows it: cc-by-4.0, mit, cc0-1.0 ..."
        )
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
    turns: dict[str, Setting] = {"default": {}}
    first = next((knob for knob in config.knobs.knobs if isinstance(knob, Knob)), None)
    if first is not None:
        for name, turn in (("low", 0.1), ("high", 0.9)):
            turns[f"{first.name}-{name}"] = {first.name: round(first.min + turn * (first.max - first.min), 6)}
    presets = []
    for name, moved in turns.items():
        setting = config.knobs.complete(moved)
        wet_T = play(net, dry_T, config.encode(setting))
        audio = f"audio/{name}.flac"
        peak = float(np.abs(wet_T).max())
        if not 0 < peak < np.inf:
            raise UserError(
                f"{config.name} at {format_setting(setting)} plays no sound (peak {peak})", "Train it further."
            )
        write_audio(folder / audio, wet_T * min(1.0, HEADROOM / peak), rate)
        presets.append({"id": name, "knobs": setting, "audio": audio})
    return presets
