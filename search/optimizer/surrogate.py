"""Errors of recipes predicted by a Gaussian process over their features, and the acquisition computed from it.

Shapes: N points known, M points to predict, D features, S steps of a front.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from search.optimizer.pareto import front, ranks

Features = dict[str, float]

Encoded = tuple[Features, float]  # a point's features, and log10 of its multiply-accumulates

FloatArray = NDArray[np.floating]

# The grid of hyperparameters: the combination with the highest evidence is used.
LENGTHS, SLOPES, NOISES = (1.0, 2.0, 4.0), (0.0, 1.0), (0.03, 0.1, 0.3)

DEFAULT_SHAPE = 2.0, 1.0, 0.3  # length, slope and noise before any error is known

RELEVANCE_POINTS = 8  # known before features get weights of their own
RELEVANCE_COST = 2.0  # of log evidence, times the square of how often a weight is doubled or halved
RELEVANCE_SWEEPS = 2  # over all features

SPREAD = 0.1  # decades: the standard deviation of errors assumed beforehand, with the weight of one error

MAX_POINTS = 200  # of a fit: its time grows with their cube

OUTLOOK_DRAWS = 2000  # of the errors of points that may come next

MARGIN = 0.1  # decades from the worst known point to the reference point of the hypervolume


def features(point: dict[str, Any], **weights: float) -> Features:
    """Return a point as numbers by name; a name that is missing counts as 0.

    Numbers of the point and `weights` are on a log2 scale; each word of a name such as `mixin+film` is a feature of
    value 1.
    """
    found = {name: math.log2(value) for name, value in weights.items()}
    for axis, value in point.items():
        if isinstance(value, str):
            found |= {f"{axis}={word}": 1.0 for word in value.split("+")}
        elif isinstance(value, float) and value == 0:
            found[f"{axis}=0"] = 1.0  # 1.0 is 0 on a log scale
        elif value:
            found[axis] = math.log2(value) + (0.0 if isinstance(value, float) else 1.0)
    return found


class FrontResults:
    """Results of trials on one front: log10 of the error and of the cost."""

    def __init__(self) -> None:
        self.ended: dict[str, tuple[Encoded, float]] = {}
        self.infeasible: set[str] = set()  # trials that break a limit; they count as the worst error

    def ranked(self) -> dict[str, tuple[float, float]]:
        """Return `(log error, log cost)` of every ended trial, the best ranks first."""
        worst = max(error for _, error in self.ended.values())
        found = {
            trial: (worst if trial in self.infeasible else error, cost)
            for trial, ((_, cost), error) in self.ended.items()
        }
        order = dict(zip(found, ranks(list(found.values())), strict=True))
        return {trial: found[trial] for trial in sorted(found, key=order.__getitem__)}

    def best(self) -> list[str]:
        """Return the ended trials on the Pareto front."""
        ranked = self.ranked()
        trials = list(ranked)
        return [trials[index] for index in front(list(ranked.values()))]

    def gains(self, queries: Sequence[Encoded], running: Collection[Encoded], margin: float) -> list[float]:
        """Return the expected hypervolume gain of each point (see `expected_gains`).

        What is not known near a running trial will be known soon, so points near it gain less.
        """
        found, surrogate = self._known(queries, running)
        surrogate.believe([point for point, _ in running])
        predicted = surrogate.predict([point for point, _ in queries])
        return expected_gains(found, [cost for _, cost in queries], *predicted, margin)

    def improvements(self, queries: Sequence[Encoded], running: Collection[Encoded]) -> list[float]:
        """Return by how much each point is expected to lower the lowest error, in decades."""
        found, surrogate = self._known(queries, running)
        mean_M, deviation_M = surrogate.predict([point for point, _ in queries])
        lowest = min(error for error, _ in found)
        return (deviation_M * expected_improvement((lowest - mean_M) / deviation_M)).tolist()

    def outlook(self, queries: Sequence[Encoded], trials: int) -> tuple[float, float, float]:
        """Return the 10, 50 and 90 % quantile of the lowest log error after so many more trials.

        These are the points that are expected to improve on it most; their errors are drawn together from the surrogate
        (`benchmarks/search/outlook.py` compares this with what comes). No quantile lies above the lowest error so far.
        """
        known, surrogate = self._surrogate([point for point, _ in queries])
        lowest = min(error for error, _ in known)
        mean_M, deviation_M = surrogate.predict([point for point, _ in queries])
        gain_M = deviation_M * expected_improvement((lowest - mean_M) / deviation_M)
        most = np.argsort(-gain_M)[: min(trials, MAX_POINTS)].tolist()
        lowest_K = surrogate.draw([queries[index][0] for index in most], OUTLOOK_DRAWS).min(1)
        low, middle, high = np.quantile(np.minimum(lowest_K, lowest), (0.1, 0.5, 0.9)).tolist()
        return low, middle, high

    def _known(
        self, queries: Sequence[Encoded], running: Collection[Encoded]
    ) -> tuple[list[tuple[float, float]], "Surrogate"]:
        """Return what is known, `(log error, log cost)`, and a surrogate to predict the queries with.

        A running trial counts as known, with its predicted error.
        """
        found, surrogate = self._surrogate([point for point, _ in queries])
        mean_M, _ = surrogate.predict([point for point, _ in running])
        return [*found, *zip(mean_M.tolist(), (cost for _, cost in running), strict=True)], surrogate

    def _surrogate(self, points: Sequence[Features]) -> tuple[list[tuple[float, float]], "Surrogate"]:
        """Return what ended trials reached, `(log error, log cost)`, and a surrogate of it to predict points with."""
        ranked = self.ranked()
        known = [self.ended[trial][0][0] for trial in ranked]
        return list(ranked.values()), Surrogate(known, [error for error, _ in ranked.values()], points)


class Forecast:
    """Predicts the errors of points on every front of a search, and computes the acquisition of points.

    The cost of a point is known beforehand; each front has its own errors.
    """

    def __init__(self) -> None:
        self.running: dict[str, Encoded] = {}
        self.fronts: dict[str, FrontResults] = {}  # none before a trial has ended
        self.works: list[tuple[Features, float]] = []  # of trials that have ended: log10 of what their training takes

    def start(self, trial: str, point: Encoded) -> None:
        """Take note that a trial starts."""
        self.running[trial] = point

    def end(
        self, trial: str, errors: Mapping[str, float], broken: Collection[str] = (), work: float | None = None
    ) -> None:
        """Take note of what a trial reached.

        Args:
            trial: a trial that runs.
            errors: front -> log10 error; empty where it is not known.
            broken: the fronts where it breaks a limit.
            work: what its whole training takes, in any unit.
        """
        point = self.running.pop(trial)
        if work:
            self.works.append((point[0], math.log10(work)))
        for name, error in errors.items():
            results = self.fronts.setdefault(name, FrontResults())
            results.ended[trial] = point, error
            if name in broken:
                results.infeasible.add(trial)

    def best(self) -> list[str]:
        """Return the ended trials that are on the Pareto front of any front of the search."""
        return list(dict.fromkeys(trial for results in self.fronts.values() for trial in results.best()))

    def acquisition(self, queries: Sequence[Encoded], *, per_work: bool = True, margin: float = MARGIN) -> list[float]:
        """Return each point's acquisition: expected hypervolume gain, summed over fronts, over its predicted work.

        Before the first trial has ended, the acquisition is the information that a point gives about all points, over
        its cost.

        Args:
            queries: the points.
            per_work: whether the gain is divided by what the training is predicted to take.
            margin: that of `expected_gains`.
        """
        if not self.fronts:
            pairs = zip(self.information(queries), queries, strict=True)
            return [reduction / 10**cost for reduction, (_, cost) in pairs]
        running = self.running.values()
        gains = [results.gains(queries, running, margin) for results in self.fronts.values()]
        works = self._log_works(queries) if per_work else [0.0] * len(queries)
        return [sum(each) / 10**work for each, work in zip(zip(*gains, strict=True), works, strict=True)]

    def _log_works(self, queries: Sequence[Encoded]) -> list[float]:
        """Return log10 of what the training of each point is predicted to take; 0 where nothing is known of that."""
        if not self.works:
            return [0.0] * len(queries)
        latest, points = self.works[-MAX_POINTS:], [point for point, _ in queries]
        return (
            Surrogate([known for known, _ in latest], [work for _, work in latest], points).predict(points)[0].tolist()
        )

    def improvement(self, queries: Sequence[Encoded]) -> list[float]:
        """Return by how much each point is expected to lower the lowest error, summed over fronts, whatever it costs.

        A trial must have ended before.
        """
        running = self.running.values()
        found = [results.improvements(queries, running) for results in self.fronts.values()]
        return [sum(each) for each in zip(*found, strict=True)]

    def information(self, queries: Sequence[Encoded]) -> list[float]:
        """Return by how much each point, trained, would reduce the mean variance of all of them.

        Trials that have ended or run count as known. This is the next point of a design (Cohn et al. 1996, "Active
        learning with statistical models").
        """
        ended = {trial: point for results in self.fronts.values() for trial, (point, _) in results.ended.items()}
        known = [point for point, _ in (*ended.values(), *self.running.values())][-MAX_POINTS:]
        points = [point for point, _ in queries]
        table = _Table(known, points)
        *shape, noise = DEFAULT_SHAPE
        z_MD, z_ND = table.standard(points), table.standard(known)
        known_NM = _kernel(z_ND, z_MD, *shape)
        noisy_NN = _kernel(z_ND, z_ND, *shape) + noise * np.eye(len(known))
        left_MM = _kernel(z_MD, z_MD, *shape) - known_NM.T @ np.linalg.solve(noisy_NN, known_NM)
        return ((left_MM**2).mean(0) / (left_MM.diagonal() + noise)).tolist()


class Surrogate:
    """Errors as a Gaussian process (Rasmussen and Williams 2006, chapter 2).

    The mean is a level; the kernel is squared-exponential plus linear in standardized features, plus noise. Length,
    slope and noise have the highest evidence of a small grid, the level the highest of all values. With
    `RELEVANCE_POINTS` and more, features have weights by their relevance.

    Args:
        known: features of trained points; only the first `MAX_POINTS` are used.
        errors: log10 of their errors.
        queries: features of points to be predicted; features are standardized over these and the known ones.
    """

    def __init__(self, known: Sequence[Features], errors: Sequence[float], queries: Sequence[Features] = ()) -> None:
        known, y_N = known[:MAX_POINTS], np.array(errors[:MAX_POINTS])
        self.table = _Table(known, queries)
        self.z_ND = self.table.standard(known)
        self.level = float(y_N.mean())
        self.scale = math.sqrt((((y_N - self.level) ** 2).sum() + SPREAD**2) / len(y_N))
        t_N = (y_N - self.level) / self.scale
        fits = [_fit(self.z_ND, t_N, *shape) for shape in _grid()]
        best = max(fits, key=lambda fit: fit.evidence)
        if len(known) >= RELEVANCE_POINTS:
            best, weight_D = _with_relevance(self.z_ND, t_N, best)
            self.table.weight_D, self.z_ND = weight_D, self.z_ND * weight_D
        self.shape, self.noise, self.root_NN, self.weight_N = best.shape, best.noise, best.root_NN, best.weight_N
        self.level += self.scale * best.level

    def believe(self, points: Sequence[Features]) -> None:
        """Count points as known, with the errors predicted for them: these stay, the deviations near them fall.

        This is the "kriging believer" (Ginsbourger et al. 2010, "Kriging is well-suited to parallelize optimization").
        """
        z_ND = np.concatenate([self.z_ND, self.table.standard(points)])
        self.weight_N = np.concatenate([self.weight_N, np.zeros(len(points))])
        self.root_NN = np.linalg.cholesky(_kernel(z_ND, z_ND, *self.shape) + self.noise * np.eye(len(z_ND)))
        self.z_ND = z_ND

    def predict(self, points: Sequence[Features]) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the log10 errors of points, each `(M,)`."""
        z_MD = self.table.standard(points)
        k_NM = _kernel(self.z_ND, z_MD, *self.shape)
        v_NM = _solve(self.root_NN, k_NM)
        left_M = np.maximum(1 + self.shape[1] * (z_MD**2).mean(1) - (v_NM**2).sum(0), 1e-6)
        mean_M = self.level + self.scale * (self.weight_N @ k_NM)
        return mean_M, self.scale * np.sqrt(left_M)

    def draw(self, points: Sequence[Features], count: int) -> FloatArray:
        """Return draws of the log10 errors of points, `(count, M)`: points alike err alike. Always the same draws."""
        z_MD = self.table.standard(points)
        v_NM = _solve(self.root_NN, _kernel(self.z_ND, z_MD, *self.shape))
        left_MM = _kernel(z_MD, z_MD, *self.shape) - v_NM.T @ v_NM
        values_M, vectors_MM = np.linalg.eigh(left_MM)
        normal_KM = np.random.default_rng(0).normal(size=(count, len(points)))
        spread_KM = normal_KM * np.sqrt(np.maximum(values_M, 0)) @ vectors_MM.T
        return self.predict(points)[0] + self.scale * spread_KM


class _Fit(NamedTuple):
    evidence: float
    shape: tuple[float, float]
    noise: float
    level: float
    root_NN: FloatArray
    weight_N: FloatArray


def _fit(z_ND: FloatArray, t_N: FloatArray, length: float, slope: float, noise: float) -> _Fit:
    """Return a fit with its log evidence (less a constant), at the level of highest evidence."""
    count = len(z_ND)
    root_NN = np.linalg.cholesky(_kernel(z_ND, z_ND, length, slope) + noise * np.eye(count))
    one_N, v_N = _solve(root_NN, np.ones(count)), _solve(root_NN, t_N)
    level = float(v_N @ one_N / (one_N @ one_N))
    off_N = v_N - level * one_N
    evidence = -0.5 * float((off_N**2).sum()) - float(np.log(root_NN.diagonal()).sum())
    return _Fit(evidence, (length, slope), noise, level, root_NN, _solve(root_NN, off_N, transposed=True))


def _with_relevance(z_ND: FloatArray, t_N: FloatArray, start: _Fit) -> tuple[_Fit, FloatArray]:
    """Return a fit whose features have weights, and these `(D,)`, with a mean square of 1.

    Each feature's weight is doubled or halved where the log evidence rises by more than `RELEVANCE_COST` takes off
    ("automatic relevance determination", Rasmussen and Williams 2006, section 5.1, by coordinate ascent).
    """

    def attempt(doublings_D: FloatArray) -> tuple[float, _Fit, FloatArray]:
        weight_D = np.exp2(doublings_D)
        weight_D = weight_D / math.sqrt((weight_D**2).mean())
        fit = _fit(z_ND * weight_D, t_N, *start.shape, start.noise)
        return fit.evidence - RELEVANCE_COST * float((doublings_D**2).sum()), fit, weight_D

    doublings_D = np.zeros(z_ND.shape[1])
    value, fit, weight_D = start.evidence, start, np.ones(len(doublings_D))
    for _ in range(RELEVANCE_SWEEPS):
        before = value
        for feature in range(len(doublings_D)):
            for change in (1.0, -1.0):
                changed_D = doublings_D.copy()
                changed_D[feature] += change
                found = attempt(changed_D)
                if found[0] > value:
                    (value, fit, weight_D), doublings_D = found, changed_D
                    break
        if value == before:
            break
    return fit, weight_D


def _solve(root_NN: FloatArray, right: FloatArray, *, transposed: bool = False) -> FloatArray:
    """Solve a lower triangular system, or its transpose."""
    return np.asarray(solve_triangular(root_NN, right, lower=True, trans=int(transposed)))


class _Table:
    """Points as rows of numbers; every feature has mean 0 and standard deviation 1 over `known` and `queries`."""

    def __init__(self, known: Sequence[Features], queries: Sequence[Features]) -> None:
        self.names = sorted(set().union(*known, *queries))
        self.weight_D: FloatArray = np.ones(len(self.names))  # of the standardized features
        x_ND = self._rows([*known, *queries])
        self.middle_D, self.spread_D = x_ND.mean(0), x_ND.std(0)

    def standard(self, points: Sequence[Features]) -> FloatArray:
        """Return the standardized features of points, times their weights, `(M, D)`."""
        spread_D = np.where(self.spread_D > 0, self.spread_D, 1.0)
        return self.weight_D * (self._rows(points) - self.middle_D) / spread_D

    def _rows(self, points: Sequence[Features]) -> FloatArray:
        rows = [[point.get(name, 0.0) for name in self.names] for point in points]
        return np.array(rows).reshape(len(points), len(self.names))


def _kernel(a_ND: FloatArray, b_MD: FloatArray, length: float, slope: float) -> FloatArray:
    """Return the covariance of two sets of points, `(N, M)`."""
    size = max(1, a_ND.shape[1])
    inner_NM = a_ND @ b_MD.T
    apart_NM = (a_ND**2).sum(1)[:, None] + (b_MD**2).sum(1) - 2 * inner_NM
    return np.exp(-0.5 * np.maximum(apart_NM, 0) / (size * length**2)) + slope * inner_NM / size


def expected_improvement(z: FloatArray) -> FloatArray:
    """Return the expected excess of a standard normal variable over -z, or 0 where it is less (Jones et al. 1998)."""
    return np.maximum(np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) + z * ndtr(z), 0)


def expected_gains(
    known: Sequence[tuple[float, float]],
    costs: Sequence[float],
    mean_M: FloatArray,
    deviation_M: FloatArray,
    margin: float = MARGIN,
) -> list[float]:
    """Return by how much each point is expected to enlarge the hypervolume of `known`, `(log error, log cost)`.

    The costs of the points are certain, their errors normal with `mean_M` and `deviation_M`. The reference point
    lies `MARGIN` beyond the worst error and `margin` beyond the highest cost. The gain is a sum over the steps of the
    front: the width of the part of a step that costs more than the point, times the expected improvement of the step's
    error.
    """
    worst = max(max(error for error, _ in known), float(mean_M.max())) + MARGIN
    max_cost = max(max(cost for _, cost in known), max(costs)) + margin
    front_points = [known[index] for index in reversed(front(known))]  # the cheapest first
    error_S = np.array([worst, *(error for error, _ in front_points)])
    edge_S = np.array([cost for _, cost in front_points])
    from_S, to_S = np.concatenate([[-np.inf], edge_S]), np.concatenate([edge_S, [max_cost]])
    width_MS = np.maximum(to_S - np.maximum(from_S, np.array(costs)[:, None]), 0)
    better_MS = (error_S - mean_M[:, None]) / deviation_M[:, None]
    return (width_MS * deviation_M[:, None] * expected_improvement(better_MS)).sum(1).tolist()


def _grid() -> list[tuple[float, float, float]]:
    return [(length, slope, noise) for length in LENGTHS for slope in SLOPES for noise in NOISES]
