"""The net is causal, depends on its receptive field alone, and is NAM's WaveNet with knobs beside the audio."""

import pytest
import torch
from hypothesis import given
from torch import Tensor

from models.artifacts.model_config import make_config
from models.formats.nam.writer import to_nam
from models.network.architecture import Injection, LayerArray, WaveNetConfig
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
    nam_twin,
    wavenet,
    wavenets,
)

X_T = torch.from_numpy(di(0.1))
LEVELS = (0.3, -0.8)


def sweep(batch: int, length: int, seed: int = 1) -> Tensor:
    """Two knobs on the move, `(B, K, T)` in [-1, 1]."""
    torch.manual_seed(seed)
    return torch.tanh(torch.cumsum(0.2 * torch.randn(batch, 2, length), dim=2))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_output_depends_on_its_receptive_field_alone(form: str, activation: str):
    net = wavenet(architecture(form, activation)).double()
    field, length = net.receptive_field, 3 * net.receptive_field
    torch.manual_seed(3)
    inputs = (torch.randn(length).double(), sweep(1, length)[0].double())
    slopes = torch.autograd.functional.jacobian(lambda x_T, knobs_KT: net(x_T[None], knobs_KT[None])[0], inputs)
    first = net.config.arrays[0]
    early = net.config.inject.input or "conv_pre" in net.config.inject.films(0)
    before = (
        0 if early else (first.kernel_sizes[0] - 1) * first.dilations[0]
    )  # the others enter after the first convolution
    for slopes_NT, begin in ((slopes[0], 0), (slopes[1].abs().sum(1), before)):
        reached = torch.stack([slope_T.roll(-n) for n, slope_T in enumerate(slopes_NT)]).any(0).nonzero()[:, 0]
        assert (reached.min(), reached.max()) == (begin, field - 1)


@pytest.mark.parametrize("form", FORMS)
def test_output_does_not_depend_on_the_future(form: str):
    """Neither more input nor other input moves a sample that was already out."""
    net, knobs_BK = wavenet(architecture(form)).double(), torch.tensor([LEVELS], dtype=torch.float64)
    whole_BT = X_T[None].double()
    y_BT = net(whole_BT, knobs_BK)
    for cut in (net.receptive_field, 77, 500):
        other_BT = torch.cat([whole_BT[:, :cut], 1 - whole_BT[:, cut:]], dim=1)
        done = cut - net.receptive_field + 1
        assert esr(net(whole_BT[:, :cut], knobs_BK).detach(), y_BT[:, :done].detach()) < 1e-24
        changed_BT = net(other_BT, knobs_BK)
        assert esr(changed_BT[:, :done].detach(), y_BT[:, :done].detach()) < 1e-24
        assert changed_BT[0, done] != y_BT[0, done]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_still_knobs_are_constant_moving_knobs(form: str, activation: str):
    net = wavenet(architecture(form, activation)).double()
    torch.manual_seed(2)
    x_BT, still_BK = torch.randn(3, 100).double(), torch.rand(3, 2).double() * 2 - 1
    with torch.no_grad():
        y_BT = net(x_BT, still_BK)
        assert esr(net(x_BT, still_BK[..., None].expand(-1, -1, 100)), y_BT) < 1e-24
        for b in range(3):  # no item depends on the knobs of another
            assert esr(net(x_BT[b : b + 1], still_BK[b : b + 1]), y_BT[b : b + 1]) < 1e-24


@pytest.mark.parametrize("form", FORMS)
def test_every_knob_changes_the_sound(form: str):
    net = wavenet(architecture(form), spread=0.0)  # as it is before any training
    with torch.no_grad():
        rest_T = net(X_T[None], torch.zeros(1, 2))
        for turned in ((1.0, 0.0), (0.0, 1.0)):
            assert esr(net(X_T[None], torch.tensor([turned])), rest_T) > 1e-4


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_net_equals_the_trainers_wavenet_with_more_inputs(form: str, activation: str, moving: bool):
    config = architecture(form, activation)
    net = wavenet(config)
    twin = nam_twin(to_nam(make_config("tiny", RATE, KNOBS, config), net))
    assert twin.receptive_field == net.receptive_field
    x_BT, knobs_BKT = X_T[: 2 * (len(X_T) // 2)].view(2, -1), sweep(2, len(X_T) // 2)
    if not moving:
        knobs_BKT = knobs_BKT[..., :1].expand(-1, -1, x_BT.shape[1])
    with torch.no_grad():
        theirs_BT = twin(torch.cat([x_BT[:, None], knobs_BKT], dim=1))[:, 0]
        assert esr(net(x_BT, knobs_BKT if moving else knobs_BKT[..., 0]), theirs_BT) < 1e-10
        assert esr(net(x_BT, torch.zeros(2, 2)), theirs_BT) > 1e-6  # the knobs changed the sound


def standard(inject: Injection) -> WaveNetConfig:
    """NAM's A1 "standard": 16 and 8 channels, kernel 3, dilations 1 to 512."""
    dilations = tuple(1 << power for power in range(10))
    return WaveNetConfig(arrays=tuple(LayerArray(channels=c, dilations=dilations) for c in (16, 8)), inject=inject)


def test_standard_shape_without_knobs_is_the_stock_one():
    net = WaveNet(standard(Injection()), 0)
    assert net.parameter_count == 13_801 and net.receptive_field == 4093
    document = to_nam(make_config("tiny", 48000, KNOBS, net.config), net)
    assert len(document["weights"]) == 13_802


@pytest.mark.parametrize(("inject", "extra"), [("mixin", 24 * 10 * 3), ("film", 48 * 10 * (3 + 1))])
def test_knobs_add_the_expected_parameters(inject: str, extra: int):
    assert WaveNet(standard(FORMS[inject]), 3).parameter_count == 13_801 + extra


@given(case=wavenets())
@examples(30)
def test_cost_is_one_product_per_weight_of_the_baked_net(case: tuple[WaveNet, list[float]]):
    """Still knobs cost nothing but FiLM's scaling; all else is folded."""
    net, levels_K = case
    plain = net.config.model_copy(update={"inject": Injection(input=True, mixin=True)})
    stock = bake(WaveNet(plain, len(levels_K)), levels_K)
    played = sum(p.numel() for name, p in stock.named_parameters() if not name.endswith(("bias", "slopes")))
    assert plain.macs_per_sample(len(levels_K)) == played
    assert net.config.macs_per_sample(len(levels_K)) >= played


def test_film_costs_one_product_per_channel():
    for slot, width in (("conv_pre", 3 * 3 + 2 * 2), ("activation_pre", 3 * 3 + 2 * 2), ("input_mixin_pre", 3 + 2)):
        film = architecture(f"film {slot}")
        assert film.macs_per_sample(2) == architecture("mixin").macs_per_sample(2) + width


@given(case=wavenets())
@examples(30)
def test_shortest_input_gives_one_sample(case: tuple[WaveNet, list[float]]):
    net, levels_K = case
    x_BT = torch.randn(2, net.receptive_field).double()
    assert net(x_BT, torch.tensor([levels_K, levels_K]).double().reshape(2, -1)).shape == (2, 1)
