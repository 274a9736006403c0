"""The signal to play through a device while it is recorded: everything a model, and the check of the recordings, needs to hear.

In this order, at any length from `SHORTEST_S` on:

| part | what | why |
|---|---|---|
| silence | nothing | the noise floor and the hum of the recording |
| blips | two single samples | the delay and polarity of the take, the impulse response of a clean one |
| repeat | a bar of guitar | compared with its copy below: what the device, warming up, or the recordist changed meanwhile |
| sweeps | 20 Hz to 20 kHz, louder and louder, then softer and softer | every frequency at several levels: the tone stack, and where distortion begins |
| noise | rises from -60 dBFS and falls again | every frequency at once, so that memory cannot hide behind a tone; the foot of the dynamics |
| music | guitar: picked notes, chords, palm mutes, in pieces of falling level | what will be played; quiet pieces because knobs differ most there |
| repeat, blips | the same bar, then the same blips | repeatability; clock drift, from blips as far apart as can be |
| held | other guitar pieces | what no training may hear |

Whatever occurs twice lies before `held`: a split by time keeps that part for judging (`held_seconds`, `validation_seconds` in the data
config), and judged audio must not occur in training.
"""

from typing import NamedTuple

import numpy as np

from models.audio.guitar import guitar
from models.audio.io import CHANNEL_TOLERANCE
from models.core.errors import UserError

SHORTEST_S, LONGEST_S = 20.0, 3600.0

SECONDS = 180.0

SILENCE_S = 1.0

BLIPS_S = (0.25, 0.75)  # after the silence

BLIP_ROOM_S = 1.25

REPEAT_S = 2.0

SWEEP_SHARE, NOISE_SHARE, HELD_SHARE = 0.10, 0.06, 0.20  # of the whole

SWEEPS = 4

LOW_HZ, HIGH_HZ = 20.0, 20_000.0

BLIP, LOUD_DB, SOFT_DB, NOISE_DB = 0.9, -3.0, -50.0, (-60.0, -9.0)

GAP_S = 0.25  # of silence between parts, so that the device comes to rest

LONGEST_PIECE_S = 8.0

PIECES_DB = (0.0, -6.0, -14.0, 0.0, -26.0)

REPEAT_SEED, MUSIC_SEED, HELD_SEED = 1, 100, 10_000


class Span(NamedTuple):
    """Samples `start <= n < stop`."""

    start: int
    stop: int


class Parts(NamedTuple):
    """Where the parts of the signal are, in samples. `blips` are single samples; `repeats` are two spans of the same sound."""

    silence: Span
    blips: tuple[int, ...]
    repeats: tuple[Span, Span]
    sweeps: tuple[Span, ...]
    noise: Span
    music: Span
    held: Span


def find_parts(seconds: float, rate_hz: int) -> Parts:
    """Where the parts of a signal of that length and rate are; raises `UserError` when it would be too short for them."""
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise UserError(
            f"an excitation signal of {seconds:g} s cannot be made; legal are {SHORTEST_S:g} to {LONGEST_S:g} s",
            f"The default is {SECONDS:g} s.",
        )
    seconds, at, spans = round(seconds * rate_hz) / rate_hz, 0.0, []
    sweep_s, held_s = SWEEP_SHARE * seconds / SWEEPS, HELD_SHARE * seconds
    head_s = [SILENCE_S, BLIP_ROOM_S, REPEAT_S, *[sweep_s] * SWEEPS, NOISE_SHARE * seconds]
    tail_s = [REPEAT_S, BLIP_ROOM_S, held_s]
    music_s = seconds - sum(head_s) - sum(tail_s)
    for length in (*head_s, music_s, *tail_s):
        spans.append(Span(round(at * rate_hz), round((at + length) * rate_hz)))
        at += length
    gap = round(GAP_S * rate_hz)
    silence, first, repeat, *sweeps, noise, music, again, last, held = spans
    blips = tuple(room.start + round(offset * rate_hz) for room in (first, last) for offset in BLIPS_S)
    repeat, *sweeps, noise, music = (Span(s.start, s.stop - gap) for s in (repeat, *sweeps, noise, music))
    again = Span(again.start, again.start + repeat.stop - repeat.start)
    return Parts(silence, blips, (repeat, again), tuple(sweeps), noise, music, held)


def recognize(x_T: np.ndarray, rate_hz: int) -> Parts | None:
    """The parts of a dry signal, where it is one of ours (at its own rate, however many bits were kept); else None."""
    seconds = len(x_T) / rate_hz
    if not SHORTEST_S <= seconds <= LONGEST_S:
        return None
    parts = find_parts(seconds, rate_hz)
    first, again = (x_T[span.start : span.stop] for span in parts.repeats)
    quiet = np.abs(x_T[parts.silence.start : parts.silence.stop]).max() < CHANNEL_TOLERANCE
    blips = np.abs(x_T[list(parts.blips)] - BLIP).max() < CHANNEL_TOLERANCE
    return parts if quiet and blips and np.abs(first - again).max() < CHANNEL_TOLERANCE else None


def excitation(seconds: float = SECONDS, rate_hz: int = 48000) -> np.ndarray:
    """The signal, float32 `(round(seconds * rate_hz),)` inside -1 to 1. The same arguments give the same samples.

    Raises `UserError` as `find_parts` does.
    """
    parts = find_parts(seconds, rate_hz)
    x_T = np.zeros(round(seconds * rate_hz), np.float32)
    x_T[list(parts.blips)] = BLIP
    for span in parts.repeats:
        x_T[span.start : span.stop] = _at_rest(guitar(REPEAT_S - GAP_S, rate_hz, REPEAT_SEED)[: span.stop - span.start])
    for number, span in enumerate(parts.sweeps):
        levels = (SOFT_DB, LOUD_DB) if number % 2 == 0 else (LOUD_DB, SOFT_DB)
        x_T[span.start : span.stop] = _at_rest(_sweep(span.stop - span.start, rate_hz, *levels))
    x_T[parts.noise.start : parts.noise.stop] = _noise(parts.noise.stop - parts.noise.start)
    for span, seed in ((parts.music, MUSIC_SEED), (parts.held, HELD_SEED)):
        x_T[span.start : span.stop] = _music(span.stop - span.start, rate_hz, seed)
    return x_T


def _sweep(samples: int, rate_hz: int, first_db: float, last_db: float) -> np.ndarray:
    """A tone that rises by the same interval in the same time (Farina, AES 108, 2000), its level in dB running straight."""
    high_hz = min(HIGH_HZ, 0.45 * rate_hz)
    turn_N, octaves = np.linspace(0, 1, samples), np.log(high_hz / LOW_HZ)
    phase_N = 2 * np.pi * LOW_HZ * samples / rate_hz / octaves * np.expm1(octaves * turn_N)
    return 10 ** ((first_db + (last_db - first_db) * turn_N) / 20) * np.sin(phase_N)


def _noise(samples: int) -> np.ndarray:
    """White noise whose level rises to the middle and falls again, straight in dB; its peaks are held inside full scale."""
    low_db, high_db = NOISE_DB
    level_db_N = low_db + (high_db - low_db) * (1 - np.abs(np.linspace(-1, 1, samples)))
    return 10 ** (level_db_N / 20) * np.clip(np.random.default_rng(MUSIC_SEED).standard_normal(samples), -2.8, 2.8)


def _music(samples: int, rate_hz: int, seed: int) -> np.ndarray:
    """Guitar pieces one after the other, each of another seed and at the next of the levels; at least one at each level."""
    pieces, longest = [], min(round(LONGEST_PIECE_S * rate_hz), -(-samples // len(PIECES_DB)))
    for number, start in enumerate(range(0, samples, longest)):
        length = min(longest, samples - start)
        level_db = PIECES_DB[number % len(PIECES_DB)]
        pieces.append(10 ** (level_db / 20) * _at_rest(guitar(length / rate_hz, rate_hz, seed + number)))
    return np.concatenate(pieces)


def _at_rest(x_N: np.ndarray) -> np.ndarray:
    """The same, begun and ended within 5 ms of nothing."""
    fade = np.minimum(np.arange(1, len(x_N) + 1), np.arange(len(x_N), 0, -1)) / 240
    return x_N * np.minimum(fade, 1.0)
