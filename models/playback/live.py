"""An amp that plays what comes in, block by block, while knobs are turned from another thread.

Shapes: T time (one block), K knob columns.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from models.core.errors import UserError
from models.knobs.schema import AnyKnob, Knobs, Setting, Switch, Value
from models.playback.player import Player

FULL_TURN_S = 0.03  # the fastest that a knob moves from one end to the other

KEY_PRESSES = 20  # of the keys from one end to the other, for a knob without a step

FIRST_CONTROLLER, CONTROLLERS = 20, 120  # of MIDI: 20 to 31 are undefined; 120 and more are channel modes

HIGHEST = 127  # value of a controller


@dataclass
class Load:
    """How loud and how costly the playing is: peaks since the last look, and the share of the time that it took."""

    peak_in: float = 0.0
    peak_out: float = 0.0
    share: float = 0.0


class LiveAmp:
    """A model being played live. `process` runs in the thread of a sound card; all else is for another thread."""

    def __init__(
        self, player: Player, knobs: Knobs, encode: Callable[[Setting], list[float]], setting: Setting, rate_hz: int
    ) -> None:
        self._player, self.knobs, self._encode, self._rate_hz = player, knobs, encode, rate_hz
        self.setting = dict(setting)
        self.is_bypassed = False
        self._target_K = np.array(encode(self.setting), np.float32)
        self._now_K = self._target_K.copy()
        self.load = Load()

    def process(self, in_T: np.ndarray, out_T: np.ndarray) -> None:
        """Play one block; knobs move in a straight line, a full turn in `FULL_TURN_S` at the fastest."""
        begin = time.perf_counter()
        x_T = np.ascontiguousarray(in_T, np.float32)
        y_T = self._player.play(x_T, self._levels(len(x_T)))
        out_T[:] = x_T if self.is_bypassed else np.clip(np.nan_to_num(y_T, nan=0.0), -1, 1)
        load = self.load
        load.peak_in = max(load.peak_in, float(np.abs(x_T).max(initial=0)))
        load.peak_out = max(load.peak_out, float(np.abs(out_T).max(initial=0)))
        load.share += 0.1 * ((time.perf_counter() - begin) * self._rate_hz / max(len(x_T), 1) - load.share)

    def find(self, name: str) -> AnyKnob:
        """Return a knob; raises `UserError` for a name that the amp does not have."""
        if (knob := self.knobs.find(name)) is None:
            raise UserError(f"there is no knob '{name}'", f"The knobs are {', '.join(self.knobs.names)}.")
        return knob

    def set_knob(self, name: str, value: Value) -> None:
        """Set a knob; raises `UserError` for a value that it cannot have."""
        knob = self.find(name)
        setting = self.setting | {name: knob.check(value, name)}
        self._target_K = np.array(self._encode(setting), np.float32)
        self.setting = setting

    def turn(self, name: str, steps: int) -> None:
        """Turn a knob by some steps, not beyond its ends; a switch goes to its next position."""
        knob, value = self.find(name), self.setting[name]
        if isinstance(knob, Switch):
            at = knob.positions.index(str(value)) + steps
            self.set_knob(name, knob.positions[min(max(at, 0), len(knob.positions) - 1)])
            return
        step = knob.step or (knob.max - knob.min) / KEY_PRESSES
        self.set_knob(name, min(max(round(float(value) / step + steps) * step, knob.min), knob.max))

    def control(self, name: str, number: int) -> None:
        """Set a knob by the value of a MIDI controller, 0 to 127: from one end of its turn to the other."""
        self.set_knob(name, controlled_value(self.find(name), number))

    def _levels(self, count: int) -> np.ndarray | list[float]:
        """Return the levels of a block, `(K, T)` while knobs move, else K numbers."""
        target_K = self._target_K
        if np.array_equal(self._now_K, target_K):
            return target_K.tolist()
        most = 2 * count / (FULL_TURN_S * self._rate_hz)
        next_K = self._now_K + np.clip(target_K - self._now_K, -most, most)
        part_T = np.arange(1, count + 1, dtype=np.float32) / count
        levels_KT = self._now_K[:, None] + (next_K - self._now_K)[:, None] * part_T
        self._now_K = next_K.astype(np.float32)
        return np.ascontiguousarray(levels_KT, np.float32)


def controlled_value(knob: AnyKnob, number: int) -> Value:
    """Return the value of a knob for the value of a MIDI controller, 0 to 127."""
    number = min(max(number, 0), HIGHEST)
    if isinstance(knob, Switch):
        return knob.positions[number * len(knob.positions) // (HIGHEST + 1)]
    return knob.min + (knob.max - knob.min) * number / HIGHEST


def parse_controllers(texts: tuple[str, ...], knobs: Knobs) -> dict[int, str]:
    """Return the knob of each MIDI controller of `["gain=74"]`; the other knobs get 20, 21, ... in their order.

    Raises `UserError` for what is not `knob=number`, for an unknown knob and for one controller of two knobs.
    """
    found: dict[int, str] = {}
    for text in texts:
        name, _, number = (part.strip() for part in text.partition("="))
        is_number = number.isascii() and number.isdigit() and len(number) <= len(str(CONTROLLERS))
        if name not in knobs.names or not is_number or int(number) >= CONTROLLERS:
            raise UserError(
                f"'{text}' gives no knob a controller",
                f"Write knob=number, with a number below {CONTROLLERS}; the knobs are {', '.join(knobs.names)}.",
            )
        if int(number) in found or name in found.values():
            raise UserError(f"'{text}' is the second of its knob or of its controller", "State each once.")
        found[int(number)] = name
    return with_free_controllers(found, knobs)


def with_free_controllers(stated: Mapping[int, str], knobs: Knobs) -> dict[int, str]:
    """Return the knobs of controllers, with the next free controller for each knob that has none."""
    found = dict(stated)
    for name in knobs.names:
        if name not in found.values():
            found[next(n for n in range(FIRST_CONTROLLER, CONTROLLERS) if n not in found)] = name
    return found
