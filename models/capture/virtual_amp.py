"""A virtual amp and its takes: the quickstart needs no recording, and the exact output is known at every setting.

Its three knobs act on one another, as on a real amp. The gain pot has a bright cap, so it changes the tone as well as
the drive. The tone stack comes after the preamp's distortion. The volume pot feeds a power stage that distorts too.
Every stage is causal, time-invariant and short (high-pass corners of 60 Hz and more: memory under 40 ms), so the
receptive field of a WaveNet of one or two thousand samples covers it.

Shapes: T time, U oversampled time, S settings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.spatial.distance import pdist

from models.audio.guitar import guitar
from models.audio.io import write_audio
from models.capture.analog import (
    OVERSAMPLING,
    Analog,
    band_limit,
    first_order_low_pass,
    high_pass,
    run_circuit,
    saturate,
    upsample,
    wiper,
)
from models.capture.session import entry, manifest_top
from models.core.errors import UserError
from models.core.files import staged_folder, write_json
from models.core.system_files import is_empty
from models.knobs.schema import Knob, Knobs

KNOBS = ("gain", "tone", "volume")

KNOB_MIN, KNOB_MAX, KNOB_DEFAULT = 0.0, 10.0, 5.0

SCHEMA = Knobs(knobs=tuple(Knob(name=name, min=KNOB_MIN, max=KNOB_MAX, default=KNOB_DEFAULT) for name in KNOBS))

DEVICE, LICENSE = "ampzoo virtual amp", "cc0-1.0"

DRIVE_DB = 36.0  # into the preamp's distortion with the gain pot fully up

GAIN_RANGE_DB = 32.0

VOLUME_RANGE_DB = 24.0

POWER_DRIVE_DB = 18.0  # into the power stage with the volume pot fully up

TUBE_BIAS = 0.25  # operating point of the preamp's tube: even harmonics

OUTPUT = 0.5

HELD_SEED_OFFSET = 1000  # held takes play another piece of music than training takes

SETTINGS = 27

HELD_SETTINGS = 6

CUBES = 64  # Latin hypercubes of which the widest-spaced is taken


@dataclass(frozen=True)
class VirtualAmp:
    """A small tube-like amp with knobs gain, tone and volume, running at `rate_hz` samples per second."""

    rate_hz: int = 48000

    def process(self, x_T: np.ndarray, gain: float, tone: float, volume: float) -> np.ndarray:
        """Play `x_T`, `(T,)` with full scale 1, through the amp at faceplate numbers from 0 to 10.

        Returns float32 `(T,)`. Output sample `n` depends on no input after `n`. Raises `UserError` for a knob whose
        number is out of range, and for audio that is empty or not mono.
        """
        if x_T.ndim != 1 or not len(x_T):
            raise UserError(f"the amp plays mono audio; this has shape {x_T.shape}", "Give it one channel.")
        for name, value in zip(KNOBS, (gain, tone, volume), strict=True):
            if not KNOB_MIN <= value <= KNOB_MAX:
                raise UserError(
                    f"knob {name} is {value}; legal values are {KNOB_MIN:g} to {KNOB_MAX:g}",
                    f"Set {name} to a number on the faceplate.",
                )
        inner_hz = OVERSAMPLING * self.rate_hz
        x_T = run_circuit(high_pass(70.0), np.asarray(x_T, np.float64), self.rate_hz)
        x_T = 10 ** (DRIVE_DB / 20) * run_circuit(_gain_pot(gain), x_T, self.rate_hz)

        y_U = saturate(upsample(x_T), TUBE_BIAS)
        y_U = run_circuit(high_pass(80.0), run_circuit(_tone_stack(tone), y_U, inner_hz), inner_hz)
        y_U = saturate(10 ** (POWER_DRIVE_DB / 20) * wiper(volume / KNOB_MAX, VOLUME_RANGE_DB) * y_U)
        y_T = band_limit(y_U)[::OVERSAMPLING]

        y_T = run_circuit(high_pass(60.0), run_circuit(first_order_low_pass(7000.0), y_T, self.rate_hz), self.rate_hz)
        return (OUTPUT * y_T).astype(np.float32)


def _gain_pot(knob: float) -> Analog:
    """Return a divider `a = R2 / (R1 + R2)` of total resistance R, bridged from top to wiper by a bright cap C.

    Voltage division by `R1 || C` over `R2`: H(s) = a (1 + s (1 - a) R C) / (1 + s a (1 - a) R C).
    """
    r_ohm, c_farad = 1e6, 68e-12
    a = wiper(knob / KNOB_MAX, GAIN_RANGE_DB)
    tau_s = (1 - a) * r_ohm * c_farad
    return [a * tau_s, a], [a * tau_s, 1.0]


def _tone_stack(knob: float) -> Analog:
    """Return a low-pass arm (R1, C1 to ground) and a high-pass arm (C2, R2 to ground) with the tone pot P across them.

    The arms overlap little, so the middle of the pot scoops around 1 kHz: the network of the Electro-Harmonix Big Muff,
    with our values. Kirchhoff's current law at both ends of the pot, wiper unloaded, with conductances G = 1/R:
    D = (G1 + Gp + s C1)(G2 + Gp + s C2) - Gp^2, V1 = (G1 (G2 + Gp + s C2) + Gp s C2) / D,
    V2 = ((G1 + Gp + s C1) s C2 + Gp G1) / D, and the wiper reads (1 - t) V1 + t V2.
    """
    g1, c1, c2, g2, gp = 1 / 33e3, 10e-9, 6.8e-9, 1 / 22e3, 1 / 100e3
    # Stop resistors at both ends and a slightly curved taper make equal steps about equally audible.
    t = 0.03 + 0.8 * (knob / KNOB_MAX) ** 0.85
    low = [0.0, (g1 + gp) * c2, g1 * (g2 + gp)]
    high = [c1 * c2, (g1 + gp) * c2, gp * g1]
    wiper = [(1 - t) * v1 + t * v2 for v1, v2 in zip(low, high, strict=True)]
    return wiper, [c1 * c2, c1 * (g2 + gp) + c2 * (g1 + gp), (g1 + gp) * (g2 + gp) - gp**2]


def training_settings(seed: int) -> list[dict[str, float]]:
    """Return the settings to train on: the corners, the center, each knob alone from end to end, others spread out."""
    corners = list(product((KNOB_MIN, KNOB_MAX), repeat=len(KNOBS)))
    center = (KNOB_DEFAULT,) * len(KNOBS)
    sweeps = [center[:i] + (n,) + center[i + 1 :] for i in range(len(KNOBS)) for n in (0.0, 2.5, 7.5, 10.0)]
    chosen = [*corners, center, *sweeps]
    return [_setting(point) for point in [*chosen, *_draw_spread(SETTINGS - len(chosen), seed, taken=set(chosen))]]


def held_settings(seed: int) -> list[dict[str, float]]:
    """Return the settings to test with: spread out, none of them a corner or trained on."""
    taken = {tuple(setting.values()) for setting in training_settings(seed)}
    return [_setting(point) for point in _draw_spread(HELD_SETTINGS, seed + HELD_SEED_OFFSET, taken)]


def _setting(point: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(KNOBS, point, strict=True))


def _draw_spread(count: int, seed: int, taken: set[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return the widest-spaced of `CUBES` Latin hypercubes of `count` points, rounded to tenths, none of them taken.

    `designs.draw_between` draws other points. The takes of the quickstart, and results measured on them, are tied to
    the ones that are drawn here.
    """
    rng = np.random.default_rng(seed)
    rows_SK = np.tile(np.arange(count)[:, None], len(KNOBS))
    cubes = ((rng.permuted(rows_SK, axis=0) + rng.random(rows_SK.shape)) / count for _ in range(CUBES))
    draws = [np.round(KNOB_MAX * cube_SK, 1) for cube_SK in cubes]
    free = [points for points in draws if taken.isdisjoint(map(tuple, points.tolist()))]
    return [tuple(point) for point in max(free, key=lambda points: pdist(points).min()).tolist()]


def render_takes(
    folder: Path,
    *,
    rate_hz: int = 48000,
    seconds: float = 12.0,
    held_seconds: float = 4.0,
    seed: int = 0,
    on_take: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Path, Path]:
    """Record the virtual amp into `folder` as 24-bit FLAC, and return its manifests `train.json` and `held.json`.

    The dry music lasts `seconds` in training takes and `held_seconds` in held takes. Held takes are settings absent
    from training, and the training settings once more on the held music: so the error at new settings can be compared
    with the error on new audio, and with playing the nearest recorded setting. `on_take(done, total)` is called after
    each take. A folder that has both manifests is left alone; a new one appears once it is complete. Raises `UserError`
    when `folder` holds anything else.
    """
    manifests = folder / "train.json", folder / "held.json"
    if all(path.exists() for path in manifests):
        return manifests
    if folder.exists() and (not folder.is_dir() or not is_empty(folder)):
        raise UserError(f"{folder} is in the way and is not a folder of takes", "Name a new or empty folder.")
    trained, held = training_settings(seed), held_settings(seed)
    parts = (
        ("train", trained, guitar(seconds, rate_hz, seed)),
        ("held", held + trained, guitar(held_seconds, rate_hz, seed + HELD_SEED_OFFSET)),
    )
    amp, done, total = VirtualAmp(rate_hz), 0, sum(len(settings) for _, settings, _ in parts)
    with staged_folder(folder) as takes:
        for part, settings, x_T in parts:
            dry, entries = f"di_{part}.flac", []
            write_audio(takes / dry, x_T, rate_hz)
            for index, knobs in enumerate(settings):
                wet = f"{part}_{index:02d}.flac"
                write_audio(takes / wet, amp.process(x_T, **knobs), rate_hz)
                entries.append(entry(dry, wet, {**knobs}))
                done += 1
                on_take(done, total)
            write_json(takes / f"{part}.json", {**manifest_top(SCHEMA, DEVICE, LICENSE, rate_hz), "entries": entries})
    return manifests
