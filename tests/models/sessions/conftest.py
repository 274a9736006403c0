"""A planned session of the closed-form amp, and a card on which somebody turns its knobs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from models.capture.session import write_session
from models.knobs.schema import Setting
from models.sessions.guide import GuidedSession
from models.sessions.progress_file import read_progress
from models.sessions.session_takes import SessionTakes
from models.sound_card.simulated import SimulatedCard
from tests.support.makers import GRID, KNOBS, RATE, amp, di, write_wav

LATENCY = 300


def signal(seconds: float = 6.0) -> np.ndarray:
    """A dry signal that begins with silence and repeats a bar."""
    x_T = di(seconds)
    x_T[: RATE // 2] = 0
    x_T[-RATE : -RATE // 2] = x_T[RATE : RATE + RATE // 2]
    return x_T


@dataclass
class Bench:
    """A session folder, an amp whose knobs stand at `dialed`, and a card in front of it."""

    folder: Path
    dialed: Setting = field(default_factory=lambda: dict(GRID[0]))
    card: SimulatedCard = field(init=False)

    def __post_init__(self) -> None:
        self.card = SimulatedCard(lambda x_T: amp(x_T, **self.dialed), RATE, latency=LATENCY, noise=3e-5)

    def open(self) -> GuidedSession:
        """The session as an evening begins."""
        takes = SessionTakes(self.folder)
        progress = read_progress(self.folder).model_copy(update={"round_trip_samples": float(LATENCY)})
        session = GuidedSession(takes, self.card, progress)
        session.begin()
        return session

    def record(self, session: GuidedSession):
        """Turn the knobs as asked and record."""
        self.dialed |= session.to_turn
        return session.record()

    def files(self) -> set[str]:
        """The recordings in the folder."""
        return {path.name for path in self.folder.glob("*.wav")} - {"di.wav"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A session of five takes, the last of them held."""
    return plan(tmp_path, 4)


@pytest.fixture
def planned(tmp_path: Path) -> Callable[[int], Bench]:
    """A maker of sessions with that many takes to train on, and one held."""
    return lambda count: plan(tmp_path, count)


def plan(folder: Path, count: int) -> Bench:
    """Plan a session."""
    dry = write_wav(folder / "di.wav", signal())
    write_session(folder / "session", KNOBS, GRID[:count], GRID[-1:], dry)
    return Bench(folder / "session")
