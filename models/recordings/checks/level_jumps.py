"""Finds where the level of a take jumps: what neither its dry signal nor the other takes of it explain.

An amp's level follows its dry signal, in each setting by another curve. The level of a take, frame by frame, is
therefore explained by level and brightness of the dry signal and the principal components of the levels of the other
takes, by robust least squares; a step in what is left is a jump.

Shapes: N frames, M takes, K explaining columns.
"""

from dataclasses import dataclass

import numpy as np

JUMP_WINDOW_FRAMES = 50

COMPONENTS, MIN_OTHERS = 3, 3

FITS = 5  # of the line, each with less weight for frames that are far from it

JUMP_DB, JUMP_ALONE_DB = 1.5, 9.0  # with enough other takes, and without: an amp's own dynamics are larger

EDGES = 100  # places of a step that are tried

ABOVE_SCATTER = 2.5  # times the scatter on both sides of a step

LASTING = 0.75  # of the least jump, which the whole take must show from there on


@dataclass(frozen=True)
class LevelJump:
    """The frame of the dry signal from which on a take is louder by `db`, or softer where that is negative."""

    frame: int
    db: float


def find_level_jump(
    wet_N: np.ndarray, dry_N: np.ndarray, bright_N: np.ndarray, others_MN: np.ndarray, playing_N: np.ndarray
) -> LevelJump | None:
    """Find the largest step of a take's level, where the dry signal plays; levels in dB, NaN where unknown.

    `bright_N` is how bright the dry signal is, in dB: a take at an end of a tone knob follows it as no other take does.
    """
    others_MN = others_MN[np.isfinite(others_MN[:, playing_N]).mean(1) > 0.9] if len(others_MN) else others_MN
    known_N = playing_N & np.isfinite(wet_N) & np.isfinite(others_MN).all(0)
    index_N = np.flatnonzero(known_N)
    width = min(JUMP_WINDOW_FRAMES, len(index_N) // 4)
    if width < 5:
        return None
    compared = len(others_MN) >= MIN_OTHERS
    columns = [np.ones(len(index_N)), dry_N[index_N], dry_N[index_N] ** 2 / 20, bright_N[index_N]]
    if compared:
        columns += list(_components(others_MN[:, index_N]))
    x_NK, y_N = np.stack(columns, 1), wet_N[index_N]
    rest_N = _fit_line(x_NK, y_N)[0]
    sides_N = np.lib.stride_tricks.sliding_window_view(rest_N, width)
    middle_N = np.median(sides_N, 1)
    scatter_N = np.median(np.abs(sides_N - middle_N[:, None]), 1)
    step_N = middle_N[width:] - middle_N[:-width]
    at = int(np.argmax(np.abs(step_N)))
    scatter = float(max(scatter_N[at], scatter_N[at + width]))
    least_db = JUMP_DB if compared else JUMP_ALONE_DB
    if abs(step_N[at]) < max(least_db, ABOVE_SCATTER * scatter):
        return None
    edge, db = _fit_step(x_NK, y_N, width)
    return LevelJump(int(index_N[edge]), db) if abs(db) >= LASTING * least_db else None


def _fit_step(x_NK: np.ndarray, y_N: np.ndarray, width: int) -> tuple[int, float]:
    """Return the first frame and the size of the one step that explains most, together with the other columns."""
    count, best = len(y_N), (np.inf, 0, 0.0)
    for edge in np.unique(np.linspace(width // 2, count - width // 2, EDGES).astype(int)):
        rest_N, solved_K = _fit_line(np.column_stack([x_NK, np.arange(count) >= edge]), y_N)
        best = min(best, (float(np.abs(rest_N).mean()), int(edge), float(solved_K[-1])))
    return best[1:]


def _components(others_MN: np.ndarray) -> np.ndarray:
    """Return the largest principal components of the levels of the other takes, and their mean."""
    mean_N = others_MN.mean(0)
    centered_MN = others_MN - mean_N - (others_MN - mean_N).mean(1, keepdims=True)
    _, size_M, basis_MN = np.linalg.svd(centered_MN, full_matrices=False)
    kept = min(COMPONENTS, len(others_MN) - 1)
    return np.concatenate([mean_N[None], basis_MN[:kept] * np.sqrt(len(mean_N)) * (size_M[:kept, None] > 1e-6)])


def _fit_line(x_NK: np.ndarray, y_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of `y_N` after iteratively reweighted least squares, and its solution `(K,)`."""
    weight_N = np.ones(len(y_N))
    rest_N, solved_K = y_N, np.zeros(x_NK.shape[1])
    for _ in range(FITS):
        solved_K = np.linalg.lstsq(x_NK * weight_N[:, None], y_N * weight_N, rcond=None)[0]
        rest_N = y_N - x_NK @ solved_K
        limit = 1.5 * float(np.median(np.abs(rest_N))) + 0.05
        weight_N = np.sqrt(np.minimum(1, limit / (np.abs(rest_N) + 1e-9)))
    return rest_N, solved_K
