"""Every decision of a search, whoever trains its trials: what to try, whether to go on, what is written down."""

import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.dataset import AmpData
from models.errors import UserError
from models.stack import form_of
from search import ledger
from search.bounds import fault, heard, sizes, weigh
from search.config import SearchConfig
from search.ledger import Line
from search.proposer import Proposer, Values
from search.rungs import Curve, Plan, Rungs, calibrate, expected_gain, log_error
from search.surrogate import Weighed

Listener = Callable[[Line], None]


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
        whole = config.space.holding(stock)
        known = (whole.complete(point) for point in (*config.warm, *stock))
        queue = [point for point in known if point]
        priors = [heard(trials) for trials in config.prior]
        self.proposer = Proposer(config.space, config.seed, self._fault, config.identity, self._weigh, queue, priors)
        self.trials: dict[str, Line] = {}
        self.reports: dict[str, dict[int, list[Values]]] = {}
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
        """Raise `UserError` when the space holds no point that may be trained."""
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
            line["survives"] = self.rungs.survives(trial, result["step"], self._vectors(known, result))
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
        facts |= asdict(sizes(model, self.amps))
        self._write({"state": ledger.START, "trial": trial, **facts})

    def _task(self, trial: str) -> Task:
        line = self.trials[trial]
        return Task(trial, line["point"], line["steps"], line["seed"], line.get("checkpoint"))

    def _fault(self, point: dict[str, Any]) -> str | None:
        return fault(self.config, point, self.amps)

    def _weigh(self, point: dict[str, Any]) -> Weighed | None:
        return weigh(self.config, point, self.amps)

    def _is_control(self, trial: str) -> bool:
        """Whether the next trial trains to the end whatever the rungs say."""
        pruning = self.config.pruning
        if pruning is None or trial in self._always or self.begun < pruning.calibrate:
            return True
        return pruning.control is not None and (self.begun - pruning.calibrate + 1) % pruning.control == 0

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
            vectors = self.reports.setdefault(trial, {})[line["step"]] = self._vectors(known, line)
            if self.rungs:
                self.rungs.enter(trial, line["step"], vectors)
        else:
            self.ended += 1
            if state == ledger.FINISHED:
                self._full.append(trial)
            self.proposer.end(trial, self._values(known), known.get("limits"))
            self._calibrate()

    def _vectors(self, known: Line, line: Line) -> list[Values]:
        """`(log error, log cost)` for each front that the search has."""
        errors = line["amps"].values() if self.config.mode == "per_amp" else [line["esr"]]
        return [(log_error(error), math.log10(known["cost"])) for error in errors]

    def _curve(self, trial: str) -> Curve:
        """Step -> log10 of the error, the mean over amps."""
        return {
            step: sum(error for error, _ in vectors) / len(vectors) for step, vectors in self.reports[trial].items()
        }

    def _values(self, line: Line) -> Values | None:
        """The objectives of an ended trial; one that was stopped early counts as where such trials end."""
        if line["state"] not in (ledger.FINISHED, ledger.PRUNED):
            return None
        error = log_error(line["esr"])
        if line["state"] == ledger.PRUNED:
            error -= expected_gain([self._curve(trial) for trial in self._full], line["step"])
        return error, math.log10(line["cost"])

    @property
    def plan(self) -> Plan | None:
        """The rungs, once they are placed."""
        return self.rungs.plan if self.rungs else None

    def _calibrate(self) -> None:
        """Once enough trials trained to the end, place the rungs and enter there what all trials had reached.

        Where the ends could not be foretold it is tried again when twice as many have trained to the end.
        """
        pruning = self.config.pruning
        if pruning is None or (self.plan and self.plan.rungs):
            return
        rounds, rest = divmod(len(self._full), pruning.calibrate)
        if rest or rounds.bit_count() != 1:
            return
        first = pruning.grace or max(1, self.config.learning.steps // 20)
        self.rungs = Rungs(calibrate([self._curve(trial) for trial in self._full], first))
        for trial, reports in self.reports.items():
            for step in sorted(reports):
                self.rungs.enter(trial, step, reports[step])
