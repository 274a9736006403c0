"""A net in silence: what it plays while nothing is played into it, one constant for each setting.

In silence every signal inside a net stands still, so that a convolution acts by the sum of its taps. The constant is
therefore the output of a net with single taps for one sample of silence.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.network.architecture import WaveNetConfig

NamedShapes = Sequence[tuple[str, torch.Size]]  # of parameters, in the order of their vector


def with_single_taps(config: WaveNetConfig) -> WaveNetConfig:
    """Return the architecture with one tap in every convolution."""
    arrays = tuple(array.model_copy(update={"kernel_size": (1,), "head_kernel_size": 1}) for array in config.arrays)
    head, condition = config.head, config.condition
    if head is not None:
        head = head.model_copy(update={"kernel_sizes": (1,) * len(head.kernel_sizes)})
    if condition is not None:
        condition = condition.model_copy(update={"net": with_single_taps(condition.net)})
    return config.model_copy(update={"arrays": arrays, "head": head, "condition": condition})


def places_of_single_taps(parameters: NamedShapes, single: NamedShapes) -> Tensor:
    """Return for each parameter of a net `(P,)` its place in the vector of the net with single taps.

    The parameters with one place add up there.
    """
    firsts, count = {}, 0
    for name, shape in single:
        firsts[name] = count
        count += shape.numel()
    places = []
    for name, shape in parameters:
        taps = shape[-1] if len(shape) == 3 else 1  # of a convolution's weight: outputs, inputs, taps
        places.append(firsts[name] + torch.arange(shape.numel() // taps).repeat_interleave(taps))
    return torch.cat(places)
