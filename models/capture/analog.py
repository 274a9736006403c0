"""Parts of virtual circuits: analog filters, a saturating stage, oversampling, pots.

Shapes: T time, U oversampled time.
"""

import numpy as np
from scipy import signal

from models.knobs.schema import AUDIO_TAPER

OVERSAMPLING = 4

Analog = tuple[list[float], list[float]]  # numerator and denominator in s, highest power first


def upsample(x_T: np.ndarray) -> np.ndarray:
    """Return a signal at `OVERSAMPLING` times its rate."""
    y_U = np.zeros(OVERSAMPLING * len(x_T))
    y_U[::OVERSAMPLING] = OVERSAMPLING * x_T
    return band_limit(y_U)


def run_circuit(circuit: Analog, x_T: np.ndarray, rate_hz: int) -> np.ndarray:
    """Run `x_T` through an analog transfer function, discretized by the bilinear transform at `rate_hz`."""
    b, a = signal.bilinear(*circuit, rate_hz)
    return np.asarray(signal.lfilter(b, a, x_T))


def band_limit(x_U: np.ndarray) -> np.ndarray:
    """Low-pass an oversampled signal for decimation: at 48 kHz flat to 20 kHz, -80 dB from 28 kHz, two samples late."""
    sos = signal.ellip(8, 0.05, 80.0, 0.42 / OVERSAMPLING, fs=1.0, output="sos")
    return np.asarray(signal.sosfilt(sos, x_U))


def high_pass(corner_hz: float) -> Analog:
    """Return a coupling capacitor."""
    return [1.0, 0.0], [1.0, 2 * np.pi * corner_hz]


def first_order_low_pass(corner_hz: float) -> Analog:
    """Return an output transformer's leakage inductance."""
    return [2 * np.pi * corner_hz], [1.0, 2 * np.pi * corner_hz]


def saturate(v_U: np.ndarray, bias: float = 0.0) -> np.ndarray:
    """Apply the sigmoid `v / sqrt(1 + v^2)` about an operating point: zero stays zero, the slope there is near 1.

    Its mean over the straight line between two samples, in place of its value at each, reduces aliasing: first-order
    antiderivative anti-aliasing (Parker, Zavalishin and Le Bivic, DAFx 2016). Here that mean is
    `(sqrt(1 + v1^2) - sqrt(1 + v0^2)) / (v1 - v0) = (v1 + v0) / (sqrt(1 + v1^2) + sqrt(1 + v0^2))`.
    """
    v_U = np.concatenate(([bias], v_U + bias))
    root_U = np.sqrt(1.0 + v_U**2)
    return (v_U[1:] + v_U[:-1]) / (root_U[1:] + root_U[:-1]) - bias / np.sqrt(1.0 + bias**2)


def wiper(turn: float, range_db: float) -> float:
    """Return the division (0 to 1) of an audio-taper pot at a turn (0 to 1).

    Its low end is `range_db` below its high end.
    """
    floor = 10 ** (-range_db / 20)
    return floor + (1 - floor) * (AUDIO_TAPER**turn - 1) / (AUDIO_TAPER - 1)


def shelf(corner_hz: float, low_db: float, high_db: float) -> Analog:
    """Return a first-order shelf: gains far below and far above a corner."""
    low, high = 10 ** (low_db / 20), 10 ** (high_db / 20)
    omega = 2 * np.pi * corner_hz
    return [high, low * omega], [1.0, omega]


def clip_by_diodes(v_U: np.ndarray) -> np.ndarray:
    """Apply `asinh(v)`, the voltage across two antiparallel diodes that a current `v` drives (Shockley: i ~ sinh u).

    As in `saturate`, it is the mean over the straight line between two samples, by the antiderivative
    `v asinh(v) - sqrt(1 + v^2)`; where two samples are nearly equal, the value between them.
    """
    before_U, v_U = np.concatenate(([0.0], v_U[:-1])), np.asarray(v_U)
    step_U = v_U - before_U
    near_U = np.abs(step_U) < 1e-4 * (1 + np.abs(v_U))
    area_U, earlier_U = (u * np.arcsinh(u) - np.sqrt(1 + u**2) for u in (v_U, before_U))
    mean_U = (area_U - earlier_U) / np.where(near_U, 1.0, step_U)
    return np.where(near_U, np.arcsinh((v_U + before_U) / 2), mean_U)
