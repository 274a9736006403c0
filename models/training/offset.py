"""Removal of the offset: the constant that a trained net plays in silence is brought to zero, at all settings at once.

The smallest change of the parameters is made that does it, measured by what it would do to the loss: a Gauss-Newton
step with the empirical Fisher information as its metric. So the net changes where the loss does not feel it. Repeated
with fresh settings, as the offset is not linear in the parameters.

Shapes: N settings, E knobs, P parameters, S parameters of the net with single taps, W windows that the loss feels, B
windows of a batch, T and S samples of one.
"""

import copy
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from models.engines.base import Engine, as_vector, named_parameters
from models.engines.select import engine_for
from models.knobs.schema import Knobs
from models.network.wavenet import WaveNet
from models.training.config import LearningConfig
from models.training.objective import Objective
from models.training.silence import SilentNet, draw_silent_levels
from models.training.windows import WindowBatch, WindowSampler

REMOVAL_ROUNDS, REMOVAL_SETTINGS = 16, 256  # fresh settings in each round

EARLY_AT = 0.85  # part of the steps before the first removal

QUIET_PEAK = 1e-4  # full scale 1, -80 dBFS: the loudest offset of a round after which it is done

REMOVAL_WINDOWS = 512  # that measure what the loss feels, as many others check the loss; at most what a training sees

# The diagonal of the Fisher information counts so many times beside the whole, for what so few windows do not tell; of
# it, this share of its mean is added.
DIAGONAL_WEIGHT, METRIC_DAMPING = 3.0, 0.01

FIRST_RIDGE = 1e-2  # of the mean of the matrix that is solved, added to its diagonal
RIDGE_FACTOR = 3.0  # between rounds

SMALLEST_DIVISOR = 1e-30  # for nets of which the loss feels nothing

LOSS_TOLERANCE = 1.1  # times the loss before, to which the loss may rise


def early_removal(learning: LearningConfig) -> int | None:
    """Return the step before which the offset is removed for the first time; None where silence does not count.

    The steps that are left bring back what the removal costs, so that the removal at the end has less to do.
    """
    return int(EARLY_AT * learning.steps) if learning.silence else None


def without_offset(net: WaveNet, windows: WindowSampler, knobs: Knobs, learning: LearningConfig) -> WaveNet:
    """Return a copy of a trained net that plays silence in silence, as far as its loss rises by 10 % at most.

    A round with which it would rise more is undone, and the next one has a larger ridge, which makes it smaller
    (as in the method of Levenberg and Marquardt).
    """
    net = copy.deepcopy(net)
    vector_P, silent = as_vector(list(named_parameters(net).values())), SilentNet(net)
    engine = engine_for(net)
    count = min(-(-REMOVAL_WINDOWS // windows.size), learning.steps)
    felt, checked = (
        [windows.batch(learning.steps + number) for number in range(first, first + count)] for first in (0, count)
    )
    metric = Metric(_gradients(engine, vector_P, felt, learning))
    ridge, most = FIRST_RIDGE, LOSS_TOLERANCE * _mean_loss(engine, checked, learning)
    for number in range(REMOVAL_ROUNDS):
        kept_P, encoding = vector_P.detach().clone(), net.config.inject.encoding
        levels_NE = draw_silent_levels(knobs, encoding, learning.seed, learning.steps + number, REMOVAL_SETTINGS)
        change_P, loudest = _change(silent, kept_P, metric, levels_NE.to(kept_P), ridge)
        if loudest < QUIET_PEAK:
            break
        vector_P.data.sub_(change_P)
        if _mean_loss(engine, checked, learning) <= most:
            ridge /= RIDGE_FACTOR
        else:
            vector_P.data.copy_(kept_P)
            ridge *= RIDGE_FACTOR**2
    return net


class Metric:
    """The inverse of what the loss feels: the Fisher information of windows and `DIAGONAL_WEIGHT` times its diagonal.

    With Woodbury's identity: `(D + G'G)^-1 = D^-1 - D^-1 G' (1 + G D^-1 G')^-1 G D^-1`.
    """

    def __init__(self, gradients_WP: Tensor) -> None:
        fisher_P = gradients_WP.square().mean(0)
        damped_P = fisher_P + METRIC_DAMPING * fisher_P.mean()
        self._diagonal_P = (DIAGONAL_WEIGHT * damped_P).clamp(min=SMALLEST_DIVISOR)
        windows = len(gradients_WP)
        self._felt_WP = gradients_WP / (self._diagonal_P * windows**0.5)
        matrix_WW = (self._felt_WP @ gradients_WP.mT).double() / windows**0.5
        matrix_WW.diagonal().add_(1.0)
        self._factor_WW = torch.linalg.cholesky_ex(matrix_WW).L  # not finite where gradients are not

    def apply(self, rows_NP: Tensor) -> Tensor:
        """Return rows of the parameters times the metric, `(N, P)`."""
        seen_WN = (self._felt_WP @ rows_NP.mT).double()
        solved_WN = torch.cholesky_solve(seen_WN, self._factor_WW).to(rows_NP)
        return rows_NP / self._diagonal_P - solved_WN.mT @ self._felt_WP


def _gradients(
    engine: Engine, vector_P: nn.Parameter, batches: Sequence[WindowBatch], learning: LearningConfig
) -> Tensor:
    """Return the gradients of single windows `(W, P)`."""
    gradients, gradient_P = [], vector_P.grad
    assert gradient_P is not None
    windows = [window for batch in batches for window in zip(*(part.split(1) for part in batch), strict=True)]
    for x_1T, target_1S, levels_1E, weight_1 in windows:

        def loss(predicted_1S: Tensor, items: slice, target=target_1S, weight=weight_1) -> Tensor:
            return Objective([learning]).losses(predicted_1S, target, weight).sum()

        gradient_P.zero_()
        engine.accumulate_gradient(vector_P, x_1T, levels_1E, loss)
        gradients.append(gradient_P.clone())
    return torch.stack(gradients)


@torch.no_grad()
def _mean_loss(engine: Engine, batches: Sequence[WindowBatch], learning: LearningConfig) -> float:
    """Return the mean loss of windows; NaN where the net plays what is not finite."""
    losses = [
        Objective([learning]).losses(engine(x_BT, levels_BE), target_BS, weight_B).mean().item()
        for x_BT, target_BS, levels_BE, weight_B in batches
    ]
    return fmean(losses)


def _change(
    silent: SilentNet, vector_P: Tensor, metric: Metric, levels_NE: Tensor, ridge: float
) -> tuple[Tensor, float]:
    """Return what to subtract from the parameters `(P,)`, and the largest offset (full scale 1).

    With the offsets `y` and their Jacobian `J`: `M J' (J M J' + ridge)^-1 y`, M the metric.
    """
    names, parts = zip(*named_parameters(silent.net).items(), strict=True)
    sizes, scale = [part.numel() for part in parts], silent.net.head_scale

    def play(vector_S: Tensor, levels_E: Tensor) -> Tensor:
        split = zip(names, parts, vector_S.split(sizes), strict=True)
        state = {name: values.view(part.shape) for name, part, values in split} | {"head_scale": scale}
        return functional_call(silent.net, state, (levels_E.new_zeros(1, 1), levels_E[None]))[0, 0] / scale

    vector_S = torch.zeros_like(silent.vector_S.data).index_add_(0, silent.place_P, vector_P)
    with torch.enable_grad():  # `torch.func.grad` would import torch's compiler, for three seconds
        vector_NS = vector_S.repeat(len(levels_NE), 1).requires_grad_()
        y_N = vmap(play)(vector_NS, levels_NE)
        (jacobian_NS,) = torch.autograd.grad(y_N.sum(), [vector_NS])
    y_N, jacobian_NP = y_N.detach(), jacobian_NS[:, silent.place_P]
    weighted_NP = metric.apply(jacobian_NP)
    matrix_NN = (weighted_NP @ jacobian_NP.mT).double()
    matrix_NN.diagonal().add_((ridge * matrix_NN.diagonal().mean()).clamp(min=SMALLEST_DIVISOR))
    solved_N = torch.linalg.solve(matrix_NN, y_N.double()).to(vector_P)
    return solved_N @ weighted_NP, float((y_N * scale).abs().max())
