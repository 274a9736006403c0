"""The knob encoder: a learned taper per knob column, then learned features of the columns; both optional.

Encoders of other projects are several dense layers in place of both.

Shapes: B batch, T time, K columns of the setting, J knots, E features.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.architecture import Injection
from models.network.nonlinear import Nonlinear


class Warp(nn.Module):
    """A learned taper: one rising curve per column, straight between J equally spaced knots, the identity at the start.

    With knots `t_j = -1 + 2 j / J`, slopes `m_j = exp(log_slopes_j)` and `m_(-1) = 0`:
    `y(x) = -1 + sum_j (m_j - m_(j-1)) relu(x - t_j)`.
    """

    def __init__(self, columns: int, knots: int) -> None:
        super().__init__()
        self.log_slopes = nn.Parameter(torch.zeros(columns, knots))

    @property
    def knots_J(self) -> Tensor:
        """Positions in [-1, 1) where the slope may change."""
        count = self.log_slopes.shape[1]
        return 2 * torch.arange(count, dtype=self.log_slopes.dtype, device=self.log_slopes.device) / count - 1

    @property
    def slope_steps_KJ(self) -> Tensor:
        """Change of slope at each knot, `m_j - m_(j-1)`."""
        return torch.diff(self.log_slopes.exp(), dim=1, prepend=torch.zeros_like(self.log_slopes[:, :1]))

    def forward(self, knobs_BKT: Tensor) -> Tensor:
        """Apply each column's taper, `(B, K, T)` to `(B, K, T)`."""
        past_BKJT = F.relu(knobs_BKT[:, :, None] - self.knots_J[:, None])
        return (self.slope_steps_KJ[..., None] * past_BKJT).sum(2) - 1


class Encoder(nn.Module):
    """Knob columns `(B, K, T)` to features `(B, E, T)`.

    An optional `Warp`, then optionally `relu(W k + b)`; or the `encoder_layers` of an imported file.
    """

    def __init__(self, columns: int, inject: Injection) -> None:
        super().__init__()
        self.warp = Warp(columns, inject.warp) if inject.warp else None
        self.dense = nn.Conv1d(columns, inject.encoder, 1) if inject.encoder else None
        widths = [columns, *(layer.width for layer in inject.encoder_layers)]
        self.layers = nn.ModuleList(nn.Conv1d(i, o, 1) for i, o in pairwise(widths))
        self._activations = [
            Nonlinear(layer.activation, 0) if layer.activation else None for layer in inject.encoder_layers
        ]
        self.features = widths[-1] if inject.encoder_layers else inject.encoder or columns

    def forward(self, knobs_BKT: Tensor) -> Tensor:
        """Return what mixin and FiLM take in place of the knob columns, `(B, E, T)`."""
        if self.layers:
            e = knobs_BKT
            for layer, activation in zip(self.layers, self._activations, strict=True):
                e = layer(e) if activation is None else activation(layer(e))
            return e
        warped = knobs_BKT if self.warp is None else self.warp(knobs_BKT)
        return warped if self.dense is None else F.relu(self.dense(warped))
