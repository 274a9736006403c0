"""Silence in training: what the net plays when nothing is played into it is part of the loss, at random settings.

The settings need not be recorded, as silence in gives silence out at all of them.

Shapes: K members, N settings of a step, E knobs, P parameters, S parameters of the net with single taps.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from models.engines.base import as_vector, named_parameters
from models.engines.gpu.batched import Batched
from models.engines.select import engine_for
from models.knobs.schema import Encoding, Knob, Knobs, Setting
from models.network.folding import Folding
from models.network.silence import places_of_single_taps, with_single_taps
from models.network.wavenet import WaveNet
from models.training.config import LearningConfig

SILENT_SETTINGS = 8  # of a step; a quarter are corners of the knobs

SILENCE_FROM = 0.5  # the part of the steps from which on silence counts
SILENCE_SHARE = 0.3  # largest norm of its gradient, as a share of that of the takes; with 1 the takes learn slowly

SILENCE_STREAM = 2  # of random numbers, separate from those of the windows


def draw_silent_levels(
    knobs: Knobs, encoding: Encoding, seed: int, step: int, settings: int = SILENT_SETTINGS
) -> Tensor:
    """Return knob levels `(N, E)` of random settings; they depend on their number, seed and step alone."""
    random = np.random.default_rng([seed, step, SILENCE_STREAM])
    rows = [
        knobs.encode(_draw_setting(knobs, random, is_corner=4 * number < settings), encoding)
        for number in range(settings)
    ]
    return torch.tensor(rows, dtype=torch.float32).view(settings, -1)


def _draw_setting(knobs: Knobs, random: np.random.Generator, is_corner: bool) -> Setting:
    """Draw a setting: every knob anywhere, or in a corner at one of its ends; every switch at one of its positions."""
    drawn: Setting = {}
    for knob in knobs.knobs:
        if isinstance(knob, Knob):
            place = float(random.integers(2)) if is_corner else random.random()
            drawn[knob.name] = knob.min + (knob.max - knob.min) * place
        else:
            drawn[knob.name] = str(random.choice(knob.positions))
    return drawn


def silence_share(step: int, learning: LearningConfig) -> float:
    """Return the largest norm of the gradient of silence at a step (from 0), as a share of that of the takes.

    0 where silence does not count.
    """
    return SILENCE_SHARE if learning.silence and step >= SILENCE_FROM * learning.steps else 0.0


class SilentNet:
    """A net with single taps in place of one that is trained: what the trained one plays in silence."""

    def __init__(self, net: WaveNet) -> None:
        with torch.random.fork_rng(devices=[]):
            self.net = WaveNet(with_single_taps(net.config), net.knobs, net.outputs)
        self.net.head_scale.copy_(net.head_scale)
        parameters = named_parameters(self.net)
        self.place_P = places_of_single_taps(_shapes(named_parameters(net)), _shapes(parameters))
        self.vector_S = as_vector(list(parameters.values()))


class SilenceLoss:
    """The silence of one net in training on a CPU."""

    def __init__(self, net: WaveNet, knobs: Knobs, learning: LearningConfig) -> None:
        self._knobs, self._encoding, self._learning = knobs, net.config.inject.encoding, learning
        self._silent = SilentNet(net)
        self._engine = engine_for(self._silent.net)

    def gradient(self, vector_P: Tensor, step: int) -> Tensor:
        """Return the gradient `(P,)` of the silence at the settings of a step."""
        vector_S, scale = self._silent.vector_S, self._silent.net.head_scale
        assert vector_S.grad is not None
        vector_S.data.zero_().index_add_(0, self._silent.place_P, vector_P.detach())
        vector_S.grad.zero_()
        levels_NE = draw_silent_levels(self._knobs, self._encoding, self._learning.seed, step).to(vector_S.dtype)

        def loss(played_N1: Tensor, items: slice) -> Tensor:
            return self._learning.silence * (played_N1 / scale).square().sum() / SILENT_SETTINGS

        self._engine.accumulate_gradient(vector_S, vector_S.new_zeros(SILENT_SETTINGS, 1), levels_NE, loss)
        return vector_S.grad[self._silent.place_P]


class StackedSilence:
    """The silence of K nets of one shape, on any device; settings and weights are those of their solo runs.

    `draw` prepares steps. `gradient` reads no number back, so that a CUDA graph can replay it.
    """

    def __init__(
        self, trained: Sequence[tuple[WaveNet, Knobs, LearningConfig]], device: torch.device, steps: int
    ) -> None:
        self._trained, self._net = trained, trained[0][0]
        self._silent = SilentNet(self._net)
        self._place_P = self._silent.place_P.to(device)
        self._folding = Folding(self._silent.net)
        self._play = Batched(self._folding)
        weights = [learning.silence for _, _, learning in trained]
        self._weight_K1 = torch.tensor(weights, device=device)[:, None]
        shape = steps, len(trained), SILENT_SETTINGS, self._net.knobs
        self._levels = torch.zeros(shape, dtype=self._silent.vector_S.dtype, device=device)

    def draw(self, first: int, count: int) -> None:
        """Prepare `count` steps from step `first` on."""
        rows = [
            [
                draw_silent_levels(knobs, net.config.inject.encoding, learning.seed, step)
                for net, knobs, learning in self._trained
            ]
            for step in range(first, first + count)
        ]
        self._levels[:count].copy_(torch.stack([torch.stack(step) for step in rows]))

    def gradient(self, vector_KP: Tensor, cursor: Tensor) -> Tensor:
        """Return the gradients `(K, P)` at the settings of one of these steps, counted from 0 by `cursor` `(1,)`."""
        vector_KP, levels_KNE = vector_KP.detach().requires_grad_(), self._levels.index_select(0, cursor)[0]
        vector_KS = vector_KP.new_zeros(len(vector_KP), len(self._silent.vector_S))
        weights_KNW = vmap(self._folding.fold)(vector_KS.index_add(1, self._place_P, vector_KP), levels_KNE)
        weights_MW = weights_KNW.flatten(0, 1)
        played_KN = self._play(weights_MW, weights_MW.new_zeros(len(weights_MW), 1)).view(
            len(vector_KP), SILENT_SETTINGS
        )
        loss_K = (self._weight_K1 * played_KN.square()).mean(1)
        return torch.autograd.grad(loss_K.sum(), vector_KP)[0]


def _shapes(parameters: dict[str, nn.Parameter]) -> list[tuple[str, torch.Size]]:
    return [(name, parameter.shape) for name, parameter in parameters.items()]
