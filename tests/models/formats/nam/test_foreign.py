"""Files of other programs: condition networks, post-heads, FiLM that takes the audio, a gate per layer."""

import copy
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.artifacts.model_config import ModelConfig, make_config
from models.core.errors import Notice, UserError
from models.engines.eager import EagerEngine
from models.engines.select import engine_for
from models.formats.nam.reader import read_nam
from models.formats.nam.writer import to_nam, write_nam
from models.knobs.schema import Knob, Knobs
from models.network.architecture import WaveNetConfig
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.playback.stream import Stream, play
from models.recordings.loading import load_data
from models.training.trainer import Trainer
from tests.support.makers import (
    data_config,
    di,
    esr,
    examples,
    model,
    nam_twin,
    recipe,
    record,
    strange_nets,
    wavenet,
)

X_T = di(0.1)
LEVELS = st.lists(st.floats(-1, 1), max_size=2)
FOREIGN: dict[str, Any] = {
    "arrays": [
        {
            "channels": 3,
            "dilations": [1, 2],
            "activation": [{"type": "PReLU", "negative_slope": 0.1}, "Softsign"],
            "gating": ["blended", "gated"],
            "gate": [{"type": "LeakyHardtanh", "bends": [0, 0.9, 0, 0.02]}, {"type": "PReLU", "negative_slope": 0.3}],
        },
        {"channels": 2, "dilations": [1, 3], "activation": "Fasttanh", "head_kernel_size": 2, "head_dilation": 3},
    ],
    "inject": {
        "mixin": True,
        "film": [
            {"slot": "conv_pre", "audio": True, "arrays": [0]},
            {"slot": "conv_pre", "shift": False, "arrays": [1]},
            {"slot": "input_mixin_pre", "audio": True},
            "activation_post",
        ],
    },
    "head": {"inputs": 2, "channels": 3, "kernel_sizes": [3, 2], "activation": "Hardswish"},
    "condition": {
        "outputs": 3,
        "net": {
            "arrays": [{"channels": 2, "dilations": [2, 1]}],
            "inject": {"input": True, "film": [{"slot": "activation_pre", "audio": True}]},
        },
    },
}


def foreign(knobs: int = 2, **changes: Any) -> tuple[ModelConfig, WaveNet]:
    """Return one model with all of it."""
    config = WaveNetConfig.model_validate({**FOREIGN, **changes})
    return described(wavenet(config, knobs))


def described(net: WaveNet) -> tuple[ModelConfig, WaveNet]:
    knobs = Knobs(knobs=tuple(Knob(name=f"k{i}", min=0, max=10, default=3) for i in range(net.knobs)))
    return make_config("foreign", 48000, knobs, net.config), net


def reread(path: Path, document: dict) -> tuple[ModelConfig, WaveNet]:
    path.write_text(json.dumps(document), encoding="utf-8")
    return read_nam(path)


@given(config=strange_nets(), levels_K=LEVELS, seed=st.integers(0, 1000))
@examples(40)
def test_any_net_round_trips_as_the_same_file(
    tmp_path_factory: pytest.TempPathFactory, config: WaveNetConfig, levels_K: list[float], seed: int
):
    document = to_nam(*(made := described(wavenet(config, len(levels_K), seed))))
    stated, again = reread(tmp_path_factory.getbasetemp() / "foreign.nam", document)
    assert (
        to_nam(stated, again)["config"] == document["config"]
        and to_nam(stated, again)["weights"] == document["weights"]
    )
    assert stated.knobs == made[0].knobs and stated.architecture.receptive_field == config.receptive_field
    assert WaveNetConfig.model_validate_json(stated.architecture.model_dump_json()) == stated.architecture
    np.testing.assert_allclose(play(again, X_T, levels_K), play(made[1], X_T, levels_K), rtol=1e-4, atol=1e-5)


@given(config=strange_nets(), levels_K=LEVELS, seed=st.integers(0, 1000))
@examples(25)
def test_any_net_equals_the_trainers_wavenet(config: WaveNetConfig, levels_K: list[float], seed: int):
    net = wavenet(config, len(levels_K), seed)
    twin = nam_twin(to_nam(*described(net)))
    x_1CT = torch.cat(
        [torch.from_numpy(X_T)[None, None], torch.tensor(levels_K)[None, :, None].expand(1, -1, len(X_T))], 1
    )
    with torch.no_grad():
        wanted = twin(x_1CT)[:, 0]
        assert wanted.shape[1] == len(X_T) - net.receptive_field + 1
        assert esr(net(torch.from_numpy(X_T)[None], torch.tensor([levels_K])), wanted) < 1e-10


@given(config=strange_nets(), knobs=st.integers(0, 2), seed=st.integers(0, 1000))
@examples(15)
def test_any_net_streams_as_it_plays(config: WaveNetConfig, knobs: int, seed: int):
    net = wavenet(config, knobs, seed).double()
    x_T = np.concatenate([np.zeros(net.receptive_field), X_T[:100]])
    moving_KT = np.sin(np.arange(len(x_T)) / 90 + np.arange(knobs)[:, None])
    with torch.no_grad():
        whole_T = net(torch.from_numpy(x_T)[None], torch.from_numpy(moving_KT)[None])[0].numpy()
    for size in (1, 7, 64, 8193):
        stream, parts = Stream(net, [0.0] * knobs), []
        for begin in range(0, len(x_T), size):
            parts.append(stream.process(x_T[begin : begin + size], moving_KT[:, begin : begin + size]))
        streamed_T = np.concatenate(parts)[net.receptive_field - 1 :]
        assert np.sum((streamed_T - whole_T) ** 2) <= 1e-20 * np.sum(whole_T**2)


@given(config=strange_nets(), levels_K=LEVELS, seed=st.integers(0, 1000))
@examples(30)
def test_any_net_bakes_exactly(config: WaveNetConfig, levels_K: list[float], seed: int):
    net = wavenet(config, len(levels_K), seed).double()
    try:
        stock = bake(net, levels_K)
    except UserError as refusal:
        assert "conv_pre" in refusal.message and '"input":true' in net.config.model_dump_json()
        return
    assert stock.knobs == 0
    live_T = play(net, X_T.astype(np.float64), levels_K)[net.receptive_field :]
    assert esr(play(stock, X_T.astype(np.float64), [])[net.receptive_field :], live_T) < 1e-20


def test_full_example_bakes_through_its_file(tmp_path: Path):
    config, net = foreign()
    levels_K = config.encode({"k0": 7.5})
    stock = bake(net, levels_K)
    write_nam(tmp_path / "baked.nam", config, stock, {"k0": 7.5})
    _, again = read_nam(tmp_path / "baked.nam")
    assert again.knobs == 0 and "in_channels" not in json.loads((tmp_path / "baked.nam").read_text())["config"]
    live_T = play(net, X_T, levels_K)[net.receptive_field :]
    assert esr(play(again, X_T, [])[net.receptive_field :], live_T) < 1e-10


def test_full_example_keeps_gates_slopes_and_tapers(tmp_path: Path):
    config, net = foreign()
    document = to_nam(config, net)
    stated, again = reread(tmp_path / "foreign.nam", document)
    assert json.dumps(to_nam(stated, again)) == json.dumps(document)
    assert [array.gating for array in stated.architecture.arrays] == [("blended", "gated"), ("none",)]
    assert stated.architecture.arrays[0].gate[0] == config.architecture.arrays[0].gate[0]
    assert stated.architecture.inject.film == config.architecture.inject.film
    assert stated.architecture.head == config.architecture.head
    assert not stated.architecture.compiles


def test_training_falls_back_to_the_eager_engine(tmp_path: Path):
    """Every parameter learns, and a second run of the same seed is the same."""
    data = data_config(record(tmp_path, "train", di()))
    chosen = recipe(data, WaveNetConfig.model_validate(FOREIGN), steps=4)
    runs = [Trainer(chosen, load_data(data)) for _ in range(2)]
    before = {name: value.clone() for name, value in runs[0].net.named_parameters()}
    for run in runs:
        run.advance(4)
    assert isinstance(runs[0].solo.engine, EagerEngine) and isinstance(engine_for(model()[1]), EagerEngine) is False
    after = dict(runs[0].net.named_parameters())
    deaf = {
        f"{net}arrays.{array}.layers.1.layer1x1" for net, array in (("", 1), ("condition.", 0))
    }  # nothing takes their residual
    assert {name.rpartition(".")[0] for name in before if torch.equal(after[name], before[name])} == deaf
    assert all(torch.equal(after[name], value) for name, value in runs[1].net.named_parameters())


def nested(document: dict, depth: int) -> dict:
    inner = document["config"]["condition_dsp"]
    for _ in range(depth):
        inner["config"]["condition_dsp"] = copy.deepcopy(document["config"]["condition_dsp"])
        inner["config"]["layers"][0]["condition_size"] = 3
        inner = inner["config"]["condition_dsp"]
    return document


BAD: dict[str, tuple[Any, str]] = {
    "another kind of condition": (
        lambda d: d["config"]["condition_dsp"].update(architecture="LSTM"),
        "condition_dsp: architecture is 'LSTM'",
    ),
    "a condition at another rate": (
        lambda d: d["config"]["condition_dsp"].update(sample_rate=44100),
        "condition_dsp: sample_rate is 44100, that of its model 48000",
    ),
    "a mono condition for knobs": (
        lambda d: d["config"]["condition_dsp"]["config"].pop("in_channels"),
        "condition_dsp: in_channels is 1, expected 3",
    ),
    "a condition that lacks weights": (
        lambda d: d["config"]["condition_dsp"]["weights"].pop(),
        "condition_dsp: it has",
    ),
    "conditions without end": (lambda d: nested(d, 6), "more than 4 condition networks"),
    "a wider condition": (
        lambda d: d["config"]["layers"][0].update(condition_size=2),
        "head gives 3 channels, expected 2",
    ),
    "slopes behind the stack": (
        lambda d: d["config"]["head"].update(activation={"type": "PReLU", "negative_slopes": [0.1, 0.2]}),
        "slopes per channel",
    ),
    "a head of other inputs": (lambda d: d["config"]["head"].update(in_channels=5), "in_channels is 5, expected 2"),
    "a stereo head": (lambda d: d["config"]["head"].update(out_channels=2), "out_channels is 2, expected 1"),
    "a head without kernels": (lambda d: d["config"]["head"].pop("kernel_sizes"), "kernel_sizes"),
    "too few gates": (lambda d: d["config"]["layers"][0]["secondary_activation"].pop(), "secondary_activation lists 1"),
    "an unknown mode": (lambda d: d["config"]["layers"][0].update(gating_mode=["none", "both"]), "gating"),
    "slopes for other channels": (
        lambda d: d["config"]["layers"][0]["secondary_activation"][1].update(negative_slopes=[0.1, 0.2]),
        "2 slopes for 3 channels",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_file_is_refused_by_name(tmp_path: Path, fault: str):
    change, words = BAD[fault]
    document = to_nam(*foreign())
    change(document)
    with pytest.raises(UserError) as refusal:
        reread(tmp_path / "bad.nam", document)
    assert str(tmp_path / "bad.nam") in refusal.value.message and words in refusal.value.message and refusal.value.hint


def test_a_small_file_cannot_allocate_a_large_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    document = to_nam(*foreign())
    layer = document["config"]["layers"][1]
    layer.update(channels=2, bottleneck=64, kernel_sizes=[64] * 64, dilations=[1] * 64, gating_mode="gated")
    layer.update(
        activation="Tanh", secondary_activation="Sigmoid", head1x1={"active": True, "out_channels": 64, "groups": 1}
    )
    document["config"]["layers"][0]["head"]["out_channels"] = 64
    layer["channels"], layer["input_size"] = 64, 3
    document["config"]["head"] = None
    layer["head"]["out_channels"] = 1
    document["config"].pop("condition_dsp")
    for array in document["config"]["layers"]:
        array["condition_size"] = 3
    monkeypatch.setattr(WaveNet, "__init__", lambda *arguments: pytest.fail("it was built"))
    with pytest.raises(UserError, match="too few for its config"):
        reread(tmp_path / "large.nam", document)


def test_film_after_the_1x1_is_applied_in_every_layer(tmp_path: Path):
    """As trainers and NeuralAmpModelerCore from August 2026 do; a file does not tell older players, so we do."""
    film = {"mixin": True, "film": ["layer1x1_post"]}
    config, net = foreign(inject=film, condition=None)
    with pytest.warns(Notice, match=r"live.nam: its FiLM after the 1x1 .* 0.5.5 or older leave it out"):
        write_nam(tmp_path / "live.nam", config, net)
    with pytest.warns(Notice, match=r"live.nam: its FiLM after the 1x1 .* 0.5.5 or older leave it out"):
        _, reread_net = read_nam(tmp_path / "live.nam")
    assert np.array_equal(play(reread_net, X_T, [0.3, -0.8]), play(net, X_T, [0.3, -0.8]))
    write_nam(tmp_path / "baked.nam", config, bake(net, [0.0, 0.0]))  # without a warning: it is folded in


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 1.0), (3.0, 3.0)])
def test_film_after_the_1x1_scales_what_the_next_layer_hears(tmp_path: Path, scale: float, expected: float):
    """Two layers of one channel: the second hears the audio plus `scale` times what the first one's 1x1 gives."""
    film = {"active": True, "shift": False, "groups": 1}
    array = {
        "input_size": 1, "condition_size": 1, "channels": 1, "kernel_size": 1, "dilations": [1, 1],
        "activation": "ReLU", "gating_mode": "none", "head": {"out_channels": 1, "kernel_size": 1, "bias": False},
        "layer1x1": {"active": True}, "layer1x1_post_film": film,
    }  # fmt: skip
    first = [0.5, 0.0, 0.0, 1.0, 0.0, 0.0, scale]  # conv, its bias, mixin, 1x1, its bias, FiLM's weight and bias
    second = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    weights = [1.0, *first, *second, 1.0, 1.0]  # rechannel, layers, head, head_scale
    document = {"version": "0.7.0", "architecture": "WaveNet", "config": {"layers": [array]}, "weights": weights}
    (tmp_path / "film.nam").write_text(json.dumps(document))
    notice = pytest.warns(Notice) if scale != 1 else nullcontext()
    with notice:
        _, net = read_nam(tmp_path / "film.nam")
    x_T = np.full(8, 0.3, np.float32)
    a = 0.5 * 0.3
    assert np.allclose(play(net, x_T, []), a + (0.3 + expected * a), atol=1e-7)


@pytest.mark.parametrize(
    ("container", "inner", "rate", "level"),
    [(44100, None, 44100, 12.5), (None, 96000, 96000, 12.5), (44100, 48000, 44100, 12.5), (None, None, 48000, None)],
)
def test_rate_and_levels_of_a_container_hold_for_what_it_contains(
    tmp_path: Path, container: int | None, inner: int | None, rate: int, level: float | None
):
    model = to_nam(*foreign(inject={}, condition=None))
    model["sample_rate"] = inner
    model["metadata"] = {"input_level_dbu": 3.0 if level else None, "output_level_dbu": 4.0}
    document = {
        "version": "0.7.0",
        "architecture": "SlimmableContainer",
        "config": {"submodels": [{"max_value": 1.0, "model": model}]},
        "weights": [],
        "metadata": {"input_level_dbu": level},
        "sample_rate": container,
    }
    (tmp_path / "container.nam").write_text(json.dumps(document))
    config, _ = read_nam(tmp_path / "container.nam")
    levels = (config.audio.input_level_dbu, config.audio.output_level_dbu)
    assert (config.audio.sample_rate, *levels) == (rate, level, 4.0)


@given(value=st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=3))
@examples(12)
def test_any_json_in_the_new_places_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any):
    path = tmp_path_factory.getbasetemp() / "any.nam"
    whole = to_nam(*foreign())
    inner = whole["config"]["condition_dsp"]
    places = [(whole["config"]["head"], key) for key in whole["config"]["head"]]
    places += [(inner, key) for key in inner] + [(inner["config"], key) for key in inner["config"]]
    places += [(whole["config"]["layers"][0], key) for key in ("gating_mode", "secondary_activation", "head")]
    for place, key in places:
        original, place[key] = place[key], value
        try:
            reread(path, whole)
        except UserError as refusal:
            assert str(path) in refusal.message
        place[key] = original


def test_full_example_streams_as_it_plays():
    _, net = foreign()
    moving_KT = np.stack([np.sin(np.arange(len(X_T)) / 90), np.cos(np.arange(len(X_T)) / 70)])
    with torch.no_grad():
        whole_T = net.double()(torch.from_numpy(X_T)[None].double(), torch.from_numpy(moving_KT)[None])[0].numpy()
    for size in (1, 64):
        stream, parts = Stream(net, [0.0, 0.0]), []
        for begin in range(0, len(X_T), size):
            parts.append(stream.process(X_T[begin : begin + size], moving_KT[:, begin : begin + size]))
        assert esr(np.concatenate(parts)[net.receptive_field - 1 :], whole_T) < 1e-20
