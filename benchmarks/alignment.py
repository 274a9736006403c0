"""Accuracy of the estimated delays: on synthetic truth over a grid, and on real takes beside two other methods.

Truth: the virtual amp at every corner of its knobs, then a recorder that starts early or late by a fraction of a
sample, on a clock that drifts, inverted, 60 dB down, with noise. It is made by splines through 8 times as many samples,
which share no code with the estimator. The printed error is against the same take recorded without any of it. `hrd3`:
the estimated delays, the peak of a whitened correlation of 1.5 to 5 kHz, and the largest tap of a least-squares impulse
response. Only the second part needs the recordings; without them it is left out, with a message.

    python benchmarks/alignment.py [RECORDINGS] --seconds 12
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.fft import irfft, next_fast_len, rfft
from scipy.interpolate import CubicSpline
from scipy.linalg import solve_toeplitz
from scipy.signal import resample

from models.audio.guitar import guitar
from models.capture.virtual_amp import KNOBS, VirtualAmp
from models.recordings.alignment import estimate_lag
from zoo.cli import output

RATE = 48000
UP, PAD = 8, 16000


def record(
    y_T: np.ndarray, delay: float, ppm: float, gain_db: float, polarity: int, noise_db: float | None
) -> np.ndarray:
    """Record `y_T` with the given faults."""
    padded_T = np.pad(y_T.astype(np.float64), PAD)
    fine = CubicSpline(np.arange(UP * len(padded_T)) / UP - PAD, resample(padded_T, UP * len(padded_T)))
    wet_T = fine((np.arange(len(y_T) + max(int(delay), 0)) - delay) / (1 + ppm * 1e-6))
    if noise_db is not None:
        wet_T += wet_T.std() * 10 ** (-noise_db / 20) * np.random.default_rng(0).standard_normal(len(wet_T))
    return (polarity * 10 ** (gain_db / 20) * wet_T).astype(np.float32)


def synthetic(seconds: float) -> None:
    """Print the median and worst error over the corners for each kind of fault."""
    dry_T, amp, draw = guitar(seconds, RATE, 0), VirtualAmp(RATE), np.random.default_rng(1)
    kinds = {
        "start cut by 2,000": (lambda: -2000.0, 0, 0, 1, None),
        "12,000 late": (lambda: 12000.0, 0, 0, -1, None),
        "a fraction": (lambda: draw.uniform(-2000, 12000), 0, 0, 1, None),
        "60 dB down, inverted": (lambda: draw.uniform(-2000, 12000), 0, -60, -1, None),
        "noise at 30 dB": (lambda: draw.uniform(-2000, 12000), 0, 0, 1, 30.0),
        "drift 10 ppm": (lambda: draw.uniform(-2000, 12000), 10, 0, 1, None),
        "drift -100 ppm": (lambda: draw.uniform(-2000, 12000), -100, 0, -1, None),
        "drift 100 ppm, noise at 30 dB": (lambda: draw.uniform(-2000, 12000), 100, 0, 1, 30.0),
    }
    rows = []
    for setting in product((0.0, 10.0), repeat=len(KNOBS)):
        y_T = amp.process(dry_T, *setting)
        plain = estimate_lag(dry_T, y_T, RATE)
        for kind, (pick, ppm, gain_db, polarity, noise_db) in kinds.items():
            delay = pick()
            found = estimate_lag(dry_T, record(y_T, delay, ppm, gain_db, polarity, noise_db), RATE)
            error = found.delay_samples - delay - plain.delay_samples * (1 + ppm * 1e-6)
            flipped = "" if found.polarity == polarity * plain.polarity else " WRONG POLARITY"
            rows.append((kind, setting, error, found.drift_ppm - ppm, flipped))
            output.info(f"{setting} {kind}: {error:+.4f} samples, {found.drift_ppm - ppm:+.2f} ppm{flipped}")
    table = []
    for kind in kinds:
        mine = [row for row in rows if row[0] == kind]
        errors = sorted(mine, key=lambda row: abs(row[2]))
        table.append(
            (
                kind,
                f"{np.median([abs(row[2]) for row in mine]):.4f}",
                f"{abs(errors[-1][2]):.4f}",
                " ".join(f"{name}={value:g}" for name, value in zip(KNOBS, errors[-1][1], strict=True)),
                f"{max(abs(row[3]) for row in mine):.2f}",
                f"{sum(not row[4] for row in mine)} of {len(mine)}",
            )
        )
    output.data_table(("FAULT", "MEDIAN ERROR", "WORST, samples", "AT", "WORST ppm", "RIGHT POLARITY"), table)


def real(folder: Path) -> None:
    """Print the delays of the real takes by three methods."""
    dry_T, rate = sf.read(folder / "DI.wav", dtype="float32")
    rows = []
    for path in sorted(folder.glob("Drive*.wav"), key=lambda path: int(path.stem.split()[1])):
        wet_T = sf.read(path, dtype="float32")[0]
        lag = estimate_lag(dry_T, wet_T, rate)
        band, tap = _band(dry_T, wet_T, rate, lag.delay_samples), _largest_tap(dry_T, wet_T, round(lag.delay_samples))
        facts = (f"{lag.delay_samples:.3f}", f"{lag.polarity:+d}", f"{lag.drift_ppm:.1f}", f"{lag.confidence:.2f}")
        rows.append((path.stem, *facts, f"{band:.3f}", f"{tap:.3f}"))
    output.data_table(("TAKE", "DELAY", "UP", "DRIFT ppm", "CONFIDENCE", "1.5 TO 5 kHz", "LARGEST TAP"), rows)
    for column, name in ((5, "1.5 to 5 kHz"), (6, "largest tap")):
        apart = [float(row[1]) - float(row[column]) for row in rows]
        output.info(f"against {name}: mean {np.mean(apart):+.3f}, from {min(apart):+.3f} to {max(apart):+.3f} samples")


def _band(dry_T: np.ndarray, wet_T: np.ndarray, rate_hz: int, near: float) -> float:
    size = next_fast_len(len(dry_T) + len(wet_T), real=True)
    cross_F = rfft(wet_T.astype(np.float64), size) * np.conj(rfft(dry_T.astype(np.float64), size))
    hz_F = np.arange(len(cross_F)) * rate_hz / size
    cross_F *= ((hz_F > 1500) & (hz_F < 5000)) / np.maximum(np.abs(cross_F), 1e-12) ** 0.8
    at_N = near + np.arange(-300, 301) / 100
    height_N = np.array([(cross_F * np.exp(2j * np.pi * hz_F / rate_hz * at)).sum().real for at in at_N])
    return float(at_N[np.argmax(np.abs(height_N))])


def _largest_tap(dry_T: np.ndarray, wet_T: np.ndarray, near: int, taps: int = 700, before: int = 150) -> float:
    first = near - before
    x_T = dry_T[max(-first, 0) :].astype(np.float64)
    y_T = wet_T[max(first, 0) :].astype(np.float64)
    count = min(len(x_T), len(y_T))
    size = next_fast_len(2 * count, real=True)
    x_F, y_F = rfft(x_T[:count], size), rfft(y_T[:count], size)
    own_P, cross_P = irfft(np.abs(x_F) ** 2, size)[:taps], irfft(y_F * np.conj(x_F), size)[:taps]
    own_P[0] *= 1.01
    fine = resample(solve_toeplitz(own_P, cross_P), 64 * taps)
    return float(np.argmax(np.abs(fine)) / 64 + first)


def main() -> None:
    """Run both parts, or the first if there are no recordings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=12.0)
    options = parser.parse_args()
    synthetic(options.seconds)
    folder = options.data / "hrd3" if options.data else None
    if folder and folder.is_dir():
        real(folder)
    else:
        output.info("no hrd3 recordings: the second part is left out")


if __name__ == "__main__":
    main()
