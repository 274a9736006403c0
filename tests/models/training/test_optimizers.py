"""Update rules: torch's Adam to the bit on a CPU, the same batched, members apart from each other."""

import pytest
import torch
from torch import Tensor

from models.training.config import LearningConfig
from models.training.optimizers import Adam, OptimizerState, optimizer_for

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


def test_the_rule_of_a_learning_config_is_adam():
    assert isinstance(optimizer_for(LearningConfig(), []), Adam)
