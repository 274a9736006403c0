"""Nets played as one batch give the outputs and gradients of each net, for every form of the family."""

import copy

import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.func import vmap

from models.engines.base import as_vector, gradient_reach
from models.engines.gpu.batched import Batched
from models.network.folding import Folding
from models.network.wavenet import WaveNet
from tests.support.makers import ACTIVATIONS, FORMS, GATES, architecture, examples, wavenet, wavenets


def vectors(nets: list[WaveNet]) -> Tensor:
    """Return the parameters of all nets, `(K, P)`."""
    return torch.stack([as_vector(Folding(net).parameters).detach() for net in nets])


def check(net: WaveNet, samples: int = 30) -> None:
    """Compare outputs and gradients of two nets with three items each, in float64."""
    nets = [net.double(), copy.deepcopy(net).double()]
    with torch.no_grad():
        for parameter in nets[1].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x_KBT = torch.randn(2, 3, net.receptive_field - 1 + samples, dtype=torch.float64)
    knobs_KBE = torch.rand(2, 3, net.knobs, dtype=torch.float64) * 2 - 1
    folding, vector_KP = Folding(net), vectors(nets).requires_grad_()
    weights_KBN = vmap(folding.fold)(vector_KP, knobs_KBE)
    for truncates, reach in ((False, None), (True, gradient_reach(samples))):
        play = Batched(folding, truncates)
        y_KBS = net.head_scale * play(weights_KBN.flatten(0, 1), x_KBT.flatten(0, 1)).view(2, 3, samples)
        (gradient_KP,) = torch.autograd.grad(y_KBS.square().sum(), vector_KP, retain_graph=True)
        for member, own in enumerate(nets):
            own.zero_grad(set_to_none=False)
            wanted_BS = own(x_KBT[member], knobs_KBE[member], reach)
            wanted_BS.square().sum().backward()
            wanted_P = torch.cat([p.grad.reshape(-1) for p in Folding(own).parameters if p.grad is not None])
            torch.testing.assert_close(y_KBS[member], wanted_BS, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(gradient_KP[member], wanted_P, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_every_place_of_knobs_matches(form: str):
    check(wavenet(architecture(form)))


@pytest.mark.parametrize("gating", GATES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_matches(activation: str, gating: str):
    check(wavenet(architecture("mixin+film", activation, gating=gating)))


@given(case=wavenets())
@examples(30)
def test_any_net_of_the_family_matches(case: tuple[WaveNet, list[float]]):
    check(case[0])
