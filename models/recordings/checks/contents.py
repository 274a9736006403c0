"""Measures what a take has of its dry signal: silence, a splice, an echo, the dry signal itself, its levels.

Shapes: T time in samples, N frames, M takes.
"""

from dataclasses import dataclass, replace

import numpy as np

from models.audio.interpolation import read_between, recorded_span
from models.recordings.alignment import UNRELATED, Lag, causal_margin
from models.recordings.checks.echoes import find_echo
from models.recordings.checks.level_jumps import LevelJump, find_level_jump
from models.recordings.checks.muted import FRAME_SECONDS, find_muted, find_playing, frame_levels, frame_samples
from models.recordings.checks.splices import Splice, find_splice
from models.recordings.response_length import ResponseLength, measure_length

COPY_SECONDS = 10.0  # that are compared

FRAME_TYPE = np.float16  # of levels in dB: an error of 0.06 dB at most


@dataclass(frozen=True, eq=False)
class Contents:
    """What a take has of its dry signal.

    `lost_head_s` and `lost_tail_s` are seconds of the dry signal before and after the take, if it plays there; `muted`
    are spans in seconds of the dry signal that plays while the take is silent; `echo_s` is for how long the
    take still answers; `copy_esr` is the error of the dry signal itself, at the best gain and delay; `level_N` are the
    levels of the frames of the dry signal in dB, NaN beyond the take; `length` is how long its response is.
    """

    lost_head_s: float
    lost_tail_s: float
    muted: tuple[tuple[float, float], ...]
    splice: Splice | None
    echo_s: float | None
    copy_esr: float
    copy_db: float
    level_N: np.ndarray
    length: ResponseLength | None = None


@dataclass(frozen=True, eq=False)
class DryLevels:
    """Levels in dB of the frames of a dry signal, those of its first difference less these, and which of them play."""

    level_N: np.ndarray
    brightness_N: np.ndarray
    playing_N: np.ndarray


def measure_dry_levels(dry_T: np.ndarray, rate_hz: int) -> DryLevels:
    """Measure the levels of a dry signal of one frame at least."""
    count = max(len(dry_T) // frame_samples(rate_hz), 1)
    level_N, bright_N = (
        np.nan_to_num(frame_levels(x_T, rate_hz, 0, count), nan=-200.0)
        for x_T in (dry_T, np.diff(dry_T, prepend=dry_T[:1]))
    )
    return DryLevels(level_N, bright_N - level_N, find_playing(level_N))


def measure_contents(dry_T: np.ndarray, wet_T: np.ndarray, dry: DryLevels, lag: Lag, rate_hz: int) -> Contents | None:
    """Measure a take that answers its dry signal; None for one that does not."""
    if lag.confidence < UNRELATED:
        return None
    level_N = frame_levels(wet_T, rate_hz, round(lag.delay_samples), len(dry.level_N))
    copy_esr, copy_db = _compare_with_dry(dry_T, wet_T, lag, rate_hz)
    splice = find_splice(dry_T, wet_T, lag.delay_samples, rate_hz)
    recorded_N = np.flatnonzero(np.isfinite(level_N))
    first, last = (int(recorded_N[0]), int(recorded_N[-1]) + 1) if len(recorded_N) else (0, 0)
    head, tail = -lag.delay_samples, lag.delay_samples + lag.step * len(dry_T) - len(wet_T)
    return Contents(
        head / rate_hz if dry.playing_N[:first].any() else 0.0,
        tail / rate_hz if dry.playing_N[last:].any() else 0.0,
        tuple(find_muted(dry.level_N, level_N)),
        splice,
        None if splice else find_echo(dry_T, wet_T, lag, rate_hz),
        copy_esr,
        copy_db,
        level_N.astype(FRAME_TYPE),
        None if splice else measure_length(dry_T, wet_T, _as_trained(lag, rate_hz), rate_hz),
    )


def find_jumps(dry: DryLevels, contents: list[Contents]) -> list[tuple[float, LevelJump] | None]:
    """Find the jump in each of several takes of one dry signal, with the second of the dry signal where it is."""
    level_MN = np.stack([found.level_N for found in contents]).astype(np.float64)
    found: list[tuple[float, LevelJump] | None] = []
    for number, level_N in enumerate(level_MN):
        jump = find_level_jump(
            level_N, dry.level_N, dry.brightness_N, np.delete(level_MN, number, axis=0), dry.playing_N
        )
        found.append((jump.frame * FRAME_SECONDS, jump) if jump else None)
    return found


def _as_trained(lag: Lag, rate_hz: int) -> Lag:
    """Return the lag of a take that training hears `causal_margin` late: what comes before its peak is no noise."""
    return replace(lag, delay_samples=lag.delay_samples - causal_margin(rate_hz))


def _compare_with_dry(dry_T: np.ndarray, wet_T: np.ndarray, lag: Lag, rate_hz: int) -> tuple[float, float]:
    """Return the ESR of the dry signal as a model of the take, at the best gain, and that gain in dB."""
    first, last = recorded_span(len(wet_T), lag.delay_samples, lag.step, len(dry_T))
    length = min(last - first, int(COPY_SECONDS * rate_hz))
    start = (first + last - length) // 2
    wet_N = read_between(wet_T, lag.delay_samples + lag.step * start, lag.step, length)
    dry_N = dry_T[start : start + length].astype(np.float64)
    gain = float(dry_N @ wet_N) / (float(dry_N @ dry_N) + 1e-30)
    energy = float(wet_N @ wet_N)
    error = float(np.square(wet_N - gain * dry_N).sum()) / energy if energy > 0 else 1.0
    return error, 20 * np.log10(abs(gain) + 1e-10)
