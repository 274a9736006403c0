"""Decides whether the takes of a session have one delay, and corrects what a tone stack adds to their estimates.

Takes of one pass through one interface are all late by the same. Takes that were triggered one by one are not. What
tells the two apart is the delay between takes besides their minimum phase (`excess_delay`).

Shapes: N takes.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from models.recordings.excess_delay import WideResponse, excess_delay

SessionDelays = Literal["common", "each"]

FITTING, KNOWN_BAND = 0.9, 0.25  # fit and band from which an excess delay is evidence

EXACT, EXACT_BAND = 0.95, 0.12  # the same, of all takes, from which it replaces the peak of the response

ABSOLUTE, ABSOLUTE_BAND = 0.95, 0.35  # the same, against the dry signal

SAME_SAMPLES = 0.5  # between takes with one delay

PEAK_SECONDS = 0.00025  # by how much a tone stack and distortion move the peak of the response

MOST = 2 / 3  # of the takes, which make a delay the common one


def settle_delays(
    peak_N: np.ndarray, wides: Sequence[WideResponse | None], reference: int, delays: SessionDelays | None, rate_hz: int
) -> np.ndarray:
    """Return the delays of the takes of one dry signal, in samples, `(N,)`.

    `peak_N` are those of the peaks of their responses, `reference` is the take with the clearest one, and `delays` is
    what the manifest states. Where most takes have one delay, these get the same number, and the others keep their
    distance from it. Where they do not, every take is corrected for its minimum phase if that of all is known.
    """
    base = wides[reference]
    if base is None or len(peak_N) < 2:
        return peak_N
    found = [excess_delay(wide, base) if wide else None for wide in wides]
    exact = all(e and e.fit >= EXACT and e.band >= EXACT_BAND for e in found)
    known_N = np.array([exact or (e is not None and e.fit >= FITTING and e.band >= KNOWN_BAND) for e in found])
    apart_N = np.array([e.samples if e and known else 0.0 for e, known in zip(found, known_N, strict=True)])
    apart_N = np.where(known_N, apart_N, peak_N - peak_N[reference])
    middle = float(np.median(apart_N[known_N])) if known_N.any() else float(np.median(apart_N))
    near_N = np.where(known_N, SAME_SAMPLES, PEAK_SECONDS * rate_hz)
    together_N = np.abs(apart_N - middle) <= near_N
    if delays == "common":
        together_N[:] = True
    if delays != "each" and together_N.mean() >= MOST:
        common = _common_delay(peak_N, wides, together_N)
        return np.where(together_N, common, np.where(known_N, common + apart_N - middle, peak_N))
    return float(np.median(peak_N - apart_N)) + apart_N if exact else peak_N


def _common_delay(peak_N: np.ndarray, wides: Sequence[WideResponse | None], together_N: np.ndarray) -> float:
    """Return the one delay of takes: that besides their minimum phase where it is known, else the median peak."""
    found = [excess_delay(wide) for wide, together in zip(wides, together_N, strict=True) if wide and together]
    sharp = [one.samples for one in found if one.fit >= ABSOLUTE and one.band >= ABSOLUTE_BAND]
    return float(np.median(sharp if sharp else peak_N[together_N]))
