"""Update rules: torch's Adam to the bit on a CPU, the same batched, members apart from each other."""

import pytest
import torch
from torch import Tensor

from models.network.folding import Folding
from models.training.config import LearningConfig
from models.training.optimizers import Adam, MatrixRule, Muon, OptimizerState, Soap, matrix_groups, optimizer_for
from tests.support.makers import FORMS, architecture, wavenet

ADAM = Adam()
RATES = (0.01, 0.003, 0.0004)


def gradients(members: int, size: int, steps: int) -> Tensor:
    scale_K11 = 10.0 ** -torch.arange(float(members))[:, None]
    return scale_K11 * torch.randn(steps, members, size, generator=torch.Generator().manual_seed(7))


def trained(rule: str, vector_KP: Tensor, gradients_NKP: Tensor) -> tuple[Tensor, OptimizerState]:
    """Vector and state after a step per gradient, of which the second member cannot use every fifth."""
    vector_KP, rates = vector_KP.clone(), torch.tensor(RATES[: len(vector_KP)], dtype=torch.float64)
    state = ADAM.init(vector_KP)
    for number, gradient_KP in enumerate(gradients_NKP.to(vector_KP)):
        usable_K = torch.tensor([number % 5 > 0 or member != 1 for member in range(len(vector_KP))])
        getattr(ADAM, rule)(vector_KP, gradient_KP, state, rates / (1 + number), usable_K)
    return vector_KP, state


@pytest.mark.parametrize("size", [16, 347])
def test_adam_is_that_of_torch_to_the_bit(size: int):
    start_P, steps_NP = torch.linspace(-1, 1, size), gradients(1, size, 40)[:, 0]
    found, state = trained("update", start_P[None], steps_NP[:, None])
    vector_P = torch.nn.Parameter(start_P.clone())
    theirs = torch.optim.Adam([vector_P], fused=True)
    for number, gradient_P in enumerate(steps_NP):
        vector_P.grad = gradient_P.clone()
        theirs.param_groups[0]["lr"] = RATES[0] / (1 + number)
        theirs.step()
    assert torch.equal(found[0], vector_P.detach())
    assert set(state) == set(theirs.state[vector_P])
    for name, value in theirs.state[vector_P].items():
        assert torch.equal(state[name][0], value), name


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
def test_adam_batched_is_adam_member_by_member(dtype: torch.dtype, within: float):
    start_KP, steps_NKP = torch.linspace(-1, 1, 300, dtype=dtype).view(3, 100), gradients(3, 100, 40)
    (found, state), (wanted, there) = (
        trained(rule, start_KP, steps_NKP) for rule in ("update_batched", "update_by_kernel")
    )
    assert (found - wanted).norm() <= within * wanted.norm()
    for name, value in there.items():
        assert (state[name] - value).norm() <= within * value.norm(), name
    assert state["step"].tolist() == [40, 32, 40]


@pytest.mark.parametrize("rule", ["update_batched", "update_by_kernel"])
def test_members_that_are_not_usable_stay_as_they_are(rule: str):
    vector_KP, gradient_KP = torch.ones(3, 20), gradients(3, 20, 1)[0]
    state = ADAM.init(vector_KP)
    gradient_KP[1] = torch.nan
    before = {name: rows.clone() for name, rows in state.items()}
    rates_K = torch.tensor(RATES, dtype=torch.float64)
    getattr(ADAM, rule)(vector_KP, gradient_KP, state, rates_K, torch.tensor([True, False, True]))
    assert torch.equal(vector_KP[1], torch.ones(20))
    assert not torch.equal(vector_KP[0], torch.ones(20))
    assert all(torch.equal(state[name][1], rows[1]) for name, rows in before.items())


def test_a_learning_config_names_its_rule():
    assert isinstance(optimizer_for(LearningConfig(), []), Soap)
    assert isinstance(optimizer_for(LearningConfig(optimizer="adam"), []), Adam)
    assert isinstance(optimizer_for(LearningConfig(optimizer="muon"), []), Muon)
    assert (LearningConfig().learning_rate, LearningConfig(optimizer="adam").learning_rate) == (0.02, 0.008)


def net_parameters(form: str = "mixin+film") -> list[tuple[str, torch.Size]]:
    """Names and shapes of a net's parameters, in the order of the vector."""
    net = wavenet(architecture(form))
    names = {parameter: name for name, parameter in net.named_parameters()}
    return [(names[parameter], parameter.shape) for parameter in Folding(net).parameters]


@pytest.mark.parametrize("form", FORMS)
def test_matrices_hold_every_parameter_once(form: str):
    parameters = net_parameters(form)
    places = torch.cat([index_LOI.flatten() for index_LOI in matrix_groups(parameters)])
    assert sorted(places.tolist()) == list(range(sum(shape.numel() for _, shape in parameters)))


def steps_of(kind: type[MatrixRule], members: slice, skips: bool = True) -> tuple[Tensor, OptimizerState]:
    """Vector and state of some of three members after 35 steps, of which the second cannot use every fifth."""
    parameters = net_parameters()
    size = sum(shape.numel() for _, shape in parameters)
    vector_KP = torch.linspace(-1, 1, 3 * size, dtype=torch.float64).view(3, size)[members].clone()
    rule = kind(parameters)
    state = rule.init(vector_KP)
    for number, gradient_KP in enumerate(gradients(3, size, 35).double()):
        usable_K = torch.tensor([not skips or number % 5 > 0 or member != 1 for member in range(3)])[members]
        rates_K = torch.tensor(RATES, dtype=torch.float64)[members]
        rule.update(vector_KP, gradient_KP[members], state, rates_K, usable_K)
    return vector_KP, state


@pytest.mark.parametrize("kind", [Soap, Muon])
def test_a_rule_of_several_members_is_the_rule_of_each(kind: type[MatrixRule]):
    together, state = steps_of(kind, slice(0, 3))
    assert state["step"].tolist() == [35, 28, 35]
    for member in range(3):
        alone, own = steps_of(kind, slice(member, member + 1))
        assert (together[member] - alone[0]).abs().max() <= 1e-9
        for name, value in own.items():
            assert torch.allclose(state[name][member], value[0], rtol=1e-7, atol=1e-7), name


@pytest.mark.parametrize("shape", [(8, 12), (12, 8)])
def test_the_change_of_muon_is_orthogonal_and_as_large_as_that_of_adam(shape: tuple[int, int]):
    """Singular values are near 1, whatever those of the gradient, and the RMS of the change is 0.2."""
    gradient_OI = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * torch.logspace(0, -1, shape[1])
    rule, vector_KP = Muon([("layer.weight", gradient_OI.shape)]), torch.zeros(1, gradient_OI.numel())
    rule.update(vector_KP, gradient_OI.reshape(1, -1), rule.init(vector_KP), torch.tensor([1.0]), torch.tensor([True]))
    change_OI = -vector_KP.view(shape)
    values = torch.linalg.svdvals(change_OI) / (0.2 * max(shape) ** 0.5)
    assert 0.5 < values.min() and values.max() < 1.3, values
    assert change_OI.square().mean().sqrt() == pytest.approx(0.2, rel=0.3)
    assert (change_OI * gradient_OI).sum() > 0


def test_soap_learns_what_is_ill_conditioned_faster_than_adam():
    """Least squares whose inputs are badly scaled, along directions that no coordinate has."""
    random = torch.Generator().manual_seed(3)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=random))[0]
    scale_II = turn @ torch.diag(torch.logspace(0, -2, 12)) @ turn.mT
    target_OI, rate_K = torch.randn(8, 12, generator=random), torch.tensor([0.02], dtype=torch.float64)
    losses = {}
    for rule in (Adam(), Soap([("layer.weight", target_OI.shape)])):
        vector_KP = torch.zeros(1, target_OI.numel())
        state = rule.init(vector_KP)
        for _ in range(300):
            error_OI = vector_KP.view_as(target_OI) - target_OI
            gradient_OI = error_OI @ scale_II @ scale_II
            rule.update(vector_KP, gradient_OI.reshape(1, -1), state, rate_K, torch.tensor([True]))
        losses[rule.name] = float((scale_II @ (vector_KP.view_as(target_OI) - target_OI).mT).square().mean())
    assert losses["soap"] < 0.5 * losses["adam"], losses
