"""Silence in training: what the net plays when nothing is played into it is part of the loss, at random settings.

The settings need not be recorded, as silence in gives silence out at all of them. In some steps the same counts while
the knobs turn from one random setting to another: there the constants of the layers, which cancel while the knobs
stand still, do not cancel by themselves, as they arrive at different times.

Shapes: K members, N settings of a step, M turns of a step, E knobs, P parameters, S parameters of the net with single
taps, T samples in.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from models.engines.base import as_vector, named_parameters
from models.engines.gpu.batched import Batched
from models.engines.select import engine_for
from models.knobs.schema import Encoding, Knob, Knobs, Setting
from models.network.folding import Folding
from models.network.silence import places_of_single_taps, with_single_taps
from models.network.wavenet import WaveNet
from models.training.config import LearningConfig

SILENT_SETTINGS = 8  # of a step; a quarter are corners of the knobs

# From a part of the steps on, the largest norm of its gradient as a share of that of the takes. The last steps move the
# net little, so that there the takes lose little.
SILENCE_SHARES = ((0.8, 0.8), (0.5, 0.3))

TURN_EVERY = 4  # steps between two in which turns count
SILENT_TURNS = 2  # of such a step; each takes half a receptive field

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
    return torch.tensor(rows, dtype=torch.float32).view(settings, len(rows[0]))


def draw_turns(knobs: Knobs, encoding: Encoding, seed: int, step: int) -> Tensor:
    """Return the settings `(M, 2, E)` between which the knobs turn at a step."""
    levels_NE = draw_silent_levels(knobs, encoding, seed, step, 2 * SILENT_TURNS)
    return levels_NE.view(2, SILENT_TURNS, levels_NE.shape[1]).transpose(0, 1)


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
    if not learning.silence:
        return 0.0
    return next((share for start, share in SILENCE_SHARES if step >= start * learning.steps), 0.0)


def turns_count(step: int, learning: LearningConfig) -> bool:
    """Return whether silence counts at a step while knobs turn, too."""
    return silence_share(step, learning) > 0 and step % TURN_EVERY == 0


def turning_levels(ends_M2E: Tensor, field: int) -> Tensor:
    """Return knob levels `(M, E, T)` that stand at the first end for a receptive field, then go to the second one."""
    fade_T = ((torch.arange(2 * field, device=ends_M2E.device) - (field - 1)) / max(field // 2, 1)).clamp(0, 1)
    first_ME1, second_ME1 = ends_M2E[..., None].unbind(1)
    return first_ME1 + (second_ME1 - first_ME1) * fade_T.to(ends_M2E)


def power_while_turning(net: WaveNet, state: dict[str, Tensor], ends_M2E: Tensor) -> Tensor:
    """Return the power that a net with these parameters plays in silence while knobs turn, relative to the takes."""
    levels_MET = turning_levels(ends_M2E, net.receptive_field)
    x_MT = levels_MET.new_zeros(levels_MET.shape[0], levels_MET.shape[2])
    unscaled = state | {"head_scale": torch.ones_like(net.head_scale, device=ends_M2E.device)}
    return functional_call(net, unscaled, (x_MT, levels_MET)).square().mean()


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
        self._engine, self._net = engine_for(self._silent.net), net

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
        gradient_P = vector_S.grad[self._silent.place_P]
        return gradient_P + self._turning(vector_P, step) if turns_count(step, self._learning) else gradient_P

    def _turning(self, vector_P: Tensor, step: int) -> Tensor:
        """Return the gradient `(P,)` of what is played while knobs turn."""
        learning = self._learning
        ends_M2E = draw_turns(self._knobs, self._encoding, learning.seed, step).to(vector_P.dtype)
        vector_P = vector_P.detach().requires_grad_()
        power = power_while_turning(self._net, split_vector(self._net, vector_P), ends_M2E)
        return torch.autograd.grad(TURN_EVERY * learning.silence * power, vector_P)[0]


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
        turns = steps, len(trained), SILENT_TURNS, 2, self._net.knobs
        self._turns = torch.zeros(turns, dtype=self._silent.vector_S.dtype, device=device)

    def draw(self, first: int, count: int) -> None:
        """Prepare `count` steps from step `first` on."""
        for table, draw in ((self._levels, draw_silent_levels), (self._turns, draw_turns)):
            rows = [
                torch.stack(
                    [
                        draw(knobs, net.config.inject.encoding, learning.seed, step)
                        for net, knobs, learning in self._trained
                    ]
                )
                for step in range(first, first + count)
            ]
            table[:count].copy_(torch.stack(rows))

    def gradient(self, vector_KP: Tensor, cursor: Tensor, turning: bool = False) -> Tensor:
        """Return the gradients `(K, P)` at the settings of one of these steps, counted from 0 by `cursor` `(1,)`.

        `turning` is whether turns count at this step.
        """
        vector_KP, levels_KNE = vector_KP.detach().requires_grad_(), self._levels.index_select(0, cursor)[0]
        vector_KS = vector_KP.new_zeros(len(vector_KP), len(self._silent.vector_S))
        weights_KNW = vmap(self._folding.fold)(vector_KS.index_add(1, self._place_P, vector_KP), levels_KNE)
        weights_MW = weights_KNW.flatten(0, 1)
        played_KN = self._play(weights_MW, weights_MW.new_zeros(len(weights_MW), 1)).view(
            len(vector_KP), SILENT_SETTINGS
        )
        loss_K = (self._weight_K1 * played_KN.square()).mean(1)
        if turning:
            power_K = vmap(self._power)(vector_KP, self._turns.index_select(0, cursor)[0])
            loss_K = loss_K + TURN_EVERY * self._weight_K1[:, 0] * power_K
        return torch.autograd.grad(loss_K.sum(), vector_KP)[0]

    def _power(self, vector_P: Tensor, ends_M2E: Tensor) -> Tensor:
        """Return what one member plays while knobs turn."""
        return power_while_turning(self._net, split_vector(self._net, vector_P), ends_M2E)


def split_vector(net: WaveNet, vector_P: Tensor) -> dict[str, Tensor]:
    """Return the parts of a vector of parameters by the names that they have in a net."""
    parameters = named_parameters(net)
    parts = vector_P.split([parameter.numel() for parameter in parameters.values()])
    return {name: part.view(parameter.shape) for (name, parameter), part in zip(parameters.items(), parts, strict=True)}


def _shapes(parameters: dict[str, nn.Parameter]) -> list[tuple[str, torch.Size]]:
    return [(name, parameter.shape) for name, parameter in parameters.items()]
