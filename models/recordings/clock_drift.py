"""Separates a take's clock drift from an amp whose own delay changes with its input level.

A saturated amp answers a loud chord up to a sample earlier or later than a soft one. Music has loud and soft minutes,
so this looks like a clock that is some millionths off. Therefore the take is explained as what one and two saturating
stages, with filters between them, make of the dry signal: 41 features, each through its own filter, which least squares
finds for every frequency. What a time-invariant amp can explain is removed, and the drift is fitted to what is left.
This is variable projection (Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973), with the take rotated by the drift
between the steps, and with windows weighted by how well they are explained (iteratively reweighted least squares).

Shapes: T time, B blocks, N samples of a block, W windows of all blocks, S samples of a window, F frequency bins,
K features.
"""

from itertools import product

import numpy as np
from scipy.fft import rfft

from models.audio.interpolation import read_between

DRIFT_WINDOW_SECONDS = 0.0427  # 2,048 samples at 48 kHz, half-overlapping

MAX_SECONDS, BLOCKS = 12.0, 16  # of a longer take this much is used, in blocks all over it

WINDOWS_PER_FEATURE = 3

DRIFT_LOW_HZ, DRIFT_HIGH_HZ = 60.0, 5600.0

SEARCH_STEPS = 4

DRIVES, BIAS = (0.5, 2.0, 8.0, 32.0), 0.5

FIRST_DRIVES, SECOND_DRIVES = (1.0, 3.0, 10.0, 30.0), (1.0, 4.0)

BETWEEN = (("highpass", 80.0), ("lowpass", 600.0), ("highpass", 600.0), ("highpass", 2000.0))

FEATURE_COUNT = 1 + 2 * len(DRIVES) + len(FIRST_DRIVES) * len(BETWEEN) * len(SECOND_DRIVES)

RIDGE, MIN_ERROR = 1e-9, 1e-3


def has_enough_windows(samples: int, rate_hz: int) -> bool:
    """Whether there are enough windows to fit all features: from three seconds on."""
    return 2 * samples / (DRIFT_WINDOW_SECONDS * rate_hz) > WINDOWS_PER_FEATURE * FEATURE_COUNT


def fit_step(
    dry_T: np.ndarray, wet_T: np.ndarray, delay: float, step: float, span: tuple[int, int], rate_hz: int
) -> float:
    """Return the step of a take, in samples of the take per sample of the dry signal, corrected for its drift.

    The take must be aligned to within some samples: `wet_T` is read at `delay + step * n` for each `n` of the dry
    signal within `span`, `(start, stop)`, for which `has_enough_windows` must hold.
    """
    length = min(span[1] - span[0], int(MAX_SECONDS * rate_hz))
    blocks = 1 if length == span[1] - span[0] else BLOCKS
    length //= blocks
    hop = int(DRIFT_WINDOW_SECONDS * rate_hz / 2)
    starts = np.linspace(span[0], span[1] - length, blocks).astype(int)
    begins = np.arange(hop, length - 2 * hop + 1, hop)  # after the filters' transient
    hz_F = np.arange(hop + 1) * rate_hz / (2 * hop)
    bins_F = np.flatnonzero((hz_F > DRIFT_LOW_HZ) & (hz_F < DRIFT_HIGH_HZ))

    def spectra(block_BN: np.ndarray) -> np.ndarray:
        windows_BWS = np.lib.stride_tricks.sliding_window_view(block_BN, 2 * hop, axis=-1)[:, begins]
        return rfft(np.hanning(2 * hop) * windows_BWS)[..., bins_F].reshape(-1, len(bins_F)).T

    dry_BN = np.stack([dry_T[at : at + length] for at in starts]).astype(np.float64)
    wet_BN = np.stack([read_between(wet_T, delay + step * int(at), step, length) for at in starts])
    x_FWK = np.stack([spectra(feature_BN) for feature_BN in _features(dry_BN, rate_hz)], axis=-1)
    y_FW = spectra(wet_BN)
    middle_W = (starts[:, None] + begins).ravel() - float(np.mean(starts) + np.mean(begins))
    phase_FW = -1j * np.outer(np.pi * bins_F / hop, middle_W)
    drift, weight_W = 0.0, np.ones(len(middle_W))
    for _ in range(SEARCH_STEPS):
        root_W = np.sqrt(weight_W)
        weighted_FWK = x_FWK * root_W[:, None]
        inverse_FKK = _inverse_gram(weighted_FWK)
        wet_FW = y_FW * np.exp(-phase_FW * drift) * root_W
        explained_FW = _project(weighted_FWK, inverse_FKK, wet_FW)
        residual_FW, slope_FW = wet_FW - explained_FW, phase_FW * explained_FW
        slope_FW -= _project(weighted_FWK, inverse_FKK, slope_FW)
        error_FW = np.abs(residual_FW) ** 2
        precision_F1 = 1 / (error_FW.mean(1, keepdims=True) + 1e-30)
        information = float((np.abs(slope_FW) ** 2 * precision_F1).sum())
        drift += float((slope_FW.conj() * residual_FW * precision_F1).real.sum()) / max(information, 1e-30)
        error_W = (error_FW * precision_F1).mean(0) / weight_W
        weight_W = 1 / (error_W + MIN_ERROR * error_W.max() + 1e-30)
    return step + drift


def _features(x_BN: np.ndarray, rate_hz: int) -> list[np.ndarray]:
    """The dry signal, and the outputs of one and of two saturating stages for it; K arrays `(B, N)`."""
    from scipy.signal import butter, sosfilt  # half a second, which takes that are in time do not need

    def through(kind: str, hz: float, signal_BN: np.ndarray) -> np.ndarray:
        filtered_BN = np.asarray(sosfilt(butter(1, hz, kind, fs=rate_hz, output="sos"), signal_BN))
        return filtered_BN / (filtered_BN.std() + 1e-30)

    driven_BN = through("highpass", 70.0, x_BN)
    features = [driven_BN]
    features += [np.tanh(drive * driven_BN + bias) for drive, bias in product(DRIVES, (0.0, BIAS))]
    for drive, filtered in product(FIRST_DRIVES, BETWEEN):
        second_BN = through(*filtered, np.tanh(drive * driven_BN + 0.3))
        features += [np.tanh(second * second_BN) for second in SECOND_DRIVES]
    return features


def _inverse_gram(x_FWK: np.ndarray) -> np.ndarray:
    """Inverse Gram matrix of the features at each frequency, with a ridge, `(F, K, K)`."""
    gram_FKK = x_FWK.conj().transpose(0, 2, 1) @ x_FWK
    ridge_F = RIDGE * np.trace(gram_FKK, axis1=1, axis2=2).real + 1e-30
    return np.linalg.inv(gram_FKK + ridge_F[:, None, None] * np.eye(gram_FKK.shape[-1]))


def _project(x_FWK: np.ndarray, inverse_FKK: np.ndarray, z_FW: np.ndarray) -> np.ndarray:
    """Project a signal `(F, W)` onto the features by least squares, frequency by frequency."""
    inner_FK1 = (z_FW.conj()[:, None] @ x_FWK).conj().transpose(0, 2, 1)
    return (x_FWK @ (inverse_FKK @ inner_FK1))[..., 0]
