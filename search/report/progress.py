"""How far a search is: its trials as they stand, the steps that are done, and the time that it probably still takes."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean

from search.config.study import SearchConfig
from search.study.lines import FINISHED, PRUNED, START, LedgerLine, TrialRecord, latest


@dataclass
class TrialPace:
    """When this process first knew of a trial and when it last reported, in seconds, each with the step."""

    first_s: float
    first_step: int
    last_s: float = field(init=False)
    last_step: int = field(init=False)

    def __post_init__(self) -> None:
        self.last_s, self.last_step = self.first_s, self.first_step

    @property
    def steps(self) -> int:
        """The steps between the two."""
        return self.last_step - self.first_step

    @property
    def seconds(self) -> float:
        """The seconds between the two."""
        return self.last_s - self.first_s


class SearchProgress:
    """Follows a search by the records of its trials.

    The time that is left is predicted from the pace of each trial and from the number of trials that train at once. Of
    a search whose time is limited it is what is left of that time.

    Args:
        config: the search.
        clock: seconds since any moment.
    """

    def __init__(self, config: SearchConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._clock = config, clock
        self._records: dict[str, TrialRecord] = {}
        self._paces: dict[str, TrialPace] = {}
        self._workers = 1
        self._began_s, self._earlier_s = clock(), 0.0
        self._predicted: tuple[float, float] | None = None  # the seconds left, and when they were predicted

    def begin(self, lines: Iterable[LedgerLine] = ()) -> None:
        """Take note that training begins, after what an earlier process wrote."""
        self._records = {record.trial: record for record in latest(lines)}
        self._began_s = self._clock()
        self._earlier_s = max((record.at or 0.0 for record in self._records.values()), default=0.0)

    def on_record(self, record: TrialRecord) -> None:
        """Take in the record of a trial after its latest line."""
        self._records[record.trial] = record
        now_s = self._clock()
        if not (record.is_final and record.state == START):  # finals start together and wait for each other
            pace = self._paces.setdefault(record.trial, TrialPace(now_s, record.step))
            if record.step > pace.last_step:
                pace.last_s, pace.last_step = now_s, record.step
        training = [name for name in self._paces if not self._records[name].has_ended]
        self._workers = max(self._workers, len(training))
        left_s = self._predict()
        self._predicted = None if left_s is None else (left_s, now_s)

    @property
    def trials(self) -> list[TrialRecord]:
        """The trials in the order in which they started."""
        return list(self._records.values())

    @property
    def spent_s(self) -> float:
        """The seconds that the search has taken, those of earlier processes too where its time is limited."""
        return self._earlier_s + self._clock() - self._began_s

    def share(self) -> float:
        """Return how much of the search is done, from 0 to 1; an ended trial counts with all of its steps."""
        if self._config.minutes is not None:
            return min(self.spent_s / (60 * self._config.minutes), 1.0)
        trials = self.trials
        done = sum(trial.steps if trial.has_ended else trial.step for trial in trials)
        total = sum(count * steps for count, steps in self._config.trainings)
        if any(trial.is_final for trial in trials):  # no other trial comes
            total = sum(trial.steps for trial in trials)
        return min(done / max(total, 1), 1.0)

    def seconds_left(self) -> float | None:
        """Return the seconds of training that are probably left; None while no trial has reported."""
        if self._config.minutes is not None:
            return max(60 * self._config.minutes - self.spent_s, 0.0)
        if self._predicted is None:
            return None
        left_s, at_s = self._predicted
        return max(left_s - (self._clock() - at_s), 0.0)

    def _predict(self) -> float | None:
        """Return the seconds that are left of a search without a limit of time."""
        measured = [pace for pace in self._paces.values() if pace.steps]
        if not measured:
            return None
        usual_s = sum(pace.seconds for pace in measured) / sum(pace.steps for pace in measured)
        running = [self._left_of(trial, usual_s) for trial in self.trials if not trial.has_ended]
        later = usual_s * self._steps_to_come()
        return max([(sum(running) + later) / self._workers, *running])

    def _left_of(self, trial: TrialRecord, usual_s: float) -> float:
        pace = self._paces.get(trial.trial)
        step_s = pace.seconds / pace.steps if pace and pace.steps else usual_s
        return step_s * (trial.steps - trial.step)

    def _steps_to_come(self) -> float:
        """Return the steps of trials that have not started: as many as others took, and all of the finals'."""
        config = self._config
        searched = [trial for trial in self.trials if not trial.is_final]
        if len(searched) < len(self._records):  # all finals start at once, after the last trial
            return 0.0
        ended = [trial.step for trial in searched if trial.state in (FINISHED, PRUNED)]
        each = fmean(ended) if ended else config.learning.steps
        finals = min(config.finals, config.trials) * config.final.seeds if config.final else 0
        return each * max(config.trials - len(searched), 0) + finals * config.final_steps
