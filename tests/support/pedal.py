"""A pedal whose tone and level filter after its distortion, and two that only seem to; recordings of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.signal import lfilter

from models.knobs.schema import Knob, Knobs, Setting, Value
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData, Piece
from tests.support.makers import entry, write_manifest, write_wav

Device = Callable[[np.ndarray, Setting], np.ndarray]

RATE = 48000
KNOBS = Knobs(knobs=(Knob(name="drive", default=0.5), Knob(name="tone", default=0.5), Knob(name="level", default=0.5)))
CENTER: dict[str, Value] = {"drive": 0.5, "tone": 0.5, "level": 0.5}
ISOLATED: list[Setting] = [{**CENTER, name: value} for name in CENTER for value in (0.0, 0.25, 0.75, 1.0)]
JOINT: list[Setting] = [{"drive": drive, "tone": tone, "level": 0.5} for drive in (0.0, 1.0) for tone in (0.0, 1.0)]

DRY = np.random.default_rng(0).normal(0, 0.2, RATE).astype(np.float32)


def low_pass(x_T: np.ndarray, tone: float) -> np.ndarray:
    """One pole, from 1 kHz to 8 kHz along the tone knob."""
    pole = np.exp(-2 * np.pi * 1000 * 8**tone / RATE)
    return np.asarray(lfilter([1 - pole], [1, -pole], x_T))


def pedal(x_T: np.ndarray, setting: Setting) -> np.ndarray:
    """Distortion, then tone, then level."""
    driven_T = np.tanh((1 + 20 * float(setting["drive"])) * x_T)
    return 10 ** float(setting["level"]) / 10 * low_pass(driven_T, float(setting["tone"]))


def tone_first(x_T: np.ndarray, setting: Setting) -> np.ndarray:
    """The tone knob in front of the distortion."""
    return (
        10 ** float(setting["level"])
        / 10
        * np.tanh((1 + 20 * float(setting["drive"])) * low_pass(x_T, float(setting["tone"])))
    )


def passive(x_T: np.ndarray, setting: Setting) -> np.ndarray:
    """Tone and level that load each other: the level moves the corner of the tone."""
    driven_T = np.tanh((1 + 20 * float(setting["drive"])) * x_T)
    return (0.2 + float(setting["level"])) * low_pass(driven_T, float(setting["tone"]) * float(setting["level"]))


def recordings(device: Device = pedal, settings: Sequence[Setting] = ()) -> AmpData:
    """Takes of a device at isolated and some joint settings, all of them to train on."""
    x_T = np.random.default_rng(0).normal(0, 0.2, RATE)
    pieces = []
    chosen: Sequence[Setting] = settings or [CENTER, *ISOLATED, *JOINT, *[{**CENTER, "drive": d} for d in (0.1, 0.9)]]
    for setting in chosen:
        wet_T = torch.from_numpy(device(x_T, setting).astype(np.float32))
        pieces.append(Piece(0, wet_T, 0, len(x_T), setting, torch.tensor(KNOBS.encode(setting))))
    config = DataConfig(name="pedal", train="train.json", held="held.json")
    dry_T = torch.from_numpy(x_T.astype(np.float32))
    return AmpData(config, KNOBS, RATE, "", "", dry_T=(dry_T,), train=tuple(pieces))


def record_pedal(folder: Path, device: Device = pedal, stated: str = "", late: int = 0) -> Path:
    """Files of a device, `late` samples late, whose manifest states one knob to filter after the distortion."""
    write_wav(folder / "di.wav", DRY, RATE)
    entries = []
    for number, setting in enumerate([CENTER, *ISOLATED, *JOINT]):
        wet_T = np.concatenate([np.zeros(late), device(DRY, setting)]).astype(np.float32)
        write_wav(folder / f"{number}.wav", wet_T, RATE)
        entries.append(entry("di.wav", f"{number}.wav", setting))
    knobs = [knob.model_copy(update={"after": knob.name == stated}).model_dump() for knob in KNOBS.knobs]
    return write_manifest(folder / "train.json", entries, knobs=knobs, sample_rate=RATE)
