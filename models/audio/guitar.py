"""A synthetic guitar signal (DI), free of anyone's copyright: the dry audio of the quickstart and of demo clips.

It plays chords, arpeggios, lead lines and palm mutes on a tempo grid at several dynamics, so that an amp is driven
softly and hard, and notes die away. Each seed is another piece of music.
"""

from typing import NamedTuple

import numpy as np

from models.core.errors import UserError

PEAK = 0.7

NOISE_FLOOR_DB = -88.0

OPEN_STRINGS_MIDI = (40, 45, 50, 55, 59, 64)  # standard tuning, E2 A2 D3 G3 B3 E4

STYLES = ("strum", "lead", "chug", "arpeggio", "power")

LEVELS_DB = (0.0, -3.0, -8.0, -14.0, -22.0)

PHRASE_EIGHTHS = 4

RINGING_S = 0.25  # seconds after which the filters of the pickup have died away, by more than 300 dB

Step = tuple[float, float, float, float, bool]  # start and length in eighths, MIDI pitch, accent (0 to 1), muted

CHORD_SHAPES = {  # frets from the low E string up; None is a string that is not played
    "E": (0, 2, 2, 1, 0, 0), "Em": (0, 2, 2, 0, 0, 0), "A": (None, 0, 2, 2, 2, 0), "Am": (None, 0, 2, 2, 1, 0),
    "B7": (None, 2, 1, 2, 0, 2), "C": (None, 3, 2, 0, 1, 0), "D": (None, None, 0, 2, 3, 2),
    "Dm": (None, None, 0, 2, 3, 1), "F": (1, 3, 3, 2, 1, 1), "G": (3, 2, 0, 0, 0, 3),
}  # fmt: skip

SONGS = (  # chord progression, tonic of the lead line (MIDI), its scale in semitones
    (("Em", "C", "G", "D"), 64, (0, 3, 5, 7, 10)),
    (("Am", "F", "C", "G"), 57, (0, 3, 5, 7, 10)),
    (("E", "A", "E", "B7"), 64, (0, 3, 4, 5, 7, 9, 10)),
    (("Dm", "Am", "C", "G"), 62, (0, 2, 3, 5, 7, 9, 10)),
    (("G", "C", "Em", "D"), 55, (0, 2, 4, 7, 9)),
)


class Note(NamedTuple):
    """A plucked string: start and length in seconds, MIDI pitch, velocity (0 to 1), and whether it is muted."""

    start_s: float
    length_s: float
    midi: float
    velocity: float
    muted: bool = False


def guitar(seconds: float, rate_hz: int, seed: int) -> np.ndarray:
    """Return `seconds` of guitar, mono float32 `(round(seconds * rate_hz),)` with a peak of about 0.7.

    The same arguments give the same samples. Raises `UserError` when that is not even one sample.
    """
    samples = round(seconds * rate_hz)
    if samples < 1:
        raise UserError(f"guitar of {seconds} s at {rate_hz} Hz has no sample", "Ask for a longer time.")
    rng = np.random.default_rng(seed)
    x_T = np.zeros(samples)
    for note in _compose(seconds, rng):
        start = round(note.start_s * rate_hz)
        sound_N = _pluck(note, rate_hz, rng)[: max(samples - start, 0)]
        x_T[start : start + len(sound_N)] += sound_N
    x_T = _pickup(x_T, rate_hz)
    x_T *= PEAK / max(np.abs(x_T).max(), 1e-9)
    x_T += PEAK * 10 ** (NOISE_FLOOR_DB / 20) * rng.standard_normal(samples)
    fade = min(samples, rate_hz // 100)
    x_T[samples - fade :] *= np.linspace(1.0, 0.0, fade)
    return x_T.astype(np.float32)


def _compose(seconds: float, rng: np.random.Generator) -> list[Note]:
    """Return the notes of `seconds` of music: phrases of two beats, each of one style, one chord and one dynamic."""
    progression, tonic_midi, scale = SONGS[rng.integers(len(SONGS))]
    capo = int(rng.integers(5))
    eighth_s = 30.0 / rng.uniform(95.0, 150.0)
    phrases = int(np.ceil(seconds / (PHRASE_EIGHTHS * eighth_s)))
    styles, levels_db = _draw_evenly(STYLES, phrases, rng), _draw_evenly(LEVELS_DB, phrases, rng)
    notes: list[Note] = []
    for phrase, (style, level_db) in enumerate(zip(styles, levels_db, strict=True)):
        shape = CHORD_SHAPES[progression[phrase % len(progression)]]
        chord = [
            string + fret + capo for string, fret in zip(OPEN_STRINGS_MIDI, shape, strict=True) if fret is not None
        ]
        steps = _lead_line(tonic_midi + capo, scale, rng) if style == "lead" else _riff(style, chord)
        for at, length, midi, accent, muted in steps:
            start_s = (phrase * PHRASE_EIGHTHS + at) * eighth_s + rng.uniform(0.0, 0.006)
            velocity = 10 ** (level_db / 20) * accent * rng.uniform(0.85, 1.0)
            notes.append(Note(start_s, length * eighth_s, midi + rng.normal(0.0, 0.03), velocity, muted))
    return notes


def _draw_evenly(choices: tuple, count: int, rng: np.random.Generator) -> list:
    """Draw `count` choices at random, each once before any is drawn again."""
    rounds = [rng.permutation(len(choices)) for _ in range(-(-count // len(choices)))]
    return [choices[index] for index in np.concatenate(rounds)[:count]]


def _riff(style: str, chord: list[int]) -> list[Step]:
    """Return the steps of a phrase of chords; its palm mutes are on the root and the fifth."""
    fifth = (chord[0], chord[0] + 7)
    if style == "strum":
        hits = ((0, 1.9, 1.0, 1), (2, 0.9, 0.8, 1), (3, 0.9, 0.6, -1))
        return [
            (at + 0.05 * string, length, midi, 0.45 * accent, False)
            for at, length, accent, order in hits
            for string, midi in enumerate(chord[::order])
        ]
    if style == "arpeggio":
        return [(0.5 * step, 4.0 - 0.4 * step, chord[step % len(chord)], 0.7, False) for step in range(8)]
    if style == "chug":
        accents = (1.0, 0.6, 0.7, 0.8, 1.0, 0.6)
        mutes: list[Step] = [
            (0.5 * step, 0.5, midi, accent, True) for step, accent in enumerate(accents) for midi in fifth
        ]
        return [*mutes, *((3.0, 0.8, midi, 0.8, False) for midi in fifth)]
    return [(0.03 * string, 3.5, midi, 0.8, False) for string, midi in enumerate((*fifth, chord[0] + 12))]


def _lead_line(tonic_midi: int, scale: tuple, rng: np.random.Generator) -> list[Step]:
    """Return the steps of a walk along a scale over two octaves, in eighths and sixteenths, to a long last note."""
    rhythm = ((1.0, 1.0, 2.0), (0.5, 0.5, 1.0, 2.0), (1.0, 0.5, 0.5, 0.5, 0.5, 1.0), (1.5, 0.5, 2.0))[rng.integers(4)]
    degree, at, steps = int(rng.integers(len(scale) + 3)), 0.0, []
    for length in rhythm:
        octave, index = divmod(degree, len(scale))
        steps.append((at, 0.95 * length, tonic_midi + 12 * octave + scale[index], rng.uniform(0.7, 1.0), False))
        degree = int(np.clip(degree + rng.choice((-2, -1, 1, 2)), 0, 2 * len(scale) - 1))
        at += length
    return steps


def _pluck(note: Note, rate_hz: int, rng: np.random.Generator, block: int = 256) -> np.ndarray:
    """Return a string as decaying, slightly inharmonic partials at a pickup, float64 `(length_s * rate_hz,)`.

    An ideal string released at the fraction `beta` of its length has, at a pickup at the fraction `p`, a partial `h` of
    velocity `sin(pi h beta) sin(pi h p) / h`; stiffness puts it at `h f0 sqrt(1 + B h^2)` (Fletcher and Rossing, The
    Physics of Musical Instruments, ch. 2). Sample `i * block + j` of a partial is `exp(z i block) exp(z j)`, so one
    matrix product sums all of them. Shapes: H partials, B blocks, K samples of a block, N samples.
    """
    samples = max(round(note.length_s * rate_hz), 1)
    f0_hz = 440.0 * 2 ** ((note.midi - 69) / 12)
    h_H = np.arange(1, 1 + int(np.clip(min(6000.0, 0.45 * rate_hz) / f0_hz, 1, 60)))
    f_H = h_H * f0_hz * np.sqrt(1 + 6e-5 * h_H**2)
    decay_H = 14.0 + f_H / 40.0 if note.muted else 0.9 + f0_hz / 300.0 + f_H / 700.0  # 1/s
    beta = rng.uniform(0.1, 0.2)
    bright_hz = 1200.0 + 4000.0 * note.velocity**0.5
    gain_H = note.velocity * np.sin(np.pi * h_H * beta) * np.sin(np.pi * h_H * 0.22) / h_H * np.exp(-f_H / bright_hz)
    z_H = (-decay_H + 2j * np.pi * f_H) / rate_hz
    slow_BH = np.exp(z_H * (block * np.arange(-(-samples // block)))[:, None])
    fast_HK = gain_H[:, None] * np.exp(z_H[:, None] * np.arange(block))
    sound_N = (slow_BH @ fast_HK).imag.ravel()[:samples]
    pick = min(samples, rate_hz // 250)  # 4 ms of plectrum
    sound_N[:pick] += 0.06 * note.velocity * rng.standard_normal(pick) * np.linspace(1.0, 0.0, pick) ** 2
    release = min(samples, rate_hz // 60)
    sound_N[samples - release :] *= np.linspace(1.0, 0.0, release)
    return sound_N


def _pickup(x_T: np.ndarray, rate_hz: int) -> np.ndarray:
    """Filter `(T,)` as a magnetic pickup and its cable do: low-pass with a peak at 4 kHz (Q 1.4), 30 Hz high-pass.

    Both are analog filters by the bilinear transform, `s = c (z - 1) / (z + 1)`. The low-pass has `c = 2 rate`, the
    high-pass is prewarped: it falls by 3 dB at 30 Hz exactly. They are applied block by block in the frequency domain;
    what rings longer than `RINGING_S` is below 64-bit rounding.
    """
    ringing = round(RINGING_S * rate_hz)
    samples = 1 << (4 * ringing).bit_length()
    z = np.exp(2j * np.pi * np.arange(samples // 2 + 1) / samples)
    w0, w1, c = 2 * np.pi * 4000.0, np.tan(np.pi * 30.0 / rate_hz), 2 * rate_hz
    low = w0**2 * (z + 1) ** 2 / ((c * (z - 1)) ** 2 + w0 / 1.4 * c * (z - 1) * (z + 1) + w0**2 * (z + 1) ** 2)
    high = (z - 1) / (z - 1 + w1 * (z + 1))
    block = samples - ringing
    y_T = np.zeros(len(x_T) + samples)
    for begin in range(0, len(x_T), block):
        part = np.fft.rfft(x_T[begin : begin + block], samples)
        y_T[begin : begin + samples] += np.fft.irfft(part * low * high, samples)
    return y_T[: len(x_T)]
