"""How well a set of knob settings covers what the knobs can do: the largest hole, and the knobs that were never moved together.

Distance is counted in turns, in which an audio-taper pot is as even to the ear as a linear one: a whole turn of one knob is 1, another
position of a switch is 1, and several knobs add as lengths do (Euclid). Shapes: N settings, M candidates, D coordinates of a setting
(one per knob, one per position of a switch).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise, product
from math import ceil, floor, log10, sqrt
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import qmc

from models.knobs.schema import AnyKnob, Knobs, Setting, Switch, Value

MIN_POSITIONS = 100  # positions, at least, that can be told apart on a knob without a stated step

MUTE_TURN = 0.1  # a knob that must avoid its minimum stays above a tenth of its turn

LOG2_CANDIDATES = 12  # candidates are 2^12 points of a Sobol sequence, and the corners

MAX_CORNERS = 4096


class Hole(NamedTuple):
    """The setting that is farthest from all in a set, and how far, in turns."""

    setting: Setting
    turns: float


def lowest_value(knob: AnyKnob) -> Value:
    """The first value one can record at: the minimum, or the first step from a tenth of the turn on where that is mute."""
    if isinstance(knob, Switch) or not knob.avoid_zero:
        return knob.positions[0] if isinstance(knob, Switch) else knob.min
    step = _step(knob)
    return min(_without_tail(knob.min + step * ceil(MUTE_TURN * (knob.max - knob.min) / step - 1e-9)), knob.max)


def snap(knob: AnyKnob, value: Value) -> Value:
    """The value nearest to another that can be dialled."""
    if isinstance(knob, Switch):
        return value
    step, wanted = _step(knob), float(value)
    inside = _without_tail(knob.min + step * floor((wanted - knob.min) / step + 0.5))
    legal = (v for v in (inside, float(lowest_value(knob)), knob.max) if float(lowest_value(knob)) <= v <= knob.max)
    return min(legal, key=lambda v: abs(v - wanted))


def snap_defaults(knobs: Knobs) -> Knobs:
    """The same knobs, each at rest where it can be dialled: the middle of a knob with steps may lie between two of them."""
    return Knobs(knobs=tuple(k.model_copy(update={"default": snap(k, k.default)}) for k in knobs.knobs))


def value_at(knob: AnyKnob, share: float) -> Value:
    """The value one can dial nearest to a share (0 to 1) of what can be recorded."""
    if isinstance(knob, Switch):
        return knob.positions[min(int(share * len(knob.positions)), len(knob.positions) - 1)]
    low = float(lowest_value(knob))
    return snap(knob, low + share * (knob.max - low))


def spaced_values(knob: AnyKnob, count: int) -> list[Value]:
    """`count` values spread evenly over the turn, both ends among them, as far as they can be dialled; every position of a switch."""
    if isinstance(knob, Switch):
        return list(knob.positions)
    shares = [i / (count - 1) for i in range(count)] if count > 1 else [0.5]
    return list(dict.fromkeys(value_at(knob, share) for share in shares))


def step_count(knob: AnyKnob) -> int:
    """How many values can be dialled: by its step, or tenths of the turn where none is stated."""
    if isinstance(knob, Switch):
        return len(knob.positions)
    if knob.step is None:
        return 11 - (knob.avoid_zero and 1)
    low = float(lowest_value(knob))
    return floor((knob.max - low) / knob.step + 1e-9) + 1 + ((knob.max - low) / knob.step % 1 > 1e-6)


def all_values(knob: AnyKnob) -> list[Value]:
    """The values of `step_count` steps of a knob, or every position of a switch."""
    if isinstance(knob, Switch) or knob.step is None:
        return spaced_values(knob, step_count(knob))
    low = float(lowest_value(knob))
    return [*(_without_tail(low + n * knob.step) for n in range(step_count(knob) - 1)), knob.max]


def end_values(knob: AnyKnob) -> list[Value]:
    """The two ends of what can be recorded; every position of a switch."""
    return list(knob.positions) if isinstance(knob, Switch) else [lowest_value(knob), knob.max]


def is_corner(knobs: Knobs, setting: Setting) -> bool:
    """Whether every knob stands at an end; switches have none."""
    turning = [knob for knob in knobs.knobs if not isinstance(knob, Switch)]
    return bool(turning) and all(setting[knob.name] in end_values(knob) for knob in turning)


def to_settings(knobs: Knobs, values: Iterable[Iterable[Value]]) -> Iterator[Setting]:
    """Rows of values -> settings."""
    return (dict(zip(knobs.names, row, strict=True)) for row in values)


def setting_key(setting: Setting) -> tuple[Value, ...]:
    """What makes two settings the same."""
    return tuple(setting.values())


def to_points(knobs: Knobs, settings: Iterable[Setting]) -> np.ndarray:
    """Settings -> points `(N, D)` whose Euclidean distance is that of this module."""
    rows = [[x for knob in knobs.knobs for x in _coordinates(knob, setting[knob.name])] for setting in settings]
    return np.array(rows, float).reshape(len(rows), sum(knob.columns for knob in knobs.knobs))


def candidate_settings(knobs: Knobs, seed: int = 0) -> list[Setting]:
    """Settings that can be dialled, everywhere: a Sobol sequence, and the corners where there are not too many."""
    points = qmc.Sobol(len(knobs.knobs), rng=seed).random_base2(LOG2_CANDIDATES)
    rows = [tuple(value_at(knob, x) for knob, x in zip(knobs.knobs, row, strict=True)) for row in points]
    sizes = [len(end_values(knob)) for knob in knobs.knobs]
    corners = product(*(end_values(knob) for knob in knobs.knobs)) if np.prod(sizes, dtype=float) <= MAX_CORNERS else ()
    return list(to_settings(knobs, dict.fromkeys((*rows, *corners))))


def nearest_distances(from_ND: np.ndarray, to_MD: np.ndarray) -> np.ndarray:
    """How far each of M points is from the nearest of N, `(M,)`, in memory that does not grow with N."""
    nearest_M = np.full(len(to_MD), np.inf)
    for start in range(0, len(from_ND), 256):
        nearest_M = np.minimum(nearest_M, cdist(from_ND[start : start + 256], to_MD).min(axis=0))
    return nearest_M


def largest_hole(knobs: Knobs, settings: Sequence[Setting]) -> Hole:
    """The largest hole between settings, among the candidates of `candidate_settings` and, from the best of them, single knobs turned further."""
    among = candidate_settings(knobs)
    points_ND, found_M = (
        to_points(knobs, settings),
        nearest_distances(to_points(knobs, settings), to_points(knobs, among)),
    )
    best = Hole(among[int(np.argmax(found_M))], float(found_M.max()))
    values = {knob.name: spaced_values(knob, MIN_POSITIONS + 1) for knob in knobs.knobs}
    for index in np.argsort(-found_M, kind="stable")[:8]:
        hole = Hole(among[index], float(found_M[index]))
        while (better := _improve_hole(knobs, points_ND, values, hole)).turns > hole.turns + 1e-9:
            hole = better
        best = max(best, hole, key=lambda found: found.turns)
    return best


def largest_grid_hole(knobs: Knobs, axes: Sequence[Sequence[Value]]) -> float:
    """The largest hole of all combinations of these values, in turns: half the largest gap of each knob, exactly."""
    total = 0.0
    for knob, values in zip(knobs.knobs, axes, strict=True):
        if not isinstance(knob, Switch):
            full = knob.max - knob.min
            turns = sorted((float(value) - knob.min) / full for value in values)
            gaps = [(b - a) / 2 for a, b in pairwise(turns)]
            total += max([turns[0] - (float(lowest_value(knob)) - knob.min) / full, 1 - turns[-1], *gaps]) ** 2
    return sqrt(total)


def pairs_never_together(knobs: Knobs, settings: Iterable[Setting]) -> list[tuple[str, str]]:
    """Pairs of knobs of which no setting has both away from their default: how they act on one another was not recorded."""
    rest, apart = knobs.defaults, set(combinations(knobs.names, 2))
    for setting in settings:
        moved = [name for name in knobs.names if setting[name] != rest[name]]
        apart -= set(combinations(moved, 2))
        if not apart:
            break
    return sorted(apart, key=lambda pair: (knobs.names.index(pair[0]), knobs.names.index(pair[1])))


def select_farthest(knobs: Knobs, settings: Sequence[Setting], count: int, among: Sequence[Setting]) -> list[Setting]:
    """Up to `count` of `among`, each the farthest from `settings` and from those chosen before it.

    Kennard and Stone, "Computer aided design of experiments" (1969).
    """
    points_MD, chosen = to_points(knobs, among), []
    nearest_M = nearest_distances(to_points(knobs, settings), points_MD)
    while len(chosen) < count and len(among) and nearest_M.max() > 1e-9:
        best = int(np.argmax(nearest_M))
        chosen.append(among[best])
        nearest_M = np.minimum(nearest_M, nearest_distances(points_MD[best : best + 1], points_MD))
    return chosen


def _improve_hole(knobs: Knobs, points_ND: np.ndarray, values: dict[str, list[Value]], hole: Hole) -> Hole:
    """The best that turning one knob can make of a hole."""
    tried = [{**hole.setting, name: value} for name, listed in values.items() for value in listed]
    found_M = nearest_distances(points_ND, to_points(knobs, tried))
    return Hole(tried[int(np.argmax(found_M))], float(found_M.max()))


def _coordinates(knob: AnyKnob, value: Value) -> list[float]:
    if isinstance(knob, Switch):
        return [float(value == position) / sqrt(2) for position in knob.positions]
    return [(float(value) - knob.min) / (knob.max - knob.min)]


def _step(knob: AnyKnob) -> float:
    """The stated step, or a round number (1, 2 or 5 and zeros) of which `DIALS` fit into the range."""
    assert not isinstance(knob, Switch)
    finest = (knob.max - knob.min) / MIN_POSITIONS * (1 + 1e-9)
    decade = 10.0 ** floor(log10(finest))
    return knob.step or max(factor * decade for factor in (1, 2, 5) if factor * decade <= finest)


def _without_tail(value: float) -> float:
    """Without the tail that steps leave in binary."""
    return float(f"{value:.12g}")
