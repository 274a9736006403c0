"""Interaction of knobs in training: what two knobs do together beyond what each does alone is part of the loss.

Takes are too few to tell what every pair of knobs does together. Where they do not tell, the best guess is that the
second knob changes the sound by as many decibels as it does at another place of the first, in every band: gains, tone
controls and most controls of distortion come near to that. Left alone, a net makes up interactions of its own.

At random settings, two knobs are turned each between two values, which makes four settings. With the level of a band in
nepers at each of them, `f(a, b) - f(a, b') - f(a', b) + f(a', b')` is 0 where the two do not interact.

Shapes: K members, F the four settings, E knobs, T samples in, S samples out, N bands, P parameters.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from models.engines.base import Engine
from models.knobs.schema import Encoding, Knob, Knobs, Setting
from models.training.windows import WindowSampler

INTERACTION_EVERY = 2  # steps; its weight in these is as many times larger

INTERACTION_BANDS = 24  # at most, evenly spaced on a logarithmic scale of frequency

FAINT = 1e-4  # of the power of a sound; what is fainter in a band does not count

TINIEST = 1e-12  # added to powers before logarithms

INTERACTION_STREAM = 3  # of random numbers, separate from those of windows and silence

INTERACTION_SAMPLES = 2048  # that are played, however short the segments: bands of low notes need as many

INTERACTION_DRAWS = 8  # inputs of a step, of which the loudest is played


def interaction_weight(windows: WindowSampler, encoding: Encoding) -> float:
    """Return the weight of the interaction in training on these windows.

    0 where there are no two knobs, and where takes are composed: they tell what knobs do together.
    """
    able = len(windows.data.knobs.knobs) > 1 and encoding == "levels" and not windows.composer.bases
    return windows.learning.interaction if able else 0.0


def interacts(step: int, weight: float) -> bool:
    """Return whether interaction of this weight counts at a step (from 0): every few steps."""
    return weight > 0 and step % INTERACTION_EVERY == 0


def draw_rectangle(knobs: Knobs, seed: int, step: int) -> Tensor:
    """Return the knob levels `(4, E)` of a random setting with two of its knobs at two values each.

    They depend on seed and step alone. Order: both at their first values, the second turned, the first turned, both.
    """
    random = np.random.default_rng([seed, step, INTERACTION_STREAM])
    first, second = random.choice(len(knobs.knobs), 2, replace=False)
    settings = [_draw_values(knobs, random) for _ in range(2)]
    names = knobs.knobs[first].name, knobs.knobs[second].name
    turned = [set(), {names[1]}, {names[0]}, set(names)]
    rows = [{name: settings[name in moved][name] for name in settings[0]} for moved in turned]
    return torch.tensor([knobs.encode(row, "levels") for row in rows], dtype=torch.float32)


def _draw_values(knobs: Knobs, random: np.random.Generator) -> Setting:
    """Draw every knob anywhere in its range, every switch at one of its positions."""
    return {
        knob.name: float(random.uniform(knob.min, knob.max))
        if isinstance(knob, Knob)
        else str(random.choice(knob.positions))
        for knob in knobs.knobs
    }


def interaction_of(played_KFS: Tensor) -> Tensor:
    """Return the mean square of the interaction `(K,)`, in nepers, bands weighted by their share of the power."""
    samples = played_KFS.shape[-1]
    window_S = torch.hann_window(samples, dtype=played_KFS.dtype, device=played_KFS.device)
    bands = _bands(samples, played_KFS.dtype, played_KFS.device)
    power = torch.fft.rfft(played_KFS * window_S).abs().square() @ bands
    whole = power.sum(-1, keepdim=True)
    level_KFN = (power + FAINT * whole + TINIEST).log() / 2
    share_KN = (power / (whole + TINIEST)).mean(1).detach()
    mixed_KN = level_KFN[:, 0] - level_KFN[:, 1] - level_KFN[:, 2] + level_KFN[:, 3]
    return (mixed_KN.square() * share_KN).sum(1)


@lru_cache(maxsize=8)
def _bands(samples: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return which bins of a transform are in which band `(bins, N)`; the lowest two, offset and drift, are in none.

    Made once, as nothing may be brought to a device while its step is captured.
    """
    bins = samples // 2 + 1
    edges = np.unique(np.geomspace(min(2, bins - 1), bins, INTERACTION_BANDS + 1).round().astype(int))
    band = np.digitize(np.arange(bins), edges) - 1
    return torch.from_numpy(band[:, None] == np.arange(len(edges) - 1)).to(device, dtype)


def draw_input(windows: WindowSampler, step: int) -> Tensor:
    """Return the input `(T,)` of a step: the loudest of a few from dry signals that are trained on.

    It depends on seed and step alone.
    """
    random = np.random.default_rng([windows.learning.seed, step, INTERACTION_STREAM, 1])
    inputs = []
    for pick in random.integers(len(windows.pieces), size=INTERACTION_DRAWS).tolist():
        piece = windows.pieces[pick]
        stop = int(random.integers(min(piece.start + INTERACTION_SAMPLES, piece.stop), piece.stop, endpoint=True))
        inputs.append(windows.data.dry(piece, stop - INTERACTION_SAMPLES - windows.context, stop))
    return max(inputs, key=lambda x_T: float(x_T[-INTERACTION_SAMPLES:].square().sum()))


class InteractionLoss:
    """The interaction of the knobs of one net in training on a CPU."""

    def __init__(self, engine: Engine, windows: WindowSampler) -> None:
        self._engine, self._windows = engine, windows
        self._weight = interaction_weight(windows, engine.net.config.inject.encoding)

    def accumulate_gradient(self, vector_P: nn.Parameter, step: int) -> None:
        """Add the gradient of the interaction at a step to that of the parameters, where it counts at this step."""
        if not interacts(step, self._weight):
            return
        learning, knobs = self._windows.learning, self._windows.data.knobs
        levels_FE = draw_rectangle(knobs, learning.seed, step).to(vector_P.dtype)
        x_FT = draw_input(self._windows, step).expand(len(levels_FE), -1)
        with torch.no_grad():
            played_FS = self._engine(x_FT, levels_FE)
        played_FS.requires_grad_()
        loss = self._weight * INTERACTION_EVERY * interaction_of(played_FS[None]).sum()
        (slope_FS,) = torch.autograd.grad(loss, played_FS)
        self._engine.accumulate_gradient(
            vector_P, x_FT, levels_FE, lambda predicted, items: (predicted * slope_FS[items]).sum()
        )
