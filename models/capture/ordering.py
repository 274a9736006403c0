"""An order of settings in which a person turns few knobs from take to take.

Shapes: N settings, K knobs, D coordinates, J ends of a stretch.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from models.knobs.geometry import to_points
from models.knobs.schema import Knobs, Setting

TURN_COST = 0.01  # of a whole turn; turning one more knob at all costs 1

MAX_IMPROVED = 1500  # with more settings, the nearest-neighbor order is not improved


def count_moves(settings: Sequence[Setting]) -> int:
    """Return how many times a knob is turned when the settings are recorded one after the other."""
    return sum(sum(a[name] != b[name] for name in a) for a, b in pairwise(settings))


def order_settings(knobs: Knobs, settings: Sequence[Setting]) -> list[Setting]:
    """Return the same settings in an order of low cost, or as they are if each differs from the last in one knob.

    The path begins at the setting nearest to the default, continues to the nearest unvisited one (nearest neighbor) and
    then reverses stretches of it as long as that lowers the cost (2-opt, Croes 1958). It is not always the shortest
    path, but never one with more moves than the given order.
    """
    if len(settings) < 3 or count_moves(settings) == len(settings) - 1:
        return list(settings)
    codes_NK = np.array([[_code(knobs, name, setting) for name in knobs.names] for setting in settings])
    points_ND = to_points(knobs, settings)
    rest = to_points(knobs, [knobs.defaults])[0]
    path = [int(np.argmin(np.linalg.norm(points_ND - rest, axis=1)))]
    unvisited = np.ones(len(settings), bool)
    unvisited[path] = False
    while unvisited.any():
        cost_N = _costs_from(codes_NK, points_ND, path[-1])
        path.append(int(np.argmin(np.where(unvisited, cost_N, np.inf))))
        unvisited[path[-1]] = False
    if len(settings) <= MAX_IMPROVED:
        path = _improve(np.stack([_costs_from(codes_NK, points_ND, i) for i in range(len(settings))]), path)
    found = [settings[index] for index in path]
    return found if count_moves(found) <= count_moves(settings) else list(settings)


def _code(knobs: Knobs, name: str, setting: Setting) -> float:
    """Return a number that is equal for equal values of a knob."""
    knob, value = knobs.find(name), setting[name]
    return float(value) if not isinstance(value, str) else float(getattr(knob, "positions", ()).index(value))


def _costs_from(codes_NK: np.ndarray, points_ND: np.ndarray, at: int) -> np.ndarray:
    """Return the cost of going from one setting to each, `(N,)`: knobs to turn, and a little for how far."""
    return (codes_NK != codes_NK[at]).sum(axis=1) + TURN_COST * np.abs(points_ND - points_ND[at]).sum(axis=1)


def _improve(cost_NN: np.ndarray, path: list[int]) -> list[int]:
    """Return a path of lower cost: 2-opt, which reverses stretches from `i` to `j`, until none lowers it."""
    path_N, last, better = np.array(path), len(path) - 1, True
    while better:
        better = False
        for i in range(1, last):
            j_J = np.arange(i + 1, last + 1)
            before, after_J = path_N[i - 1], path_N[np.minimum(j_J + 1, last)]
            tail_J = np.where(j_J < last, cost_NN[path_N[i], after_J] - cost_NN[path_N[j_J], after_J], 0.0)
            saved_J = cost_NN[before, path_N[i]] - cost_NN[before, path_N[j_J]] - tail_J
            best = int(np.argmax(saved_J))
            if saved_J[best] > 1e-9:
                j = int(j_J[best])
                path_N[i : j + 1] = path_N[i : j + 1][::-1].copy()
                better = True
    return path_N.tolist()
