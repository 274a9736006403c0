"""The linear part of a take's response, long before and long after the dry signal, from blocks all over the take.

It is estimated in folds. Before the dry signal there is only the error of the estimate, which is as large after it; and
what the device plays is the same in all folds, while the error is not.

Shapes: T time in samples of the response, N bins of a transform, F folds.
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from models.audio.interpolation import read_between
from models.recordings.alignment import Lag
from models.recordings.whitened_correlation import DRY_FLOOR, evenly_spaced

RESPONSE_BLOCK_SECONDS, RESPONSE_BLOCKS, FOLDS = 3.0, 16, 4


def fold_responses(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, reach: int, rate_hz: int) -> np.ndarray:
    """Return the linear response from `reach` samples before to `reach` after the dry signal, by each fold."""
    block = min(int(RESPONSE_BLOCK_SECONDS * rate_hz), len(dry_T) // 4)
    size = next_fast_len(block + 2 * reach, real=True)
    cross_FN, power_N = np.zeros((FOLDS, size // 2 + 1), complex), np.zeros(size // 2 + 1)
    for number, at in enumerate(
        evenly_spaced(0, len(dry_T) - block, min(max(len(dry_T) // block, FOLDS), RESPONSE_BLOCKS))
    ):
        near_T = read_between(wet_T, lag.delay_samples + lag.step * at - reach, lag.step, block + 2 * reach)
        dry_N = rfft(dry_T[at : at + block].astype(np.float64), size)
        cross_FN[number % FOLDS] += rfft(near_T, size) * dry_N.conj()
        power_N += np.abs(dry_N) ** 2
    return irfft(FOLDS * cross_FN / (power_N + DRY_FLOOR * power_N.mean() + 1e-30), size)[:, : 2 * reach]
