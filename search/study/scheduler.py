"""Every decision of a search, whoever trains its trials: what to try, whether to go on, what is written down."""

import math
from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.core.errors import UserError
from models.recordings.dataset import AmpData
from models.training.stacked import form_of
from search.config.study import SearchConfig
from search.optimizer.pruner import Curve, Plan, Rungs, calibrate, expected_gain, log_error
from search.optimizer.sampler import Proposer, Values
from search.optimizer.surrogate import Weighed
from search.study import ledger
from search.study.constraints import fault, heard, sizes, weigh
from search.study.cost import read_costs
from search.study.ledger import Line
from search.study.objectives import errors_of, front_names, limits_of

Listener = Callable[[Line], None]

STARTS = 3  # of a trial in this process, each in vain by the death of the process, before the trial counts as failed


@dataclass(frozen=True)
class Task:
    """What an engine trains: a point, to a step, and the checkpoint of an earlier start to go on from."""

    trial: str
    point: dict[str, Any]
    steps: int
    seed: int
    checkpoint: str | None = None


class Conductor:
    """Decides for an engine, which calls `propose` (or `propose_pack`), `report` and `end` from one thread.

    All it knows it learnt from the lines of the ledger, in the order in which they were written: made again on the same study it goes on
    where it stopped, rungs and sampler included. Trials that had begun are proposed first, then the config's warm points and `stock`,
    then what the sampler finds. Stock points always train to the end, so that no search ends below them.
    """

    def __init__(
        self,
        config: SearchConfig,
        study: Path,
        amps: Sequence[AmpData],
        stock: Sequence[dict[str, Any]] = (),
        listener: Listener | None = None,
    ) -> None:
        self.config, self.study, self.amps, self.listener = config, study, amps, listener
        self.reference_s = costs.reference_s if (costs := read_costs(study)) else None
        whole = config.space.holding(stock)
        known = (whole.complete(point) for point in (*config.warm, *stock))
        queue = [point for point in known if point]
        priors = [heard(trials) for trials in config.prior]
        self.proposer = Proposer(
            config.space,
            config.seed,
            self._fault,
            config.identity,
            self._weigh,
            queue,
            priors,
            fronts=front_names(config),
        )
        self.trials: dict[str, Line] = {}
        self.reports: dict[str, dict[int, dict[str, Values]]] = {}  # trial -> step -> front -> what it had reached
        self.rungs: Rungs | None = None
        self.stopped: str | None = None  # why no trial can go on: no trial's fault, and recorded of none
        self.exhausted = False  # the space holds nothing new
        self.begun = self.ended = 0
        self._queued = {config.identity(point) for point in queue}
        self._always = {config.identity(point) for point in queue[len(config.warm) :]}
        self._full: list[str] = []  # trials that trained to the end, in order of their end
        for line in ledger.read_lines(study):
            self._learn(line)
        self._again = deque(self.running)
        self._earlier = frozenset(self._again)  # what another process had begun

    @property
    def open(self) -> bool:
        """Whether there may be anything left to propose."""
        more = self.begun < self.config.trials and not self.exhausted
        return not self.stopped and (more or bool(self._again))

    @property
    def running(self) -> list[str]:
        """The trials that have begun and not ended."""
        return [name for name, line in self.trials.items() if line["state"] not in ledger.ENDS]

    def check(self) -> None:
        """Raise `UserError` when the space holds no point that may be trained, or those that come first are more than the trials."""
        first = {self.config.identity(point) for point in self.proposer.queue if self._fault(point) is None}
        if len(first) > self.config.trials:
            raise UserError(
                f"trials is {self.config.trials}, but the search begins with {len(first)} recipes (--from, stock and peers')",
                f'Say "trials": {len(first)} or more, or leave stock and peers\' recipes out with "shapes": [] in the space.',
            )
        point = self.proposer.ask()
        if point is None:
            reason, _ = self.proposer.refused.most_common(1)[0]
            raise UserError(
                f"no point of the space may be trained: {reason}", "Widen the space or its bounds, or record more."
            )
        self.proposer.queue.insert(0, point)

    def folder(self, trial: str) -> Path:
        """Where a trial's run folders are kept, one per amp."""
        return self.study / "trials" / trial

    def propose(self) -> Task | None:
        """The next trial to train, or None when there is none."""
        if not self.open:
            return None
        if self._again:
            return self._task(self._again.popleft())
        point = self.proposer.ask()
        if point is None:
            self.exhausted = True
            return None
        return self._begin_searched(point)

    def propose_pack(self, most: int) -> list[Task]:
        """The next trials to train as one, at most so many, of one architecture and learnt alike enough for it; empty when there are none.

        What had begun is packed with its like that came as far (the seeds of a final are alike), a point that the sampler found with its
        most promising variants. What is always tried comes alone, so that none of it is crowded out.
        """
        again = bool(self._again)
        task = self.propose()
        if task is None:
            return []
        searched = not again and task.trial not in self._queued
        pack, form = [task], self._form(task.point, task.steps)
        while searched and self.open and len(pack) < most:
            point = self.proposer.vary(task.point, lambda other: self._form(other, task.steps) == form)
            if point is None:
                break
            pack.append(self._begin_searched(point))
        for other in map(self._task, list(self._again) if again else ()):
            if (
                len(pack) < most
                and self._form(other.point, other.steps) == form
                and self.trials[other.trial].get("step") == self.trials[task.trial].get("step")
            ):
                self._again.remove(other.trial)
                pack.append(other)
        return pack

    def begin_finals(self, chosen: Sequence[str]) -> None:
        """Propose trials again, longer and with several seeds; those begun earlier are not begun twice."""
        assert self.config.final
        for trial in chosen:
            for seed in range(self.config.final.seeds):
                name = f"{trial}-{seed}"
                if name not in self.trials:
                    self._begin(name, self.trials[trial]["point"], self.config.final_steps, seed, of=trial)
                    self._again.append(name)

    def report(self, trial: str, result: dict[str, Any]) -> bool:
        """Hear a report (`step`, `esr`, `amps` and more) and say whether the trial goes on. One heard before changes nothing."""
        known = self.trials[trial]
        if known["state"] in ledger.ENDS or self.stopped:
            return False
        if "stopped" in result:
            self.stopped = result["stopped"]
            return False
        if "failed" in result:
            return self.end(trial, result["failed"])
        if not math.isfinite(result["esr"]):
            reason = result.get("reason", "its error is not a number")
            self._write({"state": ledger.DIVERGED, "trial": trial, "step": result["step"], "reason": reason})
            return False
        if result["step"] <= known.get("step", 0):
            return True
        line = {"state": ledger.REPORT, "trial": trial, **result}
        if self.rungs and "of" not in known:
            line["survives"] = self.rungs.survives(trial, result["step"], list(self._reached(known, result).values()))
        self._write(line)
        if line.get("survives", True) or known["control"] or result["step"] >= known["steps"]:
            return True
        self._write({"state": ledger.PRUNED, "trial": trial})
        return False

    def is_trained(self, trial: str) -> bool:
        """Whether a trial has reported its last step."""
        known = self.trials[trial]
        return known.get("step", 0) >= known["steps"]

    def end(self, trial: str, reason: str | None = None) -> bool:
        """A trial's training is over, by a fault where there is a reason; true when it has just finished.

        One that neither failed nor came to its last step was interrupted: the next conductor proposes it again.
        """
        known = self.trials[trial]
        if known["state"] in ledger.ENDS or self.stopped:
            return False
        if reason is not None:
            self._write({"state": ledger.FAILED, "trial": trial, "reason": reason})
        elif self.is_trained(trial):
            self._write({"state": ledger.FINISHED, "trial": trial})
        return known["state"] == ledger.FINISHED

    def begin_here(self, trial: str) -> bool:
        """An engine is about to train a trial in this process, which a trial that takes too much memory takes with it: false where it did so
        `STARTS` times, and the trial has failed by that.

        A start is in vain when the process that made it was killed before the trial's next report; one that was followed by `leave` does not
        count, nor do those of trials in processes of their own, whose deaths their engine counts.
        """
        known = self.trials[trial]
        if trial not in self._earlier:
            return True
        starts = known.get("starts", 1) if known["state"] in (ledger.START, ledger.AGAIN) else 0
        if starts >= STARTS:
            reason = f"{starts} times the search was killed while it trained, before a new report; is memory short?"
            self.end(trial, reason)
            return False
        self._write({"state": ledger.AGAIN, "trial": trial, "starts": starts + 1})
        return True

    def leave(self, trials: Collection[str]) -> None:
        """This process, alive, leaves off training these trials: their starts (see `begin_here`) were not in vain.

        Goes by the file: an interruption may have come between the writing of a line and its being heard here.
        """
        for line in ledger.latest(ledger.read_lines(self.study)):
            if line["trial"] in trials and line["state"] in (ledger.START, ledger.AGAIN):
                left = {"state": ledger.LEFT, "trial": line["trial"]}
                ledger.append(self.study, left)
                if self.listener:
                    self.listener({**line, **left})

    def _begin_searched(self, point: dict[str, Any]) -> Task:
        """Begin a trial of the search proper, or one that is always tried."""
        trial = self.config.identity(point)
        seed = self.config.learning.seed + int(trial, 16)
        self._begin(trial, point, self.config.learning.steps, seed, control=self._is_control(trial))
        return self._task(trial)

    def _form(self, point: dict[str, Any], steps: int) -> Hashable:
        """What trials that are trained as one have in common."""
        return form_of(self.config.space.model(point), self.config.learning_of(point, steps))

    def _begin(self, trial: str, point: dict[str, Any], steps: int, seed: int, **more: Any) -> None:
        model = self.config.space.model(point)
        what = {"point": point, "label": self.config.space.label(point), "form": model.inject.label}
        facts = {"number": len(self.trials), **what, "steps": steps, "seed": seed, **more}
        facts |= asdict(sizes(model, self.amps, self.reference_s))
        self._write({"state": ledger.START, "trial": trial, **facts})

    def _task(self, trial: str) -> Task:
        line = self.trials[trial]
        return Task(trial, line["point"], line["steps"], line["seed"], line.get("checkpoint"))

    def _fault(self, point: dict[str, Any]) -> str | None:
        return fault(self.config, point, self.amps, self.reference_s)

    def _weigh(self, point: dict[str, Any]) -> Weighed | None:
        return weigh(self.config, point, self.amps)

    def _is_control(self, trial: str) -> bool:
        """Whether the next trial trains to the end whatever the rungs say. Stock is not counted among the first, nor between controls."""
        pruning, begun = self.config.pruning, self.begun - len(self._always & self.trials.keys())
        if pruning is None or trial in self._always or begun < pruning.calibrate:
            return True
        return pruning.control is not None and (begun - pruning.calibrate + 1) % pruning.control == 0

    def _write(self, line: Line) -> None:
        ledger.append(self.study, line)
        self._learn(line)
        if self.listener:
            self.listener({**self.trials[line["trial"]], **line})

    def _learn(self, line: Line) -> None:
        """Take in a line, new or old."""
        trial, state = line["trial"], line["state"]
        known = self.trials.setdefault(trial, {})
        known.update(line)
        if "of" in known:
            return
        if state == ledger.START:
            self.begun += 1
            self.proposer.begin(trial, line["point"])
        elif state == ledger.REPORT:
            reached = self.reports.setdefault(trial, {})[line["step"]] = self._reached(known, line)
            if self.rungs:
                self.rungs.enter(trial, line["step"], list(reached.values()))
        elif state in ledger.ENDS:
            self.ended += 1
            if state == ledger.FINISHED:
                self._full.append(trial)
            self.proposer.end(trial, self._values(known), limits_of(self.config, known))
            self._calibrate()

    def _reached(self, known: Line, line: Line) -> dict[str, Values]:
        """Front -> `(log error, log cost)`."""
        cost = math.log10(known["cost"])
        return {front: (log_error(error), cost) for front, error in errors_of(self.config, line).items()}

    def _curve(self, trial: str, front: str) -> Curve:
        """Step -> log10 of the error on a front."""
        return {step: reached[front][0] for step, reached in self.reports[trial].items()}

    def _mean_curve(self, trial: str) -> Curve:
        """Step -> log10 of the error, the mean over fronts."""
        return {
            step: sum(error for error, _ in reached.values()) / len(reached)
            for step, reached in self.reports[trial].items()
        }

    def _values(self, line: Line) -> dict[str, Values]:
        """The objectives of an ended trial on every front, none where it has none; one that was stopped early counts as where such trials end."""
        if line["state"] not in (ledger.FINISHED, ledger.PRUNED):
            return {}
        values = self._reached(line, line)
        if line["state"] == ledger.PRUNED:
            for front, (error, cost) in values.items():
                gain = expected_gain([self._curve(trial, front) for trial in self._full], line["step"])
                values[front] = error - gain, cost
        return values

    @property
    def plan(self) -> Plan | None:
        """The rungs, once they are placed."""
        return self.rungs.plan if self.rungs else None

    def _calibrate(self) -> None:
        """Once enough trials trained to the end, place the rungs and enter there what all trials had reached.

        Stock does not count: how its few shapes rank, all learnt at one rate, says little of what the space holds, and none of it is pruned.
        Where the ends could not be foretold it is tried again when twice as many have trained to the end.
        """
        pruning = self.config.pruning
        if pruning is None or (self.plan and self.plan.rungs):
            return
        free = [trial for trial in self._full if trial not in self._always]
        rounds, rest = divmod(len(free), pruning.calibrate)
        if rest or rounds.bit_count() != 1:
            return
        first = pruning.grace or max(1, self.config.learning.steps // 20)
        self.rungs = Rungs(calibrate([self._mean_curve(trial) for trial in free], first))
        for trial, reports in self.reports.items():
            for step in sorted(reports):
                self.rungs.enter(trial, step, list(reports[step].values()))
