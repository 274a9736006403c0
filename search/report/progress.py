"""How far a search is: its trials as they stand, the steps that are done, and the time that it probably still takes."""

import time
from collections.abc import Callable, Iterable
from statistics import fmean

from search.config.study import SearchConfig
from search.study.lines import FINISHED, PRUNED, REPORT, LedgerLine, TrialRecord, latest, trained_seconds


class SearchProgress:
    """Follows a search by the records of its trials.

    The time that is left is predicted from the seconds that the reports state for each trial, and from the number of
    trials that train at once. Of a search whose time is limited it is what is left of that time.

    Args:
        config: the search.
        clock: seconds since any moment.
    """

    def __init__(self, config: SearchConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._clock = config, clock
        self._records: dict[str, TrialRecord] = {}
        self._spent: dict[str, tuple[float, int]] = {}  # trial -> seconds of training, and the steps they took
        self._reported: set[str] = set()  # trials that have reported to this process
        self._workers = 1
        self._began_s, self._earlier_s = clock(), 0.0
        self._predicted: tuple[float, float] | None = None  # the seconds left, and when they were predicted

    def begin(self, lines: Iterable[LedgerLine] = ()) -> None:
        """Take note that training begins, after what an earlier process wrote."""
        lines = list(lines)
        self._records = {record.trial: record for record in latest(lines)}
        self._spent = {
            trial: (seconds, self._records[trial].step) for trial, seconds in trained_seconds(lines).items() if seconds
        }
        self._began_s = self._clock()
        self._earlier_s = max((record.at or 0.0 for record in self._records.values()), default=0.0)

    def on_record(self, record: TrialRecord) -> None:
        """Take in the record of a trial after its latest line."""
        known = self._records.get(record.trial)
        self._records[record.trial] = record
        before = known.step if known else 0
        if record.state == REPORT and record.step > before:
            seconds, steps = self._spent.get(record.trial, (0.0, 0))
            self._spent[record.trial] = seconds + record.seconds, steps + record.step - before
            self._reported.add(record.trial)
        training = [trial for trial in self._reported if not self._records[trial].has_ended]
        self._workers = max(self._workers, len(training))
        left_s = self._predict()
        self._predicted = None if left_s is None else (left_s, self._clock())

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
        steps = sum(steps for _, steps in self._spent.values())
        if not steps:
            return None
        usual_s = sum(seconds for seconds, _ in self._spent.values()) / steps
        running = [self._left_of(trial, usual_s) for trial in self.trials if not trial.has_ended]
        later = usual_s * self._steps_to_come()
        return max([(sum(running) + later) / self._workers, *running])

    def _left_of(self, trial: TrialRecord, usual_s: float) -> float:
        """Return the seconds that a trial still trains."""
        seconds, steps = self._spent.get(trial.trial, (usual_s, 1))
        return seconds / steps * (trial.steps - trial.step)

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
