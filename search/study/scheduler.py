"""The trial scheduler: what to train next, whether a trial continues training, and what is written to the ledger."""

import math
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from statistics import fmean

from models.core.errors import UserError
from models.core.renames import GOING, restore_folders
from models.core.system_files import is_system_file
from models.network.architecture import WaveNetConfig
from models.training.stacked import form_of
from search.config.study import SearchConfig
from search.optimizer.candidates import CandidatePool
from search.optimizer.protocols import Pruner, Sampler
from search.study import ledger
from search.study.constraints import ModelCandidate, Sizes
from search.study.lines import (
    AGAIN,
    DIVERGED,
    FAILED,
    FINISHED,
    PRUNED,
    START,
    LedgerLine,
    TrialEnd,
    TrialRecord,
    TrialRelease,
    TrialReport,
    TrialRestart,
    TrialStart,
    latest,
)
from search.study.objectives import constraints_of
from search.study.results import Result, TrialFault
from search.study.state import StudyState
from search.study.tasks import RestartQueue, Task, task_of
from search.study.time_budget import TimeBudget

Listener = Callable[[TrialRecord], None]

MAX_STARTS = 3  # of a trial in this process, each ended by the death of the process, before the trial counts as failed


class TrialScheduler:
    """Decides for a backend, which calls `suggest` or `suggest_group`, `on_report` and `on_complete` from one thread.

    All that it knows comes from the lines of the ledger, in the order in which they were written: a new scheduler
    on the same study continues where the last one stopped, with the same sampler and pruner. Trials that have started
    are suggested first, then the pool's first candidates, then what the sampler suggests.

    Args:
        config: the search.
        study: the study folder.
        pool: makes candidates and decides which are new.
        sampler: suggests candidates once the pool's first ones are used up.
        pruner: stops trials; None trains all to the end.
        sizes: the size of a model.
        stock: identities of candidates that always train to the end and place no rungs, so that no search ends
            below them.
        listener: called with the trial's record after each line.
        copy: called before the listener; a `UserError` that it raises stops the search.
        time_budget: of a search whose config states minutes.
    """

    def __init__(
        self,
        config: SearchConfig,
        study: Path,
        pool: CandidatePool[ModelCandidate],
        sampler: Sampler[ModelCandidate],
        pruner: Pruner | None,
        *,
        sizes: Callable[[WaveNetConfig], Sizes],
        stock: Collection[str] = (),
        listener: Listener | None = None,
        copy: Listener | None = None,
        time_budget: TimeBudget | None = None,
    ) -> None:
        self._config, self._study = config, study
        self._pool, self._sampler, self._pruner = pool, sampler, pruner
        self._sizes, self._listener, self._copy = sizes, listener, copy
        self._time, self._workers = time_budget, 1
        self._state = StudyState(config)
        self._stopped: str | None = None
        self._exhausted = False
        self._untried = 0
        self._first = {candidate.identity for candidate in pool.first}
        self._stock = frozenset(stock)
        restore_folders(study / "trials")  # of a process that was killed while it saved a trial
        for line in ledger.read_lines(study):
            self._apply(line)
        for trial in self._state.running:
            self.folder(trial)
        self._earlier = frozenset(self._state.running)  # trials that another process had started
        self._restarts = RestartQueue(self._state, self._candidate, self._state.running)

    @property
    def config(self) -> SearchConfig:
        """The search."""
        return self._config

    @property
    def study(self) -> Path:
        """The study folder."""
        return self._study

    @property
    def stopped(self) -> str | None:
        """Why no trial can continue, a fault of no trial; None while the search may continue."""
        return self._stopped

    @property
    def open(self) -> bool:
        """Whether there may be something left to suggest."""
        more = self._state.started < self._config.trials and not self._exhausted
        return not self._stopped and (more or bool(self._restarts))

    @property
    def untried(self) -> int:
        """The trials for which the space had no further point; 0 while that is not known."""
        return self._untried

    @property
    def running(self) -> list[str]:
        """The trials that have started and not ended."""
        return self._state.running

    @property
    def started(self) -> int:
        """How many trials of the search proper have started."""
        return self._state.started

    @property
    def ended(self) -> int:
        """How many trials of the search proper have ended."""
        return self._state.ended

    def record(self, trial: str) -> TrialRecord:
        """Return what is known of a trial that has started."""
        return self._state.record(trial)

    def _candidate(self, trial: str) -> ModelCandidate:
        """Return the candidate of a trial, or of the trial that a final trains again."""
        return self._pool.trained[self._state.record(trial).of or trial]

    def folder(self, trial: str) -> Path:
        """Return the folder of a trial, which holds one run folder for each amp.

        It is replaced at each report. Raises `UserError` where that would remove anything else: a study that came from
        somewhere may have links in it.
        """
        folder = self._study / "trials" / trial
        if folder.is_symlink():
            raise UserError(f"{folder} is a link to another folder", "Put the folder itself there, or remove the link.")
        own = {data.name for data in self._config.datasets} | {GOING}
        found = {path.name for path in folder.iterdir()} if folder.exists() else set[str]()
        if other := [name for name in sorted(found - own) if not is_system_file(PurePath(name))]:
            raise UserError(f"{folder} holds '{other[0]}', which is no amp of this search", "Move it elsewhere.")
        return folder

    def suggest(self) -> Task | None:
        """Return the next trial to train, or None where there is none."""
        if not self.open:
            return None
        if self._restarts:
            return self._restarts.take()
        left = self._trials_left()
        candidate = (self._pool.next_first() or self._sampler.suggest(left)) if left else None
        if candidate is None:
            self._exhausted, self._untried = True, left
            return None
        return self._start(candidate)

    def _trials_left(self) -> int:
        """Return how many trials may still start: as many as are stated, or fewer where the time is limited."""
        left = self._config.trials - self._state.started
        if self._time and self._pool.trained:
            in_time = self._time.trials_left(self._mean_work(), self._workers, self._wait())
            left = left if in_time is None else min(left, in_time)
        return left

    def _wait(self) -> float:
        """Return the work until a trial that is suggested now begins to train: backends ask before one has ended."""
        running = [self._state.record(trial) for trial in self._state.running]
        works = sorted(self._candidate(record.trial).work * (record.steps - record.step) for record in running)
        return works[len(works) - self._workers] if len(works) >= self._workers > 1 else 0.0

    def _mean_work(self) -> float:
        return fmean(candidate.work for candidate in self._pool.trained.values())

    def suggest_group(self, most: int) -> list[Task]:
        """Return the next trials to train together, at most so many; empty where there are none.

        They have one architecture and agree in all settings that a stack of trainers shares. A trial that has
        started is grouped with others at the same step (the seeds of a final, for example), one that the sampler
        suggests with its most promising variants. The pool's first candidates come alone, so that variants take the
        place of none of them.
        """
        restarts = bool(self._restarts)
        task = self.suggest()
        if task is None:
            return []
        if restarts:
            return [task, *self._restarts.take_alike(task, most - 1)]
        if task.trial in self._first:
            return [task]
        return [task, *self._start_variants(task.trial, most - 1)]

    def _start_variants(self, trial: str, most: int) -> list[Task]:
        """Start trials that train the same model in another way, so that it can be trained together."""
        base, variants = self._candidate(trial), list[Task]()
        form = _network_form(base)
        while self.open and len(variants) < most:
            candidate = self._sampler.vary_learning(base, lambda other: _network_form(other) == form)
            if candidate is None:
                break
            variants.append(self._start(candidate))
        return variants

    def begin_finals(self, chosen: Sequence[str]) -> None:
        """Suggest trials again, longer and with several seeds; finals that have started are not started twice.

        Where the time is limited and not all fit, all have their first seed before any has its second one.
        """
        assert self._config.final
        wanted = [(trial, seed) for seed in range(self._config.final.seeds) for trial in chosen]
        if self._time and chosen:
            work = fmean(self._candidate(trial).work for trial in chosen)
            wanted = wanted[: self._time.finals_left(work, self._workers)]
        for trial, seed in wanted if self._time else sorted(wanted, key=lambda pair: chosen.index(pair[0])):
            name = f"{trial}-{seed}"
            if name not in self._state:
                self._write_start(name, self._candidate(trial), self._config.final_steps, seed, of=trial)
                self._restarts.add(name)

    def on_report(self, result: Result) -> bool:
        """Take a trial's report or fault; return whether it continues training. A known report changes nothing."""
        record = self._state.record(result.trial)
        if record.has_ended or self._stopped:
            return False
        if isinstance(result, TrialFault):
            self._end_by_fault(result)
            return False
        if not math.isfinite(result.esr):
            self._end_by_fault(TrialFault(result.trial, "diverged", "its error is not a number", result.step))
            return False
        if result.step <= record.step:
            return True
        return self._write_report(record, result)

    def _write_report(self, record: TrialRecord, report: TrialReport) -> bool:
        """Write a report with the pruner's answer; return whether the trial continues training."""
        survives = None
        if self._pruner and not record.is_final:
            values = list(self._state.reached(record, report).values())
            survives = self._pruner.should_continue(report.trial, report.step, values)
        self._write(replace(report, survives=survives))
        if survives is not False or record.control or report.step >= record.steps:
            return True
        self._write(TrialEnd(trial=report.trial, state=PRUNED))
        return False

    def _end_by_fault(self, fault: TrialFault) -> None:
        if fault.kind == "stopped":
            self._stopped = fault.reason
        elif fault.kind == "diverged":
            self._write(TrialEnd(trial=fault.trial, state=DIVERGED, step=fault.step, reason=fault.reason))
        else:
            self._write(TrialEnd(trial=fault.trial, state=FAILED, reason=fault.reason))

    def on_complete(self, trial: str, failure: str | None = None) -> bool:
        """End a trial whose training is over (a fault where `failure` is stated); return whether it has just finished.

        A trial that neither failed nor reached its last step was interrupted: the next scheduler suggests it again.
        """
        record = self._state.record(trial)
        if record.has_ended or self._stopped:
            return False
        if failure is not None:
            self._write(TrialEnd(trial=trial, state=FAILED, reason=failure))
        elif record.is_trained:
            self._write(TrialEnd(trial=trial, state=FINISHED))
        return self._state.record(trial).state == FINISHED

    def claim(self, trial: str) -> bool:
        """Take note that a backend trains a trial in this process; return False where the trial has failed instead.

        A trial that takes too much memory may kill the process. It fails where the process died `MAX_STARTS` times
        since its last report. A start that was followed by `release` does not count, nor do trials in processes of
        their own, whose deaths their backend counts.
        """
        record = self._state.record(trial)
        if trial not in self._earlier:
            return True
        starts = (record.starts or 1) if record.state in (START, AGAIN) else 0
        if starts >= MAX_STARTS:
            failure = f"{starts} times the search was killed while it trained, before a new report; is memory short?"
            self.on_complete(trial, failure)
            return False
        self._write(TrialRestart(trial=trial, starts=starts + 1))
        return True

    def release(self, trials: Collection[str]) -> None:
        """Take note that this process stops training these trials without dying (see `claim`).

        This goes by the file: an interruption may have come after a line was written and before it was taken in here.
        """
        for record in latest(ledger.read_lines(self._study)):
            if record.trial in trials and record.state in (START, AGAIN):
                line = TrialRelease(trial=record.trial)
                ledger.append(self._study, line)
                self._notify(record.merged(line))

    def _start(self, candidate: ModelCandidate) -> Task:
        """Start a trial of the search proper."""
        trial, learning = candidate.identity, self._config.learning
        seed = learning.seed + int(trial, 16)
        self._write_start(trial, candidate, learning.steps, seed, control=self._is_control(trial))
        return task_of(self._state, trial)

    def _write_start(
        self,
        trial: str,
        candidate: ModelCandidate,
        steps: int,
        seed: int,
        *,
        control: bool | None = None,
        of: str | None = None,
    ) -> None:
        point, model = candidate.point, candidate.model
        self._write(
            TrialStart(
                trial=trial,
                number=len(self._state),
                point=point,
                label=self._config.space.label(point),
                form=model.inject.label,
                steps=steps,
                seed=seed,
                control=control,
                of=of,
                **asdict(self._sizes(model)),
            )
        )

    def _is_control(self, trial: str) -> bool:
        """Return whether the next trial trains to the end whatever the pruner decides: stock, first ones, controls.

        Stock is not counted among the first, nor between controls.
        """
        pruning, started = self._config.pruning, self._state.started - self._state.count_started(self._stock)
        if pruning is None or trial in self._stock or started < pruning.calibrate:
            return True
        return pruning.control is not None and (started - pruning.calibrate + 1) % pruning.control == 0

    def _write(self, line: LedgerLine) -> None:
        if self._time and isinstance(line, TrialEnd):
            line = replace(line, at=round(self._time.spent_s, 2))
        ledger.append(self._study, line)
        self._notify(self._apply(line))

    def _notify(self, record: TrialRecord) -> None:
        if self._copy:
            try:
                self._copy(record)
            except UserError as problem:
                self._stopped = problem.message
        if self._listener:
            self._listener(record)

    def _apply(self, line: LedgerLine) -> TrialRecord:
        """Take in a line, new or old, and pass it on to sampler and pruner."""
        before = self._state.record(line.trial).step if line.trial in self._state else 0
        record = self._state.apply(line)
        training = [trial for trial in self._state.running if self._state.record(trial).step]  # others may wait
        self._workers = max(self._workers, len(training))
        if self._time and isinstance(line, TrialReport) and line.seconds:
            self._time.on_report(line.seconds, self._candidate(line.trial).work * (line.step - before))
        if record.is_final:
            return record
        if isinstance(line, TrialStart):
            self._sampler.on_start(line.trial, self._pool.start(line.trial, line.point))
        elif isinstance(line, TrialReport) and self._pruner:
            self._pruner.observe(line.trial, line.step, list(self._state.reached(record, line).values()))
        elif isinstance(line, TrialEnd):
            limits = constraints_of(self._config, record)
            work = self._candidate(line.trial).work
            self._sampler.on_end(line.trial, self._state.objectives(record), limits, work)
            if self._pruner and line.state == FINISHED and line.trial not in self._stock:
                self._pruner.on_finish(line.trial)
        return record


def _network_form(candidate: ModelCandidate) -> Hashable:
    """Return what candidates that are trained together must have in common."""
    return form_of(candidate.model, candidate.learning)
