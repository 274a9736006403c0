"""Walks through a session take by take: record, keep, retake, skip, back. Nothing here asks or prints.

Shapes: T time in samples.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.core.errors import UserError
from models.knobs.schema import Setting
from models.recordings.alignment import causal_margin
from models.sessions.judge import Judge, Verdict
from models.sessions.progress_file import SessionProgress, write_progress
from models.sessions.session_takes import PlannedTake, SessionTakes, turned_knobs
from models.sound_card.card import InputListener, Recording, SoundCard

TAIL_SECONDS = 0.5  # recorded after the signal, beyond the round trip


class GuidedSession:
    """A session at one of its takes (`current`; None at the end).

    It begins at the first take that is neither recorded nor skipped.
    """

    def __init__(self, takes: SessionTakes, card: SoundCard, progress: SessionProgress) -> None:
        self.takes, self.card, self.progress = takes, card, progress
        self.judge = Judge(takes)
        self._at = -1
        self._dialed: Setting | None = None  # the setting of the take that was recorded last in this sitting
        self._unsure: set[str] = set()  # knobs that a skipped take asked for
        self._unkept: Path | None = None
        takes.clean()
        self._forward()

    def begin(self, on_take: Callable[[int, int], None] | None = None) -> None:
        """Measure what was recorded before."""
        self.judge.read_kept([planned for planned in self.takes.takes if planned.is_recorded], on_take)

    @property
    def current(self) -> PlannedTake | None:
        """The take to record now."""
        return self.takes.takes[self._at] if self._at < len(self.takes.takes) else None

    @property
    def to_turn(self) -> Setting:
        """The knobs to turn for the current take; all of them where nobody knows how they stand."""
        planned = self._now()
        return turned_knobs(self.takes.knobs, self._dialed, planned.take.setting, tuple(self._unsure))

    @property
    def skipped(self) -> list[PlannedTake]:
        """The takes that were skipped and are still missing."""
        return [planned for planned in self.takes.missing if planned.name in self.progress.skipped]

    @property
    def open_takes(self) -> list[PlannedTake]:
        """The takes that are neither recorded nor skipped."""
        return [planned for planned in self.takes.missing if planned.name not in self.progress.skipped]

    def record(self, on_input: InputListener | None = None) -> Verdict:
        """Record the current take and judge it; `keep` or `retake` decide on it.

        Raises `CardLost` where the card stops, and `UserError` where the take cannot be written: both change nothing.
        """
        planned = self._now()
        self.retake()
        signal_T = self.takes.read_signal(planned)
        late = self.progress.round_trip_samples or 0.0
        start = max(int(late) - causal_margin(self.takes.rate_hz), 0)
        tail_T = np.zeros(int(late) + int(TAIL_SECONDS * self.takes.rate_hz), np.float32)
        sent_T = np.concatenate([10 ** (self.progress.send_db / 20) * signal_T, tail_T]).astype(np.float32)
        recording = self.card.play_and_record(sent_T, on_input)
        took_T = recording.x_T[start : start + len(signal_T)]
        self._unkept = self.takes.write_unkept(planned, took_T)
        lost_s = _lost_seconds(recording, start, len(signal_T), self.takes.rate_hz)
        self._dialed, self._unsure = dict(planned.take.setting), set()
        return self.judge.judge(planned, self._unkept, lost_s)

    def keep(self) -> None:
        """Keep what was recorded and go on to the next take."""
        planned, unkept = self._now(), self._unkept
        if unkept is None:
            return
        self.takes.keep(planned, unkept)
        self._unkept = None
        self.judge.keep(planned, unkept)
        self._remember_skipped(planned, skipped=False)
        self._forward()

    def retake(self) -> None:
        """Drop what was recorded of the current take, if anything was."""
        if self._unkept:
            self.judge.drop(self._now(), self._unkept)
            self._unkept = None
            self.takes.clean()

    def skip(self) -> None:
        """Go on to the next take; one that is not recorded counts as skipped."""
        planned = self._now()
        self._unsure |= set(self.to_turn)
        self.retake()
        if not planned.is_recorded:
            self._remember_skipped(planned, skipped=True)
        self._forward()

    def back(self) -> bool:
        """Go to the take before, recorded or not; return whether there is one."""
        if self._at < len(self.takes.takes):
            self.retake()
        if self._at == 0:
            return False
        self._at -= 1
        return True

    def go_to(self, number: int) -> None:
        """Go to a take, recorded or not; raises `UserError` for a number that the session does not have."""
        count = len(self.takes.takes)
        if not 1 <= number <= count:
            raise UserError(
                f"there is no take {number}; the session has takes 1 to {count}", "Count as the sheet does."
            )
        self._at = number - 1

    def return_to_skipped(self) -> None:
        """Go to the first take that was skipped; they are no longer."""
        first = self.skipped[:1]
        self._save(self.progress.model_copy(update={"skipped": ()}))
        if first:
            self._at = first[0].number - 1

    def set_up(self, progress: SessionProgress) -> None:
        """Take over what the set-up found, and remember it."""
        self._save(progress)

    def _forward(self) -> None:
        """Go to the next take that is neither recorded nor skipped."""
        later = [planned.number - 1 for planned in self.open_takes if planned.number - 1 > self._at]
        earlier = [planned.number - 1 for planned in self.open_takes]
        self._at = (later or earlier or [len(self.takes.takes)])[0]

    def _remember_skipped(self, planned: PlannedTake, skipped: bool) -> None:
        names = [name for name in self.progress.skipped if name != planned.name] + [planned.name] * skipped
        if tuple(names) != self.progress.skipped:
            self._save(self.progress.model_copy(update={"skipped": tuple(names)}))

    def _save(self, progress: SessionProgress) -> None:
        write_progress(self.takes.folder, progress)
        self.progress = progress

    def _now(self) -> PlannedTake:
        planned = self.current
        if planned is None:
            raise RuntimeError("the session is at its end")
        return planned


def _lost_seconds(recording: Recording, start: int, length: int, rate_hz: int) -> list[float]:
    """Return the seconds of the take at which the card lost audio."""
    return [(at - start) / rate_hz for at in recording.lost if start <= at < start + length]
