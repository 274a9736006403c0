"""What the layers see of the knobs: the levels themselves, bent by a learned curve, or a few learned features of them.

Shapes: B batch, T time, K columns of the setting, J knots, E features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.architecture import Injection


class Warp(nn.Module):
    """A learned taper: one rising curve per column, straight between J equally spaced knots, the identity at the start.

    With knots `t_j = -1 + 2 j / J` and slopes `m_j = exp(log_slopes_j)`: `y(x) = -1 + sum_j (m_j - m_(j-1)) relu(x - t_j)`, `m_(-1) = 0`.
    """

    def __init__(self, columns: int, knots: int) -> None:
        super().__init__()
        self.log_slopes = nn.Parameter(torch.zeros(columns, knots))

    @property
    def knots_J(self) -> Tensor:
        """Where the curves may bend."""
        count = self.log_slopes.shape[1]
        return 2 * torch.arange(count, dtype=self.log_slopes.dtype, device=self.log_slopes.device) / count - 1

    @property
    def bends_KJ(self) -> Tensor:
        """By how much each slope exceeds the one before."""
        return torch.diff(self.log_slopes.exp(), dim=1, prepend=torch.zeros_like(self.log_slopes[:, :1]))

    def forward(self, knobs_BKT: Tensor) -> Tensor:
        """The same shape."""
        past_BKJT = F.relu(knobs_BKT[:, :, None] - self.knots_J[:, None])
        return (self.bends_KJ[..., None] * past_BKJT).sum(2) - 1


class Encoder(nn.Module):
    """Knobs `(B, K, T)` -> `(B, E, T)`: a warp or none, then `relu(W k + b)` or nothing."""

    def __init__(self, columns: int, inject: Injection) -> None:
        super().__init__()
        self.warp = Warp(columns, inject.warp) if inject.warp else None
        self.dense = nn.Conv1d(columns, inject.encoder, 1) if inject.encoder else None
        self.features = inject.encoder or columns

    def forward(self, knobs_BKT: Tensor) -> Tensor:
        """What mixin and FiLM hear."""
        warped = knobs_BKT if self.warp is None else self.warp(knobs_BKT)
        return warped if self.dense is None else F.relu(self.dense(warped))
