"""What plays the takes that are scored: a model of ours, a `.nam` file, or sound that another program rendered.

Shapes: T time, K knob columns.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from models.artifacts.folder import load_model
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG
from models.audio.io import open_audio, read_audio
from models.core.errors import UserError
from models.engines.select import engine_for
from models.evaluation.scoring import predict
from models.formats.nam.reader import read_nam
from models.knobs.schema import Knobs, Setting
from models.network.wavenet import WaveNet
from models.recordings.manifest import Take

RENDERED_SUFFIXES = (".wav", ".flac", ".aif", ".aiff")

UNNAMED_KNOB = re.compile(r"knob\d+")


class TakePlayer(Protocol):
    """Plays takes: `rate_hz` is the rate that it plays at, `notes` are sentences on what it does not play."""

    name: str
    rate_hz: int
    notes: list[str]

    def play(self, x_T: np.ndarray, take: Take) -> np.ndarray:
        """Return what is played for a take, float32; `x_T` is its whole dry signal at `rate_hz`."""
        ...


class ModelPlayer:
    """Plays a model at the settings of takes; knobs are matched by name, unnamed ones by their order."""

    def __init__(self, config: ModelConfig, net: WaveNet, knobs: Knobs) -> None:
        """Match the knobs of the model with those of the takes; raises `UserError` where none of them fits."""
        self.name, self.rate_hz, self.notes = config.name, config.audio.sample_rate, list[str]()
        self._config, self._engine, self._knobs = config, engine_for(net), knobs
        own, recorded, encoding = config.knobs.names, knobs.names, config.architecture.inject.encoding
        unnamed = bool(own) and all(map(UNNAMED_KNOB.fullmatch, own))
        self._by_order = unnamed and own != recorded and knobs.columns(encoding) == config.columns
        self._shared = [name for name in own if name in recorded]
        if self._by_order:
            self.notes.append(f"{config.name} names no knobs; they are taken in the order {', '.join(recorded)}")
            return
        if own and recorded and not self._shared:
            raise UserError(
                f"{config.name} has knobs {', '.join(own)}, the takes have {', '.join(recorded)}",
                "Score it with takes of the same device.",
            )
        if missing := [name for name in recorded if name not in own]:
            self.notes.append(f"{config.name} has no knob {' or '.join(missing)}: it plays every position alike")
        if extra := [knob for knob in config.knobs.knobs if knob.name not in recorded]:
            rest = ", ".join(f"{knob.name} at {knob.default}" for knob in extra)
            self.notes.append(f"the takes do not state {rest}: the default of {config.name}")

    def play(self, x_T: np.ndarray, take: Take) -> np.ndarray:
        """Return what the model plays at the setting of a take; raises `UserError` for a value it does not have."""
        padded_T = np.concatenate([np.zeros(self._config.audio.receptive_field - 1, np.float32), x_T])
        levels_K = torch.tensor(self._columns(take.setting), dtype=torch.float32)
        return predict(self._engine, torch.from_numpy(padded_T), levels_K).numpy()

    def _columns(self, setting: Setting) -> list[float]:
        if self._by_order:
            return self._knobs.encode(setting, self._config.architecture.inject.encoding)
        return self._config.encode({name: setting[name] for name in self._shared})


class RenderedTakes:
    """A folder of sound files, rendered by a plugin from the dry signals, each with the name of a take's file."""

    def __init__(self, folder: Path, takes: Sequence[Take], rate_hz: int) -> None:
        """Find a file for every take; raises `UserError` naming those that are missing or stand for several takes."""
        self.name, self.notes = folder.resolve().name, list[str]()
        self._files = _match_files(folder, takes)
        with open_audio(next(iter(self._files.values()))) as file:
            found_hz = file.samplerate
        self.rate_hz = rate_hz
        if found_hz != self.rate_hz:
            self.notes.append(f"the renderings are at {found_hz} Hz; they are resampled to {self.rate_hz} Hz")

    def play(self, x_T: np.ndarray, take: Take) -> np.ndarray:
        """Return the rendering of a take, which may be shorter or longer than `x_T`; raises as `read_audio` does."""
        return read_audio(self._files[take.wet], rate_hz=self.rate_hz)[0]


def open_player(source: Path, knobs: Knobs, takes: Sequence[Take], rate_hz: int) -> TakePlayer:
    """Open a package, a run folder, a `.nam` file, or a folder of renderings named as the takes' files.

    `rate_hz` is the rate of the takes. Raises `UserError` for anything else, and as the readers of these do.
    """
    if source.is_file() and source.suffix.lower() == ".nam":
        return ModelPlayer(*read_nam(source), knobs)
    if (source / CONFIG).exists():
        return ModelPlayer(*load_model(source), knobs)
    if source.is_dir():
        return RenderedTakes(source, takes, rate_hz)
    known = "is no .nam file and no folder" if source.exists() else "does not exist"
    raise UserError(
        f"{source} {known}", "Name a package, a run folder, a .nam file, or a folder of files named as the takes."
    )


def _match_files(folder: Path, takes: Sequence[Take]) -> dict[Path, Path]:
    """Return the rendering of each recorded file: the file of the same stem."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in RENDERED_SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    if not found:
        raise UserError(
            f"{folder} holds no model and no sound file", "Name a model, or a folder of files named as the takes."
        )
    recorded = list(dict.fromkeys(take.wet for take in takes))
    stems = [wet.stem for wet in recorded]
    if missing := [wet for wet in recorded if wet.stem not in found]:
        names = ", ".join(wet.name for wet in missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise UserError(
            f"{folder} has no rendering of {len(missing)} of {len(recorded)} takes: {names}",
            "Render every take of the manifest, under the name of its file, or list fewer takes.",
        )
    if twice := [wet for wet in recorded if stems.count(wet.stem) > 1 or len(found[wet.stem]) > 1]:
        raise UserError(
            f"{folder}: it is not clear which file renders {twice[0]}", "Give every take and rendering its own name."
        )
    return {wet: found[wet.stem][0] for wet in recorded}
