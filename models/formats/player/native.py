"""Plays `amp.bin` by the compiled C player; needs neither torch nor numba.

Shapes: T time (one block), K columns: what the network takes of the knobs.
"""

import ctypes
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from models.core.errors import UserError
from models.formats.player.build import library
from models.formats.player.python_call import NOT_TAKEN, bind_process
from models.formats.player.reader import read_amp
from models.knobs.schema import Knob, Value
from models.playback.exact import BUDGET, HOPS_PER_SECOND, Moves, choose_moves
from models.playback.player import KnobLevels

ALIGNMENT = 64  # bytes

NOTHING = ctypes.c_char * 0


class NativePlayer:
    """One stream of an amp. It belongs to one thread at a time; the knobs may be set from any."""

    def __init__(
        self,
        data: bytes,
        *,
        factor: int = 1,
        engine: str | None = None,
        path: Path | None = None,
        moves: Moves = "ramp",
        block: int | None = None,
        budget: float = BUDGET,
    ) -> None:
        """Start in silence, knobs at their defaults.

        Args:
            data: the bytes of `amp.bin`.
            factor: the host's sample rate divided by that of the amp, 1 to 8.
            engine: `baseline`, `avx2` or `avx512`; the best for this processor where it is None.
            path: a library in place of `build.library()`.
            moves: `exact` to move knobs by crossfades between still sounds (`player/exact.h`).
            block: samples of the blocks to come. Where they are told, and exact moves would take more than `budget` of
                a core, knobs ramp instead, with a `Notice`; `moves` is what they do.
            budget: share of a core.

        Raises:
            IntegrityError: the bytes are not a sound `amp.bin`.
            UserError: there is no compiler, or this processor lacks the instructions of `engine`, or `factor` is wrong.
        """
        self.amp = read_amp(data)
        if moves == "exact" and block is not None:
            options = {"hop": self.amp.sample_rate * factor // HOPS_PER_SECOND, "budget": budget}
            still = partial(NativePlayer, data, factor=factor, engine=engine, path=path)
            moves = choose_moves(still, self.amp.columns, self.amp.receptive_field * factor, block, **options)
        self.moves: Moves = moves
        self._lib = load_library(path or library())
        amp = ctypes.create_string_buffer(self._lib.player_amp_size())
        error = self._lib.player_amp_read(amp, data, len(data))
        assert not error, self._lib.player_error_text(error)  # both readers check the same
        self._kind = "exact" if moves == "exact" else "player"
        size = self._call("size", amp, factor)
        if not size:
            raise UserError(f"this amp does not play at {factor} times its rate", "Choose a factor from 1 to 8.")
        self._memory = ctypes.create_string_buffer(size + ALIGNMENT)
        begin = ctypes.addressof(self._memory)
        self._player = self._call("init", begin + -begin % ALIGNMENT, amp, factor, engine and engine.encode())
        if not self._player:
            raise UserError(f"this processor cannot run the engine '{engine}'", "Leave the choice to the player.")
        bound = bind_process(self._lib, self._player, self.amp.columns) if self._kind == "player" else None
        self._process, self._bound = bound or (_take_nothing, None)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of this kind of player."""
        return getattr(self._lib, f"{self._kind}_{name}")(*arguments)

    @property
    def engine(self) -> str:
        """The instruction set in use."""
        return self._call("engine", self._player).decode()

    @property
    def silenced(self) -> int:
        """Samples so far that were not finite, and were played as silence; of players that ramp."""
        return self._lib.player_silenced(self._player)

    def encode(self, setting: Mapping[str, Value]) -> list[float]:
        """Return K levels for a setting; knobs that it leaves out rest at their default. Raises `UserError`."""
        return self.amp.knobs.encode(setting, self.amp.encoding, self.amp.name)

    def reset(self, levels_K: list[float] | np.ndarray | None = None) -> None:
        """Forget what was played, as if silence had always been playing.

        The knobs then stand at these levels, or where they are set.
        """
        if levels_K is None:
            self._call("reset", self._player)
        else:
            self._call("reset_levels", self._player, _float_pointer(_floats(levels_K)))

    def process(self, x_T: np.ndarray, levels: list[float] | np.ndarray, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play one block of any length and return it, in `out_T` (float32) if one is given.

        `levels` are K numbers for knobs that stand still, or an array `(K, T)` for knobs that move, as `Stream.process`
        takes them. Exact moves lead to where the knobs are at the end of the block.
        """
        y_T = np.empty(len(x_T), np.float32) if out_T is None else out_T
        if self._process(x_T, levels, y_T) == NOT_TAKEN:
            self._process_converted(x_T, levels, y_T)
        return y_T

    def play(self, x_T: np.ndarray, levels: KnobLevels, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play one block as `process` does, as a `Player` of `models.playback`, which hides no number.

        The C player plays numbers that are not finite as silence, as ears need it. A block in which there are any is
        NaN here.
        """
        y_T = np.empty(len(x_T), np.float32) if out_T is None else out_T
        silenced = self._process(x_T, levels, y_T)
        if silenced == NOT_TAKEN:
            silenced = self._process_converted(x_T, levels, y_T)
        if silenced:
            y_T[:] = np.nan
        return y_T

    def _process_converted(self, x_T: np.ndarray, levels: KnobLevels, y_T: np.ndarray) -> int:
        """Play one block whose arrays must be converted; returns how many samples were silenced."""
        x_T, levels_KT = _floats(x_T), _floats(levels)
        moving = levels_KT.ndim == 2 and levels_KT.shape[1] > 1
        assert len(levels_KT) == self.amp.columns and (not moving or levels_KT.shape[1] == len(x_T)), levels_KT.shape
        arguments = self._player, _float_pointer(x_T), _float_pointer(_output(x_T, y_T)), len(x_T)
        if self._kind == "exact":
            self._lib.exact_process_levels(
                *arguments, _float_pointer(_floats(levels_KT[:, -1]) if moving else levels_KT)
            )
            return 0
        before = self.silenced
        self._lib.player_process_levels(*arguments, _float_pointer(levels_KT), moving)
        return self.silenced - before

    def set_moves(self, moves: Moves) -> None:
        """Choose how `glide` moves knobs, of a player that was made for exact moves; it holds when they stand still."""
        assert self._kind == "exact", "it has one player alone"
        self._lib.exact_set_moves(self._player, moves == "exact")
        self.moves = moves

    def set_knobs(self, setting: Mapping[str, Value]) -> None:
        """Turn knobs to faceplate values and switches to positions; `glide` follows. Raises `UserError`."""
        full = self.amp.knobs.complete(setting, self.amp.name)
        for index, knob in enumerate(self.amp.knobs.knobs):
            if knob.name in setting:
                value = full[knob.name]
                number = value if isinstance(knob, Knob) else knob.positions.index(str(value))
                self._call("set_knob", self._player, index, number)

    def glide(self, x_T: np.ndarray, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play one block while the knobs glide to where they are set: over their whole turn in 30 ms at the fastest."""
        x_T = _floats(x_T)
        y_T = _output(x_T, out_T)
        self._call("process", self._player, _float_pointer(x_T), _float_pointer(y_T), len(x_T))
        return y_T


def _take_nothing(*_: object) -> int:
    """Leave a block to `_process_converted`."""
    return NOT_TAKEN


def _floats(numbers: list[float] | np.ndarray) -> np.ndarray:
    """Return contiguous, writable float32; a copy only where needed."""
    if isinstance(numbers, np.ndarray) and numbers.dtype == np.float32 and numbers.flags.carray:
        return numbers
    return np.array(numbers, np.float32, order="C")


def _output(x_T: np.ndarray, out_T: np.ndarray | None) -> np.ndarray:
    y_T = np.empty(len(x_T), np.float32) if out_T is None else out_T
    assert y_T.dtype == np.float32 and y_T.shape == x_T.shape and y_T.flags.carray, "out_T is no block of float32"
    return y_T


def _float_pointer(numbers: Any) -> Any:
    """Return where the numbers begin, five times as fast as `numbers.ctypes` does."""
    return ctypes.byref(NOTHING.from_buffer(numbers))


@cache
def load_library(path: Path) -> Any:
    """Load the library and declare its functions (`player/player.h`).

    Raises `UserError` for one that this machine cannot load, as one that was built on another.
    """
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as problem:
        raise UserError(
            f"{path} cannot be loaded on this machine", f"Delete {path.parent}; it is built again."
        ) from problem
    pointer, count, number, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_double, ctypes.c_char_p
    functions = {
        "player_amp_size": (ctypes.c_size_t, []),
        "player_amp_read": (ctypes.c_int, [pointer, text, ctypes.c_size_t]),
        "player_error_text": (text, [ctypes.c_int]),
        "player_size": (ctypes.c_size_t, [pointer, count]),
        "player_init": (pointer, [pointer, pointer, count, text]),
        "player_engine": (text, [pointer]),
        "player_silenced": (ctypes.c_int64, [pointer]),
        "player_set_knob": (None, [pointer, count, number]),
        "player_reset": (None, [pointer]),
        "player_process": (None, [pointer, pointer, pointer, count]),
        "player_reset_levels": (None, [pointer, pointer]),
        "player_process_levels": (None, [pointer, pointer, pointer, count, pointer, count]),
        "player_encode": (count, [pointer, pointer, pointer]),
        "exact_process_levels": (None, [pointer, pointer, pointer, count, pointer]),
        "exact_set_moves": (None, [pointer, count]),
    }
    same = ("size", "init", "engine", "set_knob", "reset", "process", "reset_levels")
    functions |= {f"exact_{name}": functions[f"player_{name}"] for name in same}
    for name, (result, arguments) in functions.items():
        getattr(lib, name).restype, getattr(lib, name).argtypes = result, arguments
    return lib
