"""Nonlinearities as torch modules.

Shapes: B batch, C channels, T time.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.activation import Activation


def fast_tanh(z: Tensor) -> Tensor:
    """NeuralAmpModelerCore's rational approximation of tanh (`fast_tanh` in NAM/activations.h)."""
    size, square = z.abs(), z * z
    above = 2.45550750702956 + 2.45550750702956 * size + (0.893229853513558 + 0.821226666969744 * size) * square
    return z * above / (2.44506634652299 + (2.44506634652299 + square) * (z + 0.814642734961073 * z * size).abs())


FIXED_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {  # those without a parameter
    "Tanh": torch.tanh,
    "ReLU": F.relu,
    "SiLU": F.silu,
    "Hardtanh": F.hardtanh,
    "Softsign": F.softsign,
    "Sigmoid": torch.sigmoid,
    "Hardswish": F.hardswish,
    "Fasttanh": fast_tanh,
}


class Nonlinear(nn.Module):
    """An activation as a module; PReLU trains one slope per channel, the others have nothing to train."""

    def __init__(self, config: Activation, channels: int) -> None:
        super().__init__()
        self.config = config
        self.slopes = nn.Parameter(torch.full((channels,), config.negative_slope)) if config.type == "PReLU" else None

    def forward(self, z_BCT: Tensor) -> Tensor:
        """Apply the activation to each number."""
        if self.slopes is not None:
            return F.prelu(z_BCT, self.slopes)
        if self.config.type == "LeakyReLU":
            return F.leaky_relu(z_BCT, self.config.negative_slope)
        if self.config.bends is not None:
            low, high, below, above = self.config.bends
            return z_BCT.clamp(low, high) + below * (z_BCT - low).clamp(max=0) + above * (z_BCT - high).clamp(min=0)
        return FIXED_ACTIVATIONS[self.config.type](z_BCT)
