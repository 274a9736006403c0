"""Plays a package's clips again and measures how far its files are from the clips.

Shapes: T time, K knob levels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.artifacts.folder import read_model
from models.audio.error_ratio import error_ratio
from models.audio.io import read_audio
from models.core.errors import IntegrityError, UserError
from models.formats.nam.reader import read_nam_weights
from models.formats.player.offline import OfflineModel
from zoo.package.layout import LIVE, PRESETS, tier_names
from zoo.package.manifest import package_files, read_package_document
from zoo.package.presets import Preset, Presets
from zoo.package.verify import HINT_GET_AGAIN

MAX_SAME_ESR = 1e-6  # 60 dB below the sound, far above 24-bit quantization and another machine's arithmetic


@dataclass(frozen=True)
class Replay:
    """One file played again: the ESR of the stored clip against what the file plays on this machine."""

    name: str
    esr: float

    @property
    def same(self) -> bool:
        """True when the difference is inaudible."""
        return self.esr <= MAX_SAME_ESR


def replay(folder: Path, on_progress: Callable[[float, float], None] = lambda done, total: None) -> list[Replay]:
    """Play a verified package's dry clips through its model and its `.nam` files, at every preset and for every tier.

    `on_progress` gets the presets done and the presets in all. Raises `IntegrityError` for a `.nam` file that cannot be
    played.
    """
    if not (folder / PRESETS).exists():
        return []
    document = read_package_document(folder, PRESETS, Presets)
    config, net = read_model(folder)
    play, live = OfflineModel(config, net), _read_player(folder / LIVE, config.columns)
    dry_T, replays, live_esrs = read_audio(folder / document.dry)[0], [], []
    for tier in tier_names(package_files(folder)):
        replays += _replay_tier(folder / "tiers" / tier, dry_T, document.presets)
    for done, preset in enumerate(document.presets):
        on_progress(done, len(document.presets))
        stored_T, gain = read_audio(folder / preset.audio)[0], 10 ** (preset.gain_db / 20)
        levels_K, input_T = config.encode(preset.knobs), read_audio(folder / preset.dry)[0] if preset.dry else dry_T
        replays.append(Replay(preset.audio, _esr(stored_T, _amplify(play(input_T, levels_K), gain))))
        if live:
            live_esrs.append(_esr(stored_T, _amplify(live(input_T, levels_K), gain)))
        if baked := _read_player(folder / (name := f"baked/{preset.id}.nam"), config.columns):
            replays.append(Replay(name, _esr(stored_T, _amplify(baked(input_T, levels_K), gain))))
    return [*replays, *([Replay(LIVE, max(live_esrs))] if live_esrs else [])]


def _replay_tier(folder: Path, dry_T: np.ndarray, presets: tuple[Preset, ...]) -> list[Replay]:
    """Compare a tier's `.nam` file with the tier's own model at the first preset; a tier has no clips."""
    if not presets or not (folder / LIVE).exists():
        return []
    config, net = read_model(folder)
    live, levels_K = _read_player(folder / LIVE, config.columns), config.encode(presets[0].knobs)
    assert live is not None
    error = _esr(live(dry_T, levels_K), OfflineModel(config, net)(dry_T, levels_K))
    return [Replay(f"tiers/{folder.name}/{LIVE}", error)]


def _read_player(path: Path, columns: int) -> Callable[[np.ndarray, list[float]], np.ndarray] | None:
    """Return a `.nam` file as a function of audio and levels, None where there is no such file."""
    if not path.exists():
        return None
    try:
        config, net = read_nam_weights(path)
    except UserError as problem:
        raise IntegrityError(problem.message, HINT_GET_AGAIN) from None
    if net.knobs not in (0, columns):
        raise IntegrityError(f"{path} has {net.knobs} knobs, its package {columns}", HINT_GET_AGAIN)
    play = OfflineModel(config, net)
    return lambda x_T, levels_K: play(x_T, levels_K if net.knobs else [])  # a baked one has no knobs


def _amplify(y_T: np.ndarray, gain: float) -> np.ndarray:
    """Return a signal times a gain; what is too large for its number type becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return gain * y_T


def _esr(found_T: np.ndarray, truth_T: np.ndarray) -> float:
    """Return the ESR of a clip with numpy, infinite where its length is another or a number is not finite."""
    if found_T.shape != truth_T.shape or not (np.isfinite(found_T).all() and np.isfinite(truth_T).all()):
        return math.inf
    error, signal = (float(np.square(part, dtype=np.float64).sum()) for part in (found_T - truth_T, truth_T))
    return error_ratio(error, signal)
