"""The parsers of models: what people write, record and import."""

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from safetensors.torch import save

from models.artifacts.folder import read_model
from models.artifacts.history import read_history
from models.artifacts.model_config import ModelConfig, make_config
from models.artifacts.names import CONFIG, HISTORY, SPLIT, WEIGHTS
from models.artifacts.split_file import read_split
from models.audio.io import read_audio, read_length
from models.core.errors import Notice
from models.core.schema import Frozen, check_document, parse_json
from models.formats.nam.reader import read_nam, stated_loudness
from models.formats.nam.writer import to_nam
from models.formats.player.reader import read_amp
from models.formats.player.writer import amp_bytes
from models.knobs.automation import read_automation
from models.knobs.schema import Knobs
from models.network.architecture import WaveNetConfig
from models.recordings.config import DataConfig
from models.recordings.manifest import read_manifest
from models.sessions.progress_file import PROGRESS, read_progress
from models.training.config import LearningConfig
from tests.fuzz.harness import Target
from tests.support.makers import JOINT, KNOBS, wavenet
from tests.support.parametric_nam import FORMS, hyper

RATE = 8000

SWITCHED = Knobs.model_validate(
    {"knobs": [{"name": "gain", "max": 10}, {"name": "mode", "positions": ["1", "1.0", "lead"]}]}
)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _document(kind: type[Frozen]) -> Callable[[bytes, Path], object]:
    return lambda data, folder: check_document(parse_json(data, "f.json"), kind, "f.json")


def _in_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    """Return a parser of bytes from one that reads a file of that name."""

    def parse(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            return read(folder / name)

    return parse


ISOLATED = [
    {"input_file": "di.wav", "output_file": f"{n}.wav", "knob_type": "gain", "knob_level": n, "channel": "left"}
    for n in (0, 0.5)
]
TRAINERS = [
    {
        "type": "multi_knob",
        "train": [{"x_path": "di.wav", "y_path": "a\\1.wav", "knob_settings": {"Gain": 1, "bright": True}, "ny": 8192}],
        "validation": {"x_path": "di.wav", "y_path": "2.wav", "knob_settings": {"Gain": 0, "bright": False}},
        "common": {"sample_rate": 48000, "delay": 15},
    },
    {
        "type": "parametric",
        "train": {},
        "common": {
            "x_path": "di.wav",
            "parameters": {"Gain": {"default_value": 3.0, "maximum_value": 10.0}},
            "data": [{"y_path": "1.wav", "params": {"Gain": 4}, "delay": 3}],
        },
    },
]
SWITCH = {**JOINT, "knobs": [{"name": "gain", "max": 10}, {"name": "channel", "positions": ["clean", "lead"]}]}
DATA = {"name": "amp", "train": "a.json", "held_settings": [{"gain": 1, "mode": True}], "held_seconds": 2.0}
MODEL = {
    "arrays": [{"channels": 2, "dilations": [1, 2], "activation": ["Tanh", {"type": "PReLU"}], "gating": "gated"}],
    "inject": {"mixin": True, "film": [{"slot": "conv_pre", "shift": False}], "warp": 3, "encoder": 2},
}
LEARNING = {"steps": 100, "batch": 4, "segment": 1024, "learning_rate": 0.004, "seed": 1}


def _small_nam() -> bytes:
    net = wavenet(WaveNetConfig.model_validate({"arrays": [{"channels": 2, "dilations": [1, 2]}]}), 1)
    return _json(to_nam(make_config("amp", RATE, Knobs.model_validate({"knobs": [{"name": "gain"}]}), net.config), net))


def _container(inner: bytes) -> bytes:
    models = [{"max_value": n, "model": json.loads(inner)} for n in (0.5, 1.0)]
    head = {"version": "0.7.0", "architecture": "SlimmableContainer", "config": {"submodels": models}}
    return _json({**head, "sample_rate": RATE, "metadata": {"input_level_dbu": 12.0}, "weights": []})


def _small_config() -> bytes:
    net = wavenet(WaveNetConfig.model_validate(MODEL))
    return make_config("amp", RATE, KNOBS, net.config).model_dump_json().encode()


def _small_amp() -> bytes:
    net = wavenet(WaveNetConfig.model_validate({"arrays": [{"channels": 2, "dilations": [1, 2]}]}))
    return amp_bytes(make_config("amp", RATE, KNOBS, net.config), net)


def _weights() -> bytes:
    net = wavenet(WaveNetConfig.model_validate(MODEL))
    return save({name: tensor.contiguous() for name, tensor in net.state_dict().items()})


def _read_weights(data: bytes, folder: Path) -> object:
    """Read a model whose config is sound and whose weights are anything."""
    (folder / CONFIG).write_bytes(SMALL_CONFIG)
    (folder / WEIGHTS).write_bytes(data)
    return read_model(folder)


def _sound(kind: str, subtype: str, channels: int = 1) -> bytes:
    out, x_T = io.BytesIO(), np.sin(np.arange(400))
    sf.write(out, np.stack([x_T] * channels, axis=1), RATE, format=kind, subtype=subtype)
    return out.getvalue()


def _parametric() -> tuple[bytes, ...]:
    return tuple(_json(form()[0]) for name, form in FORMS.items() if name != "a2-film") + (_json(hyper(True)[0]),)


MOVES = (b"seconds,gain,mode\n0,1,lead\n0.5,10,1\n1,2.5,1.0\n", '\ufeff"seconds","gain"\r\n"0","1"\r\n\r\n'.encode())
NAM = _small_nam()
SMALL_CONFIG = _small_config()
SOUNDS = (_sound("WAV", "PCM_16"), _sound("WAV", "FLOAT", 2), _sound("FLAC", "PCM_16"), _sound("AIFF", "PCM_24"))
OUTPUTS = [
    {"input_file": "di.wav", "output_files": {"di": f"{n}d.wav", "57": f"{n}m.wav"}, "knobs": {"gain": n}}
    for n in (0, 1)
]
LISTED_OUTPUTS = {"knobs": ["gain", {"name": "mic", "positions": ["di", "57"], "files": True}], "entries": OUTPUTS}
MANIFESTS = tuple(map(_json, (JOINT, SWITCH, ISOLATED, {"entries": OUTPUTS}, LISTED_OUTPUTS, *TRAINERS)))

SPLIT_DOCUMENT = {
    "dry_sha256": ["0" * 64],
    "pieces": {"train": [{"dry": 0, "start": 0, "stop": 9, "setting": {"gain": 5}}]},
}
REPORTS = b'{"step": 10, "loss": 0.5, "seconds": 1.5}\n{"step": 20, "loss": null, "seconds": 2, "skipped": 3}\n'
PROGRESS_DOCUMENT = {"$schema": "urn:ampzoo:record:1", "card": "Scarlett", "send_db": -3.5, "skipped": ["1.wav"]}

CORE_TARGETS = (
    Target("manifest", MANIFESTS, _in_file("m.json", read_manifest)),
    Target("data", (_json(DATA),), _document(DataConfig)),
    Target("model", (_json(MODEL),), _document(WaveNetConfig)),
    Target("learning", (_json(LEARNING),), _document(LearningConfig)),
    Target("knobs", (SWITCHED.model_dump_json().encode(), KNOBS.model_dump_json().encode()), _document(Knobs)),
    Target("config", (SMALL_CONFIG,), _document(ModelConfig)),
    Target("automation", MOVES, _in_file("m.csv", lambda path: read_automation(path, SWITCHED, {}))),
    Target("nam", (NAM, _container(NAM)), _in_file("a.nam", lambda path: (read_nam(path), stated_loudness(path)))),
    Target("parametric-nam", _parametric(), _in_file("a.nam", read_nam)),
    Target("amp-bin", (_small_amp(),), lambda data, folder: read_amp(data)),
    Target("weights", (_weights(),), _read_weights),
    Target("split", (_json(SPLIT_DOCUMENT),), _in_file(SPLIT, lambda path: read_split(path.parent))),
    Target("history", (REPORTS,), _in_file(HISTORY, lambda path: read_history(path.parent))),
    Target("session", (_json(PROGRESS_DOCUMENT),), _in_file(PROGRESS, lambda path: read_progress(path.parent))),
    Target("audio", SOUNDS, _in_file("a.wav", lambda path: (read_length(path), read_audio(path)))),
)
