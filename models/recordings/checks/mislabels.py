"""Takes whose sound contradicts their label.

The level of each part of an excerpt in each half octave changes smoothly with the knobs, so the other takes predict it:
a Gaussian process over the settings with a constant mean and a Matern kernel (5/2), whose length for each knob and
whose noise maximize the likelihood (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, ch. 2 and
5). A label is suspect where another one is much more likely: every pair of takes is exchanged, and every take is moved
to other candidate settings. The gain of a change is twice the logarithm of its likelihood ratio, for one level feature.

Shapes: N takes, S samples of an excerpt, B parts of it, F bins, P level features, D coordinates of a setting, M
candidate settings.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from models.audio.bands import band_bins, band_power, power_spectrum
from models.knobs.geometry import candidate_settings
from models.knobs.schema import Knobs, Setting

LOWEST_HZ, HIGHEST_HZ = 60.0, 8000.0

FLOOR_DB = 60.0  # below a take's loudest feature

MIN_TAKES, CANDIDATES = 7, 256  # fewer takes cannot predict each other; settings of a Sobol sequence

EXCHANGE_GAIN, MOVE_GAIN = 2.0, 7.0  # thresholds; benchmarks/mislabelled.py measures their hits and false alarms

MIN_LENGTH, MAX_LENGTH = 0.5, 50.0  # of the kernel; the whole range of a knob is 2

LENGTH_FACTORS = (0.25, 0.5, 0.7, 1.4, 2.0, 4.0)  # tried for each knob in turn

NOISE_VARIANCES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 0.3)  # variances tried, relative to the kernel's


@dataclass(frozen=True)
class Mislabel:
    """A take with a suspect label: it was exchanged with `partner`, else `candidate` is a more likely setting.

    All three are indices, into the takes and into the candidate settings.
    """

    take: int
    partner: int | None = None
    candidate: int | None = None


def level_features(excerpts_NS: np.ndarray, parts: int, rate_hz: int) -> np.ndarray:
    """Level in dB of each part of an excerpt in half octaves from 60 Hz to 8 kHz, `(N, P)`.

    Each row is clipped at `FLOOR_DB` below its maximum.
    """
    samples = excerpts_NS.shape[1] // parts
    half_octaves = int(2 * np.log2(min(HIGHEST_HZ, rate_hz / 2) / LOWEST_HZ))
    edges = LOWEST_HZ * 2 ** (np.arange(half_octaves + 1) / 2)
    bins = [band for band in band_bins(samples, rate_hz, edges) if band.start < band.stop]
    rows = []
    for excerpt_S in excerpts_NS:
        power_BF = power_spectrum(excerpt_S.reshape(parts, -1), np.hanning(samples))
        power_BF = np.asfortranarray(power_BF)  # sums run bin by bin, as in the runs that set the thresholds
        level_BP = 10 * np.log10(np.stack(list(band_power(power_BF, bins)), 1) + 1e-20)
        rows.append(np.maximum(level_BP, level_BP.max() - FLOOR_DB).ravel())
    return np.stack(rows)


def label_candidates(knobs: Knobs) -> list[Setting]:
    """Settings spread over the whole space, to which a mislabeled take may belong."""
    return candidate_settings(knobs)[:CANDIDATES]


def find_mislabels(level_NP: np.ndarray, levels_ND: np.ndarray, candidates_MD: np.ndarray) -> list[Mislabel]:
    """Find takes that are likely mislabeled, the largest gain first; at most a quarter of them.

    `level_NP` are the takes' `level_features`, `levels_ND` their encoded settings. Greedy: each correction is applied
    before the next one is looked for. Fewer than `MIN_TAKES` takes give none.
    """
    count, found, levels_ND = len(levels_ND), [], levels_ND.copy()
    if count < MIN_TAKES:
        return []
    level_NP = level_NP - level_NP.mean(0)
    gram_NN = level_NP @ level_NP.T + 1e-9 * np.eye(count)
    while len(found) < count // 4:
        kernel = _fit_kernel(levels_ND, gram_NN)
        pair, exchange_gain = _best_exchange(kernel, levels_ND, gram_NN)
        take, candidate, move_gain = _best_move(kernel, levels_ND, gram_NN, candidates_MD)
        if exchange_gain > EXCHANGE_GAIN and exchange_gain >= move_gain:
            found.append(Mislabel(*pair))
            levels_ND[list(pair)] = levels_ND[list(pair[::-1])]
        elif move_gain > MOVE_GAIN:
            found.append(Mislabel(take, candidate=candidate))
            levels_ND[take] = candidates_MD[candidate]
        else:
            break
    return found


@dataclass(frozen=True)
class _Kernel:
    """Matern 5/2 kernel of unit variance: a length per coordinate of a setting, and the variance of the noise."""

    length_D: np.ndarray
    noise: float

    def covariance(self, from_ND: np.ndarray, to_MD: np.ndarray) -> np.ndarray:
        """Covariance between settings, `(N, M)`, without noise; Rasmussen and Williams, eq. 4.17."""
        far_NM = np.sqrt(5) * cdist(from_ND / self.length_D, to_MD / self.length_D)
        return (1 + far_NM + far_NM**2 / 3) * np.exp(-far_NM)

    def inverse(self, levels_ND: np.ndarray) -> np.ndarray:
        """Inverse covariance of noisy takes, `(N, N)`."""
        return np.linalg.inv(self._noisy(levels_ND))

    def precision(self, levels_ND: np.ndarray) -> tuple[np.ndarray, float]:
        """Inverse covariance with the constant mean projected out; log determinant of the restricted likelihood."""
        own_NN = self._noisy(levels_ND)
        inverse_NN = np.linalg.inv(own_NN)
        sum_N = inverse_NN.sum(1)
        log_determinant = float(np.linalg.slogdet(own_NN)[1] + np.log(sum_N.sum()))
        return _without_mean(inverse_NN, sum_N), log_determinant

    def _noisy(self, levels_ND: np.ndarray) -> np.ndarray:
        return self.covariance(levels_ND, levels_ND) + self.noise * np.eye(len(levels_ND))


def _without_mean(inverse_NN: np.ndarray, sum_N: np.ndarray) -> np.ndarray:
    """Project the constant mean out of an inverse covariance with these row sums."""
    return inverse_NN - np.outer(sum_N, sum_N) / sum_N.sum()


def _fit_kernel(levels_ND: np.ndarray, gram_NN: np.ndarray) -> _Kernel:
    """Maximize the likelihood by coordinate search: three rounds over the lengths and the noise."""

    def cost(kernel: _Kernel) -> float:
        precision_NN, log_determinant = kernel.precision(levels_ND)
        return (len(levels_ND) - 1) * float(np.log((precision_NN * gram_NN).sum())) + log_determinant

    columns = np.arange(levels_ND.shape[1])
    best = _Kernel(np.full(len(columns), 2.0), 1e-2)
    for _ in range(3):
        for column in columns:
            scaled = [best.length_D * np.where(columns == column, factor, 1) for factor in LENGTH_FACTORS]
            tried = [best, *(_Kernel(np.clip(length_D, MIN_LENGTH, MAX_LENGTH), best.noise) for length_D in scaled)]
            best = min(tried, key=cost)
        best = min((best, *(_Kernel(best.length_D, noise) for noise in NOISE_VARIANCES)), key=cost)
    return best


def _best_exchange(kernel: _Kernel, levels_ND: np.ndarray, gram_NN: np.ndarray) -> tuple[tuple[int, int], float]:
    """The two takes whose exchange has the largest gain, and that gain.

    With u = e_i - e_j, an exchange multiplies the Gram matrix by I - u u' on both sides.
    """
    precision_NN, _ = kernel.precision(levels_ND)
    both_NN = precision_NN @ gram_NN

    def quadratic(a_NN: np.ndarray) -> np.ndarray:
        """u' a u for all pairs."""
        own_N = np.diag(a_NN)
        return own_N[:, None] + own_N[None] - a_NN - a_NN.T

    now = float(np.trace(both_NN))
    then_NN = np.maximum(now - 2 * quadratic(both_NN) + quadratic(gram_NN) * quadratic(precision_NN), 1e-9 * now)
    gain_NN = np.triu((len(levels_ND) - 1) * np.log(now / then_NN), 1)
    first, second = np.unravel_index(int(gain_NN.argmax()), gain_NN.shape)
    return (int(first), int(second)), float(gain_NN[first, second])


def _best_move(
    kernel: _Kernel, levels_ND: np.ndarray, gram_NN: np.ndarray, candidates_MD: np.ndarray
) -> tuple[int, int, float]:
    """The take and the candidate setting with the largest gain, and that gain; (0, 0, 0) where no move has one."""
    best = (0, 0, 0.0)
    for take in range(len(levels_ND)):
        gain_M = _move_gains(kernel, levels_ND, gram_NN, candidates_MD, take)
        if len(gain_M) and gain_M.max() > best[2]:
            best = (take, int(gain_M.argmax()), float(gain_M.max()))
    return best


def _move_gains(
    kernel: _Kernel, levels_ND: np.ndarray, gram_NN: np.ndarray, candidates_MD: np.ndarray, take: int
) -> np.ndarray:
    """Gain of moving one take to each candidate, `(M,)`.

    The other takes predict it at its own setting and at all candidates.
    Prediction with a constant mean is Rasmussen and Williams, eq. 2.42, with an infinite prior variance of the mean.
    """
    others = np.delete(np.arange(len(levels_ND)), take)
    at_MD = np.vstack([levels_ND[take], candidates_MD])
    inverse_NN = kernel.inverse(levels_ND[others])
    sum_N = inverse_NN.sum(1)
    near_MN = kernel.covariance(at_MD, levels_ND[others])
    unexplained_M = (1 - near_MN @ sum_N) / sum_N.sum()
    weight_MN = near_MN @ inverse_NN + unexplained_M[:, None] * sum_N
    variance_M = 1 + kernel.noise - ((near_MN @ inverse_NN) * near_MN).sum(1) + unexplained_M**2 * sum_N.sum()
    other_gram_NN = gram_NN[np.ix_(others, others)]
    error_M = gram_NN[take, take] - 2 * weight_MN @ gram_NN[others, take]
    error_M += ((weight_MN @ other_gram_NN) * weight_MN).sum(1)
    rest = float((_without_mean(inverse_NN, sum_N) * other_gram_NN).sum())
    total_M = rest + error_M / variance_M
    return (len(levels_ND) - 1) * np.log(total_M[0] / total_M[1:]) + np.log(variance_M[0] / variance_M[1:])
