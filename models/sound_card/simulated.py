"""A sound card that is calculated: the signal goes through a function, late, with noise, and with faults on request.

Shapes: T time in samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.sound_card.card import CardLost, InputListener, Recording

Device = Callable[[np.ndarray], np.ndarray]

BLOCK_SAMPLES = 4096  # that a listener gets at a time


@dataclass
class SimulatedCard:
    """A card with a device between its output and its input.

    `device` turns what is played, `(T,)`, into what comes back, `(T,)`. `latency` is in samples, `input_gain` a factor;
    above full scale the converter clips. `hum` is the amplitude of 50 Hz and two of its harmonics. The faults: samples
    of the next recordings that are lost (`drop`, each a block of 256 samples in which the last sample is repeated), and
    the seconds after which the card stops answering (`stops_after_s`).
    """

    device: Device
    rate_hz: int = 48000
    name: str = "simulated card"
    latency: int = 300
    noise: float = 1e-4
    hum: float = 0.0
    input_gain: float = 1.0
    drop: tuple[int, ...] = ()
    stops_after_s: float | None = None
    seed: int = 0

    def play_and_record(self, send_T: np.ndarray, on_input: InputListener | None = None) -> Recording:
        """Return what a card would record; see `SoundCard`."""
        if self.stops_after_s is not None and len(send_T) > self.stops_after_s * self.rate_hz:
            raise CardLost(self.name, self.stops_after_s)
        sent_T = np.clip(np.asarray(send_T, np.float32), -1, 1)
        back_T = self.device(sent_T) if sent_T.any() else sent_T
        late_T = np.concatenate([np.zeros(self.latency, np.float32), back_T])[: len(send_T)].astype(np.float64)
        draw = np.random.default_rng((self.seed, len(send_T)))
        self.seed += 1
        late_T += self.noise * draw.standard_normal(len(late_T))
        if self.hum:
            time_T = np.arange(len(late_T)) / self.rate_hz
            late_T += self.hum * sum(np.sin(2 * np.pi * 50 * n * time_T) / n for n in (1, 2, 3))
        x_T = np.clip(self.input_gain * late_T, -1, 1 - 2**-23).astype(np.float32)
        for at in self.drop:
            x_T[at : at + 256] = x_T[at]
        return Recording(_heard(x_T, on_input), tuple(at for at in self.drop if at < len(x_T)))


def _heard(x_T: np.ndarray, on_input: InputListener | None) -> np.ndarray:
    """Tell a listener what comes in, block by block; return what was recorded until it stopped."""
    for start in range(0, len(x_T) if on_input else 0, BLOCK_SAMPLES):
        if on_input and on_input(x_T[start : start + BLOCK_SAMPLES]):
            return x_T[: start + BLOCK_SAMPLES]
    return x_T
