"""Training steps of one run on a CPU.

Shapes: B batch, T samples in, S samples of target, E knobs, P parameters.
"""

import math

import torch
from torch import Tensor, nn

from models.engines.select import engine_for
from models.network.wavenet import WaveNet
from models.training.config import LearningConfig
from models.training.interaction import InteractionLoss
from models.training.objective import Objective, add_limited
from models.training.optimizers import Optimizer
from models.training.schedule import decay_at, rate_at
from models.training.silence import SilenceLoss, silence_share
from models.training.state import TrainState
from models.training.windows import WindowSampler


class SoloExecutor:
    """Trains a net by the fastest engine for it. `vector_P` are the net's parameters, in the memory of `state`."""

    def __init__(
        self,
        net: WaveNet,
        vector_P: nn.Parameter,
        state: TrainState,
        windows: WindowSampler,
        learning: LearningConfig,
        optimizer: Optimizer,
        silence: SilenceLoss | None,
    ) -> None:
        self.engine = engine_for(net, learning.truncate)
        self.vector_P, self.state, self.windows = vector_P, state, windows
        self.learning, self.optimizer, self.objective = learning, optimizer, Objective([learning])
        self._silence = silence
        self._interaction = InteractionLoss(self.engine, windows)

    def step(self, step: int) -> float:
        """Take one step; return its loss, NaN where it was skipped."""
        x_BT, target_BS, levels_BE, weight_B = self.windows.batch(step)

        def loss(predicted_BS: Tensor, items: slice) -> Tensor:
            losses_B = self.objective.losses(predicted_BS, target_BS[items], weight_B[items])
            return losses_B.sum() / self.windows.size

        gradient_P = self.vector_P.grad
        assert gradient_P is not None
        gradient_P.zero_()
        found = self.engine.accumulate_gradient(self.vector_P, x_BT, levels_BE, loss)
        self._interaction.accumulate_gradient(self.vector_P, step)
        gradient_KP, finite_K = self.objective.clip(torch.tensor([found], dtype=torch.float64), gradient_P[None])
        share = silence_share(step, self.learning)
        if self._silence is not None and share:
            gradient_KP = add_limited(gradient_KP, self._silence.gradient(self.vector_P, step)[None], share)
        rate_K = torch.tensor([rate_at(step, self.learning)], dtype=torch.float64)
        blend_K = torch.tensor([1 - decay_at(step, self.learning)])
        usable_K = self.state.apply(self.optimizer, gradient_KP, finite_K, rate_K, blend_K)
        return found if usable_K.item() else math.nan
