"""How late a wet take is against its dry signal, and which way up."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

MAX_LAG_SECONDS = 0.5
WHITENING = 0.7  # 0 is plain correlation, 1 is PHAT; amps colour the sound, so most of the colour is taken out
CAUSAL_MARGIN = 16  # samples: a cabinet's first arrival is earlier than its strongest


@dataclass(frozen=True)
class Lag:
    """`wet[n + delay_samples]` answers `dry[n]`; `polarity` is -1 where the take is upside down."""

    delay_samples: int
    polarity: int


def estimate_lag(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int) -> Lag:
    """Whole-sample delay of a take by generalised cross-correlation with a partly whitened spectrum.

    Knapp and Carter, "The generalized correlation method for estimation of time delay" (1976). A take whose start
    was cut has a negative delay. `CAUSAL_MARGIN` is taken off, so that no take leads its input.
    """
    size = next_fast_len(len(dry_T) + len(wet_T))
    cross = rfft(wet_T, size) * np.conj(rfft(dry_T, size))
    magnitude = np.abs(cross)
    correlation = irfft(cross / np.maximum(magnitude, 1e-9 * magnitude.max() + 1e-30) ** WHITENING, size)
    reach = min(int(MAX_LAG_SECONDS * rate_hz), size // 2 - 1)
    lags = np.arange(-reach, reach + 1)
    near = correlation[lags]
    best = int(np.argmax(np.abs(near)))
    return Lag(int(lags[best]) - CAUSAL_MARGIN, 1 if near[best] > 0 else -1)
