"""Finds an echo or a reverb: what a take still plays of its dry signal after longer than a model hears.

It is the response (`fold_responses`) to a source, where that is larger than before the source and the same in all
folds. The source is the dry signal behind the saturation, without memory, that explains the take best: what distortion
adds would be noise in a response to the dry signal itself. For the same reason what models hear is subtracted first.

Shapes: T time in samples, N bins of the response, F folds, S samples of a bin.
"""

import numpy as np

from models.audio.interpolation import read_between, recorded_span
from models.recordings.alignment import Lag
from models.recordings.fold_responses import FOLDS, fold_responses

HEARD_SECONDS = 0.15  # A2-Full, the longest of NAM's standard models, hears 6,347 samples: 0.132 s at 48 kHz

ECHO_REACH_SECONDS = 1.5

BIN_SECONDS, LONG_BINS = 0.005, 10

# Energy over that before the dry signal, in one bin and in `LONG_BINS`, and the share of it that all folds have alike.
ABOVE, SAME = 6.0, 0.5
ABOVE_LONG, SAME_LONG = 2.0, 0.25

# What folds have alike has no noise on average: its energy over the largest before the dry signal, in `DIFFUSE_BINS`.
# Real amps without a reverb have up to 5.6 at a share of 0.0012, and 1.8 at 0.0075 (hrd3).
DIFFUSE_BINS, ABOVE_DIFFUSE, DIFFUSE_SHARE = 20, 2.5, 0.005

ECHO_SHARE = 1e-4  # of the energy of the response

SATURATIONS = (0.0, 0.3, 1.0, 3.0, 10.0)  # drives of a tanh, at the RMS of the dry signal; 0 is the dry signal itself

SOURCE_SECONDS, NEAR_SECONDS = 10.0, 0.02  # of the take and of the response, by which the saturation is chosen


def find_echo(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> float | None:
    """Return after how many seconds the last of an echo ends; None where nothing is left after `HEARD_SECONDS`."""
    reach, width = min(int(ECHO_REACH_SECONDS * rate_hz), len(dry_T) // 4), max(int(BIN_SECONDS * rate_hz), 1)
    if reach < 2 * HEARD_SECONDS * rate_hz:
        return None
    start, stop = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    left_T = read_between(wet_T, lag.delay_samples, lag.step, len(dry_T))
    source_T = _closest_source(dry_T, left_T, rate_hz)
    heard_T, played_T = _play_heard(source_T, left_T, HEARD_SECONDS, rate_hz)
    left_T -= played_T
    left_T[:start] = left_T[stop:] = 0
    response_FT = fold_responses(source_T, left_T, Lag(0.0, 1), reach, rate_hz)
    bins = reach // width
    response_FNS = response_FT[:, reach - bins * width : reach + bins * width].reshape(FOLDS, 2 * bins, width)
    whole = float(np.square(heard_T).sum())
    first = -(-int(HEARD_SECONDS * rate_hz) // width)
    last = max(
        _last_echo(response_FNS, whole, first, *rule) for rule in ((1, ABOVE, SAME), (LONG_BINS, ABOVE_LONG, SAME_LONG))
    )
    last = max(last, _last_diffuse(response_FNS, whole, first))
    return last * width / rate_hz if last else None


def _closest_source(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the dry signal, saturated as the take is, as far as `SATURATIONS` and the middle of the take tell."""
    drive = 1 / (float(np.sqrt(np.square(dry_T, dtype=np.float64).mean())) + 1e-30)
    length = min(len(dry_T), int(SOURCE_SECONDS * rate_hz))
    part = slice((len(dry_T) - length) // 2, (len(dry_T) + length) // 2)

    def saturate(x_T: np.ndarray, saturation: float) -> np.ndarray:
        return np.tanh(saturation * drive * x_T.astype(np.float64)) if saturation else x_T.astype(np.float64)

    def missed(saturation: float) -> float:
        source_T = saturate(dry_T[part], saturation)
        return float(np.square(wet_T[part] - _play_heard(source_T, wet_T[part], NEAR_SECONDS, rate_hz)[1]).sum())

    return saturate(dry_T, min(SATURATIONS, key=missed))


def _play_heard(source_T: np.ndarray, wet_T: np.ndarray, seconds: float, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the response within some seconds of a source, `(2 * reach,)`, and the source played through it, `(T,)`."""
    from scipy.signal import oaconvolve  # half a second, which takes without a check need not wait for

    reach = int(seconds * rate_hz)
    response_T = fold_responses(source_T, wet_T, Lag(0.0, 1), reach, rate_hz).mean(0)
    return response_T, oaconvolve(source_T, response_T)[reach : reach + len(source_T)]


def _last_diffuse(response_FNS: np.ndarray, whole: float, first: int) -> int:
    """Return the bin in which a reverb ends, as `_last_echo` does: by the energy of what all folds have alike."""
    zero = response_FNS.shape[1] // 2
    count = (zero - first) // DIFFUSE_BINS
    late_N, early_N = (
        (np.square(part_FNS.sum(0)).sum(-1) - np.square(part_FNS).sum((0, 2))) / (FOLDS * (FOLDS - 1))
        for part_FNS in (
            half_FNS[:, first : first + count * DIFFUSE_BINS].reshape(FOLDS, count, -1)
            for half_FNS in (response_FNS[:, zero:], response_FNS[:, :zero][:, ::-1])
        )
    )
    left_N = np.flatnonzero(late_N > np.maximum(ABOVE_DIFFUSE * np.abs(early_N).max(), DIFFUSE_SHARE * whole))
    return first + (int(left_N[-1]) + 1) * DIFFUSE_BINS if len(left_N) else 0


def _last_echo(response_FNS: np.ndarray, whole: float, first: int, bins: int, above: float, same: float) -> int:
    """Return the bin in which the last echo ends, counted from the source, or 0; `bins` are looked at at once.

    `whole` is the energy of the response that models hear.
    """
    zero = response_FNS.shape[1] // 2
    count = (zero - first) // bins
    late_FNS = response_FNS[:, zero + first :][:, : count * bins].reshape(FOLDS, count, -1)
    early_FNS = response_FNS[:, : zero - first][:, ::-1][:, : count * bins].reshape(FOLDS, count, -1)
    late_N, early_N = (np.square(part_FNS.mean(0)).sum(1) for part_FNS in (late_FNS, early_FNS))
    near_N = np.maximum.reduce([np.pad(early_N, 1, mode="edge")[at : at + count] for at in range(3)])
    floor_N = above * np.maximum(near_N, np.quantile(early_N, 0.9)) + ECHO_SHARE * whole
    total_N = np.square(late_FNS.sum(0)).sum(-1)
    same_N = (total_N - np.square(late_FNS).sum((0, 2))) / (total_N * (1 - 1 / FOLDS) + 1e-30)
    left_N = np.flatnonzero((late_N > floor_N) & (same_N > same))
    return first + (int(left_N[-1]) + 1) * bins if len(left_N) else 0
