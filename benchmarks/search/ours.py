"""The project's sampler and pruner as a method on the simulated workers."""

from benchmarks.search.clock import Task
from benchmarks.search.space import RowCandidate, TableSpace
from benchmarks.search.table import Point, Table
from search.config.study import ALL, Pruning
from search.optimizer.calibration import expected_gain
from search.optimizer.candidates import CandidatePool
from search.optimizer.protocols import Values
from search.optimizer.pruner import HalvingPruner
from search.optimizer.sampler import SurrogateSampler

LIMITS: dict[str, dict[str, float]] = {ALL: {}}  # a table knows no limits


class Ours:
    """`SurrogateSampler` and `HalvingPruner` with the defaults of a search; controls as in its scheduler.

    Args:
        table: what is searched.
        seed: of the sampler.
        prunes: whether trials are stopped early.
    """

    def __init__(self, table: Table, seed: int, *, prunes: bool = True) -> None:
        self.table, self._pruning = table, Pruning()
        self.pool = CandidatePool(TableSpace(table), self._to_candidate, lambda candidate: None)
        self.sampler = SurrogateSampler(self.pool, seed)
        first = max(1, len(table.steps) // 20)
        self.pruner = HalvingPruner(self._pruning.calibrate, first) if prunes and len(table.steps) > 1 else None
        self._controls: set[str] = set()
        self._curves: dict[str, dict[int, float]] = {}  # trial -> step -> log10 of the error
        self._finished: list[str] = []

    def _to_candidate(self, point: Point) -> RowCandidate:
        return RowCandidate(self.table.nearest(point))

    def suggest(self, left: int | None = None) -> Task | None:
        """Return what the sampler suggests; the first trials, and one in some later ones, train to the end.

        `left` is how many trials may still begin, this one among them; None where their number is not limited.
        """
        candidate = self.sampler.suggest(left)
        if candidate is None:
            return None
        later = len(self.pool.trained) - self._pruning.calibrate
        every = self._pruning.control
        if later < 0 or (every and (later + 1) % every == 0):
            self._controls.add(candidate.identity)
        self.sampler.on_start(candidate.identity, self.pool.start(candidate.identity, candidate.point))
        return Task(candidate.identity, candidate.point, len(self.table.steps))

    def on_report(self, trial: str, step: int, values: Values) -> bool:
        """Ask the pruner."""
        self._curves.setdefault(trial, {})[step] = values[0]
        if not self.pruner:
            return True
        survives = self.pruner.should_continue(trial, step, [values])
        self.pruner.observe(trial, step, [values])
        return survives is not False or trial in self._controls

    def on_end(self, trial: str) -> None:
        """Tell the sampler what a trial reached; of a stopped one, an estimate of where it would have ended."""
        candidate = self.pool.trained[trial]
        error, step = self._curves[trial][max(self._curves[trial])], max(self._curves[trial])
        if step == len(self.table.steps):
            self._finished.append(trial)
        else:
            error -= expected_gain([self._curves[finished] for finished in self._finished], step)
        self.sampler.on_end(trial, {ALL: (error, candidate.log_cost)}, LIMITS, candidate.row.seconds)
        if self.pruner and step == len(self.table.steps):
            self.pruner.on_finish(trial)
