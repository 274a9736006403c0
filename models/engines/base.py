"""The protocol of an engine, and what all engines share.

Shapes: B items of a batch, T samples in, S samples out (T - R + 1, R the receptive field), K knob columns, P
parameters.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from models.network.folding import Folding
from models.network.wavenet import WaveNet

GRAIN = 128  # samples: kernels compute ranges of time that begin and end at multiples of this

WORKING_MEMORY = 1 << 25  # bytes of intermediate results computed at once; more would not fit a processor's caches

Loss = Callable[[Tensor, slice], Tensor]  # from the output `(items, S)` and which items: their losses, summed


def gradient_reach(outputs: int) -> int:
    """Return how many samples before its end a truncated gradient reaches, for so many samples of output.

    That is to the first of them, in whole `GRAIN`s. All signals before are taken as given, as in truncated
    backpropagation through time (Williams and Peng 1990, https://doi.org/10.1162/neco.1990.2.4.490).
    """
    return -(-outputs // GRAIN) * GRAIN


class Engine(Protocol):
    """One way to compute a net, forward and backward; another device needs one more class with these two methods."""

    net: WaveNet

    def __call__(self, x_BT: Tensor, knobs_BK: Tensor) -> Tensor:
        """Return what `net(x_BT, knobs_BK)` gives, `(B, S)`; knobs are levels in [-1, 1] that stand still."""
        ...

    def accumulate_gradient(self, vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        """Add the gradient of the loss to that of the parameters, and return the loss.

        The batch is computed in parts; `loss` is called for each part, and the results are added up. `vector_P` holds
        the parameters as one vector (see `as_vector`).
        """
        ...


def as_vector(parameters: Sequence[nn.Parameter]) -> nn.Parameter:
    """Return one vector that holds all parameters, for clipping and optimizer steps over all of them at once.

    Each parameter becomes a view of the vector, and its gradient a view of the vector's gradient.
    """
    vector = nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [parameter.numel() for parameter in parameters]
    parts = zip(parameters, vector.data.split(sizes), vector.grad.split(sizes), strict=True)
    for parameter, part, gradient in parts:
        parameter.data, parameter.grad = part.view_as(parameter), gradient.view_as(parameter)
    return vector


def named_parameters(net: WaveNet) -> dict[str, nn.Parameter]:
    """Return the net's parameters by name, in the order of the vector that an engine moves."""
    if not net.config.compiles:
        return dict(net.named_parameters())
    names = {parameter: name for name, parameter in net.named_parameters()}
    return {names[parameter]: parameter for parameter in Folding(net).parameters}
