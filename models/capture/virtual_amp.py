"""A virtual amp known in closed form, so that the quickstart needs no recording and its truth is exact at any knob.

Three knobs that act on one another, as on a real amp: the gain pot has a bright cap, so it changes the tone as well as
the drive; the tone stack sits after the preamp's distortion; the volume pot feeds a power stage that distorts too.
Every stage is causal, time-invariant and short (high-pass corners of 60 Hz and more: memory under 40 ms), so a WaveNet
of a thousand or two samples can hear all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy import signal
from scipy.spatial.distance import pdist

from models.audio.guitar import guitar
from models.audio.io import write_audio
from models.core.errors import UserError
from models.core.files import staged_folder, write_json
from models.recordings.manifest_formats import MANIFEST_SCHEMA

KNOBS = ("gain", "tone", "volume")

KNOB_MIN, KNOB_MAX, KNOB_DEFAULT = 0.0, 10.0, 5.0

OVERSAMPLING = 4


DRIVE_DB = 36.0  # into the preamp's distortion with the gain pot fully up

GAIN_RANGE_DB = 32.0

VOLUME_RANGE_DB = 24.0

POWER_DRIVE_DB = 18.0  # into the power stage with the volume pot fully up

BIAS = 0.25  # operating point of the preamp's valve: even harmonics

OUTPUT = 0.5


HELD_SEED_OFFSET = 1000  # held-out music is another piece than training's

SETTINGS = 27

HELD_SETTINGS = 6


Analog = tuple[list[float], list[float]]  # numerator and denominator in s, highest power first


@dataclass(frozen=True)
class VirtualAmp:
    """A small tube-like amp with knobs gain, tone and volume, running at `rate` samples per second."""

    rate: int = 48000

    def process(self, x_T: np.ndarray, gain: float, tone: float, volume: float) -> np.ndarray:
        """Play `x_T`, `(T,)` with full scale 1, through the amp at faceplate numbers from 0 to 10.

        Returns float32 `(T,)`. Output sample `n` depends on no input after `n`. Raises `UserError` naming the knob
        whose number is out of range, or when there is no mono audio.
        """
        if x_T.ndim != 1 or not len(x_T):
            raise UserError(f"the amp plays mono audio; this has shape {x_T.shape}", "give it one channel")
        for name, value in zip(KNOBS, (gain, tone, volume), strict=True):
            if not KNOB_MIN <= value <= KNOB_MAX:
                raise UserError(
                    f"knob {name} is {value}; legal values are {KNOB_MIN:g} to {KNOB_MAX:g}",
                    f"set {name} to a number on the faceplate",
                )
        inner_rate = OVERSAMPLING * self.rate
        x_T = _filter(_high_pass(70.0), np.asarray(x_T, np.float64), self.rate)
        x_T = 10 ** (DRIVE_DB / 20) * _filter(_gain_pot(gain), x_T, self.rate)

        y_U = np.zeros(OVERSAMPLING * len(x_T))
        y_U[::OVERSAMPLING] = OVERSAMPLING * x_T
        y_U = _saturate(_band_limit(y_U), BIAS)
        y_U = _filter(_high_pass(80.0), _filter(_tone_stack(tone), y_U, inner_rate), inner_rate)
        y_U = _saturate(10 ** (POWER_DRIVE_DB / 20) * _wiper(volume, VOLUME_RANGE_DB) * y_U)
        y_T = _band_limit(y_U)[::OVERSAMPLING]

        y_T = _filter(_high_pass(60.0), _filter(_low_pass(7000.0), y_T, self.rate), self.rate)
        return (OUTPUT * y_T).astype(np.float32)


def _filter(circuit: Analog, x_T: np.ndarray, rate: int) -> np.ndarray:
    """Run `x_T` through an analog transfer function, discretised by the bilinear transform at `rate`."""
    b, a = signal.bilinear(*circuit, rate)
    return np.asarray(signal.lfilter(b, a, x_T))


def _band_limit(x_U: np.ndarray) -> np.ndarray:
    """Keep what the outer rate can carry, causally: 20 kHz of 48, 80 dB down from 28, two outer samples late."""
    sos = signal.ellip(8, 0.05, 80.0, 0.42 / OVERSAMPLING, fs=1.0, output="sos")
    return np.asarray(signal.sosfilt(sos, x_U))


def _high_pass(corner_hz: float) -> Analog:
    """A coupling capacitor."""
    return [1.0, 0.0], [1.0, 2 * np.pi * corner_hz]


def _low_pass(corner_hz: float) -> Analog:
    """An output transformer's leakage."""
    return [2 * np.pi * corner_hz], [1.0, 2 * np.pi * corner_hz]


def _saturate(v_U: np.ndarray, bias: float = 0.0) -> np.ndarray:
    """The sigmoid `v / sqrt(1 + v^2)` about an operating point, zero in zero out, slope near 1 and bounded.

    Its mean over the straight line between two samples, in place of its value at each, keeps aliasing down: first-order
    antiderivative anti-aliasing (Parker, Zavalishin and Le Bivic, DAFx 2016). Here that mean is
    `(sqrt(1 + v1^2) - sqrt(1 + v0^2)) / (v1 - v0) = (v1 + v0) / (sqrt(1 + v1^2) + sqrt(1 + v0^2))`.
    """
    v_U = np.concatenate(([bias], v_U + bias))
    root_U = np.sqrt(1.0 + v_U**2)
    return (v_U[1:] + v_U[:-1]) / (root_U[1:] + root_U[:-1]) - bias / np.sqrt(1.0 + bias**2)


def _wiper(knob: float, range_db: float) -> float:
    """Division (to 1) of an audio-taper pot, exponential with 15 % at the middle, that stops `range_db` down."""
    floor = 10 ** (-range_db / 20)
    steepness = (0.85 / 0.15) ** 2
    return floor + (1 - floor) * (steepness ** (knob / KNOB_MAX) - 1) / (steepness - 1)


def _gain_pot(knob: float) -> Analog:
    """A divider `a = R2 / (R1 + R2)` of total resistance R, bridged from top to wiper by a bright cap C.

    Voltage division by `R1 || C` over `R2`: H(s) = a (1 + s (1 - a) R C) / (1 + s a (1 - a) R C).
    """
    r_ohm, c_farad = 1e6, 68e-12
    a = _wiper(knob, GAIN_RANGE_DB)
    tau_s = (1 - a) * r_ohm * c_farad
    return [a * tau_s, a], [a * tau_s, 1.0]


def _tone_stack(knob: float) -> Analog:
    """A low-pass arm (R1, C1 to ground) and a high-pass arm (C2, R2 to ground) with the tone pot P across them.

    The arms overlap little, so the middle of the pot scoops around 1 kHz: the network of the Electro-Harmonix Big Muff,
    with our values. Kirchhoff's current law at both ends of the pot, wiper unloaded, with conductances G = 1/R:
    D = (G1 + Gp + s C1)(G2 + Gp + s C2) - Gp^2, V1 = (G1 (G2 + Gp + s C2) + Gp s C2) / D,
    V2 = ((G1 + Gp + s C1) s C2 + Gp G1) / D, and the wiper reads (1 - t) V1 + t V2.
    """
    g1, c1, c2, g2, gp = 1 / 33e3, 10e-9, 6.8e-9, 1 / 22e3, 1 / 100e3
    # Stop resistors at both ends, and a slightly bowed taper, make equal steps about equally audible.
    t = 0.03 + 0.8 * (knob / KNOB_MAX) ** 0.85
    low = [0.0, (g1 + gp) * c2, g1 * (g2 + gp)]
    high = [c1 * c2, (g1 + gp) * c2, gp * g1]
    wiper = [(1 - t) * v1 + t * v2 for v1, v2 in zip(low, high, strict=True)]
    return wiper, [c1 * c2, c1 * (g2 + gp) + c2 * (g1 + gp), (g1 + gp) * (g2 + gp) - gp**2]


def training_settings(seed: int) -> list[dict[str, float]]:
    """The settings to record: every corner, the centre, each knob swept alone from the centre, the rest spread out."""
    corners = list(product((KNOB_MIN, KNOB_MAX), repeat=len(KNOBS)))
    centre = (KNOB_DEFAULT,) * len(KNOBS)
    sweeps = [centre[:i] + (n,) + centre[i + 1 :] for i in range(len(KNOBS)) for n in (0.0, 2.5, 7.5, 10.0)]
    chosen = [*corners, centre, *sweeps]
    return [_setting(point) for point in [*chosen, *_spread(SETTINGS - len(chosen), seed, taken=set(chosen))]]


def held_settings(seed: int) -> list[dict[str, float]]:
    """Settings to judge a model at: spread out, none a corner, none recorded for training."""
    taken = {tuple(setting.values()) for setting in training_settings(seed)}
    return [_setting(point) for point in _spread(HELD_SETTINGS, seed + HELD_SEED_OFFSET, taken)]


def _setting(point: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(KNOBS, point, strict=True))


def _spread(count: int, seed: int, taken: set[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """The widest-spaced of 64 Latin hypercubes of `count` faceplate points to a tenth, none of them taken."""
    rng = np.random.default_rng(seed)
    rows_SK = np.tile(np.arange(count)[:, None], len(KNOBS))
    cubes = ((rng.permuted(rows_SK, axis=0) + rng.random(rows_SK.shape)) / count for _ in range(64))
    draws = [np.round(KNOB_MAX * cube_SK, 1) for cube_SK in cubes]
    free = [points for points in draws if taken.isdisjoint(map(tuple, points.tolist()))]
    return [tuple(point) for point in max(free, key=lambda points: pdist(points).min()).tolist()]


def render_takes(
    folder: Path,
    *,
    rate: int = 48000,
    seconds: float = 12.0,
    held_seconds: float = 4.0,
    seed: int = 0,
    on_take: Callable[[int, int], None] | None = None,
) -> tuple[Path, Path]:
    """Record the virtual amp into `folder`, and return the paths of its manifests `train.json` and `held.json`.

    The dry music lasts `seconds` for training and `held_seconds` for held-out takes, at `rate` samples per second;
    files are 24-bit FLAC. Held takes are settings never recorded for training, and the trained settings once more, so
    that knob error can be told from audio error and both compared with playing the nearest recorded setting. `on_take(done, total)` is called after each take. A folder that already has both manifests is
    left alone; a new one appears only once whole. Raises `UserError` when `folder` holds anything else.
    """
    manifests = folder / "train.json", folder / "held.json"
    if all(path.exists() for path in manifests):
        return manifests
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is in the way and is not a folder of takes", "name a new or empty folder")
    trained, held = training_settings(seed), held_settings(seed)
    parts = (
        ("train", trained, guitar(seconds, rate, seed)),
        ("held", held + trained, guitar(held_seconds, rate, seed + HELD_SEED_OFFSET)),
    )
    amp, done, total = VirtualAmp(rate), 0, sum(len(settings) for _, settings, _ in parts)
    with staged_folder(folder) as takes:
        for part, settings, x_T in parts:
            dry = f"di_{part}.flac"
            write_audio(takes / dry, x_T, rate)
            entries = []
            for index, knobs in enumerate(settings):
                wet = f"{part}_{index:02d}.flac"
                write_audio(takes / wet, amp.process(x_T, **knobs), rate)
                entries.append({"input_file": dry, "output_file": wet, "knobs": knobs})
                done += 1
                if on_take:
                    on_take(done, total)
            write_json(takes / f"{part}.json", _manifest(rate, entries))
    return manifests


def _manifest(rate: int, entries: list[dict]) -> dict:
    """The recordings of one part, in the form the trainer reads."""
    knobs = [{"name": name, "min": KNOB_MIN, "max": KNOB_MAX, "default": KNOB_DEFAULT} for name in KNOBS]
    said = {"$schema": MANIFEST_SCHEMA, "device": "ampzoo virtual amp", "license": "cc0-1.0"}
    return {**said, "sample_rate": rate, "knobs": knobs, "entries": entries}
