"""zoo/package/replay.py."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.artifacts.folder import load_model
from models.audio.io import read_audio
from models.core.errors import IntegrityError, UserError
from models.evaluation.distances import esr
from models.formats.nam.reader import read_nam
from models.playback.stream import play
from zoo.package.layout import LIVE, PRESETS, tiers
from zoo.package.manifest import package_files, read_part
from zoo.package.presets import Preset, Presets
from zoo.package.verify import AGAIN

SAME_SOUND = 1e-6  # ESR: 60 dB below the sound, far above 24-bit quantisation and another machine's arithmetic


@dataclass(frozen=True)
class Replay:
    """One clip played again: the error of the stored clip against what a file plays here, as ESR."""

    name: str
    esr: float

    @property
    def same(self) -> bool:
        """True when nobody could tell them apart."""
        return self.esr <= SAME_SOUND


def replay(folder: Path, on_progress: Callable[[float, float], None] = lambda done, total: None) -> list[Replay]:
    """Play a verified package's own dry clip through its model and its `.nam` files at every preset, beside the clips it carries."""
    if not (folder / PRESETS).exists():
        return []
    document = read_part(folder, PRESETS, Presets)
    config, net = load_model(folder)
    dry_T, replayed, live = read_audio(folder / document.dry)[0], [], []
    for tier in tiers(package_files(folder)):
        replayed += _replay_tier(folder / "tiers" / tier, dry_T, document.presets)
    for done, preset in enumerate(document.presets):
        on_progress(done, len(document.presets))
        stored_T, gain = read_audio(folder / preset.audio)[0], 10 ** (preset.gain_db / 20)
        levels_K, heard_T = config.encode(preset.knobs), read_audio(folder / preset.dry)[0] if preset.dry else dry_T
        replayed.append(Replay(preset.audio, _esr(stored_T, gain * play(net, heard_T, levels_K))))
        for name in (LIVE, f"baked/{preset.id}.nam"):
            if (folder / name).exists():
                error = _esr(stored_T, gain * _play_nam(folder / name, heard_T, levels_K))
                live.append(error) if name == LIVE else replayed.append(Replay(name, error))
    return [*replayed, *([Replay(LIVE, max(live))] if live else [])]


def _replay_tier(folder: Path, dry_T: np.ndarray, presets: tuple[Preset, ...]) -> list[Replay]:
    """A tier has no clips: its player's file is held against its own model, at the first preset."""
    if not presets or not (folder / LIVE).exists():
        return []
    config, net = load_model(folder)
    levels_K = config.encode(presets[0].knobs)
    error = _esr(_play_nam(folder / LIVE, dry_T, levels_K), play(net, dry_T, levels_K))
    return [Replay(f"tiers/{folder.name}/{LIVE}", error)]


def _play_nam(path: Path, dry_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
    """A player's file at these levels; a stock one has no knobs to turn."""
    try:
        _, net = read_nam(path)
    except UserError as problem:
        raise IntegrityError(problem.message, AGAIN) from None
    if net.knobs not in (0, len(levels_K)):
        raise IntegrityError(f"{path} has {net.knobs} knobs, its package {len(levels_K)}", AGAIN)
    return play(net, dry_T, levels_K if net.knobs else [])


def _esr(found_T: np.ndarray, truth_T: np.ndarray) -> float:
    """Return the ESR of a clip, infinite where its length is another."""
    return esr(*map(torch.from_numpy, (found_T, truth_T))) if found_T.shape == truth_T.shape else math.inf
