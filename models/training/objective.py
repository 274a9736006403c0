"""What a training minimizes, of K members at once: the loss of windows, and the gradient that a step may use.

Shapes: K members, B windows in a batch, S samples of a window, P parameters.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.evaluation.distances import mrstft, pre_emphasize
from models.training.config import LearningConfig

TINY = 1e-6  # added to a norm before it divides, as in `torch.nn.utils.clip_grad_norm_`


class Objective:
    """Loss and gradient clipping as K learning configs ask for: all of them with pre-emphasis, or none."""

    def __init__(self, learning: Sequence[LearningConfig], device: torch.device | str = "cpu") -> None:
        self._clip_K = torch.tensor([one.gradient_clip for one in learning], device=device)
        self._mrstft_K1 = torch.tensor([[one.mrstft] for one in learning], device=device)
        emphasis_K11 = torch.tensor([[[one.pre_emphasis]] for one in learning], device=device)
        self._emphasis = emphasis_K11 if any(one.pre_emphasis for one in learning) else 0.0
        self._spectral = any(one.mrstft for one in learning)

    def losses(self, predicted_KBS: Tensor, target_KBS: Tensor, weight_KB: Tensor) -> Tensor:
        """Return the loss of each window `(K, B)`: the ESR against its take, plus the weighted spectral distance.

        `weight_KB` is 1 over the mean square of the take after pre-emphasis, so that quiet takes count as much as loud
        ones. A single member may leave out the dimension K.
        """
        error_KBS = pre_emphasize(predicted_KBS - target_KBS, self._emphasis)
        loss_KB = error_KBS.square().mean(-1) * weight_KB
        if self._spectral:
            level_KB1 = weight_KB.sqrt()[..., None]
            predicted, target = ((y_KBS * level_KB1).flatten(0, -2) for y_KBS in (predicted_KBS, target_KBS))
            loss_KB = loss_KB + self._mrstft_K1 * mrstft(predicted, target).view_as(loss_KB)
        return loss_KB

    def clip(self, loss_K: Tensor, gradient_KP: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients scaled to a norm of `gradient_clip` at most, and whether they can be used `(K,)`.

        They can where loss and norm are finite.
        """
        norm_K = torch.linalg.vector_norm(gradient_KP, dim=1)
        scale_K = (self._clip_K * (norm_K + TINY).reciprocal()).clamp(max=1)
        return gradient_KP * scale_K[:, None], loss_K.isfinite() & norm_K.isfinite()


def add_limited(gradient_KP: Tensor, other_KP: Tensor, share: float) -> Tensor:
    """Return the sum of gradients, the second scaled to this share of the norm of the first at most.

    A second one that is not finite makes the sum so.
    """
    norm_K, other_K = (torch.linalg.vector_norm(part, dim=1) for part in (gradient_KP, other_KP))
    return gradient_KP + other_KP * (share * norm_K / (other_K + TINY)).clamp(max=1)[:, None]
