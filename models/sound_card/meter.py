"""Levels of what comes in: peak and RMS of the last moment, the highest peak, and clipping, which is held.

Shapes: T time in samples.
"""

import math

import numpy as np

from models.audio.decibels import decibels

CLIP = 0.999  # of full scale


class Meter:
    """Measures blocks of a signal as they come.

    `peak_dbfs` and `rms_dbfs` are of the last `window_s` seconds, `highest_dbfs` and `clipped` of all since `reset`.
    """

    def __init__(self, rate_hz: int, window_s: float = 0.3) -> None:
        self._window = max(int(window_s * rate_hz), 1)
        self._last_T = np.zeros(self._window, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the highest peak and the clipped samples."""
        self._highest, self.clipped = 0.0, 0

    def add(self, x_T: np.ndarray) -> None:
        """Measure a block, `(T,)`; samples that are not finite count as clipped."""
        if not len(x_T):
            return
        x_T = np.nan_to_num(np.asarray(x_T, np.float32), nan=1.0, posinf=1.0, neginf=-1.0)
        self._last_T = np.concatenate([self._last_T, x_T])[-self._window :]
        self._highest = max(self._highest, float(np.abs(x_T).max()))
        self.clipped += int((np.abs(x_T) >= CLIP).sum())

    @property
    def peak_dbfs(self) -> float:
        """The peak of the last moment."""
        return decibels(float(np.abs(self._last_T).max()))

    @property
    def rms_dbfs(self) -> float:
        """The RMS of the last moment."""
        return decibels(math.sqrt(float(np.square(self._last_T, dtype=np.float64).mean())))

    @property
    def highest_dbfs(self) -> float:
        """The highest peak since `reset`."""
        return decibels(self._highest)
