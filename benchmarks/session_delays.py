"""Delays of a session: takes with one latency and other tone stacks, takes that were shifted one by one, a real amp.

Prints, for music and for the signal of `zoo signal`, clean to saturated and with noise: how far the peaks of the
responses are apart, how far the delays that are found (samples), and the error between takes that were shifted at
random by up to a second. With the recordings folder `hrd3/`, the delays of its takes.

    python -m benchmarks.session_delays RECORDINGS
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import lfilter, resample

from models.audio.guitar import guitar
from models.audio.io import read_audio
from models.capture.excitation import excitation
from models.recordings.alignment import measure_response, reconcile_lags
from models.recordings.session_delays import SessionDelays
from zoo.cli import output

RATE, LATENCY = 48_000, 321
TREBLES_DB = (-12.0, -6.0, 0.0, 6.0, 12.0)
GAINS, NOISES_DB = (0.5, 2.0, 8.0), (None, 60.0, 40.0)
UP, PAD = 8, 64


def treble(x_T: np.ndarray, gain_db: float, hz: float = 2500.0) -> np.ndarray:
    """Filter with a high shelf of the second order, which is minimum-phase (Bristow-Johnson's cookbook)."""
    a = 10 ** (gain_db / 40)
    cos, alpha = np.cos(2 * np.pi * hz / RATE), np.sin(2 * np.pi * hz / RATE) / np.sqrt(2)
    up, down, root = a + 1, a - 1, 2 * np.sqrt(a) * alpha
    b = [a * (up + down * cos + root), -2 * a * (down + up * cos), a * (up + down * cos - root)]
    return np.asarray(lfilter(b, [up - down * cos + root, 2 * (down - up * cos), up - down * cos - root], x_T))


def shift(y_T: np.ndarray, samples: float) -> np.ndarray:
    """Delay by any number of samples, by oversampling and a spline; what lies before the start is lost."""
    whole, fraction = int(np.floor(samples)), samples % 1
    padded_T = np.pad(y_T, PAD)
    fine = CubicSpline(np.arange(UP * len(padded_T)) / UP - PAD, resample(padded_T, UP * len(padded_T)))
    moved_T = fine(np.arange(len(y_T)) - fraction)
    return np.concatenate([np.zeros(whole), moved_T])[: len(y_T)] if whole >= 0 else moved_T[-whole:]


def record(dry_T: np.ndarray, gain: float, noise_db: float | None) -> list[np.ndarray]:
    """Return a take at each of `TREBLES_DB` through a clipper."""
    takes = [treble(np.tanh(gain * dry_T.astype(np.float64)), gain_db) for gain_db in TREBLES_DB]
    draw = np.random.default_rng(0)
    levels = [0.0 if noise_db is None else float(np.std(y_T)) * 10 ** (-noise_db / 20) for y_T in takes]
    return [y_T + level * draw.standard_normal(len(y_T)) for y_T, level in zip(takes, levels, strict=True)]


def settle(
    dry_T: np.ndarray, wets: list[np.ndarray], delays: SessionDelays | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the delays of each take by itself, and those that the takes settle on together (see `reconcile_lags`)."""
    responses = [measure_response(dry_T, y_T.astype(np.float32), RATE) for y_T in wets]
    alone = [response.lag.delay_samples for response in responses]
    return np.array(alone), np.array([lag.delay_samples for lag in reconcile_lags(responses, delays)])


def synthetic() -> None:
    """Print the table of both kinds of sessions."""
    rows, draw = [], np.random.default_rng(3)
    signals = {"guitar 6 s": guitar(6.0, RATE, 2), "zoo signal 20 s": excitation(20.0, RATE)}
    for name, dry_T in signals.items():
        for gain in GAINS:
            for noise_db in NOISES_DB:
                wets = record(dry_T, gain, noise_db)
                peaks, common = settle(dry_T, [np.concatenate([np.zeros(LATENCY), y])[: len(y)] for y in wets])
                truth = draw.uniform(-RATE, RATE, len(wets))
                shifted = [shift(y_T, samples) for y_T, samples in zip(wets, truth, strict=True)]
                apart = settle(dry_T, shifted)[1] - truth
                noise = "-" if noise_db is None else f"{noise_db:.0f} dB"
                found = (f"{np.ptp(peaks):.3f}", f"{np.ptp(common):.4f}", f"{np.mean(common) - LATENCY:+.3f}")
                rows.append((name, f"{gain:g}", noise, *found, f"{np.ptp(apart):.4f}"))
                output.info(" ".join(rows[-1]))
    heads = ("SIGNAL", "GAIN", "NOISE", "PEAKS APART", "DELAYS APART", "ERROR", "SHIFTED: ERROR BETWEEN TAKES")
    output.data_table(heads, rows)


def real(folder: Path) -> None:
    """Print the delays of a real amp's takes, each triggered anew, alone and together."""
    dry_T = read_audio(folder / "DI.wav")[0]
    files = sorted(folder.glob("Drive*.wav"), key=lambda path: int(path.stem.split()[1]))
    alone, together = settle(dry_T, [read_audio(path)[0] for path in files])
    rows = [(p.stem, f"{a:.3f}", f"{b:.3f}") for p, a, b in zip(files, alone, together, strict=True)]
    output.data_table(("TAKE", "ALONE", "TOGETHER"), rows)


def main() -> None:
    """Run both parts, or the first if there are no recordings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    options = parser.parse_args()
    synthetic()
    folder = options.data / "hrd3" if options.data else None
    if folder and folder.is_dir():
        real(folder)
    else:
        output.info("no hrd3 recordings: the second part is left out")


if __name__ == "__main__":
    main()
