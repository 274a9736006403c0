"""An order of settings in which a person turns few knobs from take to take.

Shapes: N settings, K knobs.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from models.knobs.geometry import to_points
from models.knobs.schema import Knobs, Setting

TURN = 0.01  # a whole turn counts as a hundredth of one more knob to touch

MAX_IMPROVED = 1500  # more settings than this are only begun well


def count_moves(settings: Sequence[Setting]) -> int:
    """How many knobs are touched in all when settings are dialled one after the other."""
    return sum(sum(a[name] != b[name] for name in a) for a, b in pairwise(settings))


def order_settings(knobs: Knobs, settings: Sequence[Setting]) -> list[Setting]:
    """The same settings as a short tour; where each already differs from the one before in one knob, as they are.

    It begins at the setting nearest to everything at rest, goes on to whichever is least work (nearest neighbour), then turns
    stretches of the tour around as long as that saves work (2-opt, Croes 1958). Not always the shortest tour, never longer
    than what it was given.
    """
    if len(settings) < 3 or count_moves(settings) == len(settings) - 1:
        return list(settings)
    codes_NK = np.array([[_code(knobs, name, setting) for name in knobs.names] for setting in settings])
    points_ND = to_points(knobs, settings)
    rest = to_points(knobs, [knobs.defaults])[0]
    tour = [int(np.argmin(np.linalg.norm(points_ND - rest, axis=1)))]
    left = np.ones(len(settings), bool)
    left[tour] = False
    while left.any():
        work_N = _work(codes_NK, points_ND, tour[-1])
        tour.append(int(np.argmin(np.where(left, work_N, np.inf))))
        left[tour[-1]] = False
    if len(settings) <= MAX_IMPROVED:
        tour = _improve(np.stack([_work(codes_NK, points_ND, i) for i in range(len(settings))]), tour)
    found = [settings[index] for index in tour]
    return found if count_moves(found) <= count_moves(settings) else list(settings)


def _code(knobs: Knobs, name: str, setting: Setting) -> float:
    """A number that two values share only when they are equal."""
    knob, value = knobs.find(name), setting[name]
    return float(value) if not isinstance(value, str) else float(getattr(knob, "positions", ()).index(value))


def _work(codes_NK: np.ndarray, points_ND: np.ndarray, at: int) -> np.ndarray:
    """From one setting to each: knobs to touch, and a little for how far, `(N,)`."""
    return (codes_NK != codes_NK[at]).sum(axis=1) + TURN * np.abs(points_ND - points_ND[at]).sum(axis=1)


def _improve(work_NN: np.ndarray, tour: list[int]) -> list[int]:
    path_N, last, better = np.array(tour), len(tour) - 1, True
    while better:
        better = False
        for i in range(1, last):
            j_J = np.arange(i + 1, last + 1)
            before, after_J = path_N[i - 1], path_N[np.minimum(j_J + 1, last)]
            tail_J = np.where(j_J < last, work_NN[path_N[i], after_J] - work_NN[path_N[j_J], after_J], 0.0)
            saved_J = work_NN[before, path_N[i]] - work_NN[before, path_N[j_J]] - tail_J
            best = int(np.argmax(saved_J))
            if saved_J[best] > 1e-9:
                j = int(j_J[best])
                path_N[i : j + 1] = path_N[i : j + 1][::-1].copy()
                better = True
    return path_N.tolist()
