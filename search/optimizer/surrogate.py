"""What a recipe promises, foretold from those already trained, here and for other amps: Gaussian processes of the error on what a point
says and weighs.

Shapes: N points known, M points asked about, D features, H beliefs, S steps of a front.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from search.optimizer.pareto import front, ranks

Features = dict[str, float]

Weighed = tuple[Features, float]  # a point, and log10 of its multiply-accumulates

Array = NDArray[np.floating]

# Tried: the likeliest combination is kept.
LENGTHS, SLOPES, NOISES = (1.0, 2.0, 4.0), (0.0, 1.0), (0.03, 0.1, 0.3)

WEIGHTS = (0.5, 1.0)  # of a prior, beside none

UNTOLD = 2.0, 1.0, 0.3  # the length, slope and noise that are supposed before any error is known

SPREAD = 0.1  # decades: what errors are supposed to differ by, as one more error would say it

MOST = 200  # points that a fit hears: it takes time by their cube

MARGIN = 0.1  # of the reference point beyond the worst that is known, in decades


def features(point: dict[str, Any], **weights: float) -> Features:
    """A point as numbers by name: its numbers and `weights` on a log scale, each word of its names as 1; what is not there counts as 0."""
    found = {name: math.log2(value) for name, value in weights.items()}
    for axis, value in point.items():
        if isinstance(value, str):
            found |= {f"{axis}={word}": 1.0 for word in value.split("+")}
        elif isinstance(value, float) and value == 0:
            found[f"{axis}=0"] = 1.0  # 1.0 is 0 on a log scale
        elif value:
            found[axis] = math.log2(value) + (0.0 if isinstance(value, float) else 1.0)
    return found


class Outcomes:
    """What trials came to on one front: both counts are logarithms."""

    def __init__(self) -> None:
        self.ended: dict[str, tuple[Weighed, float]] = {}
        self.broken: set[str] = set()  # trials that break a limit: as bad as the worst

    def ranked(self) -> dict[str, tuple[float, float]]:
        """`(log error, log cost)` of every ended trial, the best ranks first."""
        worst = max(error for _, error in self.ended.values())
        found = {
            trial: (worst if trial in self.broken else error, cost) for trial, ((_, cost), error) in self.ended.items()
        }
        order = dict(zip(found, ranks(list(found.values())), strict=True))
        return {trial: found[trial] for trial in sorted(found, key=order.__getitem__)}

    def best(self) -> list[str]:
        """The ended trials that none beats."""
        ranked = self.ranked()
        trials = list(ranked)
        return [trials[index] for index in front(list(ranked.values()))]

    def gains(
        self, asked: Sequence[Weighed], running: Collection[Weighed], priors: Sequence["Surrogate"]
    ) -> list[float]:
        """The hypervolume that training each point may be expected to gain; what runs counts as what is foretold of it."""
        ranked = self.ranked()
        known = [self.ended[trial][0][0] for trial in ranked]
        among = [point for point, _ in asked]
        surrogate = Surrogate(known, [error for error, _ in ranked.values()], among, priors)
        found = list(ranked.values())
        if running:
            mean_M, _ = surrogate.predict([point for point, _ in running])
            found += zip(mean_M.tolist(), (cost for _, cost in running), strict=True)
        mean_M, deviation_M = surrogate.predict(among)
        return expected_gains(found, [cost for _, cost in asked], mean_M, deviation_M)


class Forecast:
    """What trials came to, and what others may, on every front of a search: cost is known beforehand, each front has errors of its own.

    `priors` are other searches, each its points and log errors: every front leans on them as far as they foretell the errors found there.
    """

    def __init__(self, priors: Sequence[tuple[Sequence[Features], Sequence[float]]] = ()) -> None:
        self.running: dict[str, Weighed] = {}
        self.fronts: dict[str, Outcomes] = {}  # none before a trial has ended
        self.priors = [Surrogate(known, errors) for known, errors in priors]

    def begin(self, trial: str, point: Weighed) -> None:
        """A trial trains."""
        self.running[trial] = point

    def end(self, trial: str, errors: Mapping[str, float], broken: Collection[str] = ()) -> None:
        """What became of it: its log error on each front, none where that is not known; `broken` are the fronts whose limits it breaks."""
        point = self.running.pop(trial)
        for name, error in errors.items():
            outcomes = self.fronts.setdefault(name, Outcomes())
            outcomes.ended[trial] = point, error
            if name in broken:
                outcomes.broken.add(trial)

    def best(self) -> list[str]:
        """The ended trials that none beats on some front."""
        return list(dict.fromkeys(trial for outcomes in self.fronts.values() for trial in outcomes.best()))

    def worths(self, asked: Sequence[Weighed]) -> list[float]:
        """For each point the hypervolume that training it may be expected to gain, summed over the fronts, over the square root of its cost.

        Until a trial has ended the priors say what to expect; without any it is what a point tells about all of them, over its cost.
        """
        if not self.fronts:
            return self._supposed(asked) if self.priors else self._told(asked)
        running = self.running.values()
        gains = [outcomes.gains(asked, running, self.priors) for outcomes in self.fronts.values()]
        return [sum(each) / 10 ** (cost / 2) for each, (_, cost) in zip(zip(*gains, strict=True), asked, strict=True)]

    def _supposed(self, asked: Sequence[Weighed]) -> list[float]:
        """`worths` before any error is known here: by half of what the priors say."""
        begun = list(self.running.values())
        both = [point for point, _ in (*asked, *begun)]
        said = np.mean([_Belief(prior, 0.5).of(both) for prior in self.priors], 0)
        mean_M, costs = said[: len(asked)], [cost for _, cost in asked]
        known = [(error, cost) for error, (_, cost) in zip(said[len(asked) :].tolist(), begun, strict=True)]
        known = known or [(float(mean_M.max()), max(costs))]
        gains = expected_gains(known, costs, mean_M, np.full(len(asked), SPREAD))
        return [gain / 10 ** (cost / 2) for gain, cost in zip(gains, costs, strict=True)]

    def _told(self, asked: Sequence[Weighed]) -> list[float]:
        """By how much training each point would lessen the mean variance of all of them, given those that train, over its cost: the
        next point of a design (Cohn et al. 1996, "Active learning with statistical models")."""
        begun = [point for point, _ in self.running.values()][-MOST:]
        among = [point for point, _ in asked]
        table = _Table(begun, among)
        *shape, noise = UNTOLD
        z_MD, z_ND = table.standard(among), table.standard(begun)
        known_NM = _kernel(z_ND, z_MD, *shape)
        noisy_NN = _kernel(z_ND, z_ND, *shape) + noise * np.eye(len(begun))
        left_MM = _kernel(z_MD, z_MD, *shape) - known_NM.T @ np.linalg.solve(noisy_NN, known_NM)
        told_M = (left_MM**2).mean(0) / (left_MM.diagonal() + noise)
        return [told / 10**cost for told, (_, cost) in zip(told_M.tolist(), asked, strict=True)]


class Surrogate:
    """Errors as a Gaussian process (Rasmussen and Williams 2006, chapter 2): a level, squared-exponential and linear in standardised
    features, noise, and perhaps what a prior says, at a weight.

    Length, slope, noise and prior are the likeliest of a small grid, the level the likeliest of all: a prior is believed until errors
    speak against it. Features are standardised over the known points and those `among` which it will be asked. Hears the first `MOST` points alone.
    """

    def __init__(
        self,
        known: Sequence[Features],
        errors: Sequence[float],
        among: Sequence[Features] = (),
        priors: Sequence["Surrogate"] = (),
    ) -> None:
        known, y_N = known[:MOST], np.array(errors[:MOST])
        self.table = _Table(known, among)
        self.z_ND = self.table.standard(known)
        self.level = float(y_N.mean())
        self.scale = math.sqrt((((y_N - self.level) ** 2).sum() + SPREAD**2) / len(y_N))
        beliefs = [*(_Belief(prior, weight) for weight in WEIGHTS for prior in priors), _Belief()]
        t_HN = (y_N - self.level - np.stack([belief.of(known) for belief in beliefs])) / self.scale
        fits = [_fit(self.z_ND, t_HN, *shape) for shape in _grid()]
        best = max(fits, key=lambda fit: fit.evidence)
        self.shape, self.root_NN, self.weight_N = best.shape, best.root_NN, best.weight_N
        self.belief = beliefs[best.belief]
        self.level += self.scale * best.level

    def predict(self, asked: Sequence[Features]) -> tuple[Array, Array]:
        """Mean and standard deviation of the errors of points, each `(M,)`."""
        z_MD = self.table.standard(asked)
        k_NM = _kernel(self.z_ND, z_MD, *self.shape)
        v_NM = _solve(self.root_NN, k_NM)
        left_M = np.maximum(1 + self.shape[1] * (z_MD**2).mean(1) - (v_NM**2).sum(0), 1e-6)
        mean_M = self.level + self.belief.of(asked) + self.scale * (self.weight_N @ k_NM)
        return mean_M, self.scale * np.sqrt(left_M)


@dataclass(frozen=True)
class _Belief:
    """That errors differ as a prior says, times a weight; without one that nothing is known."""

    prior: "Surrogate | None" = None
    weight: float = 0.0

    def of(self, points: Sequence[Features]) -> Array:
        """By how much each point lies above the level, in decades, `(M,)`."""
        if self.prior is None:
            return np.zeros(len(points))
        return self.weight * (self.prior.predict(points)[0] - self.prior.level)


class _Fit(NamedTuple):
    evidence: float
    shape: tuple[float, float]
    belief: int
    level: float
    root_NN: Array
    weight_N: Array


def _fit(z_ND: Array, t_HN: Array, length: float, slope: float, noise: float) -> _Fit:
    """The likeliest of some beliefs, with log evidence (less a constant), at its likeliest level."""
    count = len(z_ND)
    root_NN = np.linalg.cholesky(_kernel(z_ND, z_ND, length, slope) + noise * np.eye(count))
    one_N = _solve(root_NN, np.ones(count))
    v_HN = _solve(root_NN, t_HN.T).T
    level_H = v_HN @ one_N / (one_N @ one_N)
    off_HN = v_HN - level_H[:, None] * one_N
    evidence_H = -0.5 * (off_HN**2).sum(1) - np.log(root_NN.diagonal()).sum()
    best = int(evidence_H.argmax())
    weight_N = _solve(root_NN, off_HN[best], transposed=True)
    return _Fit(float(evidence_H[best]), (length, slope), best, float(level_H[best]), root_NN, weight_N)


def _solve(root_NN: Array, right: Array, *, transposed: bool = False) -> Array:
    """What a lower triangle, or its transpose, times gives `right`."""
    return np.asarray(solve_triangular(root_NN, right, lower=True, trans=int(transposed)))


class _Table:
    """Points as rows of numbers, every feature at mean 0 and spread 1 over some points and those among which others will be asked."""

    def __init__(self, known: Sequence[Features], among: Sequence[Features]) -> None:
        self.names = sorted(set().union(*known, *among))
        x_ND = self._rows([*known, *among])
        self.middle_D, self.spread_D = x_ND.mean(0), x_ND.std(0)

    def standard(self, points: Sequence[Features]) -> Array:
        """`(M, D)`."""
        return (self._rows(points) - self.middle_D) / np.where(self.spread_D > 0, self.spread_D, 1.0)

    def _rows(self, points: Sequence[Features]) -> Array:
        rows = [[point.get(name, 0.0) for name in self.names] for point in points]
        return np.array(rows).reshape(len(points), len(self.names))


def _kernel(a_ND: Array, b_MD: Array, length: float, slope: float) -> Array:
    """`(N, M)`."""
    size = max(1, a_ND.shape[1])
    inner_NM = a_ND @ b_MD.T
    apart_NM = (a_ND**2).sum(1)[:, None] + (b_MD**2).sum(1) - 2 * inner_NM
    return np.exp(-0.5 * np.maximum(apart_NM, 0) / (size * length**2)) + slope * inner_NM / size


def expected_gains(
    known: Sequence[tuple[float, float]], costs: Sequence[float], mean_M: Array, deviation_M: Array
) -> list[float]:
    """By how much each of some points may be expected to enlarge the hypervolume of `known`, `(log error, log cost)`; their own costs are
    certain, their errors normal. The reference lies a little beyond the worst of all of them.

    Of every step of the front the part that costs more than the point is as wide as it is; below it the point takes off the expected
    improvement (Jones et al. 1998) of the step's error.
    """
    worst = max(max(error for error, _ in known), float(mean_M.max())) + MARGIN
    dearest = max(max(cost for _, cost in known), max(costs)) + MARGIN
    ahead = [known[index] for index in reversed(front(known))]  # the cheapest first
    error_S = np.array([worst, *(error for error, _ in ahead)])
    edge_S = np.array([cost for _, cost in ahead])
    from_S, to_S = np.concatenate([[-np.inf], edge_S]), np.concatenate([edge_S, [dearest]])
    width_MS = np.maximum(to_S - np.maximum(from_S, np.array(costs)[:, None]), 0)
    better_MS = (error_S - mean_M[:, None]) / deviation_M[:, None]
    density_MS = np.exp(-0.5 * better_MS**2) / math.sqrt(2 * math.pi)
    gain_MS = deviation_M[:, None] * (density_MS + better_MS * ndtr(better_MS))
    return (width_MS * np.maximum(gain_MS, 0)).sum(1).tolist()


def _grid() -> list[tuple[float, float, float]]:
    return [(length, slope, noise) for length in LENGTHS for slope in SLOPES for noise in NOISES]
