"""Decodes takes one at a time, with one dry signal in memory.

Shapes: T time in samples.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.audio.io import read_audio
from models.recordings.manifest import Take

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class DrySignal:
    """A decoded dry signal, float32; files with the same samples have the same `sha256`."""

    x_T: np.ndarray
    rate_hz: int
    sha256: str


class TakeReader:
    """Decodes the files of takes and remembers the last dry signal, so that consecutive takes share it.

    With `rate_hz` every file is resampled to that rate.
    """

    def __init__(self, rate_hz: int | None = None) -> None:
        self._rate_hz = rate_hz
        self._source: tuple[Path, int | None] | None = None
        self._dry: DrySignal | None = None

    def read_dry(self, take: Take) -> DrySignal:
        """Return the dry signal of a take, decoded unless the take before has it; raises as `read_audio` does."""
        source = (take.dry, take.channel)
        if self._dry is None or source != self._source:
            x_T, rate_hz = read_audio(*source, self._rate_hz)
            self._source, self._dry = source, DrySignal(x_T, rate_hz, sha256(x_T.tobytes()).hexdigest())
        return self._dry

    def read_wet(self, take: Take) -> tuple[np.ndarray, int]:
        """Decode the wet file of a take: `(x_T float32, rate in Hz)`; raises as `read_audio` does."""
        return read_audio(take.wet, take.channel, self._rate_hz)


def group_by_dry(items: Iterable[Item], dry_of: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Group takes by their dry signal, which `dry_of` identifies, in the order of first appearance."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(dry_of(item), []).append(item)
    return list(groups.values())
