"""Knobs that move exactly: what is heard is always made of still sounds.

A network computes its past under the setting at which it was played, so a knob that moves is heard in what it leaves
behind. Here a second player replays the input of a receptive field under the new setting, spread evenly over a hop.
After that hop it is as if the knobs had always stood there, and over the next hop the sound fades to it; meanwhile
another player replays for where the knobs are by then. A move is a crossfade between two still sounds; while knobs go
on moving, the sound follows a parabola through three. `player/exact.c` does the same.

Shapes: T time (one block), K knob columns.
"""

import time
import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np

from models.core.errors import Notice
from models.playback.player import KnobLevels, Player

Moves = Literal["ramp", "exact"]  # how a stream moves knobs

REPLAY_BLOCK = 256  # samples that are played at once
SHARE_BLOCKS = 9  # that are timed; their median counts
BUDGET = 0.5  # share of a core that exact moves may take
HOP = 960  # samples of a fade, and of a replay: 20 ms at 48 kHz
HOPS_PER_SECOND = 50


class ExactPlayer:
    """Plays a net with four players; a `Player` itself."""

    def __init__(
        self, create: Callable[[], Player], receptive_field: int, hop: int = HOP, dtype: type = np.float32
    ) -> None:
        """`create` makes a player of the net, whose number type is `dtype`; `hop` is in samples."""
        self._passed, self._heard, self._next, self._later = (create() for _ in range(4))
        self._hop, self._field, self._dtype = hop, receptive_field - 1, dtype
        self._past_T = np.zeros(self._field + hop + REPLAY_BLOCK, dtype)
        self._levels: dict[str, np.ndarray] = {}  # of the players that are in use
        self._fading = self._replaying = self._curved = False
        self._done = self._replayed = 0  # samples of the hop that are played; of the past that are replayed

    def play(self, x_T: np.ndarray, levels: KnobLevels, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play the next block and return it, in `out_T` if one is given.

        The sound is on its way to `levels`, K numbers; of an array `(K, T)` its end counts.
        """
        goal_K = np.array(levels, self._dtype)
        goal_K = goal_K[:, -1] if goal_K.ndim == 2 else goal_K
        y_T = np.empty(len(x_T), self._dtype) if out_T is None else out_T
        x_T = np.array(x_T, self._dtype)  # the output may be the input
        begin = 0
        while begin < len(x_T):
            if not (self._fading or self._replaying) or self._done == self._hop:
                self._begin_hop(goal_K)
            moving = self._fading or self._replaying
            end = min(len(x_T), begin + min(REPLAY_BLOCK, self._hop - self._done if moving else REPLAY_BLOCK))
            y_T[begin:end] = self._play_part(x_T[begin:end])
            begin = end
        return y_T

    def restart(self, levels_K: list[float] | np.ndarray) -> None:
        """Forget what was played: play a receptive field of silence with these knobs."""
        self._fading = self._replaying = self._curved = False
        self._done = 0
        self._past_T[:] = 0
        self._levels = {"heard": np.array(levels_K, self._dtype)}
        self._heard.play(np.zeros(self._field + 1, self._dtype), self._levels["heard"])

    def _begin_hop(self, goal_K: np.ndarray) -> None:
        """Between two hops: what was faded to is heard, what has replayed is faded to, and another replay may begin."""
        levels, moved = self._levels, self._fading
        if moved:
            self._passed, self._heard, self._next = self._heard, self._next, self._passed
            levels["passed"], levels["heard"] = levels["heard"], levels["next"]
        if self._replaying:
            self._next, self._later = self._later, self._next
            levels["next"] = levels["later"]
        self._fading = self._replaying
        self._curved = moved and self._fading and _is_steady(levels["passed"], levels["heard"], levels["next"])
        newest_K = levels["next"] if self._fading else levels.setdefault("heard", goal_K)
        self._replaying = not np.array_equal(goal_K, newest_K)
        levels["later"] = goal_K
        self._done = self._replayed = 0

    def _play_part(self, x_T: np.ndarray) -> np.ndarray:
        """Play one part of a block, which does not reach beyond the hop."""
        self._past_T[: -len(x_T)] = self._past_T[len(x_T) :].copy()
        self._past_T[-len(x_T) :] = x_T
        y_T = self._heard.play(x_T, self._levels["heard"])
        end = self._done + len(x_T)
        if self._fading:
            fade_T = np.arange(self._done + 1, end + 1, dtype=self._dtype) / self._dtype(self._hop)
            step_T = self._next.play(x_T, self._levels["next"]) - y_T
            faded_T = y_T + step_T * fade_T
            if self._curved:
                bend_T = step_T - (y_T - self._passed.play(x_T, self._levels["passed"]))
                faded_T += bend_T * (fade_T * (fade_T - 1) / 2)
            y_T = faded_T
        if self._replaying:
            self._replay(end)
        self._done = end
        return y_T

    def _replay(self, done: int) -> None:
        """Replay the share of the past that belongs to the first `done` samples of the hop."""
        start = len(self._past_T) - done - self._field  # where the replay of this hop began
        goal = -(-(self._field + self._hop) * done // self._hop)
        while self._replayed < goal:
            count = min(REPLAY_BLOCK, goal - self._replayed)
            begin = start + self._replayed
            self._later.play(self._past_T[begin : begin + count].copy(), self._levels["later"])
            self._replayed += count


def _is_steady(passed_K: np.ndarray, heard_K: np.ndarray, next_K: np.ndarray) -> bool:
    """Return whether knobs go on as before, so that a parabola through three settings does not turn back or overshoot.

    On a line, it does not where they move at least a third as far as before, or turn round and move at least as far.
    """
    step_K = next_K.astype(np.float64) - heard_K
    bend_K = step_K - (heard_K.astype(np.float64) - passed_K)
    return bool(np.sum(bend_K**2) <= 4 * np.sum(step_K**2))


def still_share(create: Callable[[], Player], columns: int, dtype: type, block: int, rate_hz: int) -> float:
    """Return the share of a core that a player takes in blocks of so many samples, by its CPU time in this thread."""
    player, x_T, levels_K = create(), np.zeros(block, dtype), np.zeros(columns, dtype)
    y_T, spent = np.empty(block, dtype), []
    for _ in range(2 + SHARE_BLOCKS):  # the first ones load code
        begin = time.thread_time()
        player.play(x_T, levels_K, y_T)
        spent.append(time.thread_time() - begin)
    return float(np.median(spent[2:])) * rate_hz / block


def exact_move_cost(still: float, receptive_field: int, hop: int = HOP) -> float:
    """Return the share of a core that exact moves take while knobs move, from that with still knobs."""
    return still * (4 + receptive_field / hop)


def choose_moves(
    create: Callable[[], Player],
    columns: int,
    receptive_field: int,
    block: int,
    *,
    hop: int = HOP,
    dtype: type = np.float32,
    budget: float = BUDGET,
) -> Moves:
    """Return `exact` where such moves take at most `budget` of a core in blocks of this length, else `ramp`; warns."""
    still = still_share(create, columns, dtype, block, hop * HOPS_PER_SECOND)
    if (cost := exact_move_cost(still, receptive_field, hop)) <= budget:
        return "exact"
    warnings.warn(
        f"exact knob moves would take {100 * cost:.0f} % of a core in blocks of {block} samples, more than "
        f"{100 * budget:.0f} %, so knobs ramp",
        Notice,
        stacklevel=4,
    )
    return "ramp"
