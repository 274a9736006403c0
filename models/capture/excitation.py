"""The signal to play through a device while it is recorded.

It holds what training, and the check of the recordings, need. In this order, at any length from `SHORTEST_S` on:

| part | what | why |
|---|---|---|
| silence | nothing | the noise floor and the hum of the recording |
| blips | two single samples | the delay and polarity of the take, the impulse response of a clean one |
| repeat | a bar of guitar | compared with its copy below: it shows what changed in between, as a device warms up |
| sweeps | 20 Hz to 20 kHz, louder and louder, then softer and softer | every frequency at several levels |
| noise | rises from -60 dBFS and falls again | every frequency at once, at every level |
| bursts | clicks, noise bursts, plucks at every level | high crest: what would blow up at settings between takes |
| music | guitar: picked notes, chords, palm mutes, in pieces of falling level | what will be played, also softly |
| repeat, blips | the same bar, then the same blips | repeatability; clock drift, from blips far apart |
| held | other guitar pieces | audio that is absent from training |

Whatever occurs twice lies before `held`: a split by time (`held_seconds`, `validation_seconds` in the data config)
takes its test audio from there, and test audio must not occur in training.
"""

from hashlib import md5
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.audio.bursts import bursts
from models.audio.guitar import guitar
from models.audio.io import DITHER, read_audio
from models.core.errors import UserError

SHORTEST_S, LONGEST_S = 20.0, 3600.0

SIGNAL_SECONDS = 180.0

SILENCE_S = 1.0

BLIPS_S = (0.25, 0.75)  # after the silence

BLIP_ROOM_S = 1.25  # for both blips

REPEAT_S = 2.0

SWEEP_SHARE, NOISE_SHARE, BURST_SHARE, HELD_SHARE = 0.10, 0.06, 0.05, 0.20  # of the whole

BURST_SLOT_S = 0.125

SWEEPS = 4

SWEEP_LOW_HZ, SWEEP_HIGH_HZ = 20.0, 20_000.0

BLIP, LOUD_DB, SOFT_DB, NOISE_LEVELS_DB = 0.9, -3.0, -50.0, (-60.0, -9.0)  # amplitude; dBFS of sweeps and noise

GAP_S = 0.25  # of silence between parts, so that the device settles

LONGEST_PIECE_S = 8.0

PIECES_DB = (0.0, -6.0, -14.0, 0.0, -26.0)

NAM_INPUTS = {  # MD5 of the file, as in `nam/train/core.py` of neural-amp-modeler
    "4d54a958861bf720ec4637f43d44a7ef": "1.0.0",
    "7c3b6119c74465f79d96c761a0e27370": "1.1.1",
    "ede3b9d82135ce10c7ace3bb27469422": "2.0.0",
    "36cd1af62985c2fac3e654333e36431e": "3.0.0",
}

REPEAT_SEED, BURST_SEED, MUSIC_SEED, HELD_SEED = 1, 50, 100, 10_000


class Span(NamedTuple):
    """Samples from `start` to `stop - 1`."""

    start: int
    stop: int


class Parts(NamedTuple):
    """Where the parts of the signal are, in samples: single `blips`, and two `repeats` of the same audio."""

    silence: Span
    blips: tuple[int, ...]
    repeats: tuple[Span, Span]
    sweeps: tuple[Span, ...]
    noise: Span
    bursts: Span
    music: Span
    held: Span


def find_parts(seconds: float, rate_hz: int) -> Parts:
    """Return where the parts of a signal of that length are; raises `UserError` for a length that is not legal."""
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise UserError(
            f"an excitation signal of {seconds:g} s cannot be made; legal are {SHORTEST_S:g} to {LONGEST_S:g} s",
            f"The default is {SIGNAL_SECONDS:g} s.",
        )
    seconds, at, spans = round(seconds * rate_hz) / rate_hz, 0.0, []
    sweep_s, held_s = SWEEP_SHARE * seconds / SWEEPS, HELD_SHARE * seconds
    head_s = [SILENCE_S, BLIP_ROOM_S, REPEAT_S, *[sweep_s] * SWEEPS, NOISE_SHARE * seconds, BURST_SHARE * seconds]
    tail_s = [REPEAT_S, BLIP_ROOM_S, held_s]
    music_s = seconds - sum(head_s) - sum(tail_s)
    for length in (*head_s, music_s, *tail_s):
        spans.append(Span(round(at * rate_hz), round((at + length) * rate_hz)))
        at += length
    gap = round(GAP_S * rate_hz)
    silence, first, repeat, *sweeps, noise, crests, music, again, last, held = spans
    blips = tuple(room.start + round(offset * rate_hz) for room in (first, last) for offset in BLIPS_S)
    parts = (repeat, *sweeps, noise, crests, music)
    repeat, *sweeps, noise, crests, music = (Span(s.start, s.stop - gap) for s in parts)
    again = Span(again.start, again.start + repeat.stop - repeat.start)
    return Parts(silence, blips, (repeat, again), tuple(sweeps), noise, crests, music, held)


def recognize(x_T: np.ndarray, rate_hz: int) -> Parts | None:
    """Return the parts of `x_T` if it is a signal of this module, else None.

    It is recognized at its own rate and length, at 16 bit or more; so are signals from before there were bursts, whose
    music begins where these are.
    """
    seconds = len(x_T) / rate_hz
    if not SHORTEST_S <= seconds <= LONGEST_S:
        return None
    parts = find_parts(seconds, rate_hz)
    first, again = (x_T[span.start : span.stop] for span in parts.repeats)
    quiet = np.abs(x_T[parts.silence.start : parts.silence.stop]).max() < DITHER
    blips = np.abs(x_T[list(parts.blips)] - BLIP).max() < DITHER
    return parts if quiet and blips and np.abs(first - again).max() < DITHER else None


def describe_signal(path: Path) -> str | None:
    """Describe a dry signal that is known: one of this module, or a standard input of NAM; None for any other.

    Raises `UserError` when the file is not audio.
    """
    if version := NAM_INPUTS.get(md5(path.read_bytes(), usedforsecurity=False).hexdigest()):
        return f"the standard input of NAM, version {version}"
    x_T, rate_hz = read_audio(path, channel=0)
    if parts := recognize(x_T, rate_hz):
        held_s = (parts.held.stop - parts.held.start) / rate_hz
        return (
            f"an excitation signal of {len(x_T) / rate_hz:g} s, whose last {held_s:g} s are for testing (held_seconds)"
        )
    return None


def excitation(seconds: float = SIGNAL_SECONDS, rate_hz: int = 48000) -> np.ndarray:
    """Return the signal, float32 `(round(seconds * rate_hz),)`, inside -1 to 1.

    The same arguments give the same samples. Raises as `find_parts` does.
    """
    parts = find_parts(seconds, rate_hz)
    x_T = np.zeros(round(seconds * rate_hz), np.float32)
    x_T[list(parts.blips)] = BLIP
    for span in parts.repeats:
        x_T[span.start : span.stop] = _fade_ends(
            guitar(REPEAT_S - GAP_S, rate_hz, REPEAT_SEED)[: span.stop - span.start]
        )
    for number, span in enumerate(parts.sweeps):
        levels = (SOFT_DB, LOUD_DB) if number % 2 == 0 else (LOUD_DB, SOFT_DB)
        x_T[span.start : span.stop] = _fade_ends(_sweep(span.stop - span.start, rate_hz, *levels))
    x_T[parts.noise.start : parts.noise.stop] = _noise(parts.noise.stop - parts.noise.start)
    crests = parts.bursts
    x_T[crests.start : crests.stop] = bursts(crests.stop - crests.start, round(BURST_SLOT_S * rate_hz), BURST_SEED)
    for span, seed in ((parts.music, MUSIC_SEED), (parts.held, HELD_SEED)):
        x_T[span.start : span.stop] = _music(span.stop - span.start, rate_hz, seed)
    return x_T


def _sweep(samples: int, rate_hz: int, first_db: float, last_db: float) -> np.ndarray:
    """Return an exponential sine sweep (Farina, AES 108, 2000) whose level in dB changes linearly."""
    high_hz = min(SWEEP_HIGH_HZ, 0.45 * rate_hz)
    time_N, octaves = np.linspace(0, 1, samples), np.log(high_hz / SWEEP_LOW_HZ)
    phase_N = 2 * np.pi * SWEEP_LOW_HZ * samples / rate_hz / octaves * np.expm1(octaves * time_N)
    return 10 ** ((first_db + (last_db - first_db) * time_N) / 20) * np.sin(phase_N)


def _noise(samples: int) -> np.ndarray:
    """Return white noise whose level in dB rises linearly to the middle and falls again, clipped inside full scale."""
    low_db, high_db = NOISE_LEVELS_DB
    level_db_N = low_db + (high_db - low_db) * (1 - np.abs(np.linspace(-1, 1, samples)))
    return 10 ** (level_db_N / 20) * np.clip(np.random.default_rng(MUSIC_SEED).standard_normal(samples), -2.8, 2.8)


def _music(samples: int, rate_hz: int, seed: int) -> np.ndarray:
    """Return guitar pieces of different seeds, one after the other, at each of the levels in turn."""
    pieces, longest = [], min(round(LONGEST_PIECE_S * rate_hz), -(-samples // len(PIECES_DB)))
    for number, start in enumerate(range(0, samples, longest)):
        length = min(longest, samples - start)
        level_db = PIECES_DB[number % len(PIECES_DB)]
        pieces.append(10 ** (level_db / 20) * _fade_ends(guitar(length / rate_hz, rate_hz, seed + number)))
    return np.concatenate(pieces)


def _fade_ends(x_N: np.ndarray) -> np.ndarray:
    """Fade in and out over 5 ms at 48 kHz (240 samples)."""
    fade = np.minimum(np.arange(1, len(x_N) + 1), np.arange(len(x_N), 0, -1)) / 240
    return x_N * np.minimum(fade, 1.0)
