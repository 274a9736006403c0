"""The time of a search whose budget is stated in minutes: what is spent, and how much training still fits."""

import math
import time
from collections.abc import Callable

from search.config.study import SearchConfig

FINAL_SHARE = 1 / 3  # of the time, which the final gets at most while it can be smaller

ONE_FINAL_SHARE = 1 / 2  # of the time, which is kept for a single final training


class TimeBudget:
    """Predicts what trainings take from their work (see `ModelCandidate.work`) and from the seconds that others took.

    Args:
        config: the search; its `minutes` are stated.
        earlier_s: the seconds that earlier processes spent on this study.
        clock: seconds since any moment.
    """

    def __init__(
        self, config: SearchConfig, earlier_s: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        assert config.minutes
        self._config, self._clock = config, clock
        self._total_s, self._began_s = 60 * config.minutes, clock() - earlier_s
        self._seconds = self._work = 0.0  # of all reports so far

    @property
    def spent_s(self) -> float:
        """The seconds that the search has taken so far, those of earlier processes too."""
        return self._clock() - self._began_s

    @property
    def left_s(self) -> float:
        """The seconds that are left."""
        return self._total_s - self.spent_s

    def on_report(self, seconds: float, work: float) -> None:
        """Take note that some work of training took so many seconds."""
        self._seconds += seconds
        self._work += work

    def trials_left(self, work: float, workers: int, wait: float = 0.0) -> int | None:
        """Return how many more trials end in time, beside what is kept for the final; None while that is not known.

        Args:
            work: what a step of an average trial takes.
            workers: how many trials train at once.
            wait: the work that is done before the next trial begins to train.
        """
        if not self._seconds:
            return None if self.left_s > 0 else 0
        left_s = self.left_s - self._kept_s(work, workers) - self._seconds_of(wait, 1)
        rounds = left_s / self._seconds_of(work, self._config.learning.steps)
        return int(rounds * workers) if rounds >= 1 else 0

    def finals_left(self, work: float, workers: int) -> int:
        """Return how many final trainings end in time, at least one: a search has a result."""
        if not self._seconds:
            return 1
        return max(1, int(self.left_s / self._seconds_of(work, self._config.final_steps)) * workers)

    def _seconds_of(self, work: float, steps: int) -> float:
        return work * steps * self._seconds / self._work

    def _kept_s(self, work: float, workers: int) -> float:
        """Return the seconds that are kept for the final."""
        final = self._config.final
        if final is None:
            return 0.0
        one = self._seconds_of(work, self._config.final_steps)
        whole = one * math.ceil(self._config.finals * final.seeds / workers)
        return max(min(whole, FINAL_SHARE * self._total_s), min(one, ONE_FINAL_SHARE * self._total_s))
