"""Compares takes with each other: which sound alike, and where a knob needs more positions.

Two distances between sounds: ESR, the energy of the difference over the geometric mean of the two energies; and color,
`1 - correlation^2`, the same after the louder one is scaled to match, so blind to level.

Shapes: N takes, S samples of an excerpt, D coordinates of a setting.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

ALIKE_ESR = 0.004  # below it two takes sound the same

COLOR_STEP = 0.5  # above it a knob needs a position in between

CONFOUNDED = 0.9  # rank correlation of two knobs over all takes

WIDE_STEP = 1.01  # half the range of an encoded knob, -1 to 1

SHORT_RANGE = 0.55  # share of a knob's range that takes should span

WIDE_END = 0.25  # share of a knob's range that may lie beyond the takes at one end


@dataclass(frozen=True)
class Distances:
    """ESR and color between all pairs of takes."""

    esr_NN: np.ndarray
    color_NN: np.ndarray


@dataclass(frozen=True)
class KnobStep:
    """Two neighboring recorded positions of one knob, and how far apart they sound with all other knobs fixed."""

    knob: str
    low: float
    high: float
    esr: float
    color: float


def distances(excerpts_NS: np.ndarray) -> Distances:
    """Compare the same excerpt of every take, `(N, S)`."""
    inner_NN = (excerpts_NS @ excerpts_NS.T).astype(np.float64)
    energy_N = np.maximum(np.diag(inner_NN), 1e-12)
    scale_NN = np.sqrt(np.outer(energy_N, energy_N))
    apart_NN = energy_N[:, None] + energy_N[None] - 2 * inner_NN
    return Distances(np.maximum(apart_NN / scale_NN, 0), np.clip(1 - (inner_NN / scale_NN) ** 2, 0, 1))


def group_similar(apart: Distances, levels_ND: np.ndarray) -> list[list[int]]:
    """Group takes with different settings that sound the same; indices of takes."""
    moved_NN = np.abs(levels_ND[:, None] - levels_ND[None]).max(-1, initial=0) > 1e-9
    near_NN = (apart.esr_NN < ALIKE_ESR) & moved_NN
    groups: list[list[int]] = []
    for take in range(len(near_NN)):
        joined = next((group for group in groups if near_NN[take, group].any()), None)
        if joined is not None:
            joined.append(take)
        elif near_NN[take, take + 1 :].any():
            groups.append([take])
    return [group for group in groups if len(group) > 1]


def knob_steps(apart: Distances, values: dict[str, list]) -> list[KnobStep]:
    """Measure each step between neighboring positions of a continuous knob.

    It is the median over pairs of takes that differ in that knob alone. `values` are the takes' values by knob.
    """
    found: list[KnobStep] = []
    for name, column in values.items():
        if not all(isinstance(value, float) for value in column):
            continue
        rest = [tuple(values[other][i] for other in values if other != name) for i in range(len(column))]
        positions = sorted(set(column))
        for low, high in pairwise(positions):
            pairs = [
                (i, j)
                for i in range(len(column))
                for j in range(len(column))
                if column[i] == low and column[j] == high and rest[i] == rest[j]
            ]
            if pairs:
                esr, color = (
                    float(np.median([matrix[i, j] for i, j in pairs])) for matrix in (apart.esr_NN, apart.color_NN)
                )
                found.append(KnobStep(name, low, high, esr, color))
    return found


def confounded_knobs(values: dict[str, list]) -> list[tuple[str, str]]:
    """Find pairs of continuous knobs that move together in nearly all takes (Spearman's rank correlation)."""
    continuous = {
        name: column
        for name, column in values.items()
        if all(isinstance(value, float) for value in column) and len(set(column)) > 1
    }
    names = list(continuous)
    return [
        (first, second)
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if len(continuous[first]) > 2 and abs(_rank_correlation(continuous[first], continuous[second])) > CONFOUNDED
    ]


def _rank_correlation(a: np.ndarray | list, b: np.ndarray | list) -> float:
    a_N, b_N = rankdata(a), rankdata(b)
    a_N, b_N = a_N - a_N.mean(), b_N - b_N.mean()
    norm = np.sqrt(np.sum(a_N**2) * np.sum(b_N**2))
    return float(np.sum(a_N * b_N) / norm) if norm > 0 else 1.0
