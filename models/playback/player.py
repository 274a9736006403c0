"""What plays a net block by block.

Shapes: T time (one block), K knob columns.
"""

from typing import Protocol

import numpy as np

KnobLevels = list[float] | np.ndarray  # K levels in [-1, 1] that stand still, or (K, T) that move


class Player(Protocol):
    """The state of one stream; after a receptive field of samples, nothing of how it began is left."""

    def play(self, x_T: np.ndarray, levels: KnobLevels, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play the next block and return it, in `out_T` if one is given."""
        ...
