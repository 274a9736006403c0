"""The state of a study in memory, built from the lines of its ledger."""

import math
from collections.abc import Iterable

from search.config.study import SearchConfig
from search.optimizer.calibration import Curve, expected_gain, log_error
from search.optimizer.protocols import Values
from search.study.lines import ENDS, FINISHED, PRUNED, LedgerLine, TrialRecord, TrialReport, TrialStart
from search.study.objectives import Reached, errors_of


class StudyState:
    """Records of all trials, and what those of the search proper (not the finals) have reached.

    The same lines in the same order give the same state.
    """

    def __init__(self, config: SearchConfig) -> None:
        self._config = config
        self._records: dict[str, TrialRecord] = {}
        self._reports: dict[str, dict[int, dict[str, Values]]] = {}  # trial -> step -> front -> objectives
        self._finished: list[str] = []
        self._searched: list[str] = []
        self._ended = 0

    def apply(self, line: LedgerLine) -> TrialRecord:
        """Take in the next line and return the record of its trial."""
        known = self._records.get(line.trial)
        if known is None:
            assert isinstance(line, TrialStart), "a trial starts before it reports"
            record = TrialRecord.of_start(line)
        else:
            record = known.merged(line)
        self._records[line.trial] = record
        if not record.is_final:
            self._count(record, line)
        return record

    def _count(self, record: TrialRecord, line: LedgerLine) -> None:
        if isinstance(line, TrialStart):
            self._searched.append(line.trial)
        elif isinstance(line, TrialReport):
            self._reports.setdefault(line.trial, {})[line.step] = self.reached(record, line)
        elif line.state in ENDS:
            self._ended += 1
            if line.state == FINISHED:
                self._finished.append(line.trial)

    def __contains__(self, trial: str) -> bool:
        return trial in self._records

    def __len__(self) -> int:
        return len(self._records)

    def record(self, trial: str) -> TrialRecord:
        """Return the record of a trial that has started."""
        return self._records[trial]

    @property
    def started(self) -> int:
        """How many trials of the search proper have started."""
        return len(self._searched)

    @property
    def ended(self) -> int:
        """How many trials of the search proper have ended."""
        return self._ended

    @property
    def running(self) -> list[str]:
        """The trials that have started and not ended."""
        return [name for name, record in self._records.items() if not record.has_ended]

    def count_started(self, trials: Iterable[str]) -> int:
        """Return how many of these trials have started."""
        return sum(trial in self._records for trial in trials)

    def reached(self, record: TrialRecord, at: Reached) -> dict[str, Values]:
        """Return front -> `(log error, log cost)` of a trial, at one of its reports or at the latest."""
        cost = math.log10(record.cost)
        return {front: (log_error(error), cost) for front, error in errors_of(self._config, at).items()}

    def objectives(self, record: TrialRecord) -> dict[str, Values]:
        """Return front -> `(log error, log cost)` of an ended trial; empty where it has no result.

        The error of a pruned trial is an estimate of where it would have ended (see `expected_gain`).
        """
        if record.state not in (FINISHED, PRUNED):
            return {}
        values = self.reached(record, record)
        if record.state == PRUNED:
            for front, (error, cost) in values.items():
                gain = expected_gain([self._curve(trial, front) for trial in self._finished], record.step)
                values[front] = error - gain, cost
        return values

    def _curve(self, trial: str, front: str) -> Curve:
        """Return step -> log10 of the error on a front."""
        return {step: reached[front][0] for step, reached in self._reports[trial].items()}
