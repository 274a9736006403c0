"""A program for playing one net: a list of operations on buffers, as flat arrays that any runtime can read.

There are three kinds of operation:

* `CONVOLVE`: `target = bias + convolution of source + product with the rows of extra + addend`.
* `MODULATE`: `target = scale * source + shift + addend`, row by row (FiLM).
* `ACTIVATE`: `target = activation and gate of source`; with `extra`, also `extra = target + addend`.

`addend` and `extra` are buffers and may be missing (`NONE`). A bias, scale or shift is a *coefficient*: a constant plus
a product with the features (slopes). Where the knobs stand still, its value is computed once per call; where they move,
sample by sample at the place of its use.

A *buffer* is some rows of `stride` samples. The current block begins at `position`; the samples before it are its
history. An operation writes whole tiles, so it may write past the end of the block; nothing reads that. All buffers,
and the values of the coefficients, lie in one float32 array, the state; all fixed numbers lie in another, the
weights.
"""

from dataclasses import dataclass

import numpy as np

CONVOLVE, MODULATE, ACTIVATE = range(3)

NONE = -1  # in place of a buffer's index

NARROW, WIDE = 2, 4  # vectors of time in a tile


def tile_samples(width: int) -> int:
    """Return the samples of the widest tile, with vectors of `width` numbers."""
    return WIDE * width


def tile_heights(registers: int) -> tuple[int, ...]:
    """Return the heights of a convolution's tile: its sums, a row of input and a weight must fit the registers."""
    return tuple(rows for rows in (1, 2, 3, 4, 6, 8) if rows * NARROW + NARROW + 1 <= registers)


def film_height(registers: int) -> int:
    """Return the height of a modulation's tile."""
    return 4 if registers == 32 else 2


def _record(*names: str) -> np.dtype:
    return np.dtype([(name, np.int64) for name in names])


BUFFER = _record(
    "base",  # index of the first row in the state
    "stride",  # samples from one row to the next
    "history",  # samples kept before the block
    "rows",  # rows whose history is kept
    "position",  # of the current block in a row
)

OPERATION = _record(
    *("kind", "source", "target", "addend", "extra", "rows"),
    # CONVOLVE: rows of a tile, then per group its tiles and input rows
    *("height", "groups", "chunks", "rows_per_group", "taps", "dilation", "weights", "bias"),
    *("follows_features", "extra_rows"),
    *("scale", "shift"),  # MODULATE: indices of coefficients
    *("activation", "slopes", "gating", "gate", "gate_slopes"),  # ACTIVATE: codes of `engines.activation_codes`
)

NET = _record(
    "knobs",  # columns of a knob setting
    "features",
    "block",  # samples played at once, at most
    "levels_per_sample",  # 1 where the rows of knobs are needed for each sample even if the knobs stand still
    "encoder_operations",  # the first operations: they compute the features from the knobs
    *("input", "condition"),  # buffers of audio, then knobs; of audio, then features
    *("level_rows", "feature_rows"),  # the same buffers without the audio
    "output",
    "coefficients",  # how many there are
    "slopes",  # index of their slopes in the weights; their constants stand before
    "values",  # index of their values in the state
)


@dataclass(frozen=True)
class PlayerProgram:
    """What `cpu_stream.kernels.play` runs.

    `operations` are records of `OPERATION`, `buffers` (as they are before the first block) of `BUFFER`, `net` is one
    record of `NET`. `state_size` is the length of the state, which begins as zeros. The program fits processors whose
    vectors have `width` numbers.
    """

    weights: np.ndarray
    operations: np.ndarray
    buffers: np.ndarray
    net: np.ndarray
    state_size: int
    width: int
