"""Plays a model's audio offline by the fastest way that this machine has: the C player, numba, or numpy.

The C player comes first: it starts at once, while numba compiles for a minute at its first use on a machine.

Shapes: T time, K columns: what the network takes of the knobs.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from models.artifacts.model_config import ModelConfig
from models.core.errors import UserError
from models.engines.jit import can_compile
from models.formats.player.build import library
from models.formats.player.native import NativePlayer
from models.formats.player.writer import amp_bytes
from models.network.numpy_wavenet import NumpyWaveNet
from models.playback.player import Player
from models.playback.stream import LONG_BLOCK, player_factory


class OfflineModel:
    """A model that plays whole signals with still knobs; called as `play(x_T, levels_K)`."""

    def __init__(self, config: ModelConfig, net: NumpyWaveNet) -> None:
        self._create, self._before, self._dtype = fastest_players(config, net), net.receptive_field - 1, net.dtype

    def __call__(self, x_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
        """Play a signal after silence, knobs still at `levels_K` (in [-1, 1]); same length, float32."""
        player, blocks = self._create(), []
        for begin in range(-self._before, len(x_T), LONG_BLOCK):
            end = min(begin + LONG_BLOCK, len(x_T))
            block_T = np.zeros(end - begin, np.float32)
            block_T[max(-begin, 0) :] = x_T[max(begin, 0) : max(end, 0)]
            blocks.append(player.play(block_T, levels_K))
        return np.concatenate(blocks)[self._before :]


def fastest_players(config: ModelConfig, net: NumpyWaveNet) -> Callable[[], Player]:
    """Return what creates players of a model, each for one thread.

    Where the C player cannot play a model (a network of other makers, a name that `amp.bin` has no room for), numba or
    numpy plays it.
    """
    path = native_library()
    if path is None or not net.config.compiles or net.dtype != np.float32:
        return player_factory(net)
    try:
        create = partial(NativePlayer, amp_bytes(config, net), path=path)
        create()
    except UserError:  # `amp.bin` has limits that a model need not have
        return player_factory(net)
    return create


@cache
def native_library() -> Path | None:
    """Return the C player's library, compiled at first use; None where it cannot be compiled (`describe_engine`)."""
    try:
        return library()
    except UserError:
        return None


def describe_engine() -> str:
    """Return in words what plays audio on this machine, and why where it is not the C player."""
    try:
        library()
    except UserError as problem:
        return f"{'numba' if can_compile() else 'numpy'} ({problem.message})"
    return "the C player"
