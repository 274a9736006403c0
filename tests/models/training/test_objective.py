"""The loss is per window and per member; gradients are clipped as torch clips them."""

from typing import Any

import pytest
import torch

from models.evaluation.distances import mrstft
from models.training.config import LearningConfig
from models.training.objective import Objective

MEMBERS: tuple[dict[str, Any], ...] = (
    {"mrstft": 0.1, "pre_emphasis": 0.5, "gradient_clip": 0.03},
    {"pre_emphasis": 0.9, "gradient_clip": 0.7},
)


def learning() -> list[LearningConfig]:
    return [LearningConfig.model_validate(member) for member in MEMBERS]


def windows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    predicted_KBS, target_KBS = torch.randn(2, 2, 4, 3000, generator=draw)
    return predicted_KBS, target_KBS, torch.rand(2, 4, generator=draw)


def test_loss_of_a_member_is_that_of_its_own_config():
    predicted_KBS, target_KBS, weight_KB = windows()
    together_KB = Objective(learning()).losses(predicted_KBS, target_KBS, weight_KB)
    for member, own in enumerate(learning()):
        alone_B = Objective([own]).losses(predicted_KBS[member], target_KBS[member], weight_KB[member])
        torch.testing.assert_close(together_KB[member], alone_B.flatten())


def test_loss_is_the_weighted_error_plus_the_spectral_distance():
    predicted_KBS, target_KBS, weight_KB = windows()
    predicted_BS, target_BS, weight_B = predicted_KBS[0], target_KBS[0], weight_KB[0]
    error_BS = predicted_BS - target_BS
    error_BS = error_BS[:, 1:] - 0.5 * error_BS[:, :-1]
    level_B1 = weight_B.sqrt()[:, None]
    spectral_B = mrstft(level_B1 * predicted_BS, level_B1 * target_BS)
    found_B = Objective(learning()[:1]).losses(predicted_BS, target_BS, weight_B).flatten()
    torch.testing.assert_close(found_B, weight_B * error_BS.square().mean(1) + 0.1 * spectral_B)


def test_gradients_are_clipped_as_torch_clips_them():
    gradient_KP = torch.randn(2, 347, generator=torch.Generator().manual_seed(3))
    found_KP, finite_K = Objective(learning()).clip(torch.ones(2), gradient_KP)
    assert finite_K.tolist() == [True, True]
    for found_P, gradient_P, own in zip(found_KP, gradient_KP, learning(), strict=True):
        parameter = torch.nn.Parameter(torch.zeros(347))
        parameter.grad = gradient_P.clone()
        torch.nn.utils.clip_grad_norm_([parameter], own.gradient_clip)
        assert torch.equal(found_P, parameter.grad)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_cannot_be_used(value: float):
    objective, gradient_KP = Objective(learning()), torch.ones(2, 10)
    assert objective.clip(torch.tensor([1.0, value]), gradient_KP)[1].tolist() == [True, False]
    gradient_KP[0, 3] = value
    assert objective.clip(torch.ones(2), gradient_KP)[1].tolist() == [False, True]
