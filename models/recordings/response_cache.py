"""Responses of takes that were measured before, kept in the cache folder by the content of the audio.

Shapes: T time in samples, F frequency bins.
"""

import io
import json
from hashlib import sha256
from pathlib import Path

import numpy as np

from models.core.cache import cache_folder, read_checked, source_digest, warn_not_kept, write_checked
from models.recordings.alignment import Lag, TakeResponse, measure_response
from models.recordings.excess_delay import WideResponse

AUDIO = Path(__file__).parents[1] / "audio"

MAX_RESPONSE_BYTES = 1 << 26


def recall_response(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int, stated: float | None = None) -> TakeResponse:
    """Return what `measure_response` returns; it is measured once for the same audio and the same code.

    The key is a digest of the samples, the rate, the stated delay, and the code of `models.recordings` and
    `models.audio`. A cache that cannot be written costs time at the next call, and a warning.
    """
    path = _cached_path(dry_T, wet_T, rate_hz, stated)
    if (known := _read_response(path, rate_hz)) is None:
        known = measure_response(dry_T, wet_T, rate_hz, stated)
        lag = known.lag
        found_N = np.array([lag.delay_samples, lag.polarity, lag.drift_ppm, lag.confidence])
        content = io.BytesIO()
        np.savez(content, lag=found_N, local_F=known.local_F, allow_pickle=False, **_wide_arrays(known.wide))
        try:
            write_checked(path, content.getvalue())
        except OSError as problem:
            warn_not_kept(path.parent, "alignment", problem)
    return known


def _cached_path(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int, stated: float | None) -> Path:
    code = source_digest(Path(__file__).parent, AUDIO)
    samples = [sha256(np.ascontiguousarray(x_T, np.float32).data).hexdigest() for x_T in (dry_T, wet_T)]
    key = json.dumps([code, rate_hz, stated, *samples])
    return cache_folder() / "alignment" / f"{sha256(key.encode()).hexdigest()[:24]}.response"


def _read_response(path: Path, rate_hz: int) -> TakeResponse | None:
    """Return a stored response; None where there is none, or where the file is damaged."""
    if (content := read_checked(path, MAX_RESPONSE_BYTES)) is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        delay, polarity, drift_ppm, confidence = stored["lag"].tolist()
        wide = None
        if "response_F" in stored:
            whole, low, high = stored["wide"].tolist()
            wide = WideResponse(whole, stored["response_F"], stored["coherence_F"], int(low), int(high))
        return TakeResponse(Lag(delay, int(polarity), drift_ppm, confidence), stored["local_F"], rate_hz, wide)


def _wide_arrays(wide: WideResponse | None) -> dict[str, np.ndarray]:
    """Return what `_read_response` makes a wide response from."""
    if wide is None:
        return {}
    stated_N = np.array([wide.delay, wide.low_bin, wide.high_bin])
    return {"wide": stated_N, "response_F": wide.response_F, "coherence_F": wide.coherence_F}
