"""A sound card that runs at another rate than the signal: what it plays and records is resampled.

Shapes: T time in samples.
"""

import numpy as np

from models.audio.io import resample
from models.sound_card.card import InputListener, Recording, SoundCard


class ResampledCard:
    """A card at `rate_hz` in front of one at another rate; a listener hears the other rate."""

    def __init__(self, card: SoundCard, rate_hz: int) -> None:
        self._card, self._rate_hz = card, rate_hz

    @property
    def name(self) -> str:
        """The name of the card behind it."""
        return f"{self._card.name}, resampled from {self._card.rate_hz} Hz"

    @property
    def rate_hz(self) -> int:
        """The rate of the signals that go in and out."""
        return self._rate_hz

    def play_and_record(self, send_T: np.ndarray, on_input: InputListener | None = None) -> Recording:
        """Play and record; see `SoundCard`."""
        played_T = np.concatenate(list(resample([send_T], self._rate_hz, self._card.rate_hz)))
        back = self._card.play_and_record(played_T, on_input)
        x_T = np.concatenate(list(resample([back.x_T], self._card.rate_hz, self._rate_hz)))
        x_T = np.pad(x_T, (0, max(len(send_T) - len(x_T), 0)))[: len(send_T)]
        return Recording(x_T, tuple(at * self._rate_hz // self._card.rate_hz for at in back.lost))
