"""What a recipe promises, foretold from those already trained: a Gaussian process of the error on what a point says and weighs.

Shapes: N points known, M points asked about, D features.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.pareto import front, hypervolume, ranks

Features = dict[str, float]
Weighed = tuple[Features, float]  # a point, and log10 of its multiply-accumulates
Array = NDArray[np.floating]
LENGTHS, SLOPES, NOISES = (1.0, 2.0, 4.0), (0.0, 1.0), (0.03, 0.1, 0.3)  # tried; the likeliest combination is kept
MOST = 200  # points that a fit hears: it takes time by their cube
MARGIN = 0.1  # of the reference point beyond the worst that is known, in decades
QUANTILES = [NormalDist().inv_cdf((place + 0.5) / 16) for place in range(16)]


def features(point: dict[str, Any], **weights: float) -> Features:
    """A point as numbers by name: its numbers and `weights` on a log scale, each word of its names as 1; what is not there counts as 0."""
    found = {name: math.log2(value) for name, value in weights.items()}
    for axis, value in point.items():
        if isinstance(value, str):
            found |= {f"{axis}={word}": 1.0 for word in value.split("+")}
        elif value:
            found[axis] = math.log2(value) + (0.0 if isinstance(value, float) else 1.0)
    return found


class Forecast:
    """What trials came to, and what others may: both counts are logarithms, cost known beforehand."""

    def __init__(self) -> None:
        self.running: dict[str, Weighed] = {}
        self.ended: dict[str, tuple[Weighed, float]] = {}
        self.broken: set[str] = set()  # trials that break a limit: as bad as the worst

    def begin(self, trial: str, point: Weighed) -> None:
        """A trial trains."""
        self.running[trial] = point

    def end(self, trial: str, error: float | None, *, feasible: bool = True) -> None:
        """What became of it; None where that says nothing of its error."""
        point = self.running.pop(trial)
        if error is not None:
            self.ended[trial] = point, error
            if not feasible:
                self.broken.add(trial)

    @property
    def outcomes(self) -> dict[str, tuple[float, float]]:
        """`(log error, log cost)` of every ended trial, the best ranks first."""
        worst = max((error for _, error in self.ended.values()), default=0.0)
        found = {
            trial: (worst if trial in self.broken else error, cost) for trial, ((_, cost), error) in self.ended.items()
        }
        order = dict(zip(found, ranks(list(found.values())), strict=True))
        return {trial: found[trial] for trial in sorted(found, key=order.__getitem__)}

    def best(self) -> list[str]:
        """The ended trials that none beats."""
        outcomes = self.outcomes
        trials = list(outcomes)
        return [trials[index] for index in front(list(outcomes.values()))]

    def worths(self, asked: Sequence[Weighed]) -> list[float]:
        """For each point the hypervolume that training it may be expected to gain, over the square root of its cost.

        Trials that run count as what is foretold of them. Needs an ended trial.
        """
        outcomes = self.outcomes
        surrogate = Surrogate(
            [self.ended[trial][0][0] for trial in outcomes], [error for error, _ in outcomes.values()]
        )
        known = list(outcomes.values())
        if self.running:
            mean_M, _ = surrogate.predict([point for point, _ in self.running.values()])
            known += zip(mean_M.tolist(), (cost for _, cost in self.running.values()), strict=True)
        mean_M, deviation_M = surrogate.predict([point for point, _ in asked])
        costs = [cost for _, cost in asked]
        gains = expected_gains(known, costs, mean_M, deviation_M)
        return [gain / 10 ** (cost / 2) for gain, cost in zip(gains, costs, strict=True)]


class Surrogate:
    """Errors as a Gaussian process (Rasmussen and Williams 2006, chapter 2): squared-exponential and linear in standardised features, and noise.

    Length, slope and noise are the likeliest of a small grid. Hears the first `MOST` points alone.
    """

    def __init__(self, known: Sequence[Features], errors: Sequence[float]) -> None:
        known, errors = known[:MOST], errors[:MOST]
        self.names = sorted(set().union(*known))
        x_ND, y_N = self._table(known), np.array(errors)
        self.middle_D, self.spread_D = x_ND.mean(0), x_ND.std(0)
        self.level, self.scale = float(y_N.mean()), float(y_N.std()) or 1.0
        self.z_ND, t_N = self._standard(x_ND), (y_N - self.level) / self.scale
        fits = [self._fit(t_N, *shape) for shape in _grid()]
        _, self.shape, self.root_NN, self.weight_N = max(fits, key=lambda fit: fit[0])

    def predict(self, asked: Sequence[Features]) -> tuple[Array, Array]:
        """Mean and standard deviation of the errors of points, each `(M,)`."""
        z_MD = self._standard(self._table(asked))
        k_MN = self._kernel(z_MD, self.z_ND, *self.shape)
        v_NM = np.linalg.solve(self.root_NN, k_MN.T)
        own_M = 1 + self.shape[1] * (z_MD**2).mean(1)
        left_M = np.maximum(own_M - (v_NM**2).sum(0), 1e-6)
        return self.level + self.scale * (k_MN @ self.weight_N), self.scale * np.sqrt(left_M)

    def _fit(
        self, t_N: Array, length: float, slope: float, noise: float
    ) -> tuple[float, tuple[float, float], Array, Array]:
        """Log evidence (less a constant), the shape, and what predictions need."""
        k_NN = self._kernel(self.z_ND, self.z_ND, length, slope)
        root_NN = np.linalg.cholesky(k_NN + noise * np.eye(len(t_N)))
        weight_N = np.linalg.solve(root_NN.T, np.linalg.solve(root_NN, t_N))
        evidence = -0.5 * float(t_N @ weight_N) - float(np.log(np.diag(root_NN)).sum())
        return evidence, (length, slope), root_NN, weight_N

    def _kernel(self, a_MD: Array, b_ND: Array, length: float, slope: float) -> Array:
        size = max(1, len(self.names))
        apart_MN = (a_MD**2).sum(1)[:, None] + (b_ND**2).sum(1) - 2 * a_MD @ b_ND.T
        return np.exp(-0.5 * np.maximum(apart_MN, 0) / (size * length**2)) + slope * (a_MD @ b_ND.T) / size

    def _table(self, points: Sequence[Features]) -> Array:
        return np.array([[point.get(name, 0.0) for name in self.names] for point in points])

    def _standard(self, x_MD: Array) -> Array:
        return (x_MD - self.middle_D) / np.where(self.spread_D > 0, self.spread_D, 1.0)


def expected_gains(
    known: Sequence[tuple[float, float]], costs: Sequence[float], mean: Array, deviation: Array
) -> list[float]:
    """By how much each of some points may be expected to enlarge the hypervolume of `known`, `(log error, log cost)`; their own costs are
    certain, their errors normal. The reference lies a little beyond the worst of all of them."""
    reference = (
        max(max(error for error, _ in known), float(mean.max())) + MARGIN,
        max(max(cost for _, cost in known), max(costs)) + MARGIN,
    )
    ahead = [known[index] for index in front(known)]
    base = hypervolume(ahead, reference)
    return [
        sum(hypervolume([*ahead, (middle + q * spread, cost)], reference) - base for q in QUANTILES) / len(QUANTILES)
        for cost, middle, spread in zip(costs, mean, deviation, strict=True)
    ]


def _grid() -> list[tuple[float, float, float]]:
    return [(length, slope, noise) for length in LENGTHS for slope in SLOPES for noise in NOISES]
