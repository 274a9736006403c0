"""Play a model block by block: the same sound whatever the size of the blocks, with knobs that stand still or move.

float32 nets are played by compiled kernels (`engines.cpu_stream`). Other number types, nets that the kernels do not
support, and all nets where numba is missing or switched off, are played by torch; nets of numpy arrays by numpy.

Shapes: T time (one block), K knob columns, C channels.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from models.engines.jit import can_compile
from models.network.numpy_wavenet import NumpyWaveNet
from models.playback.exact import BUDGET, HOP, ExactPlayer, Moves, choose_moves
from models.playback.numpy_player import NumpyPlayer
from models.playback.player import KnobLevels, Player

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet

PREWARM_BLOCK = 1 << 14  # samples of silence played at once before a stream starts

LONG_BLOCK = 1 << 16  # samples that numpy plays at once, so that memory does not grow with the length


class Stream:
    """A model being played live; knobs may stand still or move within a block, sample by sample."""

    def __init__(
        self,
        net: "WaveNet | NumpyWaveNet",
        levels_K: list[float],
        moves: Moves = "ramp",
        hop: int = HOP,
        block: int | None = None,
        budget: float = BUDGET,
        create_player: Callable[[], Player] | None = None,
    ) -> None:
        """Start in silence, as if zeros had always been played with the knobs at `levels_K` (in [-1, 1]).

        The stream copies the weights that the net has now.

        Args:
            net: the model.
            levels_K: where the knobs stand.
            moves: `ramp`: knobs move as they are told, sample by sample; what the net has computed of the past under
                earlier settings is heard for a receptive field. `exact`: a crossfade between two still sounds, which
                ends two to three hops after a move, and costs `exact_move_cost` while a knob moves.
            hop: samples of a crossfade of exact moves, which last 20 ms; 960 are those at 48 kHz.
            block: samples of the blocks to come. Where they are told, and exact moves would take more than `budget` of
                a core, the stream ramps instead and says so (`Notice`); `moves` is what it does.
            budget: share of a core.
            create_player: what creates players of the net; `player_factory` where it is None.
                `models.formats.player.offline.fastest_players` gives the C player, which is faster in small blocks.
        """
        self.net = net if isinstance(net, NumpyWaveNet) else net.eval()
        create = create_player or player_factory(net)
        self.moves: Moves = moves
        if moves == "exact" and block is not None:
            options = {"hop": hop, "dtype": _number_type(net), "budget": budget}
            self.moves = choose_moves(create, net.knobs, net.receptive_field, block, **options)
        self._exact = _exact_player(net, create, hop) if self.moves == "exact" else None
        self._player: Player = self._exact or create()
        self.reset(levels_K)

    def reset(self, levels_K: list[float]) -> None:
        """Forget what was played: play a receptive field of silence with these knobs."""
        if self._exact is not None:
            self._exact.restart(levels_K)
            return
        left = self.net.receptive_field
        while left > 0:
            self.process(np.zeros(min(left, PREWARM_BLOCK), np.float32), levels_K)
            left -= PREWARM_BLOCK

    def process(self, x_T: np.ndarray, levels: KnobLevels, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play one block and return it, of the same length and in the net's own number type.

        Args:
            x_T: dry audio, T >= 1 samples.
            levels: knobs in [-1, 1], K numbers that stand still or an array `(K, T)`; exact moves lead to its end.
            out_T: an array to write to. If all three are contiguous float32 arrays, a float32 net allocates nothing.

        Raises `AssertionError` where the levels do not fit the block or the net.
        """
        return self._player.play(x_T, levels, out_T)


def player_factory(net: "WaveNet | NumpyWaveNet") -> Callable[[], Player]:
    """Return what creates the fastest players of a net; they share its weights, and each may run in its own thread."""
    if net.head_scale.dtype.itemsize != 4 or not net.config.compiles or not can_compile():
        if isinstance(net, NumpyWaveNet):
            return partial(NumpyPlayer, net)
        from models.playback.eager_player import EagerPlayer

        return partial(EagerPlayer, net)
    from models.engines.cpu_stream.lowering import lower
    from models.engines.cpu_stream.player import CompiledPlayer

    return partial(CompiledPlayer, lower(net))


def _exact_player(net: "WaveNet | NumpyWaveNet", create: Callable[[], Player], hop: int) -> ExactPlayer:
    return ExactPlayer(create, net.receptive_field, hop, _number_type(net))


def _number_type(net: "WaveNet | NumpyWaveNet") -> type:
    return np.float64 if net.head_scale.dtype.itemsize == 8 else np.float32


def play(net: "WaveNet | NumpyWaveNet", x_T: np.ndarray, levels_K: list[float]) -> np.ndarray:
    """Play a whole signal after silence with still knobs (levels in [-1, 1]); same length, the net's number type.

    A torch module is played by torch, numpy arrays by numpy: nothing is compiled.
    """
    if isinstance(net, NumpyWaveNet):
        player = NumpyPlayer(net)
        blocks = [player.play(x_T[begin : begin + LONG_BLOCK], levels_K) for begin in range(0, len(x_T), LONG_BLOCK)]
        return np.concatenate(blocks) if blocks else np.zeros(0, net.dtype)
    from models.playback.eager_player import play_whole

    return play_whole(net, x_T, levels_K)
