"""How far a take's clock runs off, told from an amp whose own delay changes with how hard it is played.

A saturated amp answers a loud chord up to a sample earlier or later than a soft one, and as music has its loud and its soft minutes, that
looks like a clock some millionths off. So the take is explained by what one and two saturating stages, with filters between them,
make of the dry signal (41 features, each through a filter of its own that least squares finds for every frequency). What a stage that
does not change with time can explain is explained away; the drift is what is left (variable projection, Golub and
Pereyra, SIAM J. Numer. Anal. 10, 1973, with the take turned by the drift between the steps). Windows count by how well they are explained.

Shapes: T time, B blocks, N samples of a block, W windows of all blocks, S samples of a window, F frequencies, K features.
"""

from itertools import product

import numpy as np
from scipy.fft import rfft
from scipy.signal import butter, sosfilt

from models.audio.interpolation import read_between

WINDOW_SECONDS = 0.0427  # 2,048 samples at 48 kHz; each is half the next one's

MOST_SECONDS, BLOCKS = 12.0, 16  # of a longer take so much is heard, in blocks all over it

WINDOWS_PER_FEATURE = 3

LOW_HZ, HIGH_HZ = 60.0, 5600.0

STEPS = 4

DRIVES, BIAS = (0.5, 2.0, 8.0, 32.0), 0.5

FIRST_DRIVES, SECOND_DRIVES = (1.0, 3.0, 10.0, 30.0), (1.0, 4.0)

BETWEEN = (("highpass", 80.0), ("lowpass", 600.0), ("highpass", 600.0), ("highpass", 2000.0))

FEATURES = 1 + 2 * len(DRIVES) + len(FIRST_DRIVES) * len(BETWEEN) * len(SECOND_DRIVES)

RIDGE, LEAST = 1e-9, 1e-3


def has_enough_windows(samples: int, rate_hz: int) -> bool:
    """Whether so much sound has enough windows to tell features apart: three seconds and more."""
    return 2 * samples / (WINDOW_SECONDS * rate_hz) > WINDOWS_PER_FEATURE * FEATURES


def fit_step(
    dry_T: np.ndarray, wet_T: np.ndarray, delay: float, step: float, span: tuple[int, int], rate_hz: int
) -> float:
    """Correct the pace of a take that is lined up but for some samples.

    `wet_T` is read from `delay + step * n` for each `n` of the dry signal within `span`, which must be `has_enough_windows`.
    """
    length = min(span[1] - span[0], int(MOST_SECONDS * rate_hz))
    blocks = 1 if length == span[1] - span[0] else BLOCKS
    length //= blocks
    hop = int(WINDOW_SECONDS * rate_hz / 2)
    starts = np.linspace(span[0], span[1] - length, blocks).astype(int)
    begins = np.arange(hop, length - 2 * hop + 1, hop)  # the filters have settled by then
    hz_F = np.arange(hop + 1) * rate_hz / (2 * hop)
    bins_F = np.flatnonzero((hz_F > LOW_HZ) & (hz_F < HIGH_HZ))

    def spectra(block_BN: np.ndarray) -> np.ndarray:
        windows_BWS = np.lib.stride_tricks.sliding_window_view(block_BN, 2 * hop, axis=-1)[:, begins]
        return rfft(np.hanning(2 * hop) * windows_BWS)[..., bins_F].reshape(-1, len(bins_F)).T

    dry_BN = np.stack([dry_T[at : at + length] for at in starts]).astype(np.float64)
    wet_BN = np.stack([read_between(wet_T, delay + step * int(at), step, length) for at in starts])
    x_FWK = np.stack([spectra(feature_BN) for feature_BN in _features(dry_BN, rate_hz)], axis=-1)
    y_FW = spectra(wet_BN)
    middle_W = (starts[:, None] + begins).ravel() - float(np.mean(starts) + np.mean(begins))
    turn_FW = -1j * np.outer(np.pi * bins_F / hop, middle_W)
    found, weight_W = 0.0, np.ones(len(middle_W))
    for _ in range(STEPS):
        root_W = np.sqrt(weight_W)
        weighted_FWK = x_FWK * root_W[:, None]
        inverse_FKK = _inverse(weighted_FWK)
        wet_FW = y_FW * np.exp(-turn_FW * found) * root_W
        told_FW = _tell(weighted_FWK, inverse_FKK, wet_FW)
        left_FW, slope_FW = wet_FW - told_FW, turn_FW * told_FW
        slope_FW -= _tell(weighted_FWK, inverse_FKK, slope_FW)
        error_FW = np.abs(left_FW) ** 2
        clear_F1 = 1 / (error_FW.mean(1, keepdims=True) + 1e-30)
        certain = float((np.abs(slope_FW) ** 2 * clear_F1).sum())
        found += float((slope_FW.conj() * left_FW * clear_F1).real.sum()) / max(certain, 1e-30)
        missed_W = (error_FW * clear_F1).mean(0) / weight_W
        weight_W = 1 / (missed_W + LEAST * missed_W.max() + 1e-30)
    return step + found


def _features(x_BN: np.ndarray, rate_hz: int) -> list[np.ndarray]:
    """The dry signal, and what one and two saturating stages make of it."""

    def through(kind: str, hz: float, signal_BN: np.ndarray) -> np.ndarray:
        filtered_BN = np.asarray(sosfilt(butter(1, hz, kind, fs=rate_hz, output="sos"), signal_BN))
        return filtered_BN / (filtered_BN.std() + 1e-30)

    driven_BN = through("highpass", 70.0, x_BN)
    found = [driven_BN]
    found += [np.tanh(drive * driven_BN + bias) for drive, bias in product(DRIVES, (0.0, BIAS))]
    for drive, filtered in product(FIRST_DRIVES, BETWEEN):
        second_BN = through(*filtered, np.tanh(drive * driven_BN + 0.3))
        found += [np.tanh(second * second_BN) for second in SECOND_DRIVES]
    return found


def _inverse(x_FWK: np.ndarray) -> np.ndarray:
    """The inverse of what the features have in common, frequency by frequency."""
    own_FKK = x_FWK.conj().transpose(0, 2, 1) @ x_FWK
    ridge_F = RIDGE * np.trace(own_FKK, axis1=1, axis2=2).real + 1e-30
    return np.linalg.inv(own_FKK + ridge_F[:, None, None] * np.eye(own_FKK.shape[-1]))


def _tell(x_FWK: np.ndarray, inverse_FKK: np.ndarray, z_FW: np.ndarray) -> np.ndarray:
    """What the features can tell of a signal."""
    own_FK1 = (z_FW.conj()[:, None] @ x_FWK).conj().transpose(0, 2, 1)
    return (x_FWK @ (inverse_FKK @ own_FK1))[..., 0]
