"""How long the takes' response is: the receptive field that a model of them needs.

A cabinet, a transformer or a coupling capacitor plays on for longer than the distortion before it. A model whose
receptive field ends earlier misses that tail, whatever its size: the error is the energy of what the dry signal does
through the tail, over that of the whole response.

Shapes: T time in samples of the response, N bins of its transform, F folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from scipy.fft import next_fast_len, rfft

from models.recordings.alignment import Lag
from models.recordings.dataset import AmpData
from models.recordings.fold_responses import FOLDS, fold_responses

TAIL_REACH_SECONDS = 0.3

SHORTEST_REACH_SECONDS = 0.02  # of a take too short to measure more

TAIL_STEPS = 40  # lengths that are tried, evenly spaced in ratio

FIRST_TAIL_SECONDS = 0.0005

TAIL_NOISE = 2.0  # times the same measure before the dry signal, where there is only noise; less tells nothing

FITTED_DECADES = 1.0  # of the last part of the decay that is seen; it goes on below the noise

LENGTH_TAKES = 6  # of an amp, at most

GOOD_ESR = 1e-3  # of what is missed: a good model is left with ten times as much

USELESS_ESR = 0.03  # a model that misses more is not worth training


@dataclass(frozen=True)
class ResponseLength:
    """The decay of a response: models that hear for `seconds` miss `esrs` of it, as far as noise lets one see.

    Below that it falls by the factor e in `decay_s`; `longest_s` is as far as was looked.
    """

    seconds: tuple[float, ...]
    esrs: tuple[float, ...]
    decay_s: float
    longest_s: float

    def needed(self, esr: float) -> float:
        """Return the seconds after which no more than this is left: 0 below the first length, at most `longest_s`."""
        if self.esrs[0] <= esr:
            return 0.0
        for second, left in zip(self.seconds, self.esrs, strict=True):
            if left <= esr:
                return second
        return min(self.seconds[-1] + self.decay_s * log(self.esrs[-1] / esr), self.longest_s)


def measure_length(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> ResponseLength | None:
    """Measure the response of a take that answers its dry signal; None for one that is too short or silent."""
    reach = min(int(TAIL_REACH_SECONDS * rate_hz), len(dry_T) // 8)
    if reach < SHORTEST_REACH_SECONDS * rate_hz:
        return None
    response_FT = fold_responses(dry_T, wet_T, lag, reach, rate_hz)
    size = next_fast_len(2 * reach, real=True)
    from scipy.signal import welch  # half a second, which trials of a search need not wait for

    power_N = welch(dry_T.astype(np.float64), nperseg=min(size, len(dry_T)), nfft=size)[1]
    whole = _common_energy(response_FT, power_N, size)
    if whole <= 0:
        return None
    lengths = np.geomspace(max(FIRST_TAIL_SECONDS * rate_hz, 1), reach, TAIL_STEPS).round().astype(int)
    late, early = np.zeros(TAIL_STEPS), np.zeros(TAIL_STEPS)
    for step, length in enumerate(lengths):
        after, before = response_FT.copy(), response_FT.copy()
        after[:, : reach + length] = 0
        before[:, max(reach - length, 0) :] = 0
        late[step], early[step] = (_common_energy(part, power_N, size) / whole for part in (after, before))
    noise = np.maximum.accumulate(np.abs(early[::-1]))[::-1]
    hidden = np.flatnonzero(late <= TAIL_NOISE * noise)
    seen = max(int(hidden[0]) if len(hidden) else TAIL_STEPS, 1)
    second_S, esr_S = lengths[:seen] / rate_hz, np.minimum.accumulate(np.maximum(late[:seen], 1e-12))
    return ResponseLength(tuple(second_S.tolist()), tuple(esr_S.tolist()), _fit_decay(second_S, esr_S), reach / rate_hz)


def _fit_decay(second_S: np.ndarray, esr_S: np.ndarray) -> float:
    """Return the time constant of the last part of a falling curve; 0 where too little of it is seen."""
    last_S = esr_S <= esr_S[-1] * 10**FITTED_DECADES
    if last_S.sum() < 3:
        return 0.0
    slope = float(np.polyfit(second_S[last_S], np.log(esr_S[last_S]), 1)[0])
    return -1 / slope if slope < 0 else 0.0


def lengths_of(data: AmpData) -> list[ResponseLength]:
    """Measure some takes that an amp is trained on, all over its settings."""
    pieces = data.train[:: -(-len(data.train) // LENGTH_TAKES)] if data.train else ()
    found = [
        measure_length(
            data.dry_T[piece.dry][piece.start : piece.stop].numpy(),
            piece.wet_T[piece.start : piece.stop].numpy(),
            Lag(0.0, 1),
            data.rate_hz,
        )
        for piece in pieces
    ]
    return [length for length in found if length]


def needed_field(lengths: Sequence[ResponseLength], esr: float, rate_hz: int) -> int:
    """Return the receptive field in samples with which a model misses no more than this of any take; 1 without any."""
    return max([1 + round(length.needed(esr) * rate_hz) for length in lengths], default=1)


def _common_energy(response_FT: np.ndarray, power_N: np.ndarray, size: int) -> float:
    """Return the energy of what all folds have alike, played by a signal of this power: noise adds nothing on average.

    It is the mean of the products of different folds.
    """
    spectrum_FN = rfft(response_FT, size)
    sum_N = np.square(np.abs(spectrum_FN.sum(0))) - np.square(np.abs(spectrum_FN)).sum(0)
    return float((power_N * sum_N).sum()) / (FOLDS * (FOLDS - 1))
