"""A baked model sounds as the live one at its setting, here and in the PyPI trainer."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given

from models.artifacts.model_config import make_config
from models.formats.nam.writer import loudness, to_nam, write_nam
from models.knobs.schema import Knobs
from models.network.architecture import LayerArray, WaveNetConfig
from models.network.baking import bake
from models.network.wavenet import WaveNet
from tests.support.makers import (
    ACTIVATIONS,
    FORMS,
    KNOBS,
    RATE,
    architecture,
    di,
    esr,
    examples,
    model,
    nam_twin,
    wavenet,
    wavenets,
)

X_BT = torch.from_numpy(di(0.1))[None]
SETTINGS = [{"gain": 0, "tone": 1}, {"gain": 7.3, "tone": 0.21}]
CORNERS_AND_MORE = [[-1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.46, -0.58]]


def live(net: WaveNet, x_BT: torch.Tensor, levels_K: list[float]) -> torch.Tensor:
    with torch.no_grad():
        return net(x_BT, torch.tensor([levels_K], dtype=x_BT.dtype))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_baked_model_equals_the_live_one_with_still_knobs(form: str, activation: str):
    net, outputs = wavenet(architecture(form, activation)).double(), []
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for levels_K in CORNERS_AND_MORE:
        stock = bake(net, levels_K)
        assert stock.knobs == 0
        assert stock.head_scale.dtype == torch.float64
        outputs.append(live(stock, X_BT.double(), []))
        assert esr(outputs[-1], live(net, X_BT.double(), levels_K)) < 1e-20
    assert esr(outputs[0], outputs[1]) > 1e-6  # another setting is another sound
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@given(case=wavenets())
@examples(60)
def test_any_model_bakes_exactly(case: tuple[WaveNet, list[float]]):
    net, levels_K = case
    stock = bake(net, levels_K)
    assert esr(live(stock, X_BT.double(), []), live(net, X_BT.double(), levels_K)) < 1e-20
    assert stock.parameter_count == WaveNet(stock.config, 0).parameter_count


def test_baking_in_single_precision_loses_only_rounding():
    net = wavenet(architecture())
    stock = bake(net, CORNERS_AND_MORE[3])
    assert {value.dtype for value in stock.state_dict().values()} == {torch.float32}
    assert esr(live(stock, X_BT, []), live(net, X_BT, CORNERS_AND_MORE[3])) < 1e-10


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "activation", [name for name in ACTIVATIONS if name != "PReLU"]
)  # its loader forgets the slopes
@pytest.mark.parametrize("form", FORMS)
def test_baked_file_plays_the_same_in_the_trainer(tmp_path: Path, form: str, activation: str, setting: dict):
    from nam.models._from_nam import init_from_nam

    (config, net), path = model(form, activation), tmp_path / "tiny.nam"
    levels_K = KNOBS.encode(setting)
    write_nam(path, config, bake(net, levels_K), setting)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["metadata"]["baked_setting"] == setting and document["sample_rate"] == RATE
    player = init_from_nam(document).eval()
    assert player.receptive_field == net.receptive_field and player.sample_rate == RATE
    with torch.no_grad():
        theirs_BT = player(X_BT, pad_start=False)
    assert esr(theirs_BT, live(net, X_BT, levels_K)) < 1e-10


@pytest.mark.parametrize("form", FORMS)
def test_baked_file_is_a_stock_one(form: str):
    config, net = model(form)
    document = to_nam(config, bake(net, [0.5, 0.5]))
    assert "in_channels" not in document["config"] and "knobs" not in document["metadata"]
    for array in document["config"]["layers"]:
        assert array["condition_size"] == 1
        assert not any(slot["active"] for name, slot in array.items() if name.endswith("_film"))
    assert document["config"]["layers"][0]["input_size"] == 1


@pytest.mark.parametrize("form", [form for form in FORMS if "layer1x1_post" not in form])  # which players leave out
def test_live_file_lists_an_input_per_knob(tmp_path: Path, form: str):
    (config, net), path = model(form), tmp_path / "live.nam"
    write_nam(path, config, net)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["config"]["in_channels"] == 3
    assert document["metadata"]["knobs"] == [
        {"name": "gain", "min": 0, "max": 10, "default": 5},
        {"name": "tone", "min": 0, "max": 1, "default": 0.5},
    ]
    first, second = document["config"]["layers"]
    assert (first["input_size"], second["input_size"]) == (3, 3)  # audio and knobs; the first array's channels
    features = net.config.inject.encoder or len(KNOBS.names)
    assert first["condition_size"] == second["condition_size"] == 1 + features
    assert ("condition_dsp" in document["config"]) == (net.encoder is not None)
    assert "baked_setting" not in document["metadata"]


def difference_to_twin(net: WaveNet, levels_K: list[float]) -> float:
    knobs = Knobs.model_validate({"knobs": [{"name": f"k{number}"} for number in range(len(levels_K))]})
    twin = nam_twin(to_nam(make_config("tiny", RATE, knobs, net.config), net))
    knobs_BKT = torch.tensor(levels_K, dtype=torch.float32)[None, :, None].expand(-1, -1, X_BT.shape[1])
    with torch.no_grad():
        theirs_BT = twin(torch.cat([X_BT[:, None], knobs_BKT], dim=1))[:, 0]
    return esr(theirs_BT, live(net, X_BT.double(), levels_K))


@given(case=wavenets())
@examples(30)
def test_any_live_document_plays_in_the_trainer(case: tuple[WaveNet, list[float]]):
    """In single precision there, in double here, so the bound is one of rounding."""
    net, levels_K = case
    assert difference_to_twin(net, levels_K) < 1e-8


def test_array_after_a_one_channel_array_plays_in_the_trainer():
    config = WaveNetConfig(arrays=tuple(LayerArray(channels=c, dilations=(1, 2)) for c in (1, 2)))
    assert difference_to_twin(wavenet(config).double(), [0.3, -0.8]) < 1e-8


def test_loudness_follows_the_level_of_the_model():
    config, net = model("film")
    at_rest = to_nam(config, net)["metadata"]["loudness"]
    with torch.no_grad():
        net.head_scale.mul_(2)
    assert to_nam(config, net)["metadata"]["loudness"] == pytest.approx(at_rest + 6.02, abs=0.02)
    loud, quiet = (to_nam(config, bake(net, levels))["metadata"]["loudness"] for levels in ([1.0, 0.0], [-1.0, 0.0]))
    assert loud != quiet


def test_loudness_of_an_identity_is_that_of_the_guitar():
    wire = WaveNet(WaveNetConfig.model_validate({"arrays": [{"channels": 1, "dilations": [1], "kernel_size": 1}]}), 0)
    with torch.no_grad():
        for parameter in wire.parameters():
            parameter.zero_()
        (layer,) = next(iter(wire.arrays)).layers
        layer.mixin.weight.fill_(1e-3)
        next(iter(wire.arrays)).head.weight.fill_(1e3)
    assert loudness(wire, [], 48000) == pytest.approx(-15, abs=0.01)
