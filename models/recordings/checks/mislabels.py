"""Takes whose labels their sounds contradict: two that were exchanged, one that belongs elsewhere.

How loud each part of an excerpt is in each half octave changes smoothly with the knobs, so that a take is foretold by the others: a Gaussian
process over the settings, with a constant mean and a Matern kernel (5/2) whose length for each knob is the likeliest (Rasmussen and
Williams, "Gaussian Processes for Machine Learning", 2006, ch. 2 and 5). A label is doubted where another would be much likelier: all pairs
are exchanged, and each take is moved to other places. Gains are twice the logarithm of the likelihood ratio of one loudness.

Shapes: N takes, S samples of an excerpt, B parts of it, F frequencies, P loudnesses, D levels of a setting, M places.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial.distance import cdist

from models.knobs.geometry import candidate_settings
from models.knobs.schema import Knobs, Setting

LOWEST_HZ, HIGHEST_HZ, QUIET_DB = 60.0, 8000.0, 60.0

MIN_TAKES, CANDIDATES = 7, 256  # takes needed to tell; of a Sobol sequence

EXCHANGE_GAIN, MOVE_GAIN = 2.0, 7.0  # gains; benchmarks/mislabelled.py has how often they are right and wrong

SHORTEST, LONGEST, LENGTHS = 0.5, 50.0, (0.25, 0.5, 0.7, 1.4, 2.0, 4.0)  # a knob's turn is 2; steps of the search

NOISES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 0.3)


@dataclass(frozen=True)
class Mislabel:
    """A take that is likely labelled wrong: `other` is the one it was exchanged with, else `place` is where it seems to belong."""

    take: int
    other: int | None = None
    place: int | None = None


def level_features(excerpts_NS: np.ndarray, parts: int, rate_hz: int) -> np.ndarray:
    """Level in half octaves of each part of an excerpt, in dB, `(N, P)`; what is `QUIET_DB` below a take's loudest is lifted to there."""
    hz_F = np.fft.rfftfreq(excerpts_NS.shape[1] // parts, 1 / rate_hz)
    edges = LOWEST_HZ * 2 ** (np.arange(int(2 * np.log2(min(HIGHEST_HZ, rate_hz / 2) / LOWEST_HZ)) + 1) / 2)
    bands = [band_F for low, high in pairwise(edges) if (band_F := (hz_F >= low) & (hz_F < high)).any()]
    rows = []
    for excerpt_S in excerpts_NS:
        parts_BS = excerpt_S.reshape(parts, -1)
        power_BF = np.abs(np.fft.rfft(parts_BS * np.hanning(parts_BS.shape[1]))) ** 2
        level_BP = 10 * np.log10(np.stack([power_BF[:, band_F].sum(1) for band_F in bands], 1) + 1e-20)
        rows.append(np.maximum(level_BP, level_BP.max() - QUIET_DB).ravel())
    return np.stack(rows)


def label_candidates(knobs: Knobs) -> list[Setting]:
    """Settings all over: where a mislabelled take may belong."""
    return candidate_settings(knobs)[:CANDIDATES]


def find_mislabels(level_NP: np.ndarray, levels_ND: np.ndarray, candidates_MD: np.ndarray) -> list[Mislabel]:
    """Takes that are likely mislabelled, the surest first; each correction is made before the next is looked for."""
    count, found, levels_ND = len(levels_ND), [], levels_ND.copy()
    if count < MIN_TAKES:
        return []
    level_NP = level_NP - level_NP.mean(0)
    alike_NN = level_NP @ level_NP.T + 1e-9 * np.eye(count)
    while len(found) < count // 4:
        space = _likeliest(levels_ND, alike_NN)
        pair, exchanged = _best_exchange(space, levels_ND, alike_NN)
        take, place, moved = _best_move(space, levels_ND, alike_NN, candidates_MD)
        if exchanged > EXCHANGE_GAIN and exchanged >= moved:
            found.append(Mislabel(*pair))
            levels_ND[list(pair)] = levels_ND[list(pair[::-1])]
        elif moved > MOVE_GAIN:
            found.append(Mislabel(take, place=place))
            levels_ND[take] = candidates_MD[place]
        else:
            break
    return found


@dataclass(frozen=True)
class _Space:
    """How far from each other settings sound: lengths per level of a setting, and what repeats itself not at all."""

    length_D: np.ndarray
    noise: float

    def kernel(self, from_ND: np.ndarray, to_MD: np.ndarray) -> np.ndarray:
        far_NM = np.sqrt(5) * cdist(from_ND / self.length_D, to_MD / self.length_D)
        return (1 + far_NM + far_NM**2 / 3) * np.exp(-far_NM)

    def precision(self, levels_ND: np.ndarray) -> tuple[np.ndarray, float]:
        """The inverse covariance of takes after their mean is taken out, and the logarithm of the determinant."""
        own_NN = self.kernel(levels_ND, levels_ND) + self.noise * np.eye(len(levels_ND))
        inverse_NN = np.linalg.inv(own_NN)
        sum_N = inverse_NN.sum(1)
        size = float(np.linalg.slogdet(own_NN)[1] + np.log(sum_N.sum()))
        return inverse_NN - np.outer(sum_N, sum_N) / sum_N.sum(), size


def _likeliest(levels_ND: np.ndarray, alike_NN: np.ndarray) -> _Space:
    """Lengths and noise, one after the other."""

    def cost(space: _Space) -> float:
        precision_NN, size = space.precision(levels_ND)
        return (len(levels_ND) - 1) * float(np.log((precision_NN * alike_NN).sum())) + size

    best = _Space(np.full(levels_ND.shape[1], 2.0), 1e-2)
    for _ in range(3):
        for column in range(levels_ND.shape[1]):
            turned = [best.length_D * np.where(np.arange(levels_ND.shape[1]) == column, by, 1) for by in LENGTHS]
            tried = [best, *(_Space(np.clip(length_D, SHORTEST, LONGEST), best.noise) for length_D in turned)]
            best = min(tried, key=cost)
        best = min((best, *(_Space(best.length_D, noise) for noise in NOISES)), key=cost)
    return best


def _best_exchange(space: _Space, levels_ND: np.ndarray, alike_NN: np.ndarray) -> tuple[tuple[int, int], float]:
    """The two takes to exchange, and the gain. With u = e_i - e_j, exchanging is I - u u' on both sides of what is alike."""
    precision_NN, _ = space.precision(levels_ND)
    both_NN = precision_NN @ alike_NN

    def apart(a_NN: np.ndarray) -> np.ndarray:
        """u' a u for all pairs."""
        own_N = np.diag(a_NN)
        return own_N[:, None] + own_N[None] - a_NN - a_NN.T

    now = float(np.trace(both_NN))
    then_NN = np.maximum(now - 2 * apart(both_NN) + apart(alike_NN) * apart(precision_NN), 1e-9 * now)
    gain_NN = np.triu((len(levels_ND) - 1) * np.log(now / then_NN), 1)
    first, second = np.unravel_index(int(gain_NN.argmax()), gain_NN.shape)
    return (int(first), int(second)), float(gain_NN[first, second])


def _best_move(
    space: _Space, levels_ND: np.ndarray, alike_NN: np.ndarray, candidates_MD: np.ndarray
) -> tuple[int, int, float]:
    """The take to move, where to, and the gain: each is foretold by the others, where it is said to be and at all places."""
    best = (0, 0, 0.0)
    for take in range(len(levels_ND)):
        others = np.delete(np.arange(len(levels_ND)), take)
        at_MD = np.vstack([levels_ND[take], candidates_MD])
        inverse_NN = np.linalg.inv(
            space.kernel(levels_ND[others], levels_ND[others]) + space.noise * np.eye(len(others))
        )
        sum_N = inverse_NN.sum(1)
        near_MN = space.kernel(at_MD, levels_ND[others])
        lost_M = (1 - near_MN @ sum_N) / sum_N.sum()
        share_MN = near_MN @ inverse_NN + lost_M[:, None] * sum_N
        spread_M = 1 + space.noise - ((near_MN @ inverse_NN) * near_MN).sum(1) + lost_M**2 * sum_N.sum()
        alike_other_NN = alike_NN[np.ix_(others, others)]
        miss_M = alike_NN[take, take] - 2 * share_MN @ alike_NN[others, take]
        miss_M += ((share_MN @ alike_other_NN) * share_MN).sum(1)
        rest = float(((inverse_NN - np.outer(sum_N, sum_N) / sum_N.sum()) * alike_other_NN).sum())
        total_M = rest + miss_M / spread_M
        gain_M = (len(levels_ND) - 1) * np.log(total_M[0] / total_M[1:]) + np.log(spread_M[0] / spread_M[1:])
        if len(gain_M) and gain_M.max() > best[2]:
            best = (take, int(gain_M.argmax()), float(gain_M.max()))
    return best
