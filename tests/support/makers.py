"""Small worlds for tests: a closed-form amp with two knobs, its recordings, recipes and nets that take no time.

Shapes: T time, B batch, K knobs.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.artifacts.model_config import ModelConfig, make_config
from models.knobs.schema import Knob, Knobs, Setting
from models.network.architecture import SLOTS, Condition, Film, Head, Injection, LayerArray, WaveNetConfig
from models.network.wavenet import WaveNet
from models.recordings.config import DataConfig
from models.training.config import LearningConfig, Recipe

torch.set_num_threads(1)  # nets this small only wait for each other's threads

RATE = 8000  # Hz
KNOBS = Knobs(knobs=(Knob(name="gain", min=0, max=10, default=5), Knob(name="tone", min=0, max=1, default=0.5)))
GRID: tuple[Setting, ...] = tuple(
    {"gain": g, "tone": t} for g, t in product((0.0, 2.0, 5.0, 8.0, 10.0), (0.0, 0.5, 0.8, 1.0))
)  # twenty, four of them corners and six with both knobs inside the recorded range
FORMS = {
    "mixin": Injection(mixin=True),
    "film": Injection(film=(Film(slot="activation_pre"),)),
    "mixin+film": Injection(mixin=True, film=(Film(slot="activation_pre"),)),
    "input": Injection(input=True),
    "input+mixin": Injection(input=True, mixin=True),
    **{f"film {slot}": Injection(mixin=True, film=(Film(slot=slot),)) for slot in SLOTS},
    "film scale only": Injection(film=(Film(slot="activation_pre", shift=False), Film(slot="conv_post", arrays=(0,)))),
    "warp": Injection(mixin=True, warp=4),
    "warp+encoder": Injection(mixin=True, film=(Film(slot="activation_pre"),), warp=3, encoder=2),
    "encoder": Injection(mixin=True, film=(Film(slot="activation_pre"), Film(slot="input_mixin_pre")), encoder=3),
}
GATES = {"none": ("none", "Sigmoid"), "gated": ("gated", "Sigmoid"), "blended": ("blended", "Tanh")}
ACTIVATIONS = ("Tanh", "ReLU", "LeakyReLU", "PReLU", "SiLU", "Hardtanh", "Softsign")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def examples(count: int) -> hypothesis_settings:
    """The same examples on every machine, however slow it is."""
    return hypothesis_settings(max_examples=count, deadline=None, derandomize=True, database=None)


def esr(y: np.ndarray | Tensor, truth: np.ndarray | Tensor) -> float:
    """Error-to-signal ratio, reckoned apart from the package's own."""
    found, wanted = (np.asarray(signal, dtype=np.float64) for signal in (y, truth))
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    return float(np.sum((found - wanted) ** 2) / np.sum(wanted**2))


def di(seconds: float = 1.5, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades, `(T,)` float32 inside (-1, 1)."""
    draw = np.random.default_rng(seed)
    t_T = np.arange(int(seconds * rate)) / rate
    swell_T = 0.6 + 0.4 * np.sin(2 * np.pi * (3 * t_T + draw.uniform()))
    return (0.9 * np.tanh(0.3 * swell_T * draw.standard_normal(len(t_T)))).astype(np.float32)


def amp(x_T: np.ndarray, gain: Any, tone: Any) -> np.ndarray:
    """The amp: a gain of 0 to 10 into tanh, then a two-tap filter from dull (tone 0) to bright (tone 1)."""
    z_T = np.tanh((1 + 0.5 * gain) * x_T.astype(np.float64))
    z_T[1:] += 0.5 * (1 - 2 * tone) * z_T[:-1].copy()
    return (0.5 * z_T).astype(np.float32)


def write_wav(path: Path, x_T: np.ndarray, rate: int = RATE) -> Path:
    """A float WAV: what is written is what is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, x_T, rate, subtype="FLOAT")
    return path


def read_wav(path: Path) -> np.ndarray:
    """Samples of a file, float32."""
    return sf.read(path, dtype="float32")[0]


def write_manifest(path: Path, entries: Iterable[Mapping[str, Any]], **top: Any) -> Path:
    """A manifest in joint form with the knobs of the tiny amp."""
    knobs = [knob.model_dump() for knob in KNOBS.knobs]
    document = {"knobs": knobs, "sample_rate": RATE, **top, "entries": list(entries)}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def entry(dry: str, wet: str, setting: Mapping[str, Any]) -> dict[str, Any]:
    """One joint entry."""
    return {"input_file": dry, "output_file": wet, "knobs": setting}


def record(
    folder: Path, name: str, x_T: np.ndarray, settings: Iterable[Mapping[str, Any]] = GRID, rate: int = RATE
) -> Path:
    """Play a DI through the amp at each setting; write `{name}.json`, `{name}_dry.wav`, `{name}_0.wav`, ..."""
    dry = write_wav(folder / f"{name}_dry.wav", x_T, rate)
    entries = []
    for number, setting in enumerate(settings):
        wet = write_wav(folder / f"{name}_{number}.wav", amp(x_T, **{**KNOBS.defaults, **setting}), rate)
        entries.append(entry(dry.name, wet.name, setting))
    return write_manifest(folder / f"{name}.json", entries, sample_rate=rate)


def data_config(train: Path, **changes: Any) -> DataConfig:
    """Two settings held, one to validate, a quarter of a second of audio for each."""
    plain = {
        "held_settings": 2,
        "held_seconds": 0.25,
        "validation_settings": 1,
        "validation_seconds": 0.25,
        "validation_composed": 0,
    }
    return DataConfig.model_validate({"name": "tiny", "train": train, **plain, **changes})


def arrays(
    activation: str = "Tanh", head: int = 2, head1x1: int | None = None, gating: str = "none"
) -> tuple[LayerArray, ...]:
    """Two small arrays of different width, kernel and depth."""
    shapes = ((3, 3, (1, 2, 4), 1), (2, 2, (1, 3), head))
    mode, gate = GATES[gating]
    return tuple(
        LayerArray.model_validate(
            {
                "channels": channels,
                "kernel_size": kernel,
                "dilations": dilations,
                "activation": activation,
                "head_kernel_size": heads,
                "head1x1": head1x1,
                "gating": mode,
                "gate": gate,
            }
        )
        for channels, kernel, dilations, heads in shapes
    )


def architecture(
    form: str = "mixin+film", activation: str = "Tanh", head: int = 2, gating: str = "none"
) -> WaveNetConfig:
    """A WaveNet of 20 samples receptive field that takes its knobs in one of `FORMS`."""
    head1x1 = 2 if "head1x1" in form else None
    return WaveNetConfig(arrays=arrays(activation, head, head1x1, gating), inject=FORMS[form])


def recipe(data: DataConfig, model: WaveNetConfig | None = None, **learning: Any) -> Recipe:
    """Thirty short steps, unless stated otherwise."""
    plain = {
        "steps": 30,
        "batch": 2,
        "segment": 128,
        "warmup": 5,
        "report_every": 10,
        "optimizer": "adam",
        "composed": 0.0,
        "silence": 0.0,
        "interaction": 0.0,
    }
    return Recipe(
        data=data, model=model or architecture(), learning=LearningConfig.model_validate({**plain, **learning})
    )


def wavenet(config: WaveNetConfig, knobs: int = 2, seed: int = 0, spread: float = 0.2) -> WaveNet:
    """A net with no weight at a special value, as training would leave it."""
    torch.manual_seed(seed)
    net = WaveNet(config, knobs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
        net.head_scale.fill_(0.7)
    return net.eval()


def model(form: str = "mixin+film", activation: str = "Tanh", rate: int = RATE) -> tuple[ModelConfig, WaveNet]:
    """A model as `load_model` gives it."""
    config = architecture(form, activation)
    return make_config("tiny", rate, KNOBS, config), wavenet(config)


@st.composite
def layer_arrays(draw: st.DrawFn) -> LayerArray:
    """Any small array of the family that the PyPI trainer can build too: no gate has an activation with parameters."""
    groups = draw(st.sampled_from((1, 1, 2)))
    depth, channels = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    bottleneck = draw(st.sampled_from((None, groups * 1, groups * 2)))
    layer1x1 = bottleneck not in (None, channels) or draw(st.booleans())
    modes = st.sampled_from(("none", "gated", "blended"))
    gating = draw(
        st.sampled_from(("none", "none", "gated", "blended")) | st.lists(modes, min_size=depth, max_size=depth)
    )
    names = ACTIVATIONS if gating == "none" else ("Tanh", "SiLU", "Softsign", "ReLU", "Hardtanh")
    one_each = st.lists(st.sampled_from(names), min_size=depth, max_size=depth)
    head1x1 = draw(st.sampled_from((None, groups, 2 * groups)))
    return LayerArray.model_validate(
        {
            "channels": channels,
            "bottleneck": bottleneck,
            "kernel_size": draw(st.integers(1, 4) | st.lists(st.integers(1, 4), min_size=depth, max_size=depth)),
            "dilations": draw(st.lists(st.integers(1, 6), min_size=depth, max_size=depth)),
            "activation": draw(st.sampled_from(names) | one_each),
            "gating": gating,
            "gate": draw(st.sampled_from(("Sigmoid", "Tanh"))),
            "groups": groups,
            "layer1x1": layer1x1,
            "layer1x1_groups": groups if layer1x1 else 1,
            "head1x1": head1x1,
            "head1x1_groups": groups if head1x1 else 1,
            "head_kernel_size": draw(st.integers(1, 3)),
            "head_bias": draw(st.sampled_from((None, True, False))),
        }
    )


@st.composite
def injections(draw: st.DrawFn, arrays: tuple[LayerArray, ...]) -> Injection:
    """Any subset of the ways in that these arrays have."""
    slots = draw(st.lists(st.sampled_from(SLOTS), unique=True, max_size=4))
    lacking = {"layer1x1_post": [a.layer1x1 for a in arrays], "head1x1_post": [a.head1x1 for a in arrays]}
    films = [
        {"slot": slot, "shift": draw(st.booleans()), "arrays": draw(st.sampled_from((None, [0])))}
        for slot in slots
        if all(lacking.get(slot, [True]))
    ]
    mixin = draw(st.booleans())
    encoder, warp = (draw(st.sampled_from((None, 3))) if mixin or films else None for _ in range(2))
    return Injection.model_validate(
        {"input": draw(st.booleans()), "mixin": mixin, "film": films, "encoder": encoder, "warp": warp}
    )


@st.composite
def wavenets(draw: st.DrawFn) -> tuple[WaveNet, list[float]]:
    """Any small net of the family, K from 0 to 3, in float64, and levels to play it at."""
    arrays = tuple(draw(st.lists(layer_arrays(), min_size=1, max_size=3)))
    config = WaveNetConfig(arrays=arrays, inject=draw(injections(arrays)))
    levels_K = draw(st.lists(st.floats(-1, 1), max_size=3))
    return wavenet(config, len(levels_K), draw(st.integers(0, 1000))).double(), levels_K


def nam_twin(document: dict) -> nn.Module:
    """The PyPI trainer's own inner WaveNet with a document's weights: `(B, K + 1, T)` in, `(B, 1, T - R + 1)` out."""
    from nam.models.wavenet._wavenet import WaveNet as Twin

    shape = document["config"]
    twin = Twin.init_from_config(_twin_config(shape))
    _twin_weights(twin, document)
    return twin.eval()


def _twin_config(shape: dict) -> dict:
    from nam.models import _from_nam

    layers = [_from_nam._convert_nam_layer_array_config(layer) for layer in shape["layers"]]
    config = {"layers_configs": layers, "head": shape["head"], "head_scale": shape["head_scale"]}
    if shape["head"]:
        activation = dict(shape["head"]["activation"])
        config["head"] = {**shape["head"], "activation": {"name": activation.pop("type"), **activation}}
    if condition := shape.get("condition_dsp"):
        config["condition_dsp"] = {"name": "WaveNet", "config": _twin_config(condition["config"])}
    return config


def _twin_weights(twin: Any, document: dict) -> None:
    if condition := document["config"].get("condition_dsp"):
        _twin_weights(twin._condition_dsp, condition)
    assert twin.import_weights(torch.tensor(document["weights"])) == len(document["weights"])
    for array, shape in zip(twin._layer_arrays, document["config"]["layers"], strict=True):
        for layer, activation in zip(array._layers, shape["activation"], strict=True):
            if "negative_slopes" in activation:  # the trainer's loader forgets them
                layer._activation.weight.data = torch.tensor(activation["negative_slopes"])


def left_out(config: WaveNetConfig) -> bool:
    """Whether players leave out FiLM of its live file."""
    return any(
        "layer1x1_post" in config.inject.films(index) and set(array.gating) != {"blended"}
        for index, array in enumerate(config.arrays)
    )


STRANGE = (
    *ACTIVATIONS,
    "Hardswish",
    {"type": "LeakyHardtanh", "bends": [-0.5, 0.4, 0.1, 0.02]},
)


@st.composite
def strange_nets(draw: st.DrawFn, nested: int = 1) -> WaveNetConfig:
    """Nets of other makers' files: condition nets, heads, FiLM that receives the audio, gates by the layer."""
    stacks = []
    for plain in draw(st.lists(layer_arrays(), min_size=1, max_size=2)):
        names = st.sampled_from(STRANGE if plain.gating == ("none",) else ("Tanh", "ReLU", "Hardswish"))
        chosen = draw(st.lists(names, min_size=plain.depth, max_size=plain.depth))
        stacks.append(LayerArray.model_validate({**plain.model_dump(), "activation": chosen}))
    arrays = tuple(stacks)
    inject = draw(injections(arrays)).model_copy(update={"encoder": None, "warp": None})
    films = tuple(film.model_copy(update={"audio": True}) for film in inject.film if film.slot != "layer1x1_post")
    head = draw(
        st.none()
        | st.builds(
            lambda inputs, channels, kernels, name: Head.model_validate(
                {"inputs": inputs, "channels": channels, "kernel_sizes": kernels, "activation": name}
            ),
            st.integers(1, 3),
            st.integers(1, 3),
            st.lists(st.integers(1, 3), min_size=1, max_size=3),
            st.sampled_from(("Tanh", "SiLU", "LeakyReLU", "Hardswish")),
        )
    )
    condition = None
    if nested and draw(st.booleans()):
        condition = Condition(outputs=draw(st.integers(1, 3)), net=draw(strange_nets(nested - 1)))
    return WaveNetConfig(
        arrays=arrays, inject=inject.model_copy(update={"film": films}), head=head, condition=condition
    )


JOINT: dict[str, Any] = {
    "knobs": [{"name": "gain", "min": 2, "max": 8, "default": 5}, {"name": "channel", "positions": ["lead", "clean"]}],
    "sample_rate": 48000,
    "entries": [
        {"input_file": "di.wav", "output_file": "1.wav", "knobs": {"gain": 2, "channel": "lead"}},
        {"input_file": "di.wav", "output_file": "2.wav", "knobs": {"gain": 5, "channel": "clean"}},
        {"input_file": "di.wav", "output_file": "3.wav", "knobs": {"gain": 8, "channel": "lead"}},
        {"input_file": "di.wav", "output_file": "4.wav", "knobs": {"gain": 5, "channel": "lead"}},
    ],
}
