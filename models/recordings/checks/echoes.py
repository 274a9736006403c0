"""Finds an echo or a reverb: what a take still plays of its dry signal after longer than a model hears.

It is the linear part of the response (`fold_responses`), where that is larger than before the dry signal and the same
in all folds.

Shapes: T time in samples, N bins of the response, F folds, S samples of a bin.
"""

import numpy as np

from models.recordings.alignment import Lag
from models.recordings.fold_responses import FOLDS, fold_responses

HEARD_SECONDS = 0.15  # A2-Full, the longest of NAM's standard models, hears 6,347 samples: 0.132 s at 48 kHz

ECHO_REACH_SECONDS = 1.5

BIN_SECONDS, LONG_BINS = 0.005, 10

# Energy over that before the dry signal, in one bin and in `LONG_BINS`, and the share of it that all folds have alike.
ABOVE, SAME = 15.0, 0.4
ABOVE_LONG, SAME_LONG = 3.0, 0.25

ECHO_SHARE = 1e-4  # of the energy of the response


def find_echo(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> float | None:
    """Return after how many seconds the last of an echo ends; None where nothing is left after `HEARD_SECONDS`."""
    reach, width = min(int(ECHO_REACH_SECONDS * rate_hz), len(dry_T) // 4), max(int(BIN_SECONDS * rate_hz), 1)
    if reach < 2 * HEARD_SECONDS * rate_hz:
        return None
    response_FT = fold_responses(dry_T, wet_T, lag, reach, rate_hz)
    bins = reach // width
    response_FNS = response_FT[:, reach - bins * width : reach + bins * width].reshape(FOLDS, 2 * bins, width)
    first = -(-int(HEARD_SECONDS * rate_hz) // width)
    last = max(
        _last_echo(response_FNS, first, *rule) for rule in ((1, ABOVE, SAME), (LONG_BINS, ABOVE_LONG, SAME_LONG))
    )
    return last * width / rate_hz if last else None


def _last_echo(response_FNS: np.ndarray, first: int, bins: int, above: float, same: float) -> int:
    """Return the bin in which the last echo ends, counted from the dry signal, or 0; `bins` are looked at at once."""
    zero = response_FNS.shape[1] // 2
    count = (zero - first) // bins
    late_FNS = response_FNS[:, zero + first :][:, : count * bins].reshape(FOLDS, count, -1)
    early_FNS = response_FNS[:, : zero - first][:, ::-1][:, : count * bins].reshape(FOLDS, count, -1)
    late_N, early_N = (np.square(part_FNS.mean(0)).sum(1) for part_FNS in (late_FNS, early_FNS))
    near_N = np.maximum.reduce([np.pad(early_N, 1, mode="edge")[at : at + count] for at in range(3)])
    floor_N = above * np.maximum(near_N, np.quantile(early_N, 0.9)) + ECHO_SHARE * np.square(response_FNS.mean(0)).sum()
    total_N = np.square(late_FNS.sum(0)).sum(-1)
    same_N = (total_N - np.square(late_FNS).sum((0, 2))) / (total_N * (1 - 1 / FOLDS) + 1e-30)
    left_N = np.flatnonzero((late_N > floor_N) & (same_N > same))
    return first + (int(left_N[-1]) + 1) * bins if len(left_N) else 0
