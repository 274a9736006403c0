"""zoo/package/demo_clips.py."""

import math
from pathlib import Path

import numpy as np

from models.artifacts.evaluation import read_evaluation
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import RECIPE
from models.audio.io import write_audio
from models.core.errors import UserError
from models.core.locations import is_uri
from models.core.schema import read_document
from models.knobs.schema import Knob, Setting
from models.knobs.text import format_setting
from models.network.wavenet import WaveNet
from models.playback.stream import play
from models.recordings.loading import load_data
from models.training.config import Recipe
from zoo.package.licenses import KNOWN_LICENSES
from zoo.package.presets import Preset

DEMO_SECONDS, DEMO_SEED = 6.0, 2000

LOUDNESS_DBFS = -20.0  # RMS that every clip is brought to

HEADROOM = 0.95  # or less, where it would pass this peak


def _demo(folder: Path, config: ModelConfig, net: WaveNet, dry_T: np.ndarray) -> tuple[Preset, ...]:
    """The dry clip and the model playing it: at rest, and with the first knob low and high."""
    rate = config.audio.sample_rate
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
        gain_db, audio = _gain_db(wet_T), f"audio/{name}.flac"
        if gain_db is None:
            raise UserError(f"{config.name} at {format_setting(setting)} plays no sound", "Train it further.")
        write_audio(folder / audio, wet_T * 10 ** (gain_db / 20), rate)
        presets.append(Preset(id=name, knobs=setting, audio=audio, gain_db=gain_db))
    return tuple(presets)


def _demo_take(folder: Path, run: Path, config: ModelConfig, net: WaveNet) -> Preset:
    """The held take of median error: dry, by the model, and by the amp. Raises `UserError` where the takes are gone."""
    if not (run / RECIPE).exists():
        raise UserError(f"{run} does not say where its takes are ({RECIPE} is missing)", "Leave out --with-take.")
    if (given := read_evaluation(run).recordings_license.lower()) not in KNOWN_LICENSES:
        raise UserError(
            f"the recordings' licence is '{given}', which no hub knows as one that lets them be given on",
            'Leave out --with-take, or state the licence in the manifest ("license": "cc-by-4.0").',
        )
    recipe = read_document(run / RECIPE, Recipe)
    if any(map(is_uri, (recipe.data.train, recipe.data.held))):
        raise UserError(f"the takes of {run} are not on this machine, but at a URI", "Leave out --with-take.")
    data, scores = load_data(recipe.data), read_evaluation(run).held.settings
    setting = sorted(scores, key=lambda score: score.esr)[len(scores) // 2].setting
    piece = next(piece for piece in data.held if piece.setting == setting)
    heard = slice(piece.start, min(piece.stop, piece.start + round(DEMO_SECONDS * data.rate_hz)))
    dry_T, wet_T = data.dry_T[piece.dry][heard].numpy(), piece.wet_T[heard].numpy()
    played_T = play(net, dry_T, config.encode(setting))
    names = {"dry": "audio/held-di.flac", "audio": "audio/held.flac", "target": "audio/held.target.flac"}
    gains = {"dry": 0.0, "audio": _gain_db(played_T), "target": _gain_db(wet_T)}
    for part, clip_T in (("dry", dry_T), ("audio", played_T), ("target", wet_T)):
        if (gain_db := gains[part]) is None:
            raise UserError(f"the take at {format_setting(setting)} plays no sound", "Leave out --with-take.")
        write_audio(folder / names[part], clip_T * 10 ** (gain_db / 20), data.rate_hz)
    return Preset(id="held", knobs=setting, gain_db=gains["audio"] or 0.0, **names)


def _gain_db(wet_T: np.ndarray) -> float | None:
    """What brings a clip to the loudness of the others, to a hundredth of a dB; None for what cannot be heard."""
    peak, rms = float(np.abs(wet_T).max()), float(np.sqrt(np.mean(np.square(wet_T, dtype=np.float64))))
    if not (0 < rms and peak < math.inf):
        return None
    gain = min(10 ** (LOUDNESS_DBFS / 20) / rms, HEADROOM / peak)
    return math.floor(2000 * math.log10(gain)) / 100
