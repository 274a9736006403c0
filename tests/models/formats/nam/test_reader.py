"""A `.nam` file is read as the model that it was written from, by any program; a damaged one gives one clear error."""

import copy
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from models.artifacts.model_config import make_config
from models.core.errors import Notice, UserError
from models.formats.nam.reader import read_nam
from models.formats.nam.writer import to_nam
from models.knobs.schema import Knob, Knobs
from models.network.architecture import Injection, WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.stream import play
from tests.support.makers import FORMS, JSON, di, esr, examples, left_out, model, wavenets

X_T = di(0.1)
A1 = [1 << power for power in range(10)]
A2 = [1, 3, 7, 17, 41, 101, 239]
SHAPES: dict[str, list[dict[str, Any]]] = {
    "A1 standard": [{"channels": 16, "dilations": A1}, {"channels": 8, "dilations": A1}],
    "A1 nano": [
        {"channels": 4, "dilations": A1[:7]},
        {"channels": 2, "dilations": [1 << p for p in range(7, 10)] + A1},
    ],
    "A2 full": [
        {
            "channels": 8,
            "kernel_size": [6] * 14 + [15, 15] + [6] * 7,
            "dilations": A2 * 2 + [1, 13] + A2,
            "activation": "LeakyReLU",
            "head_kernel_size": 16,
        }
    ],
}


def write(path: Path, document: dict) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@given(case=wavenets())
@examples(60)
def test_export_import_export_gives_the_same_file(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[WaveNet, list[float]]
):
    net, levels_K = case[0].float(), case[1]
    assume(not left_out(net.config))
    knobs = Knobs(knobs=tuple(Knob(name=f"k{i}", min=0, max=10, default=3) for i in range(len(levels_K))))
    path = tmp_path_factory.getbasetemp() / "same.nam"
    document = to_nam(make_config("same", 44100, knobs, net.config), net)
    config, again = read_nam(write(path, document))
    assert json.dumps(to_nam(config, again)) == path.read_text()
    assert config.knobs == knobs and config.audio.sample_rate == 44100
    np.testing.assert_allclose(play(again, X_T, levels_K), play(net, X_T, levels_K), rtol=1e-5, atol=1e-5)


def trainers_own(config: WaveNetConfig) -> tuple[Any, dict]:
    """The PyPI trainer's net of a stock shape with weights of its own, and the document it exports."""
    from nam.models.wavenet import WaveNet as Theirs

    ours = to_nam(make_config("shape", 48000, Knobs(knobs=()), config), WaveNet(config, 0))
    layers = copy.deepcopy(ours["config"]["layers"])
    for layer in layers:
        layer["kernel_size"] = layer.pop("kernel_sizes")
        for key in [k for k in layer if k.endswith("_film")] + [
            "gating_mode",
            "secondary_activation",
            "head1x1",
            "layer1x1",
        ]:
            layer.pop(key)
        layer["activation"] = "Tanh" if layer["activation"][0]["type"] == "Tanh" else "LeakyReLU"
    torch.manual_seed(5)
    net = Theirs.init_from_config({"layers_configs": layers, "head": None, "head_scale": 0.02, "sample_rate": 48000})
    weights = net._export_weights().tolist()
    return net.eval(), {
        "version": "0.7.0",
        "architecture": "WaveNet",
        "config": net._export_config(),
        "weights": weights,
    }


@pytest.mark.parametrize("name", SHAPES)
def test_trainers_own_export_plays_the_same_here(tmp_path: Path, name: str):
    shape = WaveNetConfig.model_validate({"arrays": SHAPES[name], "inject": {}})
    theirs, document = trainers_own(shape)
    config, net = read_nam(write(tmp_path / "theirs.nam", document))
    assert config.architecture == shape and net.knobs == 0
    x_T = np.random.default_rng(0).normal(size=8000).astype(np.float32)
    with torch.no_grad():
        expected_T = theirs(torch.from_numpy(x_T), pad_start=True).numpy()
    assert esr(play(net, x_T, []), expected_T) < 1e-10


def test_trainers_own_container_plays_as_its_full_model(tmp_path: Path):
    """The default of the PyPI trainer 0.13: a packed pair of A2 nets, exported as a container of both."""
    from importlib import resources

    from nam.models.wavenet import PackedWaveNet

    stated = json.loads((resources.files("nam") / "train/_resources/config_model_packed.json").read_text())
    torch.manual_seed(3)
    packed = PackedWaveNet.init_from_config({**stated["net"]["config"], "sample_rate": 48000})
    packed.export(tmp_path, basename="theirs")
    config, net = read_nam(tmp_path / "theirs.nam")
    (array,) = config.architecture.arrays
    assert (array.channels, array.depth, net.knobs, config.audio.sample_rate) == (8, 23, 0, 48000)
    x_T = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    with torch.no_grad():
        expected_T = packed.extract_submodel(1).eval()(torch.from_numpy(x_T), pad_start=True).numpy()
    assert esr(play(net, x_T, []), expected_T) < 1e-10
    spoilt = json.loads((tmp_path / "theirs.nam").read_text())
    for submodels in (
        [],
        5,
        [{"max_value": "big", "model": {}}],
        [{"max_value": 1}],
        [{"max_value": 1, "model": spoilt}],
    ):
        document = {**spoilt, "config": {"submodels": submodels}}
        with pytest.raises(UserError, match=r"bad\.nam"):
            read_nam(write(tmp_path / "bad.nam", document))


def test_first_format_is_read(tmp_path: Path):
    """0.5.x has `head_size` and `head_bias` in the array, one kernel size, one activation, and `gated` for a mode."""
    shape = WaveNetConfig.model_validate({"arrays": SHAPES["A1 nano"], "inject": {}})
    theirs, document = trainers_own(shape)
    document["version"] = "0.5.4"
    document["config"]["layers"] = [
        {
            "input_size": layer["input_size"],
            "condition_size": 1,
            "head_size": layer["head"]["out_channels"],
            "head_bias": layer["head"]["bias"],
            "channels": layer["channels"],
            "kernel_size": 3,
            "dilations": layer["dilations"],
            "activation": "Tanh",
            "gated": False,
        }
        for layer in document["config"]["layers"]
    ]
    config, net = read_nam(write(tmp_path / "old.nam", document))
    assert config.architecture == shape
    with torch.no_grad():
        expected_T = theirs(torch.from_numpy(X_T), pad_start=True).numpy()
    assert esr(play(net, X_T, []), expected_T) < 1e-10


def test_live_file_without_a_knob_schema_gets_plain_knobs(tmp_path: Path):
    document = to_nam(*model())
    del document["metadata"]["knobs"]
    config, _ = read_nam(write(tmp_path / "JCM900 G4.nam", document))
    assert config.name == "jcm900-g4"
    assert [(*k.scale[:3], k.default) for k in config.knobs.knobs] == [("knob1", -1, 1, 0), ("knob2", -1, 1, 0)]


def test_grouped_mixin_is_read_as_a_dense_one(tmp_path: Path):
    config = WaveNetConfig.model_validate({"arrays": [{"channels": 4, "dilations": [1, 2]}], "inject": {"mixin": True}})
    torch.manual_seed(0)
    net = WaveNet(config, 1)
    with torch.no_grad():
        for layer in next(iter(net.arrays)).layers:
            layer.mixin.weight[:2, 1] = 0
            layer.mixin.weight[2:, 0] = 0
    document = to_nam(make_config("g", 48000, Knobs(knobs=(Knob(name="k", default=0.5),)), config), net)
    grouped = copy.deepcopy(document)
    grouped["config"]["layers"][0]["groups_input_mixin"] = 2
    weights, start = document["weights"], 4 * 2
    out = weights[:start]
    for _ in range(2):
        conv = 4 * 4 * 3 + 4
        mixin = weights[start + conv : start + conv + 8]
        out += weights[start : start + conv] + [mixin[0], mixin[2], mixin[5], mixin[7]]
        out += weights[start + conv + 8 : start + conv + 8 + 4 * 4 + 4]
        start += conv + 8 + 4 * 4 + 4
    grouped["weights"] = out + weights[start:]
    _, again = read_nam(write(tmp_path / "grouped.nam", grouped))
    np.testing.assert_allclose(play(again, X_T, [0.3]), play(net, X_T, [0.3]), rtol=1e-6, atol=1e-6)


def bent(change: Any, form: str = "film") -> dict:
    document = to_nam(*model(form))
    change(document)
    return document


BAD: dict[str, tuple[Any, str]] = {
    "a newer version": (lambda d: d.update(version="1.0.0"), "version is '1.0.0'"),
    "no version": (lambda d: d.pop("version"), "version is ''"),
    "another architecture": (lambda d: d.update(architecture="LSTM"), "architecture is 'LSTM'"),
    "no config": (lambda d: d.pop("config"), "config is not an object"),
    "no layers": (lambda d: d["config"].update(layers=[]), "'layers' is not a list of 1 to 4"),
    "five arrays": (lambda d: d["config"].update(layers=d["config"]["layers"] * 3), "'layers' is not a list of 1 to 4"),
    "truncated weights": (lambda d: d.update(weights=d["weights"][:-3]), "too few for its config"),
    "too many weights": (lambda d: d["weights"].append(0.0), "its config needs"),
    "words for weights": (lambda d: d.update(weights=["a"]), "'weights' is not a list of numbers"),
    "endless weights": (lambda d: d["weights"].__setitem__(0, 1e300), "not finite in single precision"),
    "a million channels": (lambda d: d["config"]["layers"][0].update(channels=1_000_000), "channels is 1000000"),
    "a dilation of a billion": (lambda d: d["config"]["layers"][0].update(dilations=[1 << 30]), "dilations"),
    "wrong condition size": (
        lambda d: d["config"]["layers"][1].update(condition_size=7),
        "condition_size is 7, expected 3",
    ),
    "a mono file with knobs": (lambda d: d["config"].pop("in_channels"), "condition_size is 3, expected 1"),
    "an unknown activation": (lambda d: d["config"]["layers"][0].update(activation="Snake"), "'Snake'"),
    "a condition network of another size": (
        lambda d: d["config"].update(condition_dsp=to_nam(*model("mixin"))),
        "its head gives 1 channels, expected 3",
    ),
    "too few knob names": (lambda d: d["metadata"]["knobs"].pop(), "its knobs need 1 inputs, in_channels has 2"),
    "a flag for a number": (lambda d: d["config"].update(in_channels=True), "'in_channels' is true, legal is a number"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_file_is_refused_by_name(tmp_path: Path, fault: str):
    change, words = BAD[fault]
    path = write(tmp_path / "bad.nam", bent(change))
    with pytest.raises(UserError) as refusal:
        read_nam(path)
    assert str(path) in refusal.value.message and words in refusal.value.message and refusal.value.hint


@given(
    path=st.sampled_from([("config",), ("weights",), ("config", "layers"), ("metadata",), ("sample_rate",)]), value=JSON
)
@examples(80)
def test_any_json_in_any_place_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], value: Any
):
    document = to_nam(*model("mixin+film"))
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = tmp_path_factory.getbasetemp() / "any.nam"
    try:
        file.write_text(json.dumps(document), encoding="utf-8")
    except UnicodeEncodeError:
        return
    try:
        read_nam(file)
    except UserError as refusal:
        assert str(file) in refusal.message


@given(key=st.sampled_from(sorted(to_nam(*model("mixin+film"))["config"]["layers"][0])), value=JSON)
@examples(150)
def test_any_json_in_a_layer_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any):
    document = to_nam(*model("mixin+film"))
    document["config"]["layers"][0][key] = value
    file = tmp_path_factory.getbasetemp() / "layer.nam"
    file.write_text(json.dumps(document), encoding="utf-8")
    try:
        read_nam(file)
    except UserError as refusal:
        assert str(file) in refusal.message


@pytest.mark.parametrize("form", FORMS)
def test_import_finds_where_the_knobs_enter(tmp_path: Path, form: str):
    config, net = model(form)
    path = write(tmp_path / "form.nam", to_nam(config, net))
    with pytest.warns(Notice) if form == "film layer1x1_post" else nullcontext():
        read, _ = read_nam(path)
    assert read.architecture.inject.label == config.architecture.inject.label
    assert isinstance(read.architecture.inject, Injection)
