"""Finds where a take is silent while its dry signal plays, from levels alone.

Shapes: T time in samples, N frames.
"""

import numpy as np
from scipy.signal import butter, sosfilt

FRAME_SECONDS = 0.02

BAND_HZ = (100.0, 4000.0)  # what every amp and every speaker plays

PLAYING_DB = 30.0  # below its loud level, at most: a noise gate stays open there

MUTED_DB = 40.0  # below what the take makes of its dry signal elsewhere

MUTED_SECONDS = 0.08

LOUD_SHARE = 95  # percentile of the levels of all frames

FLOOR = 1e-20  # of a mean square


def frame_levels(x_T: np.ndarray, rate_hz: int, first: int, count: int) -> np.ndarray:
    """Return the level in dB of `count` frames from sample `first` on, inside `BAND_HZ`, `(N,)`.

    A frame that is not wholly inside the signal is NaN.
    """
    top_hz = min(BAND_HZ[1], 0.4 * rate_hz)
    band_T = sosfilt(butter(2, (BAND_HZ[0], top_hz), "bandpass", fs=rate_hz, output="sos"), x_T.astype(np.float64))
    frame = frame_samples(rate_hz)
    energy_T = np.concatenate([[0.0], np.cumsum(np.square(band_T))])
    edge_N = first + frame * np.arange(count + 1)
    inside_N = (edge_N[:-1] >= 0) & (edge_N[1:] <= len(x_T))
    at_N = np.clip(edge_N, 0, len(x_T))
    power_N = np.maximum(np.diff(energy_T[at_N]), 0) / frame
    return np.where(inside_N, 10 * np.log10(power_N + FLOOR), np.nan)


def frame_samples(rate_hz: int) -> int:
    """Return the length of a frame."""
    return max(round(FRAME_SECONDS * rate_hz), 1)


def find_playing(dry_N: np.ndarray) -> np.ndarray:
    """Return which frames of a dry signal play, by their levels in dB, `(N,)` bool."""
    return dry_N > np.percentile(dry_N, LOUD_SHARE) - PLAYING_DB


def find_muted(dry_N: np.ndarray, wet_N: np.ndarray) -> list[tuple[float, float]]:
    """Find `(start, stop)`, in seconds of the dry signal, where it plays and the take is silent.

    Levels in dB of the same frames, as `frame_levels` returns them. What lies between two such frames belongs to the
    span if the take is silent there, too.
    """
    playing_N = find_playing(dry_N) & np.isfinite(wet_N)
    if not playing_N.any():
        return []
    made_N = np.where(playing_N, wet_N - dry_N, np.nan)
    usual = np.nanpercentile(made_N[wet_N > np.nanmax(wet_N) - 2 * MUTED_DB], 50)
    quiet_N = np.isfinite(wet_N) & (wet_N < dry_N + usual - MUTED_DB)
    below = np.nanmax(wet_N[playing_N]) - PLAYING_DB - MUTED_DB / 2
    still_N = quiet_N | (~playing_N & (np.nan_to_num(wet_N, nan=0.0) < below))
    edge_N = np.flatnonzero(np.diff(np.concatenate([[False], still_N, [False]]).astype(int)))
    found = []
    for start, stop in zip(edge_N[::2], edge_N[1::2], strict=True):
        lost_N = start + np.flatnonzero((quiet_N & playing_N)[start:stop])
        if len(lost_N) * FRAME_SECONDS >= MUTED_SECONDS:
            found.append((float(lost_N[0] * FRAME_SECONDS), float((lost_N[-1] + 1) * FRAME_SECONDS)))
    return found
