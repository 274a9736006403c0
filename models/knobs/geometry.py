"""Distances between knob settings: the values a knob can be set to, and how well settings cover what the knobs can do.

Distance is counted in turns of a knob: from end to end of one knob is 1, from one position of a switch to another is 1,
and several knobs add as in Euclidean distance. An audio-taper pot counts as a linear one, since equal turns of it sound
like equal steps.

Shapes: N settings, M candidates, D coordinates of a setting (one per knob, one per position of a switch).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise, product
from math import ceil, floor, log10, sqrt
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from models.core.errors import UserError
from models.knobs.schema import AnyKnob, Knob, Knobs, Setting, Switch, Value

MIN_POSITIONS = 100  # that a person can set on a knob without a stated step, at least

DIAL_POSITIONS = 20  # about so many steps of a knob are round numbers that a person dials: 0.5 on a scale to 10

MUTE_TURN = 0.1  # a knob with `avoid_zero` stays above a tenth of its turn

LOG2_CANDIDATES = 12  # 2^12 points of a Sobol sequence

MAX_CORNERS = 4096


class Hole(NamedTuple):
    """The setting that is farthest from all settings of a set, and its distance in turns from the nearest of them."""

    setting: Setting
    turns: float


def lowest_value(knob: AnyKnob) -> Value:
    """Return the lowest value to record at: the minimum or first position; with `avoid_zero` a tenth of the turn up."""
    if isinstance(knob, Switch) or not knob.avoid_zero:
        return knob.positions[0] if isinstance(knob, Switch) else knob.min
    step = _step(knob)
    return min(_without_tail(knob.min + step * ceil(MUTE_TURN * (knob.max - knob.min) / step - 1e-9)), knob.max)


def snap(knob: AnyKnob, value: Value) -> Value:
    """Return the value that can be set and recorded nearest to `value`."""
    if isinstance(knob, Switch):
        return value
    step, wanted = _step(knob), float(value)
    inside = _without_tail(knob.min + step * floor((wanted - knob.min) / step + 0.5))
    legal = (v for v in (inside, float(lowest_value(knob)), knob.max) if float(lowest_value(knob)) <= v <= knob.max)
    return min(legal, key=lambda v: abs(v - wanted))


def snap_defaults(knobs: Knobs) -> Knobs:
    """Return the knobs, each default moved to a value that can be set: the middle may lie between two steps."""
    return Knobs(knobs=tuple(k.model_copy(update={"default": snap(k, k.default)}) for k in knobs.knobs))


def with_dial_steps(knobs: Knobs) -> Knobs:
    """Return the knobs, each without a stated step with a round one: 1, 2 or 5 times a power of ten.

    It is the one nearest, in ratio, to the range over `DIAL_POSITIONS`.
    """
    return Knobs(
        knobs=tuple(
            knob if isinstance(knob, Switch) or knob.step else knob.model_copy(update={"step": _dial_step(knob)})
            for knob in knobs.knobs
        )
    )


def with_step(knobs: Knobs, step: float) -> Knobs:
    """Return the knobs with this step where they state none; raises `UserError` for one wider than a range."""
    for knob in knobs.knobs:
        if not isinstance(knob, Switch) and knob.step is None and not 0 < step <= knob.max - knob.min:
            raise UserError(
                f"step is {step:g}, but knob '{knob.name}' goes from {knob.min:g} to {knob.max:g}",
                "Use a number above 0 and within each knob's range, or state the knob's own step.",
            )
    return Knobs(
        knobs=tuple(
            knob if isinstance(knob, Switch) or knob.step else knob.model_copy(update={"step": step})
            for knob in knobs.knobs
        )
    )


def value_at(knob: AnyKnob, share: float) -> Value:
    """Return the value that can be set nearest to a share (0 to 1) of the range that can be recorded."""
    if isinstance(knob, Switch):
        return knob.positions[min(int(share * len(knob.positions)), len(knob.positions) - 1)]
    low = float(lowest_value(knob))
    return snap(knob, low + share * (knob.max - low))


def spaced_values(knob: AnyKnob, count: int) -> list[Value]:
    """Return up to `count` values spaced evenly over the turn, both ends included; every position of a switch."""
    if isinstance(knob, Switch):
        return list(knob.positions)
    shares = [i / (count - 1) for i in range(count)] if count > 1 else [0.5]
    return list(dict.fromkeys(value_at(knob, share) for share in shares))


def step_count(knob: AnyKnob) -> int:
    """Return how many values a knob has: by its step, by tenths of the turn without one, or its positions."""
    if isinstance(knob, Switch):
        return len(knob.positions)
    if knob.step is None:
        return 10 if knob.avoid_zero else 11
    low = float(lowest_value(knob))
    return floor((knob.max - low) / knob.step + 1e-9) + 1 + ((knob.max - low) / knob.step % 1 > 1e-6)


def all_values(knob: AnyKnob) -> list[Value]:
    """Return the `step_count` values of a knob, in rising order."""
    if isinstance(knob, Switch) or knob.step is None:
        return spaced_values(knob, step_count(knob))
    low = float(lowest_value(knob))
    return [*(_without_tail(low + n * knob.step) for n in range(step_count(knob) - 1)), knob.max]


def end_values(knob: AnyKnob) -> list[Value]:
    """Return the two ends of the range that can be recorded; every position of a switch."""
    return list(knob.positions) if isinstance(knob, Switch) else [lowest_value(knob), knob.max]


def is_corner(knobs: Knobs, setting: Setting) -> bool:
    """Return whether every knob is at an end of its range; switches do not count."""
    turning = [knob for knob in knobs.knobs if not isinstance(knob, Switch)]
    return bool(turning) and all(setting[knob.name] in end_values(knob) for knob in turning)


def to_settings(knobs: Knobs, values: Iterable[Iterable[Value]]) -> Iterator[Setting]:
    """Yield a setting for each row of values, one value per knob."""
    return (dict(zip(knobs.names, row, strict=True)) for row in values)


def setting_key(setting: Setting) -> tuple[Value, ...]:
    """Return the values alone, which are hashable: equal for equal settings."""
    return tuple(setting.values())


def to_points(knobs: Knobs, settings: Iterable[Setting]) -> np.ndarray:
    """Return settings as points `(N, D)` whose Euclidean distance is the distance in turns."""
    rows = [[x for knob in knobs.knobs for x in _coordinates(knob, setting[knob.name])] for setting in settings]
    return np.array(rows, float).reshape(len(rows), sum(knob.columns for knob in knobs.knobs))


def candidate_settings(knobs: Knobs, seed: int = 0) -> list[Setting]:
    """Return settings all over the range: a Sobol sequence of `seed`, and the corners unless over `MAX_CORNERS`."""
    from scipy.stats import qmc  # a quarter of a second, which trials of a search need not wait for

    points = qmc.Sobol(len(knobs.knobs), rng=seed).random_base2(LOG2_CANDIDATES)
    rows = [tuple(value_at(knob, x) for knob, x in zip(knobs.knobs, row, strict=True)) for row in points]
    sizes = [len(end_values(knob)) for knob in knobs.knobs]
    corners = product(*(end_values(knob) for knob in knobs.knobs)) if np.prod(sizes, dtype=float) <= MAX_CORNERS else ()
    return list(to_settings(knobs, dict.fromkeys((*rows, *corners))))


def nearest_distances(from_ND: np.ndarray, to_MD: np.ndarray) -> np.ndarray:
    """Return the distance of each of M points from the nearest of N, `(M,)`; memory does not grow with N."""
    nearest_M = np.full(len(to_MD), np.inf)
    for start in range(0, len(from_ND), 256):
        nearest_M = np.minimum(nearest_M, cdist(from_ND[start : start + 256], to_MD).min(axis=0))
    return nearest_M


def largest_hole(knobs: Knobs, settings: Sequence[Setting]) -> Hole:
    """Return the largest hole of a set of settings.

    The search starts at the farthest candidates, and turns one knob at a time as long as the distance grows.
    """
    among, points_ND = candidate_settings(knobs), to_points(knobs, settings)
    found_M = nearest_distances(points_ND, to_points(knobs, among))
    best = Hole(among[int(np.argmax(found_M))], float(found_M.max()))
    values = {knob.name: spaced_values(knob, MIN_POSITIONS + 1) for knob in knobs.knobs}
    for index in np.argsort(-found_M, kind="stable")[:8]:
        hole = Hole(among[index], float(found_M[index]))
        while (better := _improve_hole(knobs, points_ND, values, hole)).turns > hole.turns + 1e-9:
            hole = better
        best = max(best, hole, key=lambda found: found.turns)
    return best


def largest_grid_hole(knobs: Knobs, axes: Sequence[Sequence[Value]]) -> float:
    """Return the largest hole in turns of all combinations of `axes` (values of each knob): exact, in closed form."""
    total = 0.0
    for knob, values in zip(knobs.knobs, axes, strict=True):
        if not isinstance(knob, Switch):
            full = knob.max - knob.min
            turns = sorted((float(value) - knob.min) / full for value in values)
            gaps = [(b - a) / 2 for a, b in pairwise(turns)]
            total += max([turns[0] - (float(lowest_value(knob)) - knob.min) / full, 1 - turns[-1], *gaps]) ** 2
    return sqrt(total)


def pairs_never_together(knobs: Knobs, settings: Iterable[Setting]) -> list[tuple[str, str]]:
    """Return the pairs of knobs that no setting has both away from default.

    How such knobs act on one another is not recorded.
    """
    rest, apart = knobs.defaults, set(combinations(knobs.names, 2))
    for setting in settings:
        moved = [name for name in knobs.names if setting[name] != rest[name]]
        apart -= set(combinations(moved, 2))
        if not apart:
            break
    return sorted(apart, key=lambda pair: (knobs.names.index(pair[0]), knobs.names.index(pair[1])))


def select_farthest(knobs: Knobs, settings: Sequence[Setting], count: int, among: Sequence[Setting]) -> list[Setting]:
    """Return up to `count` of `among`, each the farthest from `settings` and from those selected before it.

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
    """Return the farthest setting that turning one knob of the hole's setting reaches."""
    tried = [{**hole.setting, name: value} for name, listed in values.items() for value in listed]
    found_M = nearest_distances(points_ND, to_points(knobs, tried))
    return Hole(tried[int(np.argmax(found_M))], float(found_M.max()))


def _coordinates(knob: AnyKnob, value: Value) -> list[float]:
    if isinstance(knob, Switch):
        return [float(value == position) / sqrt(2) for position in knob.positions]
    return [(float(value) - knob.min) / (knob.max - knob.min)]


def _step(knob: AnyKnob) -> float:
    """Return the stated step, or a round one (1, 2 or 5 times a power of ten) with `MIN_POSITIONS` in the range."""
    assert not isinstance(knob, Switch)
    finest = (knob.max - knob.min) / MIN_POSITIONS * (1 + 1e-9)
    decade = 10.0 ** floor(log10(finest))
    return knob.step or max(factor * decade for factor in (1, 2, 5) if factor * decade <= finest)


def _dial_step(knob: Knob) -> float:
    """Return the round number nearest, in ratio, to the range over `DIAL_POSITIONS`."""
    wanted = (knob.max - knob.min) / DIAL_POSITIONS
    decade = 10.0 ** floor(log10(wanted))
    return min((factor * decade for factor in (1, 2, 5, 10)), key=lambda step: abs(log10(step / wanted)))


def _without_tail(value: float) -> float:
    """Round off the error that multiples of a decimal step have in binary."""
    return float(f"{value:.12g}")
