"""The audio clips of a package: the model at a few settings, and a held take beside the model.

Shapes: T time.
"""

import math
from pathlib import Path

import numpy as np

from models.artifacts.names import RECIPE
from models.audio.io import write_audio
from models.core.errors import UserError
from models.core.locations import is_uri
from models.core.schema import check_document
from models.knobs.schema import Knob, Knobs, Setting
from models.knobs.text import format_setting
from models.playback.stream import play
from models.recordings.loading import load_data
from models.training.config import Recipe
from zoo.package.finished_run import FinishedRun
from zoo.package.licenses import KNOWN_LICENSES
from zoo.package.presets import Preset

DEMO_SECONDS, DEMO_SEED = 6.0, 2000

LOUDNESS_DBFS = -20.0  # RMS that every clip is amplified to

HEADROOM = 0.95  # a clip's highest peak; one that would exceed it is less loud


def write_demo_clips(folder: Path, run: FinishedRun, dry_T: np.ndarray) -> tuple[Preset, ...]:
    """Write the dry clip `(T,)` and the model playing it: at the defaults, and with the first knob low and high.

    Raises `UserError` for a model that plays silence or overflows.
    """
    config, rate_hz = run.config, run.config.audio.sample_rate
    write_audio(folder / "audio" / "di.flac", dry_T, rate_hz)
    presets = []
    for name, turned in _demo_settings(config.knobs).items():
        setting = config.knobs.complete(turned)
        wet_T = play(run.net, dry_T, config.encode(setting))
        gain_db, audio = _gain_db(wet_T), f"audio/{name}.flac"
        if gain_db is None:
            raise UserError(f"{config.name} at {format_setting(setting)} plays no sound", "Train it further.")
        write_audio(folder / audio, wet_T * 10 ** (gain_db / 20), rate_hz)
        presets.append(Preset(id=name, knobs=setting, audio=audio, gain_db=gain_db))
    return tuple(presets)


def write_held_take(folder: Path, run: FinishedRun) -> Preset:
    """Write the held take of median error as three clips: dry, played by the model, and played by the amp.

    Raises `UserError` where the takes are not on this machine, are silent, or may not be published.
    """
    setting, rate_hz, dry_T, wet_T = _load_held_take(run)
    model_T = play(run.net, dry_T, run.config.encode(setting))
    names = {"dry": "audio/held-di.flac", "audio": "audio/held.flac", "target": "audio/held.target.flac"}
    gains = {"dry": 0.0, "audio": _gain_db(model_T), "target": _gain_db(wet_T)}
    for part, clip_T in (("dry", dry_T), ("audio", model_T), ("target", wet_T)):
        if (gain_db := gains[part]) is None:
            raise UserError(f"the take at {format_setting(setting)} plays no sound", "Leave out --with-take.")
        write_audio(folder / names[part], clip_T * 10 ** (gain_db / 20), rate_hz)
    return Preset(id="held", knobs=setting, gain_db=gains["audio"] or 0.0, **names)


def _demo_settings(knobs: Knobs) -> dict[str, Setting]:
    """Return the settings of the demo clips by name; knobs left out stay at their defaults."""
    settings: dict[str, Setting] = {"default": {}}
    first = next((knob for knob in knobs.knobs if isinstance(knob, Knob)), None)
    if first is not None:
        for name, position in (("low", 0.1), ("high", 0.9)):
            value = round(first.min + position * (first.max - first.min), 6)
            settings[f"{first.name}-{name}"] = {first.name: value}
    return settings


def _load_held_take(run: FinishedRun) -> tuple[Setting, int, np.ndarray, np.ndarray]:
    """Load the held take of median error: `(setting, rate in Hz, dry (T,), wet (T,))`, at most `DEMO_SECONDS` long."""
    if run.recipe is None:
        raise UserError(
            f"{run.folder} does not state where its takes are ({RECIPE} is missing)", "Leave out --with-take."
        )
    if (stated := run.evaluation.recordings_license.lower()) not in KNOWN_LICENSES:
        raise UserError(
            f"the recordings' license is '{stated}', which is not a license that allows to publish them",
            'Leave out --with-take, or state the license in the manifest ("license": "cc-by-4.0").',
        )
    recipe = check_document(run.recipe, Recipe, str(run.folder / RECIPE))
    if any(map(is_uri, (recipe.data.train, recipe.data.held))):
        raise UserError(f"the takes of {run.folder} are not on this machine, but at a URI", "Leave out --with-take.")
    data, scores = load_data(recipe.data), run.evaluation.held.settings
    setting = sorted(scores, key=lambda score: score.esr)[len(scores) // 2].setting
    piece = next((piece for piece in data.held if piece.setting == setting), None)
    if piece is None:
        raise UserError(
            f"{run.folder} was scored at other takes than those that are there now", "Leave out --with-take."
        )
    clip = slice(piece.start, min(piece.stop, piece.start + round(DEMO_SECONDS * data.rate_hz)))
    return setting, data.rate_hz, data.dry_T[piece.dry][clip].numpy(), piece.wet_T[clip].numpy()


def _gain_db(wet_T: np.ndarray) -> float | None:
    """Return the gain in dB, rounded down to 0.01, that makes a clip as loud as the others.

    None for a clip that is silent or not finite.
    """
    peak, rms = float(np.abs(wet_T).max()), float(np.sqrt(np.mean(np.square(wet_T, dtype=np.float64))))
    if not (0 < rms and peak < math.inf):
        return None
    gain = min(10 ** (LOUDNESS_DBFS / 20) / rms, HEADROOM / peak)
    return math.floor(2000 * math.log10(gain)) / 100
